"""Single steps that all quantizers share: in-order sums, the reference's rounding, halves, bit planes.

Arrays are float32 throughout: a float64 anywhere changes bytes. Searches put elements on axis 0 and blocks (lanes) on
axis 1, so that every lane does in order what ggml's loop does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
F = np.float32
TINY = F(1e-15)  # blocks whose numbers are all smaller become 0
MAGIC = F(12582912.0)  # 1.5 * 2**23: adding it leaves the nearest integer in the low mantissa bits


def total(values: Array) -> Array:
    """Sums along axis 0, added in order."""
    return np.asarray(np.add.accumulate(values, axis=0)[-1])


def nearest(values: Array) -> Array:
    """int32, ties to even; wrapped beyond 2**22 and 0 for NaN, as adding MAGIC gives it."""
    return ((values + MAGIC).view(np.int32) & 0x7FFFFF) - 0x400000


def truncated(values: Array) -> Array:
    """int32 toward zero; what does not fit is the smallest integer, as on x86."""
    fits = np.abs(values) < F(2**31)
    return np.where(fits, values, F(-(2**31))).astype(np.int32)


def rounded_away(values: Array) -> Array:
    """int32, halves away from zero: half is given as the number just below it."""
    return truncated(values + np.copysign(np.nextafter(F(0.5), F(0)), values))


def inverse(values: Array) -> Array:
    """1 / values, 0 where they are 0."""
    return np.where(values != 0, F(1) / values, F(0))


def halves(values: Array) -> Array:
    """f16 bytes: (blocks,) -> (blocks, 2)."""
    return values.astype("<f2").view(np.uint8).reshape(-1, 2)


def stored(values: Array) -> Array:
    """What is left of them after storing as f16."""
    return values.astype(np.float16).astype(np.float32)


def peaks(x: Array) -> Array:
    """Along axis 0 the first number of the greatest magnitude; +0 where all are 0. NaN is passed over."""
    x = np.where(np.isnan(x), F(0), x)
    found = first(x, np.argmax(np.abs(x), axis=0))
    return np.where(found == 0, F(0), found)


def first(x: Array, where: Array) -> Array:
    """x[where[lane], lane] for every lane."""
    return np.asarray(np.take_along_axis(x, where[None], axis=0)[0])


def nibbles(levels: Array) -> Array:
    """(blocks, 2h) levels -> (blocks, h): element i in the low, i + h in the high half."""
    half = levels.shape[-1] // 2
    return (levels[..., :half] & 15 | (levels[..., half:] & 15) << 4).astype(np.uint8)


def little(values: Array, dtype: str) -> Array:
    """The bytes of integers; the last axis grows."""
    return np.ascontiguousarray(values, dtype).view(np.uint8)


def bytes_of(*columns: Array) -> Array:
    """Columns of uint8 side by side: one row a block."""
    return np.concatenate([c.astype(np.uint8).reshape(len(c), -1) for c in columns], axis=1)
