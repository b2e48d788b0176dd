"""Tensors put together, cut, repeated and turned around."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.shape import expand, transpose
from modelglot.graphs.torchscript.operators.table import Table
from modelglot.graphs.torchscript.values import Sequence, is_number

TABLE = Table()
LAST = (1 << 63) - 1


@TABLE("repeat", "tile")
def repeat(g: Kit, x: Any, repeats: Any) -> Any:
    more = len(repeats) - g.rank(x)
    made = g.unsqueeze(x, list(range(more))) if more > 0 else x
    repeats = [1] * (g.rank(made) - len(repeats)) + list(repeats)
    dims = [
        d * r if isinstance(d, int) and isinstance(r, int) else None for d, r in zip(g.dims(made), repeats, strict=True)
    ]
    return g.op("Tile", made, g.vector(repeats), dims=dims)


@TABLE("repeat_interleave")
def repeat_interleave(g: Kit, x: Any, repeats: Any, dim: Any = None, output_size: Any = None) -> Any:
    if not is_number(repeats):
        raise UnsupportedError("`repeat_interleave` with a tensor of counts")
    value = x if dim is not None else g.reshape(x, [-1])
    axis = g.axis(value, dim if dim is not None else 0)
    sizes = g.sizes(value)
    wide = g.op(
        "Tile", g.unsqueeze(value, [axis + 1]), g.vector([1] * (axis + 1) + [repeats] + [1] * (len(sizes) - axis - 1))
    )
    own, total = sizes[axis], -1
    if isinstance(own, int) and isinstance(repeats, int):
        total = own * repeats
    return g.reshape(wide, [*sizes[:axis], total, *sizes[axis + 1 :]])


@TABLE("cat", "concat", "concatenate")
def cat(g: Kit, tensors: Any, dim: int = 0) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Sequence):
        return _from_sequence(g, tensors[0], dim, new=False)
    kept = [t for t in tensors if not (g.dims(t) == [0] and len(tensors) > 1)]  # an empty one fits everything
    if not kept:
        return tensors[0]
    values = g.together(*kept)
    return values[0] if len(values) == 1 else g.op("Concat", *values, axis=g.axis(values[0], dim))


@TABLE("stack")
def stack(g: Kit, tensors: Any, dim: int = 0) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Sequence):
        return _from_sequence(g, tensors[0], dim, new=True)
    axis = g.axis(tensors[0], dim, more=1)
    return g.op("Concat", *(g.unsqueeze(t, [axis]) for t in g.together(*tensors)), axis=axis)


def _from_sequence(g: Kit, sequence: Sequence, dim: int, *, new: bool) -> Any:
    axis = g.axis(sequence.like, dim, more=int(new))
    made = g.op("ConcatFromSequence", sequence.value, axis=axis, new_axis=int(new))
    made.type, made.shape = sequence.like.type, g.ir.Shape([None] * (g.rank(sequence.like) + new))
    return made


@TABLE("split", "split_with_sizes", "unsafe_split")
def split(g: Kit, x: Any, sizes: Any, dim: int = 0) -> list[Any]:
    axis = g.axis(x, dim)
    if not isinstance(sizes, (list, tuple)):
        step = g.int_of(sizes, "the size of a part")
        total = g.int_of(g.size(x, axis), "the size of an axis that is split")
        g.made(-(-total // max(step, 1)), "parts")
        sizes = [min(step, total - at) for at in range(0, total, step)] or [0]
    if len(sizes) == 1:
        return [g.op("Identity", x)]
    return list(g.op("Split", x, g.vector(sizes), outputs=len(sizes), axis=axis))


@TABLE("chunk", "unsafe_chunk")
def chunk(g: Kit, x: Any, chunks: int, dim: int = 0) -> list[Any]:
    axis = g.axis(x, dim)
    total = g.int_of(g.size(x, axis), "the size of an axis that is cut in chunks")
    return split(g, x, max(1, -(-total // chunks)), axis)


@TABLE("tensor_split")
def tensor_split(g: Kit, x: Any, sections: Any, dim: int = 0) -> list[Any]:
    axis = g.axis(x, dim)
    total = g.int_of(g.size(x, axis), "the size of an axis that is split")
    if isinstance(sections, int):
        g.made(sections, "parts")
        short, longer = total // sections, total % sections
        sizes = [short + 1] * longer + [short] * (sections - longer)
    else:
        ends = [0, *(min(s, total) for s in sections), total]
        sizes = [b - a for a, b in pairwise(ends)]
    return split(g, x, sizes, axis)


@TABLE("unbind")
def unbind(g: Kit, x: Any, dim: int = 0) -> list[Any]:
    axis = g.axis(x, dim)
    count = g.int_of(g.size(x, axis), "the number of parts")
    return [select(g, x, axis, i) for i in range(count)]


@TABLE("select")
def select(g: Kit, x: Any, dim: int, index: Any) -> Any:
    return g.op("Gather", x, g.at(index, dtypes.INT64), axis=g.axis(x, dim))


@TABLE("slice")
def slice_(g: Kit, x: Any, dim: int = 0, start: Any = None, end: Any = None, step: Any = 1) -> Any:
    axis = g.axis(x, dim)
    first, last = 0 if start is None else start, LAST if end is None else end
    total = g.dims(x)[axis]
    whole = isinstance(last, int) and (last == LAST or (isinstance(total, int) and last >= total))
    if first == 0 and step == 1 and whole:
        return x
    return g.slice(x, axis, first, last, step)


@TABLE("narrow")
def narrow(g: Kit, x: Any, dim: int, start: Any, length: Any) -> Any:
    if isinstance(start, int) and isinstance(length, int):
        return g.slice(x, g.axis(x, dim), start, start + length)
    first = g.vector([start])
    end = g.op("Add", first, g.vector([length]))
    return g.op("Slice", x, first, end, g.ints([g.axis(x, dim)]))


@TABLE("roll")
def roll(g: Kit, x: Any, shifts: Any, dims: Any = ()) -> Any:
    if not dims:
        return g.reshape(roll(g, g.reshape(x, [-1]), shifts, [0]), g.sizes(x))
    for shift, dim in zip(shifts, g.axes(x, dims), strict=True):
        if shift == 0:
            continue
        x = g.op("Concat", g.slice(x, dim, -shift, LAST), g.slice(x, dim, 0, -shift), axis=dim, dims=g.dims(x))
    return x


@TABLE("flip")
def flip(g: Kit, x: Any, dims: Any) -> Any:
    axes = g.axes(x, dims)
    count = len(axes)
    return g.op(
        "Slice", x, g.ints([-1] * count), g.ints([-LAST] * count), g.ints(axes), g.ints([-1] * count), dims=g.dims(x)
    )


@TABLE("pixel_shuffle")
def pixel_shuffle(g: Kit, x: Any, upscale_factor: int) -> Any:
    return g.op("DepthToSpace", x, blocksize=upscale_factor, mode="CRD")


@TABLE("pixel_unshuffle")
def pixel_unshuffle(g: Kit, x: Any, downscale_factor: int) -> Any:
    n, c, h, w = g.sizes(x)
    r = downscale_factor
    h, w = g.int_of(h, "a height"), g.int_of(w, "a width")
    made = g.transpose(g.reshape(x, [n, c, h // r, r, w // r, r]), [0, 1, 3, 5, 2, 4])
    return g.reshape(made, [n, g.int_of(c, "channels") * r * r, h // r, w // r])


@TABLE("channel_shuffle")
def channel_shuffle(g: Kit, x: Any, groups: int) -> Any:
    n, c, *rest = g.sizes(x)
    made = g.reshape(x, [n, groups, g.int_of(c, "channels") // groups, *rest])
    return g.reshape(transpose(g, made, 1, 2), [n, c, *rest])


@TABLE("unfold")
def unfold(g: Kit, x: Any, dimension: int, size: int, step: int) -> Any:
    axis = g.axis(x, dimension)
    total = g.int_of(g.size(x, axis), "the size of an axis that is unfolded")
    g.made(size * max(total // step, 1), "`unfold`")
    rows = [[start + k for k in range(size)] for start in range(0, total - size + 1, step)]
    made = g.op("Gather", x, g.constant(rows, dtypes.INT64), axis=axis)
    order = [a for a in range(g.rank(made)) if a != axis + 1] + [axis + 1]
    return g.transpose(made, order)


@TABLE("meshgrid")
def meshgrid(g: Kit, tensors: Any, indexing: str = "ij") -> list[Any]:
    if indexing == "xy" and len(tensors) > 1:
        a, b, *rest = meshgrid(g, [tensors[1], tensors[0], *tensors[2:]])
        return [b, a, *rest]
    sizes = [g.size(t, 0) if g.rank(t) else 1 for t in tensors]
    made = []
    for number, tensor in enumerate(tensors):
        shape: list[Any] = [1] * len(tensors)
        shape[number] = -1
        made.append(expand(g, g.reshape(tensor, shape), sizes))
    return made


@TABLE("diff")
def diff(g: Kit, x: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    axis = g.axis(x, dim)
    parts = [p for p in (prepend, x, append) if p is not None]
    x = g.op("Concat", *g.together(*parts), axis=axis) if len(parts) > 1 else x
    for _ in range(n):
        x = g.op("Sub", g.slice(x, axis, 1, LAST), g.slice(x, axis, 0, -1))
    return x
