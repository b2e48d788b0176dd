"""One row a model, kept as long as its files are the same, asked in SQL that reaches nothing else."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

duckdb = pytest.importorskip("duckdb")

import modelglot as mg  # noqa: E402
from modelglot.api.cataloguing import build_catalog, duplicates, query_catalog  # noqa: E402
from modelglot.core.errors import (  # noqa: E402
    CannotOpenError,
    InvalidFileError,
    ModelFileError,
    TargetExistsError,
    UnsafeContentError,
    UnsupportedError,
)

RNG = np.random.default_rng(0)
STATE = {f"model.layers.{n}.weight": RNG.standard_normal((8, 32)).astype("f4") for n in range(4)}
OTHER = {**STATE, "model.layers.0.weight": STATE["model.layers.0.weight"] + 1}


class Tree:
    """A folder of models, its catalog beside it, and how often each was looked at."""

    def __init__(self, root: Path) -> None:
        self.root = root / "models"
        self.root.mkdir()
        self.catalog = root / "catalog.parquet"

    def save(self, state: dict[str, Any], name: str, **options: Any) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mg.save(state, path, **options)
        return path

    def build(self, **options: Any) -> int:
        """How many models were looked at."""
        return build_catalog(self.root, self.catalog, **options).looked_at

    def rows(self, columns: str = "path", where: str = "true") -> list[tuple[Any, ...]]:
        found = query_catalog(self.catalog, f"select {columns} from catalog where {where} order by path").rows
        root = f"{self.root}{os.sep}"
        return [tuple(v.removeprefix(root) if isinstance(v, str) else v for v in row) for row in found]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def hub_folder(tree: Tree, name: str) -> Path:
    folder = tree.root / name
    mg.save(STATE, f"{folder}/", to="safetensors", max_shard_size=2000)
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}')
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0  # see LICENSE\n---\n# A model\n")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_files_and_folders_are_one_row_each(tree: Tree) -> None:
    hub_folder(tree, "hub")
    tree.save(STATE, "flat/a.safetensors")
    tree.save(OTHER, "flat/b.gguf", metadata={"general.architecture": "llama", "general.license": "mit"})
    tree.save(OTHER, "flat/c.pth")
    (tree.root / "flat" / "notes.txt").write_text("no model")
    (tree.root / "flat" / "index.json").write_text("{}")
    tree.build()
    assert tree.rows("path, format, family, licence, tensors, parameters, verdict, error") == [
        ("flat/a.safetensors", "safetensors", None, None, 4, 1024, "safe", None),
        ("flat/b.gguf", "gguf", "llama", "mit", 4, 1024, "safe", None),
        ("flat/c.pth", "torch-zip", None, None, 4, 1024, "safe", None),
        ("hub", "safetensors", "llama (LlamaForCausalLM)", "apache-2.0", 4, 1024, "safe", None),
    ]
    ((nbytes, tensor_bytes, dtypes),) = tree.rows("bytes, tensor_bytes, dtypes", "format = 'torch-zip'")
    assert (nbytes, tensor_bytes, dtypes) == ((tree.root / "flat" / "c.pth").stat().st_size, 4096, ["f32"])


def test_a_card_says_the_licence_of_the_files_beside_it(tree: Tree) -> None:
    for name in ("a.gguf", "b.gguf"):
        tree.save({"w": np.zeros(4, "f4")}, f"x/{name}")
    tree.build()
    assert tree.rows("licence") == [(None,)] * 2
    (tree.root / "x" / "README.md").write_text("---\nlicense: mit\n---\n")
    (tree.root / "x" / "code").mkdir()
    (tree.root / "x" / "code" / "run.py").write_text("import os")
    tree.build()
    assert tree.rows("path, licence, verdict, len(files)") == [(f"x/{n}.gguf", "mit", "safe", 2) for n in "ab"]
    (tree.root / "x" / "README.md").write_text("---\nlicense: gemma\n---\n")
    assert tree.build() == 2
    assert tree.rows("licence") == [("gemma",)] * 2


def test_what_else_a_tree_holds_is_no_row(tree: Tree) -> None:
    """A hub's cache with its links, git's insides, a half-written target, a link out of the tree."""
    blob = tree.save(STATE, "models--a/blobs/0123.safetensors")
    snapshot = tree.root / "models--a" / "snapshots" / "rev"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to(os.path.relpath(blob, snapshot))
    shutil.copy(blob, tree.save(STATE, "x/.git/lfs/a.safetensors"))
    outside = tree.root.parent / "outside.safetensors"
    mg.save(OTHER, outside)
    (tree.root / "x" / "out.safetensors").symlink_to(outside)
    (tree.root / "x" / "loop").symlink_to(tree.root)
    os.mkfifo(tree.root / "x" / "pipe.safetensors")
    tree.build()
    assert tree.rows("path, error_code") == [
        ("models--a/snapshots/rev/model.safetensors", None),
        ("x/out.safetensors", "unsafe"),
    ]


def test_whole_folder_formats_are_not_taken_apart(tree: Tree) -> None:
    tree.save(STATE, "tf/model.ckpt.index")
    mg.save(STATE, f"{tree.root / 'dist'}/", to="dcp")
    mg.save(STATE, f"{tree.root / 'runs' / 'step-1'}/", to="dcp")
    mg.save(OTHER, f"{tree.root / 'runs' / 'step-2'}/", to="dcp")
    tree.build()
    found = tree.rows("path, format, tensors")
    assert [row[1:] for row in found] == [("dcp", 4)] * 3 + [("tf-checkpoint", 4)]
    assert [row[0] for row in found[:3]] == ["dist", "runs/step-1", "runs/step-2"]


def test_the_digest_is_that_of_the_verb(tree: Tree) -> None:
    path = tree.save(STATE, "a.safetensors")
    tree.build()
    assert tree.rows("digest") == [(mg.digest(path).total,)]


def test_what_cannot_be_read_has_a_row_that_says_so(tree: Tree) -> None:
    whole = tree.save(STATE, "a/model.safetensors").read_bytes()
    (tree.root / "a" / "cut.safetensors").write_bytes(whole[:-10])
    (tree.root / "a" / "lfs.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    (tree.root / "a" / "page.gguf").write_text("<!doctype html><html><title>404</title></html>")
    (tree.root / "a" / "noise.keras").write_bytes(bytes(range(200)))
    (tree.root / "a" / "empty.pt").write_bytes(b"")
    folder = hub_folder(tree, "b")
    next(folder.glob("*-00002-of-*")).unlink()
    built = build_catalog(tree.root, tree.catalog)
    assert built.errors == 5
    codes = dict(tree.rows("path, error_code"))
    assert codes == {
        "a/cut.safetensors": "damaged",
        "a/empty.pt": "damaged",
        "a/lfs.onnx": "unknown-format",
        "a/model.safetensors": None,
        "a/noise.keras": "unknown-format",
        "a/page.gguf": "unknown-format",
        "b": None,
    }
    ((digest, why),) = tree.rows("digest, digest_error", "folder like '%/b'")
    assert digest is None
    assert why


def test_a_damaged_configuration_costs_the_family_only(tree: Tree) -> None:
    (hub_folder(tree, "hub") / "config.json").write_text('{"architectures": ["Llama')
    tree.build()
    assert tree.rows("path, tensors, family, error, digest is not null") == [("hub", 4, None, None, True)]


def test_code_in_a_pickle_is_a_verdict_and_never_runs(tree: Tree) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tree.root / "ran"),)

    (tree.root / "evil.pt").write_bytes(pickle.dumps({"w": Evil()}))
    built = build_catalog(tree.root, tree.catalog)
    assert (built.models, built.unsafe) == (1, 1)
    assert not (tree.root / "ran").exists()


def test_a_second_build_looks_only_at_what_changed(tree: Tree) -> None:
    for number in range(6):
        tree.save({"w": np.full(4, number, "f4")}, f"team/{number}.safetensors")
    hub_folder(tree, "hub")
    assert tree.build() == 7
    assert tree.build() == 0
    tree.save({"w": np.full(4, 99, "f4")}, "team/3.safetensors", force=True)
    before = dict(tree.rows("path, digest"))
    assert tree.build() == 1
    after = dict(tree.rows("path, digest"))
    assert {p for p in after if after[p] != before[p]} == {"team/3.safetensors"}
    (tree.root / "team" / "4.safetensors").rename(tree.root / "team" / "moved.safetensors")
    (tree.root / "team" / "5.safetensors").unlink()
    assert tree.build() == 1
    assert [p for (p,) in tree.rows()] == ["hub", *(f"team/{n}.safetensors" for n in (0, 1, 2, 3, "moved"))]
    assert tree.build(fresh=True) == 6


def test_equal_size_and_time_with_another_file_is_a_change(tree: Tree) -> None:
    path = tree.save(STATE, "a.safetensors")
    tree.build()
    status = path.stat()
    mg.save(OTHER, tree.root / "new.safetensors")
    os.utime(tree.root / "new.safetensors", ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(tree.root / "new.safetensors", path)
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert path.stat().st_size == status.st_size
    tree.build()
    assert tree.rows("digest") == [(mg.digest(path).total,)]


def test_what_completes_a_model_later_is_seen(tree: Tree) -> None:
    """Shards without their index are files; with it they are one model; without it they are files again."""
    folder = hub_folder(tree, "hub")
    index = folder / "model.safetensors.index.json"
    kept = index.read_bytes()
    index.unlink()
    tree.build()
    assert len(tree.rows()) == len(list(folder.glob("*.safetensors")))
    index.write_bytes(kept)
    tree.build()
    assert tree.rows("path, tensors") == [("hub", 4)]
    index.unlink()
    tree.build()
    assert len(tree.rows()) == len(list(folder.glob("*.safetensors")))


def test_digests_are_not_made_again_where_only_the_card_changed(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelglot.api import catalog_model

    folder = hub_folder(tree, "hub")
    tree.build()
    monkeypatch.setattr(catalog_model, "_digests", lambda model: pytest.fail("the weights were read again"))
    (folder / "README.md").write_text("---\nlicense:\n  - mit\n---\n")
    assert tree.build() == 1
    assert tree.rows("licence, digest is not null") == [("mit", True)]


def test_another_version_looks_again_and_keeps_digests(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelglot.api import catalog_model, cataloguing

    tree.save(STATE, "x/a.safetensors")
    tree.save(OTHER, "x/b.gguf")
    tree.build()
    before = tree.rows("path, digest, contents")
    monkeypatch.setattr(catalog_model, "_digests", lambda model: pytest.fail("the weights were read again"))
    monkeypatch.setattr(cataloguing, "made_by", lambda: "9.9")
    assert tree.build() == 2
    assert tree.rows("path, digest, contents") == before
    assert tree.build() == 0


def test_headers_first_digests_later(tree: Tree) -> None:
    tree.save(STATE, "a.safetensors")
    tree.build(digests=False)
    assert tree.rows("digest, tensors") == [(None, 4)]
    assert tree.build() == 1
    assert tree.rows("digest is not null") == [(True,)]
    assert tree.build(digests=False) == 0


def test_what_only_lacked_an_extra_is_tried_again(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelglot.api import finding
    from modelglot.core.errors import MissingExtraError

    tree.save(STATE, "x/a.safetensors")

    def missing(*_: object) -> None:
        raise MissingExtraError("needs a thing")

    with monkeypatch.context() as patch:
        patch.setattr(finding, "read_as", missing)
        tree.build()
    assert tree.rows("error_code") == [("missing-extra",)]
    tree.build()
    assert tree.rows("error_code") == [(None,)]


def test_a_folder_that_cannot_be_listed_is_told_and_tried_again(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may list everything, so the system's refusal is played."""
    tree.save(STATE, "x/a.safetensors")
    scandir = os.scandir

    def refused(path: Any) -> Any:
        if isinstance(path, str) and path.endswith("x"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refused)
        tree.build()
    assert tree.rows("path, error") == [("x", "cannot be listed: permission denied")]
    tree.build()
    assert tree.rows("path, error") == [("x/a.safetensors", None)]


