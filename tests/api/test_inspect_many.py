"""Many models at once: found as the catalog finds them, one line each, and no bad one ends the run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.cli.main import run
from modelglot.core.errors import CannotOpenError, UnsupportedError
from modelglot.features.catalog.pattern import Pattern, is_pattern

RNG = np.random.default_rng(0)
STATE = {f"model.layers.{n}.weight": RNG.standard_normal((8, 32)).astype("f4") for n in range(4)}


def a_tree(root: Path) -> Path:
    """Models of many kinds, and what is none: also used for buckets."""
    for name in ("flat/a.safetensors", "flat/b.gguf", "flat/c.pth", "x/y/z/d.npz"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        mg.save(STATE, root / name)
    mg.save(STATE, f"{root / 'hub'}/", to="safetensors", max_shard_size=2000)
    (root / "hub/config.json").write_text('{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}')
    (root / "hub/tokenizer.json").write_text("{}")
    (root / "hub/README.md").write_text("---\nlicense: mit\n---\n")
    mg.save(STATE, f"{root / 'runs/step-1'}/", to="dcp")
    mg.save(STATE, root / "flat/tf.ckpt.index")
    (root / "flat/cut.safetensors").write_bytes((root / "flat/a.safetensors").read_bytes()[:-10])
    (root / "flat/page.onnx").write_text("<!doctype html><title>404</title>")
    (root / "flat/notes.txt").write_text("no model")
    (root / ".git").mkdir()
    mg.save(STATE, root / ".git/hidden.safetensors")
    for name in ("one", "two"):
        _with_external_data(root / "onnx", name)
    return root


def _with_external_data(folder: Path, name: str) -> None:
    """A graph whose weights lie in a sub-folder, in a file that could be a model by its name."""
    onnx = pytest.importorskip("onnx")
    (folder / "data").mkdir(parents=True, exist_ok=True)
    array = np.arange(1024, dtype="f4").reshape(32, 32)
    weight = onnx.numpy_helper.from_array(array, "w")
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    ports = [value(n, onnx.TensorProto.FLOAT, [1, 32]) for n in "xy"]
    graph = onnx.helper.make_graph([node], "g", ports[:1], ports[1:], [weight])
    weight = graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, said in (("location", f"data/{name}.bin"), ("offset", "0"), ("length", "4096")):
        weight.external_data.add(key=key, value=said)
    (folder / f"data/{name}.bin").write_bytes(array.tobytes())
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())


WHOLE = {
    "flat/a.safetensors": "safetensors",
    "flat/b.gguf": "gguf",
    "flat/c.pth": "torch-zip",
    "flat/tf.ckpt.index": "tf-checkpoint",
    "hub": "safetensors",
    "onnx/one.onnx": "onnx",
    "onnx/two.onnx": "onnx",
    "runs/step-1": "dcp",
    "x/y/z/d.npz": "npz",
}
BROKEN = {"flat/cut.safetensors": "damaged", "flat/page.onnx": "unknown-format"}


def found(pattern: str | list[str], root: str, **options: int) -> dict[str, str]:
    """Path -> format, or the code of the error."""
    made = {}
    for path, report, error in mg.inspect_many(pattern, **options):
        name = path.removeprefix(root).strip("/")
        assert name not in made
        made[name] = error.code if error is not None else report.model.format  # type: ignore[union-attr]
    return made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return a_tree(tmp_path / "models")


@pytest.mark.parametrize("jobs", [1, 8])
def test_what_is_found_is_what_the_catalog_finds(tree: Path, jobs: int) -> None:
    seen = found(f"{tree}/**", f"{tree}/", jobs=jobs)
    assert seen == WHOLE | BROKEN
    pytest.importorskip("duckdb")
    from modelglot.api.cataloguing import build_catalog, query_catalog

    build_catalog(tree, tree.parent / "c.parquet", digests=False)
    rows = query_catalog(tree.parent / "c.parquet", "select path, coalesce(error_code, format) from catalog").rows
    assert {os.path.relpath(path, tree): what for path, what in rows} == seen


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*/*.gguf", {"flat/b.gguf"}),
        ("**/*.gguf", {"flat/b.gguf"}),
        ("**/[ab].*", {"flat/a.safetensors", "flat/b.gguf"}),
        ("*", {"hub"}),
        ("hub/**", {"hub"}),
        ("**/*.safetensors", {"flat/a.safetensors", "flat/cut.safetensors", "hub"}),
        ("r*/**", {"runs/step-1"}),
        ("x/**/d.*", {"x/y/z/d.npz"}),
        ("flat/*.index", {"flat/tf.ckpt.index"}),
    ],
)
def test_patterns(tree: Path, pattern: str, names: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(found(f"{tree}/{pattern}", f"{tree}/")) == names
    monkeypatch.chdir(tree)
    assert set(found(pattern, "")) == names


def test_names_that_are_passed_over(tree: Path) -> None:
    passed = ["x", "r*s", "*.gguf", "onnx"]
    wanted = {name: what for name, what in (WHOLE | BROKEN).items() if not name.startswith(("x/", "runs", "onnx"))}
    del wanted["flat/b.gguf"]
    assert {i.path.removeprefix(f"{tree}/") for i in mg.inspect_many(f"{tree}/**", exclude=passed)} == set(wanted)
    pytest.importorskip("duckdb")
    from modelglot.api.cataloguing import build_catalog

    target = tree.parent / "c.parquet"
    assert build_catalog(tree, target, exclude=passed, digests=False).models == len(wanted)
    mg.save(STATE, tree / "x/new.npz")
    assert build_catalog(tree, target, exclude=passed, digests=False).looked_at == 0, "nobody looks there"
    assert build_catalog(tree, target, digests=False).models == len(WHOLE | BROKEN) + 1


def test_folders_that_cannot_hold_it_are_not_entered(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(os.path.relpath(path, tree)) or scandir(path))
    found(f"{tree}/fl*/*.gguf", "")
    assert set(listed) & {"runs/step-1", "x/y", "x/y/z"} == set()


def test_a_report_is_that_of_the_single_file(tree: Path) -> None:
    for path, report, error in mg.inspect_many(f"{tree}/**"):
        if error is None and report is not None:
            assert report.document() == mg.inspect(path).document()
            assert json.loads(json.dumps(report.document()))["path"] == path


def test_paths_and_patterns_together(tree: Path) -> None:
    seen = found([f"{tree}/flat/c.pth", f"{tree}/x/**", f"{tree}/none.pt", f"{tree}/q*/**", "/none/**"], f"{tree}/")
    assert seen == {"flat/c.pth": "torch-zip", "x/y/z/d.npz": "npz", "none.pt": "cannot-open", "q*/**": "cannot-open",
                    "none/**": "cannot-open"}  # fmt: skip


def test_models_are_handed_on_before_the_next_are_begun(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is that of a few models, however many there are."""
    from modelglot.api import inspecting_many

    for number in range(40):
        mg.save({"w": np.zeros(4, "f4")}, tree / f"x/y/{number}.npz")
    begun = []
    describe = inspecting_many.describe
    monkeypatch.setattr(inspecting_many, "describe", lambda *a, **o: begun.append(a[1]) or describe(*a, **o))
    some: Iterator[object] = mg.inspect_many(f"{tree}/x/y/*.npz", jobs=2)
    for count in range(1, 6):
        next(some)
        assert len(begun) <= count + 4


