"""Strided views in order, a band at a time: each is gathered from runs of the storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

from modelglot.core.tensor import span

Fetch = Callable[[int, int], "bytes | memoryview"]  # (first byte of the view's storage, length) -> bytes
_LEAST, _MOST = 8 << 20, 64 << 20  # bytes of a band that is gathered from all over the storage
_PASSES = 8  # over the storage, where that keeps a band below the most


def bands(
    shape: tuple[int, ...], strides: tuple[int, ...], item: int, fetch: Fetch, size: int
) -> Iterator[tuple[int, memoryview]]:
    """(offset in the contiguous result, bytes) pairs, ascending, that cover the view; ``item``: bytes of an element.

    About ``size`` bytes of the storage are held, or one line across the axis with the longest stride. Where that axis
    is not the outermost, as in a transposed matrix, a band of the result is held too, and the storage is read again
    for each.
    """
    if 0 in shape or not item:
        return
    shape, strides = (shape, strides) if shape else ((1,), (1,))
    lead = next((n for n, count in enumerate(shape) if count > 1), 0)
    row = prod(shape[lead + 1 :]) * item
    held = size if lead == _longest(shape, strides) else max(size, _LEAST, min(_MOST, shape[lead] * row // _PASSES))
    count = max(1, held // row)
    if lead == _longest(shape, strides):  # neighbours in the result lie near one another
        while count > 1 and span((count, *shape[lead + 1 :]), strides[lead:]) * item > size:
            count = -(-count // 2)
    for first in range(0, shape[lead], count):
        part = (min(count, shape[lead] - first), *shape[lead + 1 :])
        yield first * row, _band(part, strides[lead:], first * strides[lead] * item, item, fetch, size)


def _band(
    shape: tuple[int, ...], strides: tuple[int, ...], start: int, item: int, fetch: Fetch, size: int
) -> memoryview:
    from modelglot.kernels.arrays import gathered

    axis = _longest(shape, strides)
    line = span((*shape[:axis], 1, *shape[axis + 1 :]), strides)
    step = shape[axis]
    while step > 1 and (line + (step - 1) * strides[axis]) * item > size:
        step = -(-step // 2)
    pieces = (
        (at, count, fetch(start + at * strides[axis] * item, (line + (count - 1) * strides[axis]) * item))
        for at in range(0, shape[axis], step)
        for count in (min(step, shape[axis] - at),)
    )
    return gathered(shape, strides, item, axis, pieces)


def _longest(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    return max(range(len(shape)), key=lambda a: (strides[a] if shape[a] > 1 else -1, -a))
