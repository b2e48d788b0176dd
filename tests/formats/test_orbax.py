"""Orbax folders, as Orbax writes them: what every reader of a folder promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
import pytest

import modelglot as mg
from modelglot.testing.folders import FolderConformance

TREE = {"params": {"w": np.arange(60, dtype=np.float32).reshape(6, 10), "b": np.ones(3, np.int8)}}


def saved(folder: Path, tree: Any = TREE, **kind: bool) -> None:
    ocp.Checkpointer(ocp.PyTreeCheckpointHandler(**kind)).save(folder, tree, force=True)


class TestStore(FolderConformance):
    format = "orbax"

    def make(self, folder: Path) -> None:
        saved(folder)


class TestPlainArrays(FolderConformance):
    format = "orbax"

    def make(self, folder: Path) -> None:
        saved(folder, use_ocdbt=False)


@pytest.mark.parametrize("name", ["_METADATA", "manifest.ocdbt"])
def test_a_file_of_the_checkpoint_stands_for_it(tmp_path: Path, name: str) -> None:
    saved(tmp_path / "c")
    assert sorted(mg.open(tmp_path / "c" / name).tensors) == ["params.b", "params.w"]


def test_more_files_than_a_system_opens_at_once(tmp_path: Path) -> None:
    tree = {f"layer_{n}": np.full(3, n, np.float32) for n in range(600)}
    saved(tmp_path / "c", tree, use_ocdbt=False)
    mg.convert(tmp_path / "c", tmp_path / "out.safetensors")
    assert mg.load(tmp_path / "out.safetensors")["layer_599"].tolist() == [599, 599, 599]


def test_nothing_of_the_checkpoint_is_carried_as_a_side_file(tmp_path: Path) -> None:
    saved(tmp_path / "c")
    mg.convert(tmp_path / "c", tmp_path / "out", to="safetensors")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["model.safetensors"]