def test_duplicates_are_exactly_those_of_equal_weights(tree: Tree) -> None:
    tree.save(STATE, "a/one.safetensors")
    tree.save(STATE, "b/two.gguf")
    tree.save(STATE, "b/three.pth")
    hub_folder(tree, "hub")
    tree.save(OTHER, "a/other.safetensors")
    tree.save({f"renamed.{name}": array for name, array in OTHER.items()}, "c/other.npz")
    tree.save({"w": np.zeros(4, "f4")}, "c/zeros.npz")
    tree.save({"w": np.zeros(4, "i4")}, "c/equal_bytes.npz")
    tree.build(jobs=2)
    root = f"{tree.root}{os.sep}"
    same = ["a/one.safetensors", "b/three.pth", "b/two.gguf", "hub"]
    (group,) = duplicates(tree.catalog)
    assert [p.removeprefix(root) for p in group.paths] == same
    assert group.spare == group.nbytes - (tree.root / "b" / "two.gguf").stat().st_size
    groups = [[p.removeprefix(root) for p in g.paths] for g in duplicates(tree.catalog, names=False)]
    assert sorted(groups) == [["a/one.safetensors", *same[1:]], ["a/other.safetensors", "c/other.npz"]]


def test_processes_make_the_same_table(tree: Tree) -> None:
    for number in range(40):
        tree.save({"w": np.full(4, number, "f4")}, f"{number % 3}/{number}.safetensors")
    tree.build()
    columns = "path, digest, verdict"
    one = tree.rows(columns)
    assert tree.build(jobs=2, fresh=True) == 40
    assert tree.rows(columns) == one


