"""The values in a bundle's index: ``BundleHeaderProto`` and ``BundleEntryProto``, read and written.

Source: tensorflow/core/protobuf/tensor_bundle.proto, field numbers only.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from modelglot.containers.protobuf import FIXED32, fields
from modelglot.containers.protobuf_write import varint
from modelglot.containers.tensorflow.slices import Slice, slice_of
from modelglot.core.errors import InvalidFileError, UnsupportedError
from modelglot.sources.checksums import unmasked

_HEADER = b"\x1a\x02\x08\x01"  # version { producer: 1 }
_MOST = 1 << 63


class Header(NamedTuple):
    shards: int
    big: bool


class Entry(NamedTuple):
    """A tensor of a bundle; ``crc`` is unmasked; ``slices`` where it is stored in parts under keys of their own."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    slices: tuple[Slice, ...]


def header(data: bytes) -> Header:
    shards = big = 0
    for field in fields(data):
        if field.number == 1:
            shards = field.number_value
        elif field.number == 2:
            big = field.number_value
        elif field.number == 3:
            least = next((f.number_value for f in fields(field.bytes) if f.number == 2), 0)
            if least > 1:
                raise UnsupportedError(f"the checkpoint needs a reader of version {least}; this one is 1")
    if big > 1:
        raise InvalidFileError(f"the byte order of the checkpoint is {big}, neither 0 nor 1")
    return Header(shards, bool(big))


def entry(data: bytes) -> Entry:
    """Raises InvalidFileError for negative sizes and values of the wrong kind."""
    numbers = [0, 0, 0, 0, 0, 0, 0]
    shape: tuple[int, ...] = ()
    slices: list[Slice] = []
    for number, wire, value, at, _ in fields(data):
        if isinstance(value, int) and number < 7:
            numbers[number] = value
        elif isinstance(value, memoryview) and number == 2:
            shape = shape_of(value)
        elif isinstance(value, memoryview) and wire == FIXED32 and number == 6:
            numbers[6] = int.from_bytes(value, "little")
        elif isinstance(value, memoryview) and number == 7:
            slices.append(slice_of(value))
        elif number < 8:
            raise InvalidFileError(f"field {number} of an entry has the wrong kind", offset=at)
    if max(numbers[3], numbers[4], numbers[5]) >= _MOST:
        raise InvalidFileError("an entry says a negative offset or size")
    return Entry(numbers[1], shape, numbers[3], numbers[4], numbers[5], unmasked(numbers[6]), tuple(slices))


def shape_of(data: memoryview | bytes) -> tuple[int, ...]:
    """``TensorShapeProto``. Raises InvalidFileError where a size or even the rank is unknown."""
    sizes = []
    for field in fields(data):
        if field.number == 2:
            size = next((f.number_value for f in fields(field.bytes) if f.number == 1), 0)
            if size >= _MOST:
                raise InvalidFileError("an axis of a stored tensor has no size")
            sizes.append(size)
        elif field.number == 3 and field.number_value:
            raise InvalidFileError("a stored tensor has no shape")
    if prod(sizes) >= _MOST:
        raise InvalidFileError(f"the shape {sizes[:8]} has more than 2^63 elements")
    return tuple(sizes)


def header_bytes(shards: int) -> bytes:
    return b"\x08" + varint(shards) + _HEADER


def entry_bytes(dtype: int, shape: tuple[int, ...], shard: int, offset: int, size: int, crc: int = 0) -> bytes:
    """As TensorFlow writes it, with the masked ``crc`` in the last four bytes."""
    axes = b""
    for length in shape:
        axis = b"\x08" + varint(length) if length else b""
        axes += b"\x12" + varint(len(axis)) + axis
    made = b"\x08" + varint(dtype) + b"\x12" + varint(len(axes)) + axes
    for tag, value in ((b"\x18", shard), (b"\x20", offset), (b"\x28", size)):
        made += tag + varint(value) if value else b""
    return made + b"\x35" + crc.to_bytes(4, "little")
