"""Axes and sizes: views, and what is asked of a tensor."""

from __future__ import annotations

from math import prod
from typing import Any

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.table import Table
from modelglot.graphs.torchscript.values import Scalar

TABLE = Table()


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
    if not dims:
        return x
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
