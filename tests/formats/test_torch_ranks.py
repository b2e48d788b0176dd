"""Files of single ranks: what every reader of a folder promises. tests/oracle/distributed.py saved data/ranks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import modelglot as mg
from modelglot.core.errors import InvalidFileError
from modelglot.core.limits import Limits
from modelglot.formats import registry
from modelglot.sources.file import LocalFiles
from modelglot.testing.folders import FolderConformance

DATA = Path(__file__).parent / "data" / "ranks"


class TestConformance(FolderConformance):
    format = "torch-ranks"

    def make(self, folder: Path) -> None:
        shutil.copytree(DATA, folder, dirs_exist_ok=True)


def test_files_without_distributed_tensors_are_not_merged(tmp_path: Path) -> None:
    for rank in (0, 1):
        torch.save({"w": torch.ones(2)}, tmp_path / f"rank{rank}.pt")
    with pytest.raises(InvalidFileError, match="no distributed tensors"):
        mg.open(tmp_path)


def test_the_same_piece_on_both_ranks_does_not_cover(tmp_path: Path) -> None:
    for rank in (0, 1):
        shutil.copy(DATA / "rank0.pt", tmp_path / f"rank{rank}.pt")
    with pytest.raises(InvalidFileError, match=r"a piece has the shape|do not cover"):
        mg.open(tmp_path)


def test_two_models_side_by_side_are_not_guessed(tmp_path: Path) -> None:
    for stem in ("a", "b"):
        for rank in (0, 1):
            shutil.copy(DATA / f"rank{rank}.pt", tmp_path / f"{stem}_rank{rank}.pt")
    with pytest.raises(InvalidFileError, match="2 groups of files"):
        mg.open(tmp_path)


def test_hazards_of_every_rank_are_found(tmp_path: Path) -> None:
    shutil.copytree(DATA, tmp_path, dirs_exist_ok=True)
    reader = registry.get("torch-ranks")
    assert list(reader.hazards(LocalFiles(str(tmp_path)), Limits())) == []
    torch.save({"harm": torch.nn.Linear(1, 1)}, tmp_path / "rank1.pt")
    found = {f.path for f in reader.hazards(LocalFiles(str(tmp_path)), Limits()) if f.rule == "pickle-global"}
    assert found == {str(tmp_path / "rank1.pt")}
