"""A tensor as a description: what it is called, what it means, and where its bytes lie. Never the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import Any, NamedTuple

from modelglot.core.dtype import DType
from modelglot.core.encoding import PLAIN, Encoding, nbytes

EMPTY: Mapping[str, Any] = MappingProxyType({})


class Extent(NamedTuple):
    """``length`` stored bytes at ``offset`` of file number ``file`` of the model."""

    file: int
    offset: int
    length: int
    codec: str = "raw"  # raw | deflate | zlib | gzip | zstd


class Stored(NamedTuple):
    """Bytes in files. ``extents`` follow one another logically (nearly always there is one).

    ``strides`` are in elements, one an axis; None means row-major contiguous. ``skip`` is the offset in bytes of
    the first element inside the decoded extents: raw extents start at the tensor, so it is only used with a codec.
    ``crc32c`` is that of all stored bytes, where the file has it: whoever reads them in order compares it.
    Two tensors are tied when their ``Stored`` is equal.
    """

    extents: tuple[Extent, ...]
    strides: tuple[int, ...] | None = None
    byteorder: str = "little"
    skip: int = 0
    crc32c: int | None = None


@dataclass(frozen=True, slots=True)
class Inline:
    """Small contents held in memory, contiguous and little-endian."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Derived:
    """The result of a named kernel on other tensors: a pass asked for it, the engine computes it while moving."""

    kernel: str
    inputs: tuple[Tensor, ...]
    params: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class Missing:
    """No bytes: an index names a shard that is not there, a framework saved a tensor without storage."""

    why: str


Data = Stored | Inline | Derived | Missing


@dataclass(frozen=True, slots=True)
class Tensor:
    """The handle. ``shape`` is in elements, outermost axis first, as PyTorch and NumPy write it.

    ``extra`` keeps what only the format understands, with keys such as ``torch:requires_grad``.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    data: Data
    encoding: Encoding = PLAIN
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    @property
    def numel(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor written contiguously in its encoding."""
        if self.encoding is PLAIN:  # asked for several times a tensor, and a model can have 100,000
            return prod(self.shape) * self.dtype.bits // 8
        return nbytes(self.dtype, self.encoding, self.shape)

    @property
    def type_name(self) -> str:
        """``bf16``, ``q4_k``: the dtype, or the encoding where that says more."""
        return self.encoding.name if self.encoding.name not in ("plain", "packed") else self.dtype.name


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major strides in elements."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...] | None) -> bool:
    """True where strides visit the elements in storage order without gaps; axes of size 1 do not matter."""
    if strides is None:
        return True
    expected = contiguous_strides(shape)
    return 0 in shape or all(size == 1 or got == want for size, got, want in zip(shape, strides, expected, strict=True))


def span(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Elements from the first to one past the last that a non-negatively strided view touches."""
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
