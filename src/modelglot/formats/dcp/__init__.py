"""PyTorch's distributed checkpoints (DCP): ``.metadata`` says which parts a tensor has, ``.distcp`` files hold them.

Source: ``torch.distributed.checkpoint`` of PyTorch 2.1 to 2.13, its metadata, planner and filesystem writer.
"""

from __future__ import annotations

from collections.abc import Iterable

from modelglot.containers.torch_checkpoint.dtype_names import DTYPES
from modelglot.core.errors import InvalidFileError, printable
from modelglot.core.format import FileSet, FormatInfo, Match, Probe
from modelglot.core.layout import Layout, Options
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Loss

INDEX, SUFFIX = ".metadata", ".distcp"


class Dcp:
    info = FormatInfo(
        name="dcp",
        title="PyTorch DCP",
        suffixes=(SUFFIX,),
        spec="https://docs.pytorch.org/docs/stable/distributed.checkpoint.html",
        can=frozenset({"read", "write", "shards", "tree", "tree-shards", "folder"}),
        dtypes=DTYPES,
        framework="pt",
        blurb="a folder of parts that many processes wrote (FSDP, DTensor); its pickles are never run",
    )

    def sniff(self, probe: Probe) -> Match | None:
        if probe.is_folder:
            found = [n for n in probe.names if n.rpartition("/")[2] == INDEX]
            return Match(93, "has the metadata of a distributed checkpoint") if found else None
        if probe.name == INDEX and b"torch.distributed.checkpoint" in probe.head:
            return Match(100, "the metadata of a distributed checkpoint")
        if probe.name.endswith(SUFFIX) and INDEX in probe.names:
            return Match(100, "a part of a distributed checkpoint, with its metadata beside it")
        return None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.dcp.read import read

        return read(files, limits, _folder(files))

    def losses(self, model: Model) -> Iterable[Loss]:
        from modelglot.containers.torch_checkpoint import writing

        return writing.losses(model)

    def layout(self, model: Model, options: Options) -> Layout:
        from modelglot.formats.dcp.write import layout

        return layout(model, options)

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        from modelglot.formats.dcp.read import hazards

        return hazards(files, limits, _folder(files))


def _folder(files: FileSet) -> str:
    """Where the metadata lies, with a ``/`` at the end: here, or in a folder of its own as accelerate writes it."""
    found = [n[: -len(INDEX)] for n in files.names() if n.rpartition("/")[2] == INDEX]
    if "" in found:
        return ""
    models = [f for f in found if "model" in f] or found
    if len(models) != 1:
        names = ", ".join(printable(f.rstrip("/"), code=True) for f in found) or "none"
        raise InvalidFileError(f"the folder holds {len(found)} distributed checkpoints: {names}", path=files.root,
                               hint="name one of the folders")  # fmt: skip
    return models[0]


FORMAT = Dcp()
