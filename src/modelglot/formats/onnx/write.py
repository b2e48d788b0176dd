"""A model as ONNX: into the graph of a file that exists, or as a graph of initializers only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import cast

from modelglot.containers.protobuf_write import delimited, head, integer
from modelglot.core.errors import printable
from modelglot.core.layout import Layout, Options, OutFile, Piece, Slot
from modelglot.core.model import Model, ties
from modelglot.core.notes import Loss
from modelglot.core.tensor import Missing, Tensor
from modelglot.formats.onnx.frame import Frame, Hole, Part, of_tensors
from modelglot.formats.onnx.place import Outside, placed
from modelglot.formats.onnx.tensors import DATA, EXTERNAL, KIND, LOCATION
from modelglot.formats.onnx.types import DOUBLES, FLOATS, NUMBERS, RAW

Item = bytes | str  # literal bytes, or the name of the tensor whose bytes stand there


def losses(model: Model) -> Iterator[Loss]:
    for tensor in model.tensors.values():
        if not _is_text(tensor.name):
            shown = printable(tensor.name, code=True)
            yield Loss("name", f"tensor {shown}: the name is not text", "give it another with `--rename`")
    for key, value in model.metadata.items():
        if not (_is_text(key) and _is_text(str(value))):
            yield Loss("metadata", f"metadata {printable(key, code=True)} is not text", "leave it out")
    for group in ties(model.tensors):
        size = model.tensors[group[0]].nbytes * (len(group) - 1)
        names = ", ".join(printable(n, code=True) for n in group[:4])
        yield Loss("ties", f"{names} share their bytes and are each written (+{size:,} bytes)", stops=False)


def layout(model: Model, options: Options) -> Layout:
    """What `losses` and the dtypes say cannot be held is left out. Data beside the model is published before it."""
    name = options.name or "model.onnx"
    frame = options.frame if isinstance(options.frame, Frame) else _container(model)
    outside = placed(frame, model.tensors, options, name)
    made = _Made(model.tensors, outside)
    items = [item for part in frame.parts for item in made.part(part)[0]]
    return Layout((*_beside(outside), _file(name, items, model.tensors)))


def _container(model: Model) -> Frame:
    kept = [
        t for t in model.tensors.values()
        if t.type_name in NUMBERS and not isinstance(t.data, Missing) and _is_text(t.name)
    ]  # fmt: skip
    texts = {k: str(v) for k, v in model.metadata.items() if _is_text(k) and _is_text(str(v))}
    return of_tensors(kept, texts)


@dataclass(slots=True)
class _Made:
    """Parts of a frame as items and their length in bytes."""

    tensors: Mapping[str, Tensor]
    outside: Mapping[str, Outside]

    def part(self, part: Part) -> tuple[list[Item], int]:
        if isinstance(part, bytes):
            return [part], len(part)
        if isinstance(part, Hole):
            items, length = self._hole(part)
            start = head(part.number, length)
        else:
            made = [self.part(inner) for inner in part.parts]
            items, length = [item for inside, _ in made for item in inside], sum(size for _, size in made)
            start = part.head if length == part.length else head(part.number, length)
        return [start, *items], len(start) + length

    def _hole(self, hole: Hole) -> tuple[list[Item], int]:
        tensor = self.tensors[hole.tensor.name]
        if not hole.outside and tensor.data == hole.tensor.data and all(data is not None for _, data in hole.fields):
            literal = b"".join(data or b"" for _, data in hole.fields)  # as it was: few elements, or none
            return [literal], len(literal)
        items: list[Item] = []
        length, placed = 0, False
        moves = hole.outside or tensor.name in self.outside
        for number, data in hole.fields:
            if number in (EXTERNAL, LOCATION) and moves:
                continue
            if number in DATA:
                if not placed and tensor.name not in self.outside:
                    start = self._start(hole, number, tensor)
                    items += [start, tensor.name]
                    length += len(start) + tensor.nbytes
                    placed = True
                continue
            kept = integer(KIND, NUMBERS[tensor.dtype.name]) if number == KIND and _cast(tensor, hole) else data or b""
            items.append(kept)
            length += len(kept)
        rest: list[Item] = []
        if tensor.name in self.outside:
            rest = [_external(self.outside[tensor.name])]
        elif not placed:
            rest = [head(RAW, tensor.nbytes), tensor.name]
        sizes = (len(item) if isinstance(item, bytes) else tensor.nbytes for item in rest)
        return items + rest, length + sum(sizes)

    def _start(self, hole: Hole, number: int, tensor: Tensor) -> bytes:
        """Floats stay in the field they were in; whatever else is raw."""
        typed = number in (FLOATS, DOUBLES) and not _cast(tensor, hole)
        return head(number if typed else RAW, tensor.nbytes)


def _cast(tensor: Tensor, hole: Hole) -> bool:
    return tensor.dtype is not hole.tensor.dtype


def _external(place: Outside) -> bytes:
    entries = (("location", place.file), ("offset", str(place.offset)), ("length", str(place.length)))
    made = b"".join(delimited(EXTERNAL, delimited(1, key) + delimited(2, value)) for key, value in entries)
    return made + integer(LOCATION, 1)


def _beside(outside: Mapping[str, Outside]) -> Iterator[OutFile]:
    files: dict[str, list[Slot]] = {}
    for name, place in outside.items():
        files.setdefault(place.file, []).append(Slot(name, place.offset, place.length))
    for file, slots in files.items():
        yield OutFile(file, slots[-1].offset + slots[-1].length, (), tuple(slots))


def _file(name: str, items: list[Item], tensors: Mapping[str, Tensor]) -> OutFile:
    pieces: list[Piece] = []
    slots: list[Slot] = []
    at = 0
    for literal, group in groupby(items, key=lambda item: isinstance(item, bytes)):
        if literal:
            pieces.append(Piece(at, b"".join(cast("Iterator[bytes]", group))))
            at += len(pieces[-1].data)
            continue
        for tensor in cast("Iterator[str]", group):
            slots.append(Slot(tensor, at, tensors[tensor].nbytes))
            at += slots[-1].length
    return OutFile(name, at, tuple(pieces), tuple(slots))


def _is_text(value: str) -> bool:
    """Bytes that are not UTF-8, which other files have in names, are kept as they are."""
    try:
        return bool(value.encode("utf-8", "surrogateescape")) or not value
    except UnicodeEncodeError:
        return False
