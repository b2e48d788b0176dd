"""A ``.caffemodel`` (``NetParameter``) as a `Model`: the blobs of its layers, of either generation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from modelglot.containers.protobuf import VARINT, Field, varints
from modelglot.containers.protobuf_data import fixed
from modelglot.containers.protobuf_file import message
from modelglot.core.dtype import DTYPES
from modelglot.core.errors import InvalidFileError, ModelFileError, UnsupportedError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.graph import Graph, Port, Signature, counted
from modelglot.core.layer import LAYER
from modelglot.core.limits import Limits
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Data, Missing, Tensor
from modelglot.formats.caffe.layers import V1_TYPES, Layer, described

_NAME, _LAYERS, _INPUT, _INPUT_DIM, _INPUT_SHAPE, _LAYER = 1, 2, 3, 4, 8, 100  # fields of NetParameter
_SHAPE, _FLOATS, _DOUBLES, _RAW_TYPE, _RAW = 7, 5, 8, 10, 12  # fields of BlobProto; raw ones are NVIDIA's
_RAW_TYPES = ("f64", "f32", "f16", "i32", "u32")


@dataclass(frozen=True, slots=True)
class Generation:
    """Where a layer keeps its name, type, inputs, outputs, blobs, and the parameters of convolutions and products."""

    name: int
    type: int
    bottom: int
    top: int
    blobs: int
    parameters: tuple[int, ...] = ()


_V2, _V1, _V0 = Generation(1, 2, 3, 4, 7, (106, 117)), Generation(4, 5, 2, 3, 6, (10, 17)), Generation(1, 2, -1, -1, 50)
_V0_LAYER = 1  # of a V1 layer: one of the generation before, inside


@dataclass(slots=True)
class Walk:
    limits: Limits
    number: int
    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: Counter[str] = field(default_factory=Counter)
    names: dict[str, int] = field(default_factory=dict)
    normalized: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)  # values that a layer gives
    used: set[str] = field(default_factory=set)

    def layer(self, whole: Field, where: Generation) -> None:
        layer, blobs = Layer(), list[Field]()
        self._gather(whole, where, layer, blobs)
        self.operators[layer.type or "unknown"] += 1
        self.made.update(layer.tops)
        self.used.update(layer.bottoms)
        if layer.type == "BatchNorm":
            self.normalized.update(layer.tops)
        count = self.names[layer.name] = self.names.get(layer.name, 0) + 1
        prefix = layer.name if count == 1 else f"{layer.name}#{count}"
        for index, blob in enumerate(blobs):
            self._blob(f"{prefix}.{index}", blob, layer, index)

    def _gather(self, whole: Field, where: Generation, layer: Layer, blobs: list[Field]) -> None:
        for part in whole.fields():
            number = part.number
            if where is _V1 and number == _V0_LAYER:
                self._gather(part, _V0, layer, blobs)
            elif number == where.blobs:
                blobs.append(part)
            elif number == where.name:
                layer.name = part.text
            elif number == where.type:
                layer.type = V1_TYPES.get(part.number_value, "unknown") if where is _V1 else part.text
            elif number == where.bottom:
                layer.bottoms.append(part.text)
            elif number == where.top:
                layer.tops.append(part.text)
            elif number in where.parameters:
                layer.parameters = {p.number: p.number_value for p in part.fields() if p.wire == VARINT}

    def _blob(self, name: str, whole: Field, layer: Layer, index: int) -> None:
        self.limits.check("name", len(name), "the name of a tensor", offset=whole.at)
        self.limits.check("tensors", len(self.tensors) + 1, "tensors", offset=whole.at)
        try:
            dtype, shape, data = self._data(whole)
        except ModelFileError as error:
            error.tensor = name
            raise
        extra = described(layer, index, shape, self.normalized)
        extra |= {LAYER: name.rpartition(".")[0]} if extra else {}
        self.tensors[name] = Tensor(name, DTYPES[dtype], shape, data, extra=extra)

    def _data(self, whole: Field) -> tuple[str, tuple[int, ...], Data]:
        legacy, shape = [0, 0, 0, 0], None
        parts: dict[int, list[Field]] = {}
        raw_type = 1
        for part in whole.fields():
            if 1 <= part.number <= 4:
                legacy[part.number - 1] = part.number_value
            elif part.number == _SHAPE:
                shape = _dims(part)
            elif part.number in (_FLOATS, _DOUBLES, _RAW):
                parts.setdefault(part.number, []).append(part)
            elif part.number == _RAW_TYPE:
                raw_type = part.number_value
        shape = shape if shape is not None else tuple(legacy)
        if len(shape) > 64 or any(size >> 62 for size in shape):
            raise InvalidFileError(f"the shape {printable(str(list(shape)))} is not a list of sizes", offset=whole.at)
        parts = {number: found for number, found in parts.items() if any(part.length for part in found)}
        if len(parts) > 1:
            raise InvalidFileError("has its numbers in more than one field", offset=whole.at)
        if not parts:
            return "f32", shape, Missing("the file has no data for it") if prod(shape) else fixed(
                [], 0, self.number, self.limits)  # fmt: skip
        ((number, found),) = parts.items()
        if number == _RAW and raw_type >= len(_RAW_TYPES):
            raise UnsupportedError(f"raw data of type {raw_type}", offset=whole.at)
        dtype = "f32" if number == _FLOATS else "f64" if number == _DOUBLES else _RAW_TYPES[raw_type]
        return dtype, shape, fixed(found, prod(shape) * DTYPES[dtype].itemsize, self.number, self.limits)


def read(files: FileSet, limits: Limits) -> Model:
    name = files.primary or _main(files)
    source = files.open(name)
    walk = Walk(limits, files.index(name, "primary"))
    title, inputs, dims, shapes, generations = "", list[str](), list[int](), list[tuple[int, ...]](), set[str]()
    with located(path=source.path):
        for part in message(source, limits):
            if part.number == _NAME:
                title = part.text
            elif part.number in (_LAYER, _LAYERS):
                generations.add("V2" if part.number == _LAYER else "V1")
                walk.layer(part, _V2 if part.number == _LAYER else _V1)
            elif part.number == _INPUT:
                inputs.append(part.text)
            elif part.number == _INPUT_DIM:
                dims += [part.number_value] if part.wire == VARINT else varints(part.bytes, part.at)
            elif part.number == _INPUT_SHAPE:
                shapes.append(_dims(part))
        if not walk.operators:
            raise InvalidFileError("there is no layer in this file", hint="is it a .caffemodel, and whole?")
    shapes = shapes or [tuple(dims[at : at + 4]) for at in range(0, len(dims) - 3, 4)]
    ports = tuple(Port(n, "f32", shapes[at] if at < len(shapes) else None) for at, n in enumerate(inputs))
    outputs = tuple(Port(n, "f32", None) for n in sorted(walk.made - walk.used))
    about = frozenset(["caffe.name"])
    graph = Graph("Caffe", (Signature("main", ports, outputs),), counted(walk.operators), about=about)
    metadata = Metadata({"caffe.name": title} if title else {})
    return Model("caffe", files.refs(), walk.tensors, "+".join(sorted(generations)), metadata,
                 notes=tuple(_notes(walk)), graph=graph)  # fmt: skip


def _main(files: FileSet) -> str:
    names = [n for n in files.names() if n.endswith(".caffemodel") and "/" not in n]
    if len(names) != 1:
        raise InvalidFileError(
            f"the folder holds {len(names)} .caffemodel files", path=files.root, hint="name one of the files"
        )
    return names[0]


def _dims(whole: Field) -> tuple[int, ...]:
    """``BlobShape``, packed or not."""
    found: list[int] = []
    for part in whole.fields():
        if part.number == 1:
            found += [part.number_value] if part.wire == VARINT else varints(part.bytes, part.at)
        if len(found) > 64:
            raise InvalidFileError("a shape of more than 64 axes", offset=whole.at)
    return tuple(found)


def _notes(walk: Walk) -> Iterator[Note]:
    if walk.normalized:
        text = (
            "mean and variance of BatchNorm layers are stored times a factor, the third blob; `--layout` divides by it"
        )
        yield Note("batch-norm-factor", text)
