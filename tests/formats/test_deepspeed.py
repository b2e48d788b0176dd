"""DeepSpeed's folders: what every reader of a folder promises, on recorded checkpoints."""

from __future__ import annotations

import shutil
from pathlib import Path

from modelglot.testing.folders import FolderConformance

DATA = Path(__file__).parent.parent / "oracle" / "data" / "deepspeed"


class TestStage2(FolderConformance):
    format = "deepspeed"

    def make(self, folder: Path) -> None:
        shutil.copytree(DATA / "zero2", folder, dirs_exist_ok=True)


class TestStage3(FolderConformance):
    format = "deepspeed"

    def make(self, folder: Path) -> None:
        shutil.copytree(DATA / "zero3", folder, dirs_exist_ok=True)
