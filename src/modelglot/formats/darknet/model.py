"""A Darknet model as a `Model`: a run of floats, and the configuration that says whose they are."""

from __future__ import annotations

from collections import Counter
from math import prod

from modelglot.core.dtype import DTYPES
from modelglot.core.errors import DamagedFileError, InvalidFileError, located, printable
from modelglot.core.format import FileSet, Source
from modelglot.core.graph import Graph, Port, Signature, counted
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Extent, Missing, Stored, Tensor
from modelglot.formats.darknet.network import Section, Size, Weight, sections, walk

WEIGHTS, CONFIGURATION = ".weights", ".cfg"


def read(files: FileSet, limits: Limits) -> Model:
    weights, configuration = _names(files)
    text = files.open(configuration)
    with located(path=text.path):
        limits.check("index", text.size, "the configuration")
        parts = sections(text.pread(0, text.size).decode("utf-8", "replace"), limits)
        net = parts[0]
        layers = list(walk(parts))
        size = Size(net.number("height"), net.number("width"), net.number("channels"))
    source = files.open(weights)
    number = files.index(weights, "primary")
    files.index(configuration)
    with located(path=source.path):
        version, seen, start = _header(source)
        tensors, end = _tensors(layers, source, number, start, limits)
        if end < source.size:
            raise InvalidFileError(
                f"{source.size - end:,} bytes follow the weights of the last layer",
                offset=end,
                hint=f"is {printable(configuration, code=True)} the configuration of these weights?",
            )
    inputs = (Port("input", "f32", (size.c, size.h, size.w)),)
    metadata = Metadata({"darknet.version": version, "darknet.seen": Entry(seen, "u64")})
    operators = counted(Counter(s.kind for s, _ in layers))
    graph = Graph("Darknet", (Signature("main", inputs, ()),), operators, about=frozenset(metadata))
    return Model("darknet", files.refs(), tensors, None, metadata, notes=_notes(tensors), graph=graph)


def _notes(tensors: dict[str, Tensor]) -> tuple[Note, ...]:
    cut = [tensor.name for tensor in tensors.values() if isinstance(tensor.data, Missing)]
    if not cut:
        return ()
    text = (
        f"the file ends before {printable(cut[0], code=True)}: {len(cut):,} tensors of the configuration are not in it"
    )
    return (Note("partial", f"{text}, as in weights to begin a training with", "warning"),)


def _names(files: FileSet) -> tuple[str, str]:
    """The weights and their configuration: files of one name, or the only one beside."""
    names = [n for n in files.names() if "/" not in n]
    given = files.primary
    if given is None:
        found = [n for n in names if n.endswith(WEIGHTS)]
        if len(found) != 1:
            raise InvalidFileError(
                f"the folder holds {len(found)} .weights files", path=files.root, hint="name one of the files"
            )
        given = found[0]
    if given.endswith(CONFIGURATION):
        partner = given.removesuffix(CONFIGURATION) + WEIGHTS
        found = [n for n in names if n.endswith(WEIGHTS)]
        return (partner if partner in names else found[0] if len(found) == 1 else partner), given
    partner = given.removesuffix(WEIGHTS) + CONFIGURATION
    found = [n for n in names if n.endswith(CONFIGURATION)]
    if partner not in names and len(found) != 1:
        raise InvalidFileError(
            "the .cfg file with the layers of these weights is not beside them",
            path=files.root,
            member=given,
            hint=f"put it there as {printable(partner, code=True)}: the weights are numbers without names or sizes",
        )
    return given, partner if partner in names else found[0]


def _header(source: Source) -> tuple[str, int, int]:
    """The version, images seen in training, and where the numbers begin."""
    if source.size < 16:
        raise DamagedFileError(
            f"too short for Darknet weights: {source.size} bytes", hint="the download may be incomplete"
        )
    head = source.pread(0, min(20, source.size))
    major, minor, revision = (int.from_bytes(head[at : at + 4], "little", signed=True) for at in (0, 4, 8))
    if not (0 <= major < 1000 and 0 <= minor < 1000):
        raise InvalidFileError(f"version {major}.{minor} of Darknet weights", offset=0)
    width = 8 if major * 10 + minor >= 2 else 4
    if source.size < 12 + width:
        raise DamagedFileError("the file ends inside its header", offset=12)
    return f"{major}.{minor}.{revision}", int.from_bytes(head[12 : 12 + width], "little"), 12 + width


def _tensors(
    layers: list[tuple[Section, list[Weight]]], source: Source, number: int, at: int, limits: Limits
) -> tuple[dict[str, Tensor], int]:
    """All weights and where they end. A file may end between two layers, not inside of one."""
    found: dict[str, Tensor] = {}
    for index, (section, weights) in enumerate(layers):
        limits.check("tensors", len(found) + len(weights), "tensors")
        begin, whole = at, at < source.size or not weights
        for weight in weights:
            name = f"{index}.{section.kind}.{weight.name}"
            need = prod(weight.shape) * 4
            if whole and at + need > source.size:
                raise DamagedFileError(
                    f"data ends {at + need - source.size:,} bytes after the end of the file", tensor=name, offset=at,
                    detail=f"needs bytes {at:,}-{at + need:,}; the file has {source.size:,}",
                    hint="the download may be incomplete, or the .cfg be that of other weights",
                )  # fmt: skip
            data = Stored((Extent(number, at, need),)) if whole else Missing("the file ends before this layer")
            found[name] = Tensor(name, DTYPES["f32"], weight.shape, data, extra=weight.extra)
            at += need if whole else 0
        at = at if whole else begin
    return found, at
