"""The specification of float casts, in numpy: what is too large, rounding once only, rounding by chance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from modelglot.core.dtype import DType
from modelglot.core.unusual import Unusual
from modelglot.kernels.arrays import numpy_dtype

Array = np.ndarray[Any, Any]


class Float(NamedTuple):
    """``too_large``: the least magnitude that rounds past the largest number, whose code is ``largest``."""

    mantissa: int
    bias: int
    too_large: float
    largest: int
    large: int  # code of numbers too large
    nan: int


FLOATS = {
    "f32": Float(23, 127, float.fromhex("0x1.ffffffp127"), 0x7F7FFFFF, 0x7F800000, 0x7FC00000),
    "f16": Float(10, 15, 65520.0, 0x7BFF, 0x7C00, 0x7E00),
    "bf16": Float(7, 127, float.fromhex("0x1.ffp127"), 0x7F7F, 0x7F80, 0x7FC0),
    "f8_e4m3": Float(3, 7, float.fromhex("0x1.d000000000001p8"), 0x7E, 0x7E, 0x7F),
    "f8_e5m2": Float(2, 15, 61440.0, 0x7B, 0x7C, 0x7E),
    "f8_e4m3fnuz": Float(3, 8, 248.0, 0x7F, 0x80, 0x80),
    "f8_e5m2fnuz": Float(2, 16, 61440.0, 0x7F, 0x80, 0x80),
}


def unkept(values: Array, target: DType) -> Unusual:
    """What of float ``values`` the target cannot hold."""
    kind = FLOATS.get(target.name)
    with np.errstate(invalid="ignore"):
        wide = values.astype(np.float64)
        finite = np.isfinite(wide)
        too_large = 0 if kind is None else int(np.count_nonzero(np.abs(wide[finite]) >= kind.too_large))
    nan = int(np.count_nonzero(np.isnan(wide)))
    return Unusual(nan, int(finite.size - np.count_nonzero(finite)) - nan, too_large)


def nearest(values: Array, target: DType) -> Array:
    """Floats as ``target``: nearest of the exact value, ties to even. f8_e4m3 keeps its largest number instead."""
    with np.errstate(over="ignore", invalid="ignore"):
        if values.dtype == np.float64 and target.name not in ("f64", "f32", "f16"):
            values = odd_f32(values)
        elif target.name not in ("f64", "f32") or values.dtype.itemsize < 4:
            values = values.astype(np.float32) if values.dtype != np.float64 else values
        if target.name == "f8_e4m3":
            values = np.clip(values, np.float32(-448), np.float32(448))
        return values.astype(numpy_dtype(target))


def odd_f32(values: Array) -> Array:
    """f64 as f32 such that rounding again is as if it were the first time: what is cut off sets the last bit."""
    with np.errstate(over="ignore", invalid="ignore"):
        near = values.astype(np.float32)
        back = near.astype(np.float64)
        bits = near.view(np.uint32) - (np.abs(back) > np.abs(values))
        inexact = (back != values) & ~np.isnan(values)
    return np.where(inexact, bits | 1, near.view(np.uint32)).astype(np.uint32).view(np.float32)


def chances(key: int, first: int, count: int) -> Array:
    """64 random bits an element, of its index and the key alone: SplitMix64 at a counter."""
    u = np.uint64
    with np.errstate(over="ignore"):
        z = u(key) + (np.arange(first + 1, first + 1 + count, dtype=u)) * u(0x9E3779B97F4A7C15)
        z = (z ^ z >> u(30)) * u(0xBF58476D1CE4E5B9)
        z = (z ^ z >> u(27)) * u(0x94D049BB133111EB)
    return np.asarray(z ^ z >> u(31))


def by_chance(values: Array, target: DType, key: int, first: int) -> Array:
    """Each float as one of its two neighbours in ``target``: the upper with the probability that is the distance from
    the lower, in steps of 2**-64. ``first`` is the index of the first value in its tensor.
    """
    kind, u = FLOATS[target.name], np.uint64
    with np.errstate(invalid="ignore"):
        raw = np.ascontiguousarray(values.astype(np.float64)).view(u)
    magnitude = raw & u((1 << 63) - 1)
    normal = magnitude >> u(52) != 0
    m = magnitude & u((1 << 52) - 1) | normal.astype(u) << u(52)
    over = (magnitude >> u(52)).astype(np.int64) + ~normal - (1024 - kind.bias)
    cut = 52 - kind.mantissa + np.maximum(-over, 0)
    kept = np.where(cut < 64, m >> (cut & 63).astype(u), u(0))
    right = np.where(cut < 128, m >> ((cut - 64) & 63).astype(u), u(0))
    rest = np.where(cut <= 64, m << ((64 - cut) & 63).astype(u), right)
    code = (np.maximum(over, 0).astype(u) << u(kind.mantissa)) + kept + (chances(key, first, raw.size) < rest)
    limit = int(np.float64(kind.too_large).view(u))
    code = np.where(magnitude >= u(limit), u(kind.large), np.minimum(code, u(kind.largest)))
    code = np.where(magnitude > u(0x7FF << 52), u(kind.nan), code)
    unsigned = target.name.endswith("fnuz") & ((code == 0) | (code == 0x80))
    sign = np.where(unsigned, u(0), raw >> u(63)) << u(target.bits - 1)
    return np.asarray(code | sign).astype(f"<u{target.itemsize}")
