"""TorchScript archives: the tensors of ``torch.jit.save``, with its code listed and not run. Also names torch.package.

Source: what ``torch.jit.save`` of PyTorch 1.4 to 2.13 writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from modelglot.containers.torch_checkpoint.detect import zip_kind
from modelglot.core.errors import InvalidFileError, UnsupportedError, printable
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import MIB, Limits
from modelglot.core.model import Model, SideFile
from modelglot.core.notes import Finding, Note
from modelglot.core.tree import Inert, TensorRef, walk

if TYPE_CHECKING:
    from modelglot.containers.torch_checkpoint.archive import TorchArchive
    from modelglot.containers.torch_checkpoint.reading import Parts

_DECLARED = re.compile(r"__(?:parameters|buffers)__ = \[([^\]]*)\]")


class TorchScript(ReadOnly):
    info = FormatInfo(
        name="torchscript",
        title="TorchScript",
        suffixes=(".pt", ".jit", ".ts", ".torchscript"),
        spec="https://docs.pytorch.org/docs/stable/jit.html",
        can=frozenset({"read", "tree", "ties"}),
        framework="pt",
        blurb="a compiled PyTorch module: tensors, constants and code, which is listed and never run",
    )
    instead = "its code cannot be made from weights: write torch-zip"

    def sniff(self, probe: Probe) -> Match | None:
        kind = zip_kind(probe)
        if kind == "torchscript":
            return Match(99, "a zip with data.pkl and TorchScript code")
        return Match(97, "a torch.package archive", "package") if kind == "torch-package" else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.containers.torch_checkpoint.archive import TorchArchive
        from modelglot.containers.torch_checkpoint.reading import model

        archive = TorchArchive(files, self._name(files), limits)
        if archive.is_package:
            raise UnsupportedError(
                "is a torch.package archive: Python code with pickles",
                path=archive.zip.source.path,
                hint="load it with torch.package and save its state dict",
            )
        shared = f"{archive.root}constants.pkl"
        named, _ = archive.pickle(f"{archive.root}data.pkl", "data")
        if shared in archive.zip.by_name:
            constants, _ = archive.pickle(shared, "constants", "constants")
            named.tensors.update(constants.tensors)
            named.notes += constants.notes
        parts = archive.parts(named)
        parts.sides = [SideFile(s.name, s.extent, _what(s.name)) for s in parts.sides]
        self._drop_empty(archive, parts)
        code = sum(1 for s in parts.sides if s.name.startswith("code/") and s.name.endswith(".py"))
        parts.notes.append(
            Note(
                "torchscript-code",
                f"{code:,} code files, which are not run; the weights alone do not say what the model computes",
            )
        )
        return model(files, self.info.name, parts)

    def salvage(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.containers.salvage import joined
        from modelglot.containers.torch_checkpoint.salvage import storages
        from modelglot.containers.zip_rebuild import archives

        name = self._name(files)
        rest = "the archive is cut off: constants and code that followed are lost"
        parts = archives(files.open(name), storages(limits))
        return joined(files, name, parts, lambda part: self.read(part, limits), rest)

    @staticmethod
    def _name(files: FileSet) -> str:
        if files.primary is None:
            raise InvalidFileError("a folder is not one file", path=files.root, hint="name the file")
        return files.primary

    def _drop_empty(self, archive: TorchArchive, parts: Parts) -> None:
        """Tensors without elements that are neither parameter nor buffer: scratch of the code, not weights."""
        empty = [n for n, t in parts.named.tensors.items() if t.numel == 0]
        if not empty:
            return
        declared: set[str] = set()
        for name, member in archive.zip.by_name.items():
            if name.startswith(f"{archive.root}code/") and name.endswith(".py") and member.size <= 16 * MIB:
                for listed in _DECLARED.findall(archive.zip.read(member).decode("utf-8", "replace")):
                    declared.update(part.strip(" \"'\n") for part in listed.split(","))
        dropped = [n for n in empty if n.rpartition(".")[2] not in declared]
        for name in dropped:
            del parts.named.tensors[name]
        _unlink(parts.named.tree, set(dropped))
        if dropped:
            shown = ", ".join(printable(n, code=True) for n in dropped[:4])
            parts.notes.append(
                Note(
                    "empty-attributes",
                    f"{len(dropped):,} tensors without elements that the code uses "
                    f"for its state are not shown: {shown}",
                )
            )

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        from modelglot.containers.torch_checkpoint.hazards import file_hazards

        return file_hazards(files, limits)


def _unlink(tree: Any, dropped: set[str]) -> None:
    """Puts an inert tensor where the tree refers to one that is not there any more."""
    owners = [value for _, value in walk(tree) if isinstance(value, Inert)]
    for body in filter(None, (owner.attributes() for owner in owners)):
        for position, (key, value) in enumerate(body.items):
            if isinstance(value, TensorRef) and value.name in dropped:
                body.items[position] = (key, Inert("torch.Tensor"))


def _what(name: str) -> str:
    if name.startswith("code/"):
        return "TorchScript debug information" if name.endswith(".debug_pkl") else "TorchScript code, not run"
    if name.startswith("extra/"):
        return "an extra file saved with the module"
    if name.startswith("traced_inputs"):
        return "example inputs of the trace"
    return "a member this format does not use"


FORMAT = TorchScript()
