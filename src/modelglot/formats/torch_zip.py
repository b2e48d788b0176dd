"""PyTorch's zip format: what ``torch.save`` writes since 1.6, whatever the file is called. Read without running it.

Source: the behaviour of ``torch.save`` and ``torch.load`` of PyTorch 1.6 to 2.13.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from modelglot.containers.shard_index import read_index, read_sharded
from modelglot.containers.torch_checkpoint import detect, reading
from modelglot.containers.torch_checkpoint.archive import read_zip
from modelglot.core.errors import InvalidFileError
from modelglot.core.format import FileSet, FormatInfo, Match, Probe
from modelglot.core.limits import Limits
from modelglot.core.model import Model


class TorchZip:
    info = FormatInfo(
        name="torch-zip",
        title="PyTorch",
        suffixes=(".pt", ".pth", ".ckpt", ".bin"),
        spec="https://docs.pytorch.org/docs/stable/notes/serialization.html",
        can=frozenset({"read", "shards", "tree", "ties", "folder"}),
        blurb="a zip of a pickle and its tensors; training checkpoints and ties as they are; the pickle is never run",
    )

    def sniff(self, probe: Probe) -> Match | None:
        if probe.is_folder:
            found = detect.folder_choice(tuple(probe.names))
            return Match(found[1], f"holds {found[0]}", "sharded" if found[0].endswith(".json") else None) if found else None
        if probe.name.endswith((".bin.index.json", ".pt.index.json", ".pth.index.json")):
            return Match(100, "a PyTorch shard index", "sharded")
        if detect.zip_kind(probe) == "torch-zip":
            return Match(98, "a zip with data.pkl")
        return None

    def read(self, files: FileSet, limits: Limits) -> Model:
        name = files.primary
        if name is None:
            found = detect.folder_choice(tuple(files.names()))
            if found is None:
                raise InvalidFileError("the folder holds no PyTorch file, or several", path=files.root)
            name = found[0]
        if name.endswith(".json"):
            index = read_index(files, name, limits)
            return read_sharded(files, limits, index, partial(self._read_one, files, limits), self.info.name)
        return self._read_one(files, limits, name)

    def _read_one(self, files: FileSet, limits: Limits, name: str) -> Model:
        return reading.model(files, self.info.name, read_zip(files, name, limits))

    def hazards(self, files: FileSet, limits: Limits) -> Iterable:
        return ()


FORMAT = TorchZip()
