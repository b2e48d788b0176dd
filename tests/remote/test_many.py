"""Trees in a bucket: found as on a disk, few requests, and nothing but listings where nothing changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.api.test_inspect_many import BROKEN, STATE, WHOLE, a_tree, found

import modelglot as mg
from modelglot.cli.main import run
from modelglot.core.errors import CannotOpenError, CannotWriteError, PlanError
from modelglot.sources.opening import open_files, open_source
from modelglot.sources.remote import listing as listings
from modelglot.sources.remote import objects
from modelglot.sources.remote.known import known
from modelglot.sources.remote.listing import Listing

from .buckets import Bucket, serving

FOLDERS = {"hub", "runs/step-1"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bucket, Path]]:
    """A bucket that no test changes, and the same tree here."""
    folder = a_tree(tmp_path_factory.mktemp("models"))
    with pytest.MonkeyPatch.context() as patch, serving(patch) as bucket:
        bucket.upload(folder, "org/models/")
        bucket.put("org/models/", b"")  # what a web console leaves for a folder
        bucket.put("org/models/flat/", b"")
        yield bucket, folder


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with serving(monkeypatch) as made:
        yield made


def test_a_bucket_holds_what_the_folder_holds(shared: tuple[Bucket, Path]) -> None:
    bucket, _ = shared
    bucket.asked()
    root = f"{bucket.root}/org/models/"
    seen = found(f"{root}**", root)
    count, others = bucket.asked()
    assert seen == WHOLE | BROKEN
    assert count == 1
    assert others <= 3 * len(seen)


def test_reports_are_those_of_the_same_files_here(shared: tuple[Bucket, Path]) -> None:
    bucket, folder = shared
    root = f"{bucket.root}/org/models/"
    for path, report, _ in mg.inspect_many(f"{root}**"):
        if report is None:
            continue
        here = mg.inspect(folder / path.removeprefix(root)).document()
        there = report.document()
        assert there.pop("path") == path
        assert path.endswith("/") == (path.removeprefix(root).strip("/") in FOLDERS)
        del here["path"]
        for document in (here, there):  # a few words on how places in a zip file were found
            document["notes"] = [note for note in document["notes"] if note["code"] != "zip-far"]
        assert there == here
        assert mg.inspect(path).document()["tensors"] == there["tensors"], "the path is what other commands take"


@pytest.mark.parametrize(
    ("pattern", "names"),
    [("*/*.gguf", {"flat/b.gguf"}), ("**/*.safetensors", {"flat/a.safetensors", "flat/cut.safetensors", "hub"}),
     ("h*", {"hub"}), ("x/**", {"x/y/z/d.npz"})],
)  # fmt: skip
def test_only_what_fits_is_asked_for(shared: tuple[Bucket, Path], pattern: str, names: set[str]) -> None:
    bucket, _ = shared
    bucket.asked()
    assert set(found(f"{bucket.root}/org/models/{pattern}", f"{bucket.root}/org/models/")) == names
    asked = {path.removeprefix(f"/{bucket.name}/org/models/") for _, path in bucket.requests if "list" not in path}
    assert {name.partition("/")[0] for name in asked} == {name.partition("/")[0] for name in names}


def test_requests_a_model(bucket: Bucket, tmp_path: Path) -> None:
    """40 files of four formats: a listing, and at most two requests each; what is none by its name costs nothing."""
    names = [f"{n}{suffix}" for n in range(10) for suffix in (".safetensors", ".gguf", ".pt", ".onnx.npz")]
    for name in names:
        mg.save(STATE, tmp_path / name)
    bucket.upload(tmp_path)
    for n in range(50):
        bucket.put(f"logs/{n}.txt", b"nothing")
    bucket.put("logs/empty", b"")
    bucket.put("logs/other", b"nothing")
    bucket.asked()
    assert sorted(found(f"{bucket.root}/**", f"{bucket.root}/")) == sorted(names)
    counted = list(bucket.requests)
    assert sum("list-type" in path for _, path in counted) == 1
    assert sum("/logs/" in path for _, path in counted) == 1
    assert len(counted) <= 2 + 2 * len(names)


def test_one_folder_is_listed_too(bucket: Bucket, tmp_path: Path) -> None:
    """Of 20 files beside the weights only those that say something are opened."""
    mg.save(STATE, f"{tmp_path / 'hub'}/", to="safetensors", max_shard_size=2000)
    (tmp_path / "hub/config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    for number in range(20):
        (tmp_path / f"hub/{number}.json").write_text("{}")
    bucket.upload(tmp_path)
    bucket.asked()
    report = mg.inspect(f"{bucket.root}/hub/")
    assert len(report.model.sides) >= 21
    shards = len(list((tmp_path / "hub").glob("*.safetensors")))
    assert bucket.asked() == (1, shards + 2)


def test_a_graph_with_its_weights_between_its_nodes(bucket: Bucket) -> None:
    """5 MB of which readers want a little everywhere: after a few pieces the rest comes in one request."""
    onnx = pytest.importorskip("onnx")
    weights = [onnx.numpy_helper.from_array(np.full((16, 1024), n, "f4"), f"w{n}") for n in range(80)]
    graph = onnx.helper.make_graph([], "g", [], [], weights)
    data = onnx.helper.make_model(graph).SerializeToString()
    bucket.put("m/a.onnx", data)
    bucket.asked()
    assert set(found(f"{bucket.root}/m/**", f"{bucket.root}/m/")) == {"a.onnx"}
    assert len(data) > 5e6
    assert bucket.asked()[1] <= 5


def test_the_command(shared: tuple[Bucket, Path], capsys: pytest.CaptureFixture[str]) -> None:
    bucket, _ = shared
    assert run(["inspect", f"{bucket.root}/org/models/**", "--json"]) == 5
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == len(WHOLE | BROKEN)
    assert all(line["path"].startswith(f"{bucket.root}/org/models/") for line in lines)
    assert run(["inspect", f"{bucket.root}/nothing/**"]) == 3
    assert "the store lists nothing below it" in capsys.readouterr().err
    assert run(["inspect", "s3://nobody/**"]) == 3


def test_pages_and_the_limit(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "20")
    for n in range(50):
        bucket.put(f"m/{n:04}.txt", b"x")
    bucket.asked()
    assert len(Listing.of([f"{bucket.root}/m/"]).folders[f"{bucket.root}/m"].files) == 50
    assert bucket.asked() == (3, 0)
    monkeypatch.setattr(listings, "MOST_IN_TREE", 40)
    with pytest.raises(CannotOpenError, match="more than 40 objects"):
        Listing.of([f"{bucket.root}/m"])


def test_a_key_that_is_no_path_costs_its_folder(bucket: Bucket, tmp_path: Path) -> None:
    mg.save(STATE, tmp_path / "a.npz")
    bucket.upload(tmp_path, "m/good/")
    bucket.upload(tmp_path, "m/")
    bucket.put("m/bad/x//b.npz", b"x")
    bucket.put("m/bad/c.npz", b"x")
    bucket.put("m/other/../d.npz", b"x")
    seen = {path: error for path, _, error in mg.inspect_many(f"{bucket.root}/m/**")}
    assert {path for path, error in seen.items() if error is None} == {
        f"{bucket.root}/m/a.npz", f"{bucket.root}/m/good/a.npz",
    }  # fmt: skip
    broken = {path: error.what for path, error in seen.items() if error is not None}
    assert set(broken) == {f"{bucket.root}/m/bad/x/", f"{bucket.root}/m/other/", f"{bucket.root}/m/bad/c.npz"}
    assert "m/bad/x//" in broken[f"{bucket.root}/m/bad/x/"]
    catalog = Catalogs(bucket, tmp_path)
    catalog.build(f"{bucket.root}/m")
    assert dict(catalog.rows("path, error", "error is not null")) == broken


def test_what_changes_after_the_listing_is_an_error(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("m/a.npz", b"one")
    with known(Listing.of([f"{bucket.root}/m"])):
        source = open_files(f"{bucket.root}/m/a.npz").open("a.npz")
        assert source.size == 3
        bucket.put("m/a.npz", b"two")
        with pytest.raises(PlanError, match="since it was listed"):
            source.pread(0, 3)
        with pytest.raises(PlanError, match="since it was listed"):
            open_source(f"{bucket.root}/m/a.npz")
    assert open_source(f"{bucket.root}/m/a.npz").pread(0, 3) == b"two"


class Catalogs:
    def __init__(self, bucket: Bucket, folder: Path) -> None:
        pytest.importorskip("duckdb")
        self.bucket, self.path = bucket, folder / "catalog.parquet"

    def build(self, *roots: object, **options: object) -> int:
        from modelglot.api.cataloguing import build_catalog

        self.bucket.asked()
        return build_catalog(roots or [f"{self.bucket.root}/org/"], self.path, **options).looked_at  # type: ignore[arg-type]

    def rows(self, columns: str, where: str = "true") -> list[tuple[object, ...]]:
        from modelglot.api.cataloguing import query_catalog

        return list(query_catalog(self.path, f"select {columns} from catalog where {where} order by path").rows)


def test_a_catalog_of_a_bucket(shared: tuple[Bucket, Path], tmp_path: Path) -> None:
    bucket, folder = shared
    catalog = Catalogs(bucket, tmp_path)
    assert catalog.build(digests=False, jobs=2) == len(WHOLE | BROKEN)
    count, others = bucket.asked()
    assert count == 1
    assert others <= 5 * len(WHOLE | BROKEN)
    made = catalog.rows("path, coalesce(error_code, format), family, licence, verdict, bytes, etag, inode, mtime_ns")
    root = f"{bucket.root}/org/models/"
    assert {str(row[0]).removeprefix(root).strip("/"): row[1] for row in made} == WHOLE | BROKEN
    ((*hub, etag, inode, mtime),) = (row[2:] for row in made if row[0] == f"{root}hub/")
    size = sum(p.stat().st_size for p in folder.glob("hub/*.safetensors"))
    assert hub == ["llama (LlamaForCausalLM)", "mit", "safe", size]
    first = min(folder.glob("hub/*.safetensors")).name
    head = bucket.client.head_object(Bucket=bucket.name, Key=f"org/models/hub/{first}")
    assert etag == head["ETag"].strip('"')
    assert inode is None
    assert mtime == max(
        round(o["LastModified"].timestamp() * 1e9)
        for o in bucket.client.list_objects_v2(Bucket=bucket.name, Prefix="org/models/hub/model-")["Contents"]
        if o["Key"].endswith(".safetensors")
    )
    for _ in range(2):
        assert catalog.build(digests=False) == 0
        assert bucket.asked() == (1, 0), "an unchanged bucket is listed, and nothing else"


def test_a_bucket_and_a_folder_in_one_catalog(shared: tuple[Bucket, Path], tmp_path: Path) -> None:
    from modelglot.api.cataloguing import duplicates

    bucket, folder = shared
    catalog = Catalogs(bucket, tmp_path)
    catalog.build(folder, f"{bucket.root}/org/models/")
    group = max(duplicates(catalog.path), key=lambda g: g.models)
    same = {name for name in WHOLE if not name.startswith("onnx")}
    there = {f"{bucket.root}/org/models/{name}{'/' if name in FOLDERS else ''}" for name in same}
    assert set(group.paths) == {str(folder / name) for name in same} | there
    assert mg.digest(folder / "flat/b.gguf").total == group.digest
    assert catalog.build(folder, f"{bucket.root}/org/models/") == 0
    assert bucket.asked() == (1, 0)
    assert catalog.build(f"{bucket.root}/org/models/") == 0, "and without the folder"
    assert {str(path)[:5] for (path,) in catalog.rows("path")} == {"s3://"}


def test_only_what_changed_is_read_again(bucket: Bucket, tmp_path: Path) -> None:
    folder = a_tree(tmp_path / "models") if (tmp_path / "models").mkdir() is None else tmp_path
    bucket.upload(folder, "org/")
    catalog = Catalogs(bucket, tmp_path)
    catalog.build()
    before = dict(catalog.rows("path, digest"))
    other = {**STATE, "model.layers.0.weight": STATE["model.layers.0.weight"] + 1}
    mg.save(other, tmp_path / "a.safetensors")
    size = (folder / "flat/a.safetensors").stat().st_size
    assert (tmp_path / "a.safetensors").stat().st_size == size, "only the ETag tells"
    bucket.put("org/flat/a.safetensors", (tmp_path / "a.safetensors").read_bytes())
    bucket.put("org/hub/README.md", b"---\nlicense: gemma\n---\n")
    bucket.delete("org/x/y/z/d.npz")
    assert catalog.build() == 1 + 1 + len(BROKEN), "what could not be read is tried again in a folder that changed"
    asked = [path for _, path in bucket.requests]
    assert not any(".npz" in path or "runs" in path or "b.gguf" in path for path in asked)
    after = dict(catalog.rows("path, digest"))
    assert set(before) - set(after) == {f"{bucket.root}/org/x/y/z/d.npz"}
    assert {path for path in after if after[path] != before[path]} == {f"{bucket.root}/org/flat/a.safetensors"}
    assert catalog.rows("licence", "path like '%hub/'") == [("gemma",)]


def test_a_listing_that_fails_for_a_moment_is_asked_for_again(bucket: Bucket, tmp_path: Path) -> None:
    mg.save(STATE, tmp_path / "a.npz")
    bucket.upload(tmp_path, "m/")
    failing = ["list-type", "a.npz"]
    bucket.fault = lambda path: 503 if any(failing.remove(f) is None for f in failing if f in path) else None
    assert set(found(f"{bucket.root}/m/**", f"{bucket.root}/m/")) == {"a.npz"}
    assert not failing


def test_what_is_refused_is_an_error_of_its_model_and_tried_again(bucket: Bucket, tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        mg.save(STATE, tmp_path / name)
        bucket.put(f"m/{name}", (tmp_path / name).read_bytes())
    catalog = Catalogs(bucket, tmp_path)
    bucket.fault = lambda path: 403 if "a.npz" in path else None
    assert catalog.build(f"{bucket.root}/m") == 2
    error = ("cannot-open", "access was refused")
    assert catalog.rows("error_code, error", "path like '%/a.npz'") == [error]
    bucket.fault = lambda path: None
    assert catalog.build(f"{bucket.root}/m") == 1
    assert catalog.rows("error", "error is not null") == []
    before = catalog.path.read_bytes()
    bucket.fault = lambda path: 403 if "list-type" in path else None
    with pytest.raises(CannotOpenError, match="cannot be listed"):
        catalog.build(f"{bucket.root}/m")
    assert catalog.path.read_bytes() == before


@pytest.mark.parametrize(("header", "listed"), [('"0x8D"', "0x8D"), ('W/"1"', '"1"'), (None, "")])
def test_etags_of_listings_and_headers(header: str | None, listed: str) -> None:
    """Azure's listings have them without quotes, some servers have weak ones, others none."""
    assert objects.bare(header) == objects.bare(listed)


