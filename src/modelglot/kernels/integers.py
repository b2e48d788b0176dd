"""Casts from and to integers, in numpy. Nothing wraps: what does not fit becomes the nearest number that does."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelglot.core.dtype import DType
from modelglot.core.unusual import Unusual
from modelglot.kernels.arrays import numpy_dtype

Array = np.ndarray[Any, Any]


def to_integers(values: Array, target: DType) -> tuple[Array, Unusual]:
    """Floats round half to even, NaN becomes 0; integers are exact where they fit."""
    goal = numpy_dtype(target)
    low, high = int(np.iinfo(goal).min), int(np.iinfo(goal).max)
    if values.dtype.kind in "iu":
        own = np.iinfo(values.dtype)
        kept = np.clip(values, max(low, int(own.min)), min(high, int(own.max)))
        return kept.astype(goal), Unusual(0, 0, int(np.count_nonzero(kept != values)))
    wide = np.rint(values if values.dtype == np.float64 else values.astype(np.float32).astype(np.float64))
    nan, infinite = np.isnan(wide), np.isinf(wide)
    below, above = wide < float(low), wide >= float(high + 1)  # both exact: powers of two
    inside = ~(nan | below | above)
    made = np.where(inside, wide, 0).astype(goal)
    made[below], made[above] = low, high
    counts = (int(np.count_nonzero(x)) for x in (nan, infinite, (below | above) & ~infinite))
    return made, Unusual(*counts)


def to_floats(values: Array) -> Array:
    """Integers as f64 that rounds on to any narrower float as if rounded once: beyond 2**53 the last bit is odd."""
    if values.dtype.itemsize < 8:
        return values.astype(np.float64)
    negative = values < 0
    magnitude = np.where(negative, 0 - values.astype(np.uint64), values.astype(np.uint64)).astype(np.uint64)
    odd = magnitude >> np.uint64(11) | (magnitude & np.uint64(0x7FF) != 0)
    wide = np.where(magnitude >> np.uint64(53) != 0, odd.astype(np.float64) * 2048.0, magnitude.astype(np.float64))
    return np.where(negative, -wide, wide)
