"""Tensors of a TensorFlow Lite file: types, shapes, quantization, and where their buffers lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from modelglot.containers.flatbuffer import Buffer, Span, Table
from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import Opaque, nbytes, plain_encoding
from modelglot.core.errors import CannotOpenError, DamagedFileError, InvalidFileError, printable
from modelglot.core.format import FileSet, Source
from modelglot.core.tensor import Data, Extent, Missing, Stored, Tensor

_NAMES = """
f32 f16 i32 u8 i64 string bool i16 c64 i8 f64 c128 u64 resource variant u32 u16 i4 bf16 i2 u4 f8_e4m3 f8_e5m2
"""
_TYPES = _NAMES.split()
SPARSE = "tflite-sparse"


def type_name(number: int) -> str:
    return _TYPES[number] if number < len(_TYPES) else f"type {number}"


@dataclass(slots=True)
class Storage:
    """Buffers by number, as places in files: inside the flatbuffer, behind it, or in another file."""

    files: FileSet
    buffer: Buffer
    number: int  # of the model's file
    spans: list[Span]
    external: dict[int, tuple[str, Span, str]] = field(default_factory=dict)

    def of(self, tensor: Table) -> Data | None:
        """None where the tensor has no data of its own."""
        identity = tensor.unsigned(10)
        if identity in self.external:
            return self._outside(*self.external[identity])
        index = tensor.unsigned(2)
        if index >= len(self.spans):
            raise InvalidFileError(f"buffer {index:,} of {len(self.spans):,}", offset=tensor.at)
        span = self.spans[index]
        return Stored((Extent(self.number, span.offset, span.length),)) if span.length else None

    def _outside(self, name: str, span: Span, packing: str) -> Data:
        if packing:
            return Missing(f"its data is packed as {printable(packing, code=True)}")
        try:
            source: Source = self.files.open(name)
        except CannotOpenError:
            return Missing(f"the file {printable(name, code=True)} with its data is not there")
        if span.offset + span.length > source.size:
            raise DamagedFileError("its data ends after the end of the file", path=source.path, offset=span.offset)
        return Stored((Extent(self.files.index(name), span.offset, span.length),))


def storage(files: FileSet, buffer: Buffer, number: int, root: Table) -> Storage:
    buffer.limits.check("tensors", root.count(4), "buffers")
    made = Storage(files, buffer, number, [_span(table, buffer) for table in root.tables(4)])
    groups = [group.text(0) for group in root.tables(8)]
    for entry in root.tables(9):
        group = entry.unsigned(1)
        if group >= len(groups):
            raise InvalidFileError(f"group {group:,} of {len(groups):,}", offset=entry.at)
        span = Span(entry.unsigned(2, 8), entry.unsigned(3, 8))
        made.external[entry.unsigned(0)] = (groups[group], span, entry.text(4))
    return made


def _span(table: Table, buffer: Buffer) -> Span:
    """Inside the flatbuffer, or in a file of more than 2 GB at a place behind it."""
    inside = table.span(0, 1)
    offset, size = table.unsigned(1, 8), table.unsigned(2, 8)
    if inside.length or offset <= 1:
        return inside
    if offset + size > buffer.size:
        raise DamagedFileError(
            f"a buffer ends {offset + size - buffer.size:,} bytes after the end of the file", offset=offset,
            hint="the download may be incomplete",
        )  # fmt: skip
    return Span(offset, size)


def tensor(name: str, table: Table, data: Data) -> Tensor:
    kind = type_name(table.unsigned(1, 1))
    dtype = DTYPES.get(kind)
    if dtype is None:
        raise InvalidFileError(f"a `{kind}` tensor with data", offset=table.at)
    shape = table.numbers(0, "i")
    if any(size < 0 for size in shape) or len(shape) > 64:
        raise InvalidFileError(f"the shape {printable(str(list(shape)))} is not a list of sizes", offset=table.at)
    encoding = plain_encoding(dtype)
    length = sum(extent.length for extent in data.extents) if isinstance(data, Stored) else None
    if table.table(6) is not None and length is not None:
        encoding = Opaque(SPARSE, length)
    need = nbytes(dtype, encoding, shape)
    if length is not None and length != need:
        raise InvalidFileError(
            f"its buffer has {length:,} bytes, and {kind} {list(shape)} needs {need:,}", offset=table.at
        )
    return Tensor(name, dtype, shape, data, encoding, quantization(table))


def quantization(table: Table) -> dict[str, Any]:
    """Scales and zero points, one or one a channel of ``axis``; {} where nothing is quantized."""
    found = table.table(4)
    scales = found.numbers(2, "f") if found else ()
    if found is None or not scales:
        return {}
    entry: dict[str, Any] = {"tflite:scale": scales, "tflite:zero-point": found.numbers(3, "q")}
    return entry | ({"tflite:axis": found.signed(6)} if len(scales) > 1 else {})


def texts(table: Table, data: Data, buffer: Buffer) -> list[str]:
    """The elements of a string tensor: a count, the place of each and of the end, the bytes."""
    if not isinstance(data, Stored) or len(data.extents) != 1:
        return []
    extent = data.extents[0]
    buffer.limits.check("header", extent.length, "text", offset=extent.offset)
    raw = buffer.read(extent.offset, extent.length)
    count = int.from_bytes(raw[:4], "little")
    if 4 + 4 * (count + 1) > len(raw):
        raise DamagedFileError(f"{count:,} texts do not fit {len(raw):,} bytes", offset=extent.offset)
    places = [int.from_bytes(raw[at : at + 4], "little") for at in range(4, 8 + 4 * count, 4)]
    if sorted(places) != places or places[-1] > len(raw):
        raise DamagedFileError("the places of texts do not ascend", offset=extent.offset)
    return [str(raw[a:b], "utf-8", "surrogateescape") for a, b in pairwise(places)]
