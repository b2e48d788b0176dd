"""A tensor put together of boxes, each a tensor of its own: chunks of an array, shards of a distributed checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import NamedTuple

from modelglot.core.errors import InvalidFileError

Bytes = bytes | memoryview
Band = tuple[int, Bytes]


class Box(NamedTuple):
    """A part at ``origin`` of the whole; what of its ``shape`` lies outside is cut off. The last axis counts bytes.

    ``rows`` gives (first, count) rows of axis 0; ``cheap`` where that reads no more than those rows.
    """

    origin: tuple[int, ...]
    shape: tuple[int, ...]
    rows: Callable[[int, int], Bytes]
    cheap: bool


def assembled(shape: tuple[int, ...], boxes: list[Box], size: int) -> Iterator[Band]:
    """(offset, bytes) pairs, ascending, that cover the whole once; what no box covers is zero.

    About ``size`` bytes are held, or one row of boxes that are not cheap to cut. Raises InvalidFileError for a box
    that begins outside.
    """
    for box in boxes:
        if len(box.origin) != len(shape) or not all(0 <= o < s for o, s in zip(box.origin, shape, strict=True)):
            raise InvalidFileError(f"a part lies at {list(box.origin)}, outside of {list(shape)} (last axis in bytes)")
    row, at = prod(shape[1:]), 0
    for begin, end, group in _groups(boxes, shape[0]):
        yield from _zeros(at * row, (begin - at) * row, size)
        yield from _band(shape, row, begin, end, group, size)
        at = end
    yield from _zeros(at * row, (shape[0] - at) * row, size)


def _groups(boxes: list[Box], rows: int) -> Iterator[tuple[int, int, list[Box]]]:
    """Boxes whose ranges of axis 0 overlap belong together."""
    group: list[Box] = []
    begin = end = 0
    for box in sorted(boxes, key=lambda b: b.origin):
        if group and box.origin[0] >= end:
            yield begin, end, group
            group = []
        if not group:
            begin = end = box.origin[0]
        group.append(box)
        end = max(end, min(rows, box.origin[0] + box.shape[0]))
    if group:
        yield begin, end, group


def _band(shape: tuple[int, ...], row: int, begin: int, end: int, group: list[Box], size: int) -> Iterator[Band]:
    from modelglot.kernels.arrays import place

    step = max(1, size // max(row, 1)) if all(box.cheap for box in group) else end - begin
    alone = len(group) == 1 and group[0].shape[1:] == shape[1:]
    for first in range(begin, end, step):
        count = min(step, end - first)
        if alone:
            yield first * row, group[0].rows(first - begin, count)
            continue
        buffer = bytearray(count * row)
        for box in group:
            low, high = max(first, box.origin[0]), min(first + count, box.origin[0] + box.shape[0])
            if low < high:
                part = box.rows(low - box.origin[0], high - low)
                place(buffer, (count, *shape[1:]), (low - first, *box.origin[1:]), part, (high - low, *box.shape[1:]))
        yield first * row, memoryview(buffer)


def _zeros(at: int, length: int, size: int) -> Iterator[Band]:
    for offset in range(0, length, size):
        yield at + offset, bytes(min(size, length - offset))