def test_hostile_names(tree: Tree) -> None:
    names = [
        "a'; drop table catalog; --.safetensors",
        "b*[0].safetensors",
        'c"\n\x1b[31m.safetensors',
        "$(id).safetensors",
    ]
    for name in names:
        tree.save(STATE, name, metadata={"license": "'); select 1 --\x00\x1b[2J"})
    raw = os.fsencode(tree.root) + b"/\xff\xfe.safetensors"
    shutil.copy(tree.root / names[0], raw)
    assert tree.build() == 5
    assert [p for (p,) in tree.rows()] == sorted([*names, "\\xff\\xfe.safetensors"])
    assert tree.build() == 0
    strange = tree.root.parent / "it's [a] *catalog*?.parquet"
    tree.catalog = strange
    assert tree.build() == 5
    assert tree.build() == 0


def test_what_is_no_text(tree: Tree) -> None:
    tree.build()
    with pytest.raises(UnsupportedError):
        query_catalog(tree.catalog, "select '\udcff'")
    with pytest.raises(UnsupportedError):
        build_catalog(tree.root, os.fsdecode(os.fsencode(tree.root.parent) + b"/\xff.parquet"))


QUERIES = (
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('{catalog}')",
    "select * from '/etc/passwd.csv'",
    "from read_parquet('{catalog}')",
    "select * from glob('/etc/*')",
    "copy catalog to '/tmp/modelglot-test.csv'",
    "copy (select 1) to '{catalog}' (use_tmp_file false)",
    "attach '/tmp/modelglot-test.db'",
    "set enable_external_access = true",
    "install httpfs",
    "load httpfs",
    "explain analyze copy catalog to '/tmp/modelglot-test.csv'",
    "create table x as select 1",
    "delete from catalog",
    "select 1; select 2",
    "export database '/tmp/modelglot-test'",
    "call pragma_version()",
    "",
)


