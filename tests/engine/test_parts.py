"""What a worker elsewhere does with its part, without a cluster: it sees paths and plain data only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.converting import make_plan
from modelglot.core.errors import CannotWriteError, PlanError, UnsupportedError
from modelglot.engine.executors.ray import _call
from modelglot.engine.move import Item
from modelglot.engine.parts import Elsewhere, largest, part_nbytes, parts


@pytest.fixture
def made(tmp_path: Path) -> Any:
    mg.save({f"w{n}": np.full((n + 1, 8), n, "f4") for n in range(40)}, tmp_path / "a.safetensors")
    return make_plan(tmp_path / "a.safetensors", tmp_path / "b.gguf")[0]


def work(made: Any, path: Path) -> tuple[Elsewhere, list[Any]]:
    return Elsewhere(made.sources, ((str(path), made.nbytes),)), parts(map(Item, range(40), made.steps), 1000)


def test_parts_hold_every_step_once_and_are_bounded(made: Any, tmp_path: Path) -> None:
    _, found = work(made, tmp_path / "b")
    assert [item.number for part in found for item in part] == list(range(40))
    assert all(part_nbytes(part) <= 1000 or len(part) == 1 for part in found)
    assert len(parts(Item(n, made.steps[0]) for n in range(1000))) == 4
    assert (largest(1 << 30, 4), largest(1 << 50, 4)) == (32 << 20, 512 << 20)


def test_a_part_is_plain_data_and_may_run_twice(made: Any, tmp_path: Path) -> None:
    pickle = pytest.importorskip("ray.cloudpickle", reason="how it travels")
    path = tmp_path / "out"
    path.write_bytes(bytes(made.nbytes))
    call, found = pickle.loads(pickle.dumps(work(made, path)))
    first = [call(part) for part in found]
    written = path.read_bytes()
    assert [call(part) for part in reversed(found)] == first[::-1]
    assert path.read_bytes() == written
    data = (tmp_path / "a.safetensors").read_bytes()
    for step in made.steps:
        extent = step.tensor.data.extents[0]
        assert written[step.offset : step.offset + step.length] == data[extent.offset : extent.offset + extent.length]


@pytest.mark.parametrize("there", ["nothing", "another size", "a link"])
def test_an_output_that_is_not_seen_is_not_made(there: str, made: Any, tmp_path: Path) -> None:
    path = tmp_path / "out"
    if there == "another size":
        path.write_bytes(b"of somebody else")
    elif there == "a link":
        (tmp_path / "else").write_bytes(bytes(made.nbytes))
        path.symlink_to(tmp_path / "else")
    before = sorted(os.listdir(tmp_path))
    call, found = work(made, path)
    with pytest.raises(CannotWriteError, match="does not see"):
        call(found[0])
    assert sorted(os.listdir(tmp_path)) == before
    assert not path.is_file() or not path.read_bytes().strip(b"of somebody else\0")


def test_a_source_that_changed_since_the_plan(made: Any, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(bytes(made.nbytes))
    os.utime(tmp_path / "a.safetensors")
    call, found = work(made, path)
    with pytest.raises(PlanError, match="changed"):
        call(found[0])


def test_another_version_is_refused() -> None:
    value, error = _call(abs, -1, "0.0.1")
    assert value is None
    assert isinstance(error, UnsupportedError)
    assert "0.0.1" in str(error)