def test_a_defect_costs_one_line(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelglot.api import finding

    real = finding.read_as

    def broken(format: object, path: str, *more: object) -> object:
        if path.endswith("b.gguf"):
            raise KeyError("a defect")
        return real(format, path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(finding, "read_as", broken)
    assert found(f"{tree}/**", f"{tree}/") == WHOLE | BROKEN | {"flat/b.gguf": "error"}


def test_lines_of_the_command(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", f"{tree}/**", "--json"]) == 5, "the worst of what is wrong"
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    good = {os.path.relpath(d["path"], tree) for d in lines if d["schema"] == "modelglot.inspect/1"}
    bad = {os.path.relpath(d["path"], tree): d["error"]["code"] for d in lines if d["schema"] == "modelglot.error/1"}
    assert (good, bad) == (set(WHOLE), BROKEN)
    assert err.count("error: ") == len(BROKEN)
    assert run(["inspect", f"{tree}/hub/**"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "format\tfamily\tparameters\tbytes\tdtypes\tpath",
        f"safetensors\tllama (LlamaForCausalLM)\t1024\t{sum(p.stat().st_size for p in tree.glob('hub/*.safetensors'))}"
        f"\tf32\t{tree}/hub",
    ]  # fmt: skip
    assert run(["inspect", f"{tree}/**", "--from", "gguf"]) == 2
    assert run(["inspect", f"{tree}/*.nothing"]) == 3
    assert run(["inspect", "https://example.com/models/**"]) == 7


def test_a_name_with_a_star_is_a_name_first(tmp_path: Path) -> None:
    mg.save(STATE, tmp_path / "a*.npz")
    mg.save(STATE, tmp_path / "ab.npz")
    assert not is_pattern(str(tmp_path / "a*.npz"))
    assert set(found(str(tmp_path / "a*.npz"), f"{tmp_path}/")) == {"a*.npz"}


@pytest.mark.parametrize(
    ("pattern", "fits", "not_"),
    [
        ("/m/**", ["/m", "/m/a", "/m/a/b.pt"], []),
        ("/m/**/*.gguf", ["/m/a.gguf", "/m/x/y/a.gguf"], ["/m/a.pt", "/m/a.gguf/x"]),
        ("/m/*/b/**/c*", ["/m/1/b/c", "/m/1/b/x/cc"], ["/m/b/c"]),
        ("/m/[!a]*", ["/m/b"], ["/m/a"]),
        ("/m/[z-a]*", ["/m/[z-a]x"], ["/m/b"]),
        ("/m/[]x]*", ["/m/]"], ["/m/a"]),
        ("/m/x[*", ["/m/x[a"], ["/m/xa"]),
        ("/m/(a|b)+*", ["/m/(a|b)+"], ["/m/a"]),
        ("/*", ["/a"], ["/a/b", "/"]),
        ("/m/*", ["/m/a"], ["/m"]),
    ],
)
def test_signs_of_patterns(pattern: str, fits: list[str], not_: list[str]) -> None:
    made = Pattern(pattern)
    assert [made.fits(path) for path in (*fits, *not_)] == [True] * len(fits) + [False] * len(not_)


def test_patterns_that_cannot_be_looked_for() -> None:
    with pytest.raises(UnsupportedError, match="does not list"):
        Pattern("https://example.com/**")
    with pytest.raises(CannotOpenError, match="needs a bucket"):
        Pattern("s3://*/models")