@pytest.mark.parametrize("sql", QUERIES)
def test_a_query_reads_the_catalog_and_nothing_else(tree: Tree, sql: str) -> None:
    tree.save(STATE, "a.safetensors")
    tree.build()
    before = tree.catalog.read_bytes()
    with pytest.raises((UnsafeContentError, UnsupportedError)) as caught:
        query_catalog(tree.catalog, sql.format(catalog=tree.catalog))
    if "/etc" in sql or "catalog}" in sql:
        assert isinstance(caught.value, UnsafeContentError) or "passwd.csv" in sql
    assert tree.catalog.read_bytes() == before
    assert not list(Path("/tmp").glob("modelglot-test*"))


def test_a_query_does_not_see_variables_of_python(tree: Tree) -> None:
    tree.save(STATE, "a.safetensors")
    tree.build()
    secret = duckdb.sql("select 42 as x")
    with pytest.raises(UnsupportedError):
        query_catalog(tree.catalog, "select * from secret")
    assert secret is not None


def test_other_programs_read_the_file(tree: Tree) -> None:
    tree.save(STATE, "a.safetensors")
    tree.build()
    assert duckdb.sql(f"select tensors, files[1].name from read_parquet('{tree.catalog}')").fetchall() == [
        (4, "a.safetensors")
    ]