def test_a_catalog_in_the_bucket(bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from modelglot.api.cataloguing import build_catalog, duplicates, query_catalog

    mg.save(STATE, tmp_path / "a.npz")
    for key in ("m/a.npz", "m/b.npz"):
        bucket.put(key, (tmp_path / "a.npz").read_bytes())
    target = f"{bucket.root}/catalogs/all.parquet"
    assert build_catalog(f"{bucket.root}/m", target).looked_at == 2
    assert query_catalog(target, "select count(*) from catalog").rows == ((2,),)
    assert [group.models for group in duplicates(target)] == [2]
    built = build_catalog(f"{bucket.root}/m", target)
    assert (built.path, built.models, built.looked_at) == (target, 2, 0)
    assert run(["catalog", "query", "select 1", "-c", f"{bucket.root}/none.parquet"]) == 3
    bucket.put("catalogs/other.parquet", b"of somebody else")
    assert run(["catalog", "build", f"{bucket.root}/m", "-o", f"{bucket.root}/catalogs/other.parquet"]) == 9
    assert f"`{bucket.root}/catalogs/other.parquet`: exists already" in capsys.readouterr().err
    assert run(["catalog", "build", f"{bucket.root}/m", "-o", "https://example.com/c.parquet"]) == 9


def test_a_catalog_that_cannot_be_uploaded_is_kept(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelglot.api.cataloguing import build_catalog, query_catalog

    mg.save(STATE, tmp_path / "a.npz")
    bucket.upload(tmp_path, "m/")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    target = f"{bucket.root}/c.parquet"
    bucket.fault = lambda path: 403 if "c.parquet" in path and bucket.requests[-1][0] != "HEAD" else None
    with pytest.raises(CannotWriteError) as caught:
        build_catalog(f"{bucket.root}/m", target)
    (kept,) = (tmp_path / "tmp").rglob("*.parquet")
    assert f"`{kept}`" in (caught.value.hint or "")
    assert query_catalog(kept, "select count(*) from catalog").rows == ((1,),)


def test_errors_of_builds(bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = str(tmp_path / "c.parquet")
    mg.save({"w": np.zeros(4, "f4")}, tmp_path / "a.npz")
    bucket.upload(tmp_path, "m/")
    for root, code, said in (
        ("s3://nobody/m", 3, "cannot be listed"),
        (f"{bucket.root}/none", 3, "no such folder"),
        ("https://example.com/models", 7, "does not list"),
    ):
        assert run(["catalog", "build", root, "-o", target]) == code
        assert said in capsys.readouterr().err
    assert not Path(target).exists()
    assert run(["catalog", "build", f"{bucket.root}/m", bucket.root, "-o", target, "--jobs", "1"]) == 0
    assert "1 model" in capsys.readouterr().out
