"""Axes and sizes: views, joins, cuts, and what is asked of a tensor."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Any

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.table import Table
from modelglot.graphs.torchscript.values import Scalar, Sequence, is_number

TABLE = Table()
_LAST = (1 << 63) - 1


@TABLE("size", "prim.shape", "prim.size")
def size(g: Kit, x: Any, dim: Any = None) -> Any:
    return g.sizes(x) if dim is None else g.size(x, g.axis(x, dim))


TABLE["dim"] = TABLE["ndimension"] = TABLE["prim.ndim"] = lambda g, x: g.rank(x)
TABLE["prim.dtype"] = lambda g, x: dtypes.torch_code(g.dtype(x))
TABLE["prim.device"] = lambda g, x: "cpu"
TABLE["prim.layout"] = lambda g, x: 0
TABLE["is_floating_point"] = lambda g, x: dtypes.is_float(g.dtype(x))
TABLE["is_complex"] = lambda g, x: dtypes.category(g.dtype(x)) == 3
for _name in (
    "is_cuda",
    "is_sparse",
    "is_quantized",
    "is_mkldnn",
    "requires_grad",
    "is_mps",
    "is_xpu",
    "is_meta",
    "is_nested",
):
    TABLE[f"prim.{_name}"] = TABLE[_name] = lambda g, x: False
TABLE["is_contiguous"] = lambda g, x, *rest, **more: True
for _name in ("contiguous", "detach", "prim.data", "data", "alias", "lift_fresh", "cpu", "cuda", "pin_memory",
              "requires_grad_", "detach_", "positive", "resolve_conj", "resolve_neg", "set_data"):  # fmt: skip
    TABLE[_name] = lambda g, x, *rest, **more: x


@TABLE("clone")
def clone(g: Kit, x: Any, memory_format: Any = None) -> Any:
    """A new variable: what is done to it in place does not touch the first."""
    return g.op("Identity", x)


@TABLE("numel")
def numel(g: Kit, x: Any) -> Any:
    known = g.dims(x)
    if all(isinstance(d, int) for d in known):
        total = 1
        for dim in known:
            total *= dim if isinstance(dim, int) else 1
        return total
    return Scalar(g.op("Size", x), "int")


@TABLE("view", "reshape", "_unsafe_view", "_reshape_alias")
def view(g: Kit, x: Any, shape: Any, *rest: Any) -> Any:
    if isinstance(shape, int) and not isinstance(shape, bool) and not rest:
        raise UnsupportedError("the bytes of a tensor are read as another type")
    return g.reshape(x, shape)


TABLE["view_as"] = TABLE["reshape_as"] = lambda g, x, other: g.reshape(x, g.sizes(other))


@TABLE("flatten")
def flatten(g: Kit, x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    if g.rank(x) == 0:
        return g.reshape(x, [1])
    first, last = g.axis(x, start_dim), g.axis(x, end_dim)
    if first == last:
        return x
    sizes = g.sizes(x)
    inner = sizes[first : last + 1]
    one: Any = -1
    if all(isinstance(s, int) for s in inner):
        one = prod(int(s) for s in inner if isinstance(s, int))
    return g.reshape(x, [*sizes[:first], one, *sizes[last + 1 :]])


@TABLE("unflatten")
def unflatten(g: Kit, x: Any, dim: int, sizes: Any) -> Any:
    axis, own = g.axis(x, dim), g.sizes(x)
    return g.reshape(x, [*own[:axis], *sizes, *own[axis + 1 :]])


@TABLE("squeeze")
def squeeze(g: Kit, x: Any, dim: Any = None) -> Any:
    dims = g.dims(x)
    axes = g.axes(x, dim)
    unsure = [a for a in axes if not isinstance(dims[a], int)]
    if unsure and dim is None:
        raise UnsupportedError("which axes have size 1 is only known when the graph runs", hint="give the sizes")
    return g.squeeze(x, [a for a in axes if dims[a] == 1 or a in unsure])  # refused by runtimes where it is not 1


@TABLE("unsqueeze")
def unsqueeze(g: Kit, x: Any, dim: int) -> Any:
    return g.unsqueeze(x, [g.axis(x, dim, more=1)])


@TABLE("transpose", "swapaxes", "swapdims")
def transpose(g: Kit, x: Any, dim0: int, dim1: int) -> Any:
    order = list(range(g.rank(x)))
    a, b = g.axis(x, dim0), g.axis(x, dim1)
    if order:
        order[a], order[b] = b, a
    return g.transpose(x, order)


TABLE["t"] = lambda g, x: transpose(g, x, 0, 1) if g.rank(x) == 2 else x
TABLE["numpy_T"] = TABLE["prim.T"] = lambda g, x: g.transpose(x, list(range(g.rank(x)))[::-1])
TABLE["mT"] = TABLE["prim.mT"] = lambda g, x: transpose(g, x, -1, -2)
TABLE["permute"] = lambda g, x, dims: g.transpose(x, g.axes(x, dims))


@TABLE("movedim", "moveaxis")
def movedim(g: Kit, x: Any, source: Any, destination: Any) -> Any:
    froms, tos = g.axes(x, source), g.axes(x, destination)
    order = [a for a in range(g.rank(x)) if a not in froms]
    for to, origin in sorted(zip(tos, froms, strict=True)):
        order.insert(to, origin)
    return g.transpose(x, order)


@TABLE("expand", "broadcast_to")
def expand(g: Kit, x: Any, sizes: Any, implicit: bool = False) -> Any:
    own: list[Any] = g.sizes(x)
    own = [*[1] * (len(sizes) - len(own)), *own]
    wanted = [o if isinstance(s, int) and s == -1 else s for s, o in zip(sizes, own, strict=True)]
    if all(w is o or w == o for w, o in zip(wanted, own, strict=True)) and len(sizes) == g.rank(x):
        return x
    return g.op("Expand", x, g.vector(wanted), dims=[w.axis if isinstance(w, Scalar) else w for w in wanted])


TABLE["expand_as"] = lambda g, x, other: expand(g, x, g.sizes(other))


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
    first, last = 0 if start is None else start, _LAST if end is None else end
    total = g.dims(x)[axis]
    whole = isinstance(last, int) and (last == _LAST or (isinstance(total, int) and last >= total))
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


@TABLE("to", "type_as", "_to_copy")
def to(g: Kit, x: Any, *rest: Any, **named: Any) -> Any:
    """To a type, a device (which is nothing here), or as another tensor."""
    wanted = named.get("dtype")
    for value in rest[:2]:
        if isinstance(value, g.ir.Value):
            return g.cast(x, g.dtype(value))
        if isinstance(value, int) and not isinstance(value, bool):
            wanted = value
    return x if wanted is None else g.cast(x, dtypes.onnx_type(wanted))


for _name, _code in {
    "float": 6,
    "double": 7,
    "half": 5,
    "bfloat16": 15,
    "int": 3,
    "long": 4,
    "bool": 11,
    "byte": 0,
    "char": 1,
}.items():
    TABLE[_name] = TABLE[f"_cast_{_name.capitalize()}"] = lambda g, x, *rest, code=_code: g.cast(
        x, dtypes.onnx_type(code)
    )


@TABLE("item", "Int", "Float", "Bool", "ScalarImplicit", "IntImplicit", "FloatImplicit")
def item(g: Kit, x: Any) -> Any:
    from modelglot.graphs.torchscript.plain import to_number

    kinds = {0: "bool", 1: "int"}
    return to_number(g, x, kinds.get(dtypes.category(g.dtype_of(x)), "float"))


TABLE["prim.NumToTensor"] = lambda g, x: x


@TABLE("copy")
def copy(g: Kit, x: Any, source: Any, non_blocking: bool = False) -> Any:
    """``copy_``: the other's values in this one's type and shape."""
    value = g.at(source, g.dtype(x)) if is_number(source) else g.cast(source, g.dtype(x))
    return value if g.dims(value) == g.dims(x) and None not in g.dims(x) else expand(g, value, g.sizes(x))


@TABLE("fill")
def fill(g: Kit, x: Any, value: Any) -> Any:
    return copy(g, x, value)


TABLE["zero"] = lambda g, x: copy(g, x, 0)


@TABLE("roll")
def roll(g: Kit, x: Any, shifts: Any, dims: Any = ()) -> Any:
    if not dims:
        return g.reshape(roll(g, g.reshape(x, [-1]), shifts, [0]), g.sizes(x))
    for shift, dim in zip(shifts, g.axes(x, dims), strict=True):
        if shift == 0:
            continue
        x = g.op("Concat", g.slice(x, dim, -shift, _LAST), g.slice(x, dim, 0, -shift), axis=dim, dims=g.dims(x))
    return x


@TABLE("flip")
def flip(g: Kit, x: Any, dims: Any) -> Any:
    axes = g.axes(x, dims)
    count = len(axes)
    return g.op(
        "Slice", x, g.ints([-1] * count), g.ints([-_LAST] * count), g.ints(axes), g.ints([-1] * count), dims=g.dims(x)
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
        x = g.op("Sub", g.slice(x, axis, 1, _LAST), g.slice(x, axis, 0, -1))
    return x