def test_the_target_is_not_something_else(tree: Tree, tmp_path: Path) -> None:
    tree.save(STATE, "a.safetensors")
    other = tmp_path / "table.parquet"
    duckdb.sql(f"copy (select 1 as x) to '{other}' (format parquet)")
    for path in (other, tree.root / "a.safetensors"):
        before = path.read_bytes()
        with pytest.raises(TargetExistsError):
            build_catalog(tree.root, path)
        assert path.read_bytes() == before
        with pytest.raises(InvalidFileError):
            query_catalog(path, "select 1")
    build_catalog(tree.root, other, force=True)
    with pytest.raises(CannotOpenError):
        query_catalog(tmp_path / "none.parquet", "select 1")
    with pytest.raises(CannotOpenError):
        build_catalog(tmp_path / "none", tree.catalog)
    with pytest.raises(UnsupportedError):
        build_catalog("https://example.com/models", tree.catalog)


def test_a_process_that_dies_costs_one_row(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for a crash in native code: the workers read it from their environment."""
    for number in range(5):
        tree.save({"w": np.full(4, number, "f4")}, f"{number}.safetensors")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parent / "dying"), os.environ.get("PYTHONPATH", "")])
    )
    monkeypatch.setenv("MODELGLOT_TEST_DIES", "3.safetensors")
    built = build_catalog(tree.root, tree.catalog, jobs=2)
    assert (built.models, built.errors) == (5, 1)
    ((path, error),) = tree.rows("path, error", "error is not null")
    assert path == "3.safetensors"
    assert "died" in error


def test_a_folder_that_kills_its_process_is_looked_at_file_by_file(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.save(STATE, "x/a.safetensors")
    tree.save(STATE, "x/below/b.safetensors")
    tree.save(STATE, "y/c.safetensors")
    path = [str(Path(__file__).parent / "dying"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    monkeypatch.setenv("MODELGLOT_TEST_DIES", "x")
    tree.build(jobs=2)
    assert tree.rows("path, error") == [
        ("x/a.safetensors", None),
        ("x/below/b.safetensors", None),
        ("y/c.safetensors", None),
    ]


def test_errors_are_model_file_errors_without_duckdb(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ModelFileError, match="catalog"):
        build_catalog(tree.root, tree.catalog)


def test_licences_of_cards() -> None:
    from modelglot.features.catalog.licence import from_card, licence_of

    assert from_card("---\nlicense: mit\n---") == "mit"
    assert from_card('---\r\nlicense: "mit"\r\n---\r\n') == "mit"
    assert from_card("---\nlicense:\n- mit\n- gpl-3.0\nx: 1\n---") == "mit"
    assert from_card("---\nlicense: other\nlicense_name: gemma\n---") == "gemma"
    assert from_card("---\nlicense_name: gemma\n---") == "gemma"
    assert from_card("---\nlicense_link: x\n---") is None
    assert from_card("# no front matter\nlicense: mit\n---") is None
    assert licence_of({"general.license": "mit"}, b"---\nlicense: gpl\n---") == "mit"
    assert licence_of({"license": 3}, b"\xff\xfe") is None


def test_json_of_a_row(tree: Tree) -> None:
    tree.save({"w": np.zeros(4, "f4")}, "a.npz")
    tree.build()
    answer = query_catalog(tree.catalog, "select * from catalog")
    assert json.dumps(dict(zip(answer.columns, map(str, answer.rows[0]), strict=True)))
    assert "stamp" not in answer.columns


def test_numbers_for_prometheus(tree: Tree) -> None:
    from modelglot.cli.main import run

    tree.save(STATE, "a.safetensors")
    (tree.root / "b.gguf").write_bytes(b"GGUF")
    metrics = tree.root.parent / "catalog.prom"
    assert run(["catalog", "build", str(tree.root), "-o", str(tree.catalog), "--metrics", str(metrics)]) == 0
    parsed = pytest.importorskip("prometheus_client.parser", reason="the oracle of the text format")
    families = {f.name: f for f in parsed.text_string_to_metric_families(metrics.read_text())}
    assert [s.value for s in families["modelglot_catalog_models"].samples] == [2]
    kinds = {s.labels["kind"]: s.value for s in families["modelglot_catalog_findings"].samples}
    assert kinds == {"error": 1, "unsafe": 0, "unknown": 0}
