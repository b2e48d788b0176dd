"""Errors per tensor between a reference and another model of the same names and shapes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class TensorError:
    """``rmse`` and ``worst`` in the values' own units; ``snr`` in decibels, None where nothing differs; ``relative`` is
    rmse over the reference's root mean square; ``bits`` a weight of the other model."""

    name: str
    left: str
    right: str
    count: int
    rmse: float
    worst: float
    relative: float
    snr: float | None
    bits: float
    nonfinite: int = 0

    def document(self) -> dict[str, Any]:
        return {f: getattr(self, f) for f in self.__slots__}


@dataclass(frozen=True, slots=True)
class Comparison:
    """``tensors`` in the reference's order; sizes in bytes of all tensors."""

    left: str
    right: str
    tensors: tuple[TensorError, ...]
    left_bytes: int
    right_bytes: int
    only_left: tuple[str, ...]
    only_right: tuple[str, ...]
    different: tuple[str, ...]

    @property
    def bits(self) -> float:
        """Mean bits a weight of the other model, over the compared tensors."""
        count = sum(t.count for t in self.tensors)
        return sum(t.bits * t.count for t in self.tensors) / count if count else 0.0

    def document(self) -> dict[str, Any]:
        return {
            "schema": "modelglot.compare/1", "left": self.left, "right": self.right,
            "left_bytes": self.left_bytes, "right_bytes": self.right_bytes, "bits_per_weight": self.bits,
            "tensors": [t.document() for t in self.tensors], "only_left": list(self.only_left),
            "only_right": list(self.only_right), "different_shape": list(self.different),
        }  # fmt: skip


def compare(
    name: str, types: tuple[str, str], bits: float, pairs: Iterable[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]
) -> TensorError:
    """The errors of one tensor from aligned chunks of reference and other. Places where either is not finite are
    counted and left out."""
    import numpy as np

    count = nonfinite = 0
    squares = signal = worst = 0.0
    for a, b in pairs:
        count += len(a)
        delta = b.astype(np.float64) - a.astype(np.float64)
        good = np.isfinite(delta)
        if not good.all():
            nonfinite += len(delta) - int(good.sum())
            delta, a = delta[good], a[good]
        if len(delta):
            squares += float(np.dot(delta, delta))
            wide = a.astype(np.float64)
            signal += float(np.dot(wide, wide))
            worst = max(worst, float(np.abs(delta).max()))
    used = max(1, count - nonfinite)
    rmse = math.sqrt(squares / used)
    relative = math.sqrt(squares / signal) if signal else 0.0 if not squares else math.inf
    snr = 10 * math.log10(signal / squares) if squares and signal else None
    return TensorError(name, *types, count, rmse, worst, relative, snr, bits, nonfinite)
