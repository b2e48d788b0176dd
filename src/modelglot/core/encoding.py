"""How the elements of a tensor become bytes.

`Plain`: one element after another, row-major unless strides say otherwise. `Packed`: elements smaller than a byte,
first element in the low bits. `Blocks`: a quantized row cut in blocks of equal length, each stored in equal bytes.
`Opaque`: bytes whose inside nobody here knows, carried unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from modelglot.core.dtype import DType


@dataclass(frozen=True, slots=True)
class Plain:
    name = "plain"


@dataclass(frozen=True, slots=True)
class Packed:
    bits: int
    name = "packed"


@dataclass(frozen=True, slots=True)
class Blocks:
    """``elements`` consecutive elements of a row are stored in ``bytes`` bytes.

    ``words`` lists (offset, width) of every multi-byte number in a block, which is what byte order touches; None
    where nobody has settled which bytes of a big-endian block move, so that such blocks cannot be converted.
    """

    name: str
    elements: int
    bytes: int
    words: tuple[tuple[int, int], ...] | None = ()

    @property
    def bits_per_weight(self) -> float:
        return self.bytes * 8 / self.elements


@dataclass(frozen=True, slots=True)
class Opaque:
    name: str
    length: int


Encoding = Plain | Packed | Blocks | Opaque
PLAIN = Plain()


def plain_encoding(dtype: DType) -> Encoding:
    """`Plain`, or `Packed` for elements smaller than a byte."""
    return PLAIN if dtype.bits >= 8 else Packed(dtype.bits)


def nbytes(dtype: DType, encoding: Encoding, shape: tuple[int, ...]) -> int:
    """Bytes of a contiguous tensor. Exact Python integers: no overflow, whatever the file says.

    Packed tensors are rounded up to whole bytes; the last axis of `Blocks` must be a multiple of the block.
    """
    count = prod(shape)
    if isinstance(encoding, Blocks):
        return count // encoding.elements * encoding.bytes
    if isinstance(encoding, Opaque):
        return encoding.length
    return (count * dtype.bits + 7) // 8


def _f16_at(*offsets: int) -> tuple[tuple[int, int], ...]:
    return tuple((o, 2) for o in offsets)


def _run(start: int, stop: int, width: int = 2) -> tuple[tuple[int, int], ...]:
    return tuple((o, width) for o in range(start, stop, width))


# Layouts of ggml's block types: elements and bytes of a block and where its 16- and 32-bit numbers lie.
# Source: ggml's published block structures (ggml-common.h), figures only. `words` are given where a block is 16- and
# 32-bit numbers and bytes used as bytes; None where ggml's code reads runs of bytes as wider integers in host order
# (scales of q3_k, high bits of q5_0, grids of the iq types), which no tool converts between byte orders.
BLOCKS: dict[str, Blocks] = {
    b.name: b
    for b in (
        Blocks("q4_0", 32, 18, _f16_at(0)),
        Blocks("q4_1", 32, 20, _f16_at(0, 2)),
        Blocks("q5_0", 32, 22, None),
        Blocks("q5_1", 32, 24, None),
        Blocks("q8_0", 32, 34, _f16_at(0)),
        Blocks("q8_1", 32, 36, _f16_at(0, 2)),
        Blocks("q2_k", 256, 84, _f16_at(80, 82)),
        Blocks("q3_k", 256, 110, None),
        Blocks("q4_k", 256, 144, _f16_at(0, 2)),
        Blocks("q5_k", 256, 176, _f16_at(0, 2)),
        Blocks("q6_k", 256, 210, _f16_at(208)),
        Blocks("q8_k", 256, 292, ((0, 4), *_run(260, 292))),
        Blocks("iq2_xxs", 256, 66, None),
        Blocks("iq2_xs", 256, 74, None),
        Blocks("iq2_s", 256, 82, None),
        Blocks("iq3_xxs", 256, 98, None),
        Blocks("iq3_s", 256, 110, None),
        Blocks("iq1_s", 256, 50, None),
        Blocks("iq1_m", 256, 56, None),
        Blocks("iq4_nl", 32, 18, _f16_at(0)),
        Blocks("iq4_xs", 256, 136, _f16_at(0, 2)),
        Blocks("tq1_0", 256, 54, _f16_at(52)),
        Blocks("tq2_0", 256, 66, _f16_at(64)),
        Blocks("mxfp4", 32, 17),
        Blocks("nvfp4", 64, 36),
        Blocks("q1_0", 128, 18, _f16_at(0)),
        Blocks("q2_0", 64, 18, _f16_at(0)),
    )
}
