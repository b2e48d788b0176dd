"""Tensors as Paddle saves them: a version, levels of detail, a description, the numbers; alone in a file or many."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from modelglot.containers.protobuf import BYTES, Field
from modelglot.core.dtype import DTYPES
from modelglot.core.errors import DamagedFileError, InvalidFileError, UnsupportedError, printable
from modelglot.core.format import Source
from modelglot.core.limits import Limits
from modelglot.core.tensor import Extent, Stored, Tensor
from modelglot.formats.paddle.program import description, type_name

_MOST = 4096  # bytes of a description


def tensors(source: Source, number: int, limits: Limits) -> Iterator[Tensor]:
    """Those of a file from its first byte to its last, without names. ``number`` is the file's among the model's.

    Raises DamagedFileError where one is not whole, InvalidFileError for what is no such stream.
    """
    at = 0
    while at < source.size:
        made, at = _one(source, number, limits, at)
        yield made


def _one(source: Source, number: int, limits: Limits, at: int) -> tuple[Tensor, int]:
    start = at
    _version(_number(source, at, 4), at)
    levels = _number(source, at + 4, 8)
    at += 12
    limits.check("depth", levels, "levels of detail", offset=start)
    for _ in range(levels):
        at += 8 + _number(source, at, 8)
    _version(_number(source, at, 4), at)
    length = _number(source, at + 4, 4)
    if length > _MOST:
        raise InvalidFileError(f"a description of {length:,} bytes", offset=at)
    raw = _read(source, at + 8, length)
    kind, shape = description(Field(0, BYTES, memoryview(raw), at + 8, at))
    at += 8 + length
    name = type_name(kind)
    if name is None:
        raise UnsupportedError(f"element type {kind} of Paddle", offset=start)
    if any(size < 0 or size >> 62 for size in shape):
        raise InvalidFileError(f"the shape {printable(str(list(shape)))} is not a list of sizes", offset=start)
    need = prod(shape) * DTYPES[name].itemsize
    if at + need > source.size:
        raise DamagedFileError(
            f"a tensor ends {at + need - source.size:,} bytes after the end of the file", offset=start,
            detail=f"needs bytes {at:,}-{at + need:,}; the file has {source.size:,}",
            hint="the download may be incomplete",
        )  # fmt: skip
    return Tensor("", DTYPES[name], shape, Stored((Extent(number, at, need),))), at + need


def _version(value: int, at: int) -> None:
    if value != 0:
        raise InvalidFileError(f"version {value:,} of a tensor; 0 is known", offset=at)


def _number(source: Source, at: int, width: int) -> int:
    return int.from_bytes(_read(source, at, width), "little")


def _read(source: Source, at: int, length: int) -> bytes:
    if at + length > source.size:
        raise DamagedFileError("the file ends inside the head of a tensor", offset=min(at, source.size),
                               hint="the download may be incomplete")  # fmt: skip
    return source.pread(at, length)
