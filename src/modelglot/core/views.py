"""Views that transforms are made of: units of a tensor in another order, parts of it, several put together.

They are descriptions; the engine reads the bytes in that order. Whole rows keep their stored form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from math import prod

from modelglot.core.encoding import Blocks, nbytes
from modelglot.core.errors import InvalidFileError, UnsupportedError
from modelglot.core.tensor import Data, Derived, Extent, Stored, Tensor, contiguous_strides


def arrange(tensor: Tensor, shape: tuple[int, ...], view: Sequence[tuple[int, int]], first: int = 0) -> Tensor:
    """Units of ``tensor`` in another order: ``view`` has (count, stride) in units, ``shape`` is of the result.

    A unit is what is left of the bytes once the counts are divided out: rows, whole experts, or single elements.
    """
    count = prod(n for n, _ in view)
    length = nbytes(tensor.dtype, tensor.encoding, shape)
    if not count or length % count:
        raise InvalidFileError(f"{list(tensor.shape)} cannot be cut in {count:,} equal units", tensor=tensor.name)
    params = {"unit": length // count, "offset": first, "shape": [n for n, _ in view], "strides": [s for _, s in view]}
    return replace(tensor, shape=shape, data=Derived("arrange", (tensor,), params))


def reshaped(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same values in other axes."""
    if prod(shape) != tensor.numel:
        raise InvalidFileError(f"{list(tensor.shape)} cannot be {list(shape)}", tensor=tensor.name)
    if isinstance(tensor.data, Stored) and tensor.data.strides is not None:
        return arrange(tensor, shape, [(1, 1)])
    return replace(tensor, shape=shape)


def rows(tensor: Tensor, order: Sequence[tuple[int, int]], first: int = 0, count: int | None = None) -> Tensor:
    """Rows of axis 0 in another order; ``order`` has (count, stride) in rows, ``first`` the first one taken."""
    taken = prod(n for n, _ in order)
    if count is not None and taken != count:
        raise InvalidFileError(f"{taken:,} rows where {count:,} are needed", tensor=tensor.name)
    return arrange(tensor, (taken, *tensor.shape[1:]), order, first)


def part(tensor: Tensor, begin: int, end: int, axis: int = 0) -> Tensor:
    """``tensor[begin:end]`` along ``axis``, which may not be the last one of a quantized tensor."""
    shape = tensor.shape
    if not 0 <= begin <= end <= shape[axis]:
        raise InvalidFileError(f"rows {begin:,} to {end:,} of {shape[axis]:,}", tensor=tensor.name)
    before, inner = shape[:axis], prod(shape[axis + 1 :])
    made = (*before, end - begin, *shape[axis + 1 :])
    if axis == len(shape) - 1 and isinstance(tensor.encoding, Blocks):
        raise UnsupportedError("columns of a quantized tensor cannot be cut without decoding", tensor=tensor.name)
    steps = [s // inner for s in contiguous_strides(shape)[:axis]]
    return arrange(tensor, made, [*zip(before, steps, strict=True), (end - begin, 1)], begin)


def joined(tensors: Sequence[Tensor], shape: tuple[int, ...]) -> Tensor:
    """One after another along axis 0."""
    _check_alike(tensors, len({(t.dtype, t.encoding, t.shape[1:]) for t in tensors}))
    return replace(tensors[0], shape=shape, data=_chained(tensors))


def _chained(tensors: Sequence[Tensor]) -> Data:
    """The bytes of all in order: extents one after another where they lie in files as they are."""
    parts = [t.data for t in tensors if t.nbytes]
    if parts and all(isinstance(p, Stored) and is_run(p) for p in parts):
        extents = (e for p in parts if isinstance(p, Stored) for e in p.extents)
        return Stored(tuple(extents))
    return Derived("concat", tuple(tensors))


def is_run(data: Stored) -> bool:
    """True for little-endian bytes in order that lie in files as they are."""
    plain = data.strides is None and data.byteorder == "little" and not data.skip
    return plain and all(extent.codec == "raw" for extent in data.extents)


def beside(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side along the last axis."""
    first = tensors[0]
    _check_alike(tensors, len({(t.dtype, t.encoding, t.shape[:-1]) for t in tensors}))
    shape = (*first.shape[:-1], sum(t.shape[-1] for t in tensors))
    ends = list(accumulate(t.shape[-1] for t in tensors))
    origins = [(*(0 for _ in shape[1:]), end - t.shape[-1]) for t, end in zip(tensors, ends, strict=True)]
    return assembled(replace(first, shape=shape), list(zip(origins, tensors, strict=True)))


def assembled(whole: Tensor, parts: Sequence[tuple[tuple[int, ...], Tensor]]) -> Tensor:
    """``whole`` (its name, dtype and shape) made of boxes: (origin in elements, tensor) pairs of the same dtype.

    What of a box lies outside is cut off, what no box covers is zero. A single box of the whole shape is that tensor.
    """
    if len(parts) == 1 and parts[0][1].shape == whole.shape:
        return replace(whole, data=parts[0][1].data, encoding=parts[0][1].encoding)
    _check_alike([t for _, t in parts], len({(t.dtype, t.encoding, len(t.shape)) for _, t in parts}))
    data = Derived("assemble", tuple(t for _, t in parts), {"origins": [list(o) for o, _ in parts]})
    return replace(whole, data=data)


def run(tensor: Tensor, begin: int, count: int) -> Tensor:
    """Elements ``begin`` to ``begin + count`` of a plain tensor read flat, as one axis."""
    if not 0 <= begin <= begin + count <= tensor.numel:
        raise InvalidFileError(f"elements {begin:,} to {begin + count:,} of {tensor.numel:,}", tensor=tensor.name)
    data, item = tensor.data, tensor.dtype.itemsize
    if isinstance(data, Stored) and is_run(data):
        cut = tuple(_within(data.extents, begin * item, count * item))
        return replace(tensor, shape=(count,), data=data._replace(extents=cut, crc32c=None))
    return arrange(tensor, (count,), [(count, 1)], begin)


def _within(extents: Sequence[Extent], begin: int, count: int) -> Iterator[Extent]:
    """The part of some extents that has ``count`` bytes from ``begin`` on."""
    start = 0
    for extent in extents:
        low, high = max(begin, start), min(begin + count, start + extent.length)
        if low < high or (not count and low == high and low == begin):
            yield extent._replace(offset=extent.offset + low - start, length=high - low)
        start += extent.length


def _check_alike(tensors: Sequence[Tensor], kinds: int) -> None:
    if kinds > 1:
        shown = ", ".join(dict.fromkeys(f"{t.type_name} {list(t.shape)}" for t in tensors))
        raise InvalidFileError(f"tensors that belong together differ: {shown}", tensor=tensors[0].name)
