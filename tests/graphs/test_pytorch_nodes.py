"""The PyTorch generator against the ONNX project's own node tests: what is not passed is listed, with the reason."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

pytest.importorskip("onnx_ir")
pytest.importorskip("torch")
import node_cases

LIST = tomllib.loads((Path(__file__).parent / "node_tests.toml").read_text())["not-passed"]
PARTS = 8  # so that several processes share them


def listed(name: str, *, by_chance: bool = False) -> bool:
    groups = [group for group in LIST if group.get("random", False) or not by_chance]
    return any(fnmatchcase(name, pattern) for group in groups for pattern in group["tests"])


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.filterwarnings("ignore")
def test_the_node_tests_of_onnx(part: int, tmp_path: Path) -> None:
    broken, mended = {}, []
    for case in node_cases.cases()[part::PARTS]:
        try:
            node_cases.run(case, tmp_path)
        except Exception as error:
            if not listed(case.name):
                broken[case.name] = f"{type(error).__name__}: {error}"[:400]
        else:
            if listed(case.name) and not listed(case.name, by_chance=True):
                mended.append(case.name)
    assert not broken
    assert not mended, "these pass now: take them from the list"


@pytest.mark.parametrize(("kind", "count"), [("pytorch-converted", 82), ("pytorch-operator", 35), ("simple", 15)])
@pytest.mark.filterwarnings("ignore")
def test_the_exported_models_of_onnx(kind: str, count: int, tmp_path: Path) -> None:
    """Of operator sets 6 to 9, by PyTorch as it was then; beside them text and gradients, which torch has not."""
    passed = []
    for case in node_cases.exported(kind):
        if not case.name.startswith(("test_strnorm", "test_gradient")):
            node_cases.run(case, tmp_path)
            passed.append(case.name)
    assert len(passed) >= count


def test_the_list_names_tests_that_exist() -> None:
    names = [case.name for case in node_cases.cases()]
    assert len(names) > 1800
    for group in LIST:
        assert all(any(fnmatchcase(name, pattern) for name in names) for pattern in group["tests"]), group["why"]
    assert sum(listed(name) for name in names) < 80
