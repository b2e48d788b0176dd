"""How often each value occurs, in bins of one width."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

BINS = 101  # odd: the middle one holds zero where the range is symmetric
SPREAD = 8.0  # standard deviations shown to each side; what is farther out goes to the ends


def bounds(low: float, high: float, mean: float, std: float) -> tuple[float, float]:
    """The range shown: the whole one, or the part of it around the mean that holds nearly everything."""
    return max(low, mean - SPREAD * std), min(high, mean + SPREAD * std)


def histogram(pieces: Iterable[np.ndarray[Any, Any]], low: float, high: float) -> dict[str, Any]:
    """Counts of the finite values in `BINS` bins from ``low`` to ``high``; those outside are in the first and last."""
    import numpy as np

    counts = np.zeros(BINS, np.int64)
    width = (high - low) / BINS or 1.0
    for values in pieces:
        places = np.floor((values[np.isfinite(values)].astype(np.float64) - low) / width)
        counts += np.bincount(np.clip(places, 0, BINS - 1).astype(np.int64), minlength=BINS)
    return {"low": low, "high": high, "counts": counts.tolist()}
