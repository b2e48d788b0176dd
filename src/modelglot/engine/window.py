"""A part of a tensor as numbers: two axes of it, some rows and columns, and only the bytes that they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from modelglot.core.encoding import Blocks, Opaque
from modelglot.core.errors import UnsupportedError
from modelglot.core.tensor import Extent, Missing, Stored, Tensor, contiguous_strides, span
from modelglot.engine.stream import Open
from modelglot.engine.values import has_numbers, numbers

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, Any]

WHOLE = 64 << 20  # elements of a tensor that can only be read from its beginning
_RUN = 1 << 20  # elements that are read at once for one line

Read = Callable[[int, int], "Floats"]  # elements of the storage, from and to


class Line(NamedTuple):
    """``length`` indexes of ``axis``: ``start``, ``start + step``, ...; ``axis`` -1: of size 1, and not there."""

    axis: int
    start: int = 0
    length: int = 1
    step: int = 1


def obstacle(tensor: Tensor) -> str | None:
    """Why no window of this tensor can be read, or None."""
    if isinstance(tensor.data, Missing):
        return tensor.data.why
    if not has_numbers(tensor):
        return f"`{tensor.type_name}` are no numbers"
    if not _in_place(tensor) and tensor.numel > WHOLE:
        return "its bytes are compressed or computed, and too many to hold"
    return None


def window(tensor: Tensor, source: Open, rows: Line, cols: Line, at: Sequence[int] = ()) -> Floats:
    """Float32 of shape (rows.length, cols.length); ``at`` is the index on every other axis, 0 where it is not given.

    Blocks are decoded, strided views followed. Raises UnsupportedError for what has no window, ValueError for indexes
    outside the tensor, and the errors of reading.
    """
    import numpy as np

    if why := obstacle(tensor):
        raise UnsupportedError(why, tensor=tensor.name)
    index = [*at, *[0] * len(tensor.shape)][: len(tensor.shape)]
    _check(tensor.shape, (rows, cols), index)
    strides = _strides(tensor)
    first = sum(
        i * s for axis, (i, s) in enumerate(zip(index, strides, strict=True)) if axis not in (rows.axis, cols.axis)
    )
    down, across = (_step(line, strides) for line in (rows, cols))
    first += rows.start * _stride(rows, strides) + cols.start * _stride(cols, strides)
    out = np.empty((rows.length, cols.length), np.float32)
    read = _reader(tensor, source)
    with np.errstate(over="ignore"):
        if across <= down or rows.length == 1:
            for number in range(rows.length):
                out[number] = _line(read, first + number * down, cols.length, across)
        else:
            for number in range(cols.length):
                out[:, number] = _line(read, first + number * across, rows.length, down)
    return out


def _check(shape: tuple[int, ...], lines: tuple[Line, Line], index: Sequence[int]) -> None:
    for line in lines:
        size = 1 if line.axis == -1 else shape[line.axis] if 0 <= line.axis < len(shape) else 0
        if line.length < 1 or line.step < 1 or line.start < 0 or line.start + (line.length - 1) * line.step >= size:
            raise ValueError(
                f"{line.length} indexes of axis {line.axis} from {line.start} are not in a shape of {shape}"
            )
    if lines[0].axis == lines[1].axis != -1:
        raise ValueError("rows and columns are the same axis")
    if not all(0 <= i < size for i, size in zip(index, shape, strict=True)):
        raise ValueError(f"no index {list(index)} in a shape of {list(shape)}")


def _stride(line: Line, strides: Sequence[int]) -> int:
    return 0 if line.axis == -1 else strides[line.axis]


def _step(line: Line, strides: Sequence[int]) -> int:
    return _stride(line, strides) * line.step


def _strides(tensor: Tensor) -> tuple[int, ...]:
    """In the storage where the window reads there, else in the contiguous tensor."""
    data = tensor.data
    stored = _in_place(tensor) and isinstance(data, Stored) and data.strides is not None
    return data.strides if stored else contiguous_strides(tensor.shape)  # type: ignore[union-attr,return-value]


def _line(read: Read, first: int, count: int, step: int) -> Floats:
    import numpy as np

    length = (count - 1) * step + 1
    if length <= max(_RUN, count):
        return read(first, first + length)[:: max(step, 1)] if step else np.repeat(read(first, first + 1), count)
    return np.concatenate([read(first + n * step, first + n * step + 1) for n in range(count)])


def _in_place(tensor: Tensor) -> bool:
    """True where any element can be read without those before it."""
    data = tensor.data
    return isinstance(data, Stored) and all(e.codec == "raw" for e in data.extents) and data.byteorder == "little"


def _reader(tensor: Tensor, source: Open) -> Read:
    import numpy as np

    data = tensor.data
    if not (isinstance(data, Stored) and _in_place(tensor)):
        whole = [*numbers(tensor, source)]
        flat = np.concatenate(whole) if whole else np.empty(0, np.float32)
        return lambda start, stop: flat[start:stop]
    unit, size = _unit(tensor)
    end = tensor.numel if data.strides is None else span(tensor.shape, data.strides)

    def read(start: int, stop: int) -> Floats:
        first, last = start // unit, -(-stop // unit)
        count = min(last * unit, end) - first * unit
        cut = Stored(_cut(data, first * size, (last - first) * size))
        piece = replace(tensor, shape=(count,), data=cut)
        found = np.concatenate([*numbers(piece, source)])
        return found[start - first * unit : stop - first * unit]

    return read


def _unit(tensor: Tensor) -> tuple[int, int]:
    """The least elements that are whole bytes, or a block, and their bytes."""
    if isinstance(tensor.encoding, Blocks):
        return tensor.encoding.elements, tensor.encoding.bytes
    if isinstance(tensor.encoding, Opaque):
        raise UnsupportedError(f"`{tensor.type_name}` are no numbers", tensor=tensor.name)
    return (8, tensor.dtype.bits) if tensor.dtype.bits < 8 else (1, tensor.dtype.bits // 8)


def _cut(data: Stored, start: int, length: int) -> tuple[Extent, ...]:
    """The extents of ``length`` bytes from ``start``; at the end of the storage there may be fewer."""
    found = []
    for extent in data.extents:
        skip = min(start, extent.length)
        take = min(length, extent.length - skip)
        if take:
            found.append(extent._replace(offset=extent.offset + skip, length=take))
        start, length = start - skip, length - take
    return tuple(found)
