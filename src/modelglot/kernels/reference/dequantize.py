"""Every block as float32: (blocks, bytes) uint8 -> (blocks, elements). The products associate as in ggml."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelglot.core.errors import UnsupportedError
from modelglot.kernels.reference.grids import SIGNS, grid
from modelglot.kernels.reference.numbers import Array, F
from modelglot.kernels.reference.small import E2M1, half_powers, ue4m3_halves
from modelglot.kernels.reference.supers import IQ4, k4_scales

_SHIFTS = np.array([0, 2, 4, 6], np.uint8)[:, None]
_BITS = np.arange(8, dtype=np.uint8)


def half(q: Array, at: int) -> Array:
    """The f16 at a byte offset of every block: (blocks, 1) float32."""
    return np.ascontiguousarray(q[:, at : at + 2]).view("<f2").astype(np.float32)


def numbers(q: Array, kind: str) -> Array:
    return np.ascontiguousarray(q).view(kind)


def nibbles(q: Array, run: int) -> Array:
    """Bytes (blocks, n) -> levels (blocks, 2n): of every ``run`` bytes the low halves, then the high ones."""
    parts = q.reshape(len(q), -1, 1, run) >> np.array([0, 4], np.uint8)[:, None]
    return (parts & 15).reshape(len(q), -1)


def pairs_of_bits(q: Array) -> Array:
    return (q.reshape(len(q), -1, 1, 32) >> _SHIFTS & 3).reshape(len(q), -1)


def bit_plane(q: Array) -> Array:
    return (q[:, None] >> _BITS[:, None] & 1).reshape(len(q), -1)


def scaled(levels: Array, d: Array, m: Array | None = None) -> Array:
    """levels (blocks, n) times d (blocks, subs), minus m."""
    parts = d[..., None] * levels.astype(np.float32).reshape(*d.shape, -1)
    return (parts if m is None else parts - m[..., None]).reshape(len(levels), -1)


def q5_levels(q: Array) -> Array:
    high = np.unpackbits(q[:, :4], axis=1, bitorder="little")
    return np.asarray(nibbles(q[:, 4:], 16) | high << 4)


def q2_k(q: Array) -> Array:
    return scaled(pairs_of_bits(q[:, 16:80]), half(q, 80) * (q[:, :16] & 15), half(q, 82) * (q[:, :16] >> 4))


def q3_k(q: Array) -> Array:
    low = np.concatenate([q[:, 96:104] & 15, q[:, 96:104] >> 4], axis=1)
    high = (q[:, None, 104:108] >> _SHIFTS & 3).reshape(len(q), 16)
    levels = pairs_of_bits(q[:, 32:96]).astype(np.int8) + bit_plane(q[:, :32]).astype(np.int8) * 4 - 4
    return scaled(levels, half(q, 108) * ((low | high << 4).astype(np.int8) - 32).astype(np.float32))


def k45(q: Array, five: bool) -> Array:
    s, m = k4_scales(q[:, 4:16])
    levels = nibbles(q[:, 48 if five else 16 :], 32)
    levels = levels | bit_plane(q[:, 16:48]) << 4 if five else levels
    return scaled(levels, half(q, 0) * s, half(q, 2) * m)


def q6_k(q: Array) -> Array:
    low = nibbles(q[:, :128], 64)
    levels = (low | pairs_of_bits(q[:, 128:192]) << 4).astype(np.int8) - 32
    return scaled(levels, half(q, 208) * q[:, 192:208].view(np.int8).astype(np.float32))


def iq4_xs(q: Array) -> Array:
    low = nibbles(q[:, 4:8], 1)
    high = numbers(q[:, 2:4], "<u2") >> (2 * np.arange(8)).astype(np.uint16) & 3
    s = (low | high.astype(np.uint8) << 4).astype(np.int8) - 32
    return scaled(IQ4[nibbles(q[:, 8:], 16)], half(q, 0) * s.astype(np.float32))


def ternary(q: Array, powers: int) -> Array:
    parts = q[:, None] * np.array([1, 3, 9, 27, 81], np.uint8)[:powers, None]
    levels = (parts.astype(np.uint16) * 3 >> 8).astype(np.float32)
    return (levels - F(1)).reshape(len(q), -1)


def tq1_0(q: Array) -> Array:
    levels = [ternary(q[:, :32], 5), ternary(q[:, 32:48], 5), ternary(q[:, 48:52], 4)]
    return np.concatenate(levels, axis=1) * half(q, 52)


def points(name: str, index: Array, signs: Array, d: Array) -> Array:
    """Grid points (blocks, n) with signs (blocks, bytes of 8) times d (blocks, subs)."""
    found = grid(name)[index].reshape(len(index), -1).astype(np.float32)
    minus = np.unpackbits(np.ascontiguousarray(signs), axis=1, bitorder="little")
    return scaled(found, d) * np.where(minus, F(-1), F(1))


def parity_signs(words: Array) -> tuple[Array, Array]:
    """(scale bits, sign bytes) of 32-bit words: four times seven signs below, a scale in the top four bits."""
    index = words[..., None] >> np.array([0, 7, 14, 21], np.uint32) & 127
    return (words >> 28).astype(np.float32), SIGNS[index].reshape(len(words), -1)


def iq2_xxs(q: Array) -> Array:
    words = numbers(q[:, 2:], "<u4").reshape(len(q), 8, 2)
    scale, signs = parity_signs(words[..., 1])
    index = np.ascontiguousarray(words[..., 0]).view(np.uint8).reshape(len(q), -1)
    return points("iq2_xxs", index, signs, half(q, 0) * (F(0.5) + scale) * F(0.25))


def iq2_xs(q: Array) -> Array:
    words = numbers(q[:, 2:66], "<u2")
    d = half(q, 0) * (F(0.5) + nibbles(q[:, 66:], 1)) * F(0.25)
    return points("iq2_xs", words & 511, SIGNS[words >> 9], d)


def iq2_s(q: Array) -> Array:
    high = (q[:, 66:74, None] >> _SHIFTS[:, 0] & 3).reshape(len(q), -1).astype(np.uint16)
    return points("iq2_s", q[:, 2:34] | high << 8, q[:, 34:66], half(q, 0) * (F(0.5) + nibbles(q[:, 74:], 1)) * F(0.25))


def iq3_xxs(q: Array) -> Array:
    scale, signs = parity_signs(numbers(q[:, 66:], "<u4"))
    return points("iq3_xxs", q[:, 2:66], signs, half(q, 0) * (F(0.5) + scale) * F(0.5))


def iq3_s(q: Array) -> Array:
    high = np.unpackbits(q[:, 66:74], axis=1, bitorder="little").astype(np.uint16)
    d = half(q, 0) * (1 + 2 * nibbles(q[:, 106:], 1)).astype(np.float32)
    return points("iq3_s", q[:, 2:66] | high << 8, q[:, 74:106], d)


def shifted_points(index: Array, minus: Array, d: Array) -> Array:
    """IQ1: points of -1, 0, 1 (blocks, n) shifted by an eighth, down where ``minus``; times d (blocks, subs)."""
    found = grid("iq1_s")[index].astype(np.float32) + np.where(minus, F(-0.125), F(0.125))[..., None]
    return scaled(found.reshape(len(index), -1), d)


def iq1_s(q: Array) -> Array:
    words = numbers(q[:, 34:], "<u2")
    high = (words[..., None] >> np.array([0, 3, 6, 9], np.uint16) & 7).reshape(len(q), -1)
    minus = np.repeat(words >= 0x8000, 4, axis=1)
    return shifted_points(q[:, 2:34] | high << 8, minus, half(q, 0) * (2 * (words >> 12 & 7) + 1).astype(np.float32))


def iq1_m(q: Array) -> Array:
    words = numbers(q[:, 48:], "<u2")
    top = words >> 12
    d = (top[:, 0] | top[:, 1] << 4 | top[:, 2] << 8 | top[:, 3] << 12).astype("<u2").view("<f2").astype(np.float32)
    scale = (words[..., None] >> np.array([0, 3, 6, 9], np.uint16) & 7).reshape(len(q), -1)
    high = nibbles(q[:, 32:48], 1).astype(np.uint16)
    return shifted_points(q[:, :32] | (high & 7) << 8, high & 8, d[:, None] * (2 * scale + 1).astype(np.float32))


def nvfp4(q: Array) -> Array:
    return scaled(E2M1[nibbles(q[:, 4:], 8)], ue4m3_halves(q[:, :4]))


_TABLE: dict[str, Callable[[Array], Array]] = {
    "q4_0": lambda q: (nibbles(q[:, 2:], 16).astype(np.float32) - F(8)) * half(q, 0),
    "q4_1": lambda q: nibbles(q[:, 4:], 16).astype(np.float32) * half(q, 0) + half(q, 2),
    "q5_0": lambda q: (q5_levels(q[:, 2:]).astype(np.float32) - F(16)) * half(q, 0),
    "q5_1": lambda q: q5_levels(q[:, 4:]).astype(np.float32) * half(q, 0) + half(q, 2),
    "q8_0": lambda q: q[:, 2:].view(np.int8).astype(np.float32) * half(q, 0),
    "q8_1": lambda q: q[:, 4:].view(np.int8).astype(np.float32) * half(q, 0),
    "q8_k": lambda q: numbers(q[:, :4], "<f4") * q[:, 4:260].view(np.int8).astype(np.float32),
    "q2_k": q2_k, "q3_k": q3_k, "q4_k": lambda q: k45(q, False), "q5_k": lambda q: k45(q, True), "q6_k": q6_k,
    "iq4_nl": lambda q: IQ4[nibbles(q[:, 2:], 16)] * half(q, 0), "iq4_xs": iq4_xs,
    "mxfp4": lambda q: E2M1[nibbles(q[:, 1:], 16)] * half_powers(q[:, :1]), "nvfp4": nvfp4,
    "tq1_0": tq1_0, "tq2_0": lambda q: (pairs_of_bits(q[:, :64]).astype(np.float32) - F(1)) * half(q, 64),
    "iq2_xxs": iq2_xxs, "iq2_xs": iq2_xs, "iq2_s": iq2_s, "iq3_xxs": iq3_xxs, "iq3_s": iq3_s, "iq1_s": iq1_s,
    "iq1_m": iq1_m,
    "q1_0": lambda q: np.where(np.unpackbits(q[:, 2:], axis=1, bitorder="little"), half(q, 0), -half(q, 0)),
    "q2_0": lambda q: ((q[:, 2:, None] >> _SHIFTS[:, 0] & 3).reshape(len(q), -1) - F(1)) * half(q, 0),
}  # fmt: skip
PIECE = 1 << 16  # bytes worked on at once


def dequantize_blocks(name: str, blocks: Array) -> Array:
    """(blocks, bytes) uint8 -> (blocks, elements) float32. Raises UnsupportedError for a type without a reader."""
    if name not in _TABLE:
        raise UnsupportedError(f"no reader for `{name}` blocks")
    step = max(1, PIECE // blocks.shape[1])
    with np.errstate(all="ignore"):
        parts = [_TABLE[name](blocks[at : at + step]) for at in range(0, len(blocks), step)]
    return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)
