"""Moments, extremes, zeros, NaN and infinities, and a histogram by powers of two, from one pass over the values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_LOW, _HIGH = -40, 40  # exponents kept apart; smaller and larger magnitudes go to the ends
OUTLIER = 6.0  # standard deviations


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the finite values: ``std`` is of the population. ``histogram`` counts magnitudes: exponent e holds
    2**(e-1) <= |x| < 2**e. ``outliers`` counts values at or above ``outlier_from``, the first power of two that is at
    least 6 standard deviations."""

    name: str
    type: str
    count: int
    nan: int
    inf: int
    zeros: int
    negative: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    std: float | None
    outlier_from: float | None
    outliers: int
    histogram: dict[int, int] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        absmax = None if self.minimum is None or self.maximum is None else max(abs(self.minimum), abs(self.maximum))
        return {
            "name": self.name, "type": self.type, "count": self.count, "nan": self.nan, "inf": self.inf,
            "zeros": self.zeros, "negative": self.negative, "min": self.minimum, "max": self.maximum, "absmax": absmax,
            "mean": self.mean, "std": self.std, "outlier_from": self.outlier_from, "outliers": self.outliers,
            "histogram": {str(k): v for k, v in self.histogram.items()},
        }  # fmt: skip


def measure(name: str, kind: str, chunks: Iterable[np.ndarray[Any, Any]]) -> Statistics:
    """The statistics of a stream of float arrays. Moments are merged chunk by chunk in float64 (Chan et al.)."""
    import numpy as np

    count = nan = inf = zeros = negative = finite = 0
    low, high, mean, squares = math.inf, -math.inf, 0.0, 0.0
    exponents = np.zeros(_HIGH - _LOW + 1, np.int64)
    for values in chunks:
        count += len(values)
        good = np.isfinite(values)
        if not good.all():
            nan += int(np.isnan(values).sum())
            values = values[good]
        if not len(values):
            continue
        zeros += int((values == 0).sum())
        negative += int((values < 0).sum())
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        wide = values.astype(np.float64, copy=False)
        size, middle = len(wide), float(wide.mean())
        spread = float(((wide - middle) ** 2).sum())
        delta, total = middle - mean, finite + size
        squares += spread + delta * delta * finite * size / total
        mean += delta * size / total
        finite = total
        powers = np.frexp(values[values != 0])[1]
        exponents += np.bincount(np.clip(powers, _LOW, _HIGH) - _LOW, minlength=len(exponents))
    inf = count - nan - finite
    histogram = {int(i) + _LOW: int(n) for i, n in enumerate(exponents) if n}
    std = math.sqrt(squares / finite) if finite else None
    start, beyond = _outliers(std, histogram)
    return Statistics(
        name, kind, count, nan, inf, zeros, negative, low if finite else None, high if finite else None,
        mean if finite else None, std, start, beyond, histogram,
    )  # fmt: skip


def _outliers(std: float | None, histogram: dict[int, int]) -> tuple[float | None, int]:
    if not std:
        return None, 0
    power = math.ceil(math.log2(OUTLIER * std))
    return 2.0**power, sum(n for e, n in histogram.items() if e > power)


def bars(histogram: dict[int, int], width: int = 30) -> Iterator[tuple[str, int, str]]:
    """(range, count, bar) from the largest magnitude down."""
    top = max(histogram.values(), default=1)
    for exponent in sorted(histogram, reverse=True):
        n = histogram[exponent]
        yield f"2^{exponent - 1}..2^{exponent}", n, "█" * max(1, round(n / top * width))
