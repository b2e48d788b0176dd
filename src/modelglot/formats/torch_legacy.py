"""PyTorch's formats before 1.6: five pickles with raw storages after them, and the older tar form. Reading only.

Source: the behaviour of ``torch.load``; PyTorch still reads both.
"""

from __future__ import annotations

from collections.abc import Iterable

from modelglot.containers.torch_checkpoint.detect import is_legacy, is_torch_tar
from modelglot.core.errors import InvalidFileError
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding


class TorchLegacy(ReadOnly):
    info = FormatInfo(
        name="torch-legacy",
        title="PyTorch before 1.6",
        suffixes=(".pth", ".pt", ".bin", ".ckpt", ".tar"),
        spec="https://docs.pytorch.org/docs/stable/notes/serialization.html",
        can=frozenset({"read", "tree", "ties"}),
        framework="pt",
        blurb="five pickles and raw storages, or a tar of them; still common for older weights",
    )
    instead = "write torch-zip"

    def sniff(self, probe: Probe) -> Match | None:
        if is_legacy(probe.head):
            return Match(100, "the magic number of torch.save before 1.6")
        if is_torch_tar(probe):
            return Match(95, "a tar with the streams of torch.save before 0.1.10", "tar")
        return None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.containers.torch_checkpoint import reading
        from modelglot.containers.torch_checkpoint.legacy import read_legacy, read_tar

        name = files.primary
        if name is None:
            raise InvalidFileError("a folder is not one file", path=files.root, hint="name the file")
        source = files.open(name)
        if source.size > 262 and source.pread(257, 5) == b"ustar":
            return reading.model(files, self.info.name, read_tar(files, name, limits), "tar")
        return reading.model(files, self.info.name, read_legacy(files, name, limits))

    def salvage(self, files: FileSet, limits: Limits) -> Model:
        """Not of the tar form: it names the storages that are cut off nowhere else."""
        from modelglot.containers.torch_checkpoint.salvage import salvage_file

        if files.primary is None or not is_legacy(files.open(files.primary).pread(0, 64)):
            return self.read(files, limits)
        return salvage_file(files, limits, files.primary)

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        from modelglot.containers.torch_checkpoint.hazards import file_hazards

        return file_hazards(files, limits)


FORMAT = TorchLegacy()
