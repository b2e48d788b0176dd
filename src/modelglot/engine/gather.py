"""Strided views, a band at a time, so that each band is read from one run of the storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import prod

from modelglot.core.tensor import span

Fetch = Callable[[int, int], "bytes | memoryview"]  # (first byte of the view's storage, length) -> bytes


def bands(
    shape: tuple[int, ...], strides: tuple[int, ...], item: int, fetch: Fetch, size: int
) -> Iterator[tuple[int, memoryview]]:
    """(offset in the contiguous result, bytes) pairs that cover the view once; ``item`` is the bytes of an element.

    At most about ``size`` bytes are held, or one line across the axis with the longest stride. Offsets ascend where
    `ascending` says so.
    """
    from modelglot.kernels.arrays import strided

    if 0 in shape or not item:
        return
    axis = _longest(shape, strides)
    line = span((*shape[:axis], 1, *shape[axis + 1 :]), strides) if shape else 1
    band = shape[axis] if shape else 1
    while band > 1 and span((*shape[:axis], band, *shape[axis + 1 :]), strides) * item > size:
        band = -(-band // 2)
    step = strides[axis] if shape else 0
    tail = prod(shape[axis + 1 :]) * item
    for first in range(0, shape[axis] if shape else 1, band):
        count = min(band, shape[axis] - first) if shape else 1
        part = (*shape[:axis], count, *shape[axis + 1 :]) if shape else ()
        raw = fetch(first * step * item, (line + (count - 1) * step) * item)
        gathered = memoryview(strided(raw, item, part, strides))
        run = count * tail
        for row, _ in enumerate(product(*(range(n) for n in shape[:axis]))):
            at = row * (shape[axis] if shape else 1) * tail + first * tail
            yield at, gathered[row * run : (row + 1) * run]


def ascending(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """True where `bands` yields in the order of the result: no axis outside the banded one has more than one index."""
    return not shape or 0 in shape or prod(shape[: _longest(shape, strides)]) == 1


def _longest(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    return max(range(len(shape)), key=lambda a: (strides[a] if shape[a] > 1 else -1, -a)) if shape else 0
