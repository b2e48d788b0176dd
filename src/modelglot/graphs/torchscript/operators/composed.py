"""Operators that are a few of the others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.linear import TABLE as LINEAR
from modelglot.graphs.torchscript.operators.parts import TABLE as PARTS
from modelglot.graphs.torchscript.operators.pointwise import TABLE as POINTWISE
from modelglot.graphs.torchscript.operators.pointwise import add, mul, sub
from modelglot.graphs.torchscript.operators.reduce import TABLE as REDUCE
from modelglot.graphs.torchscript.operators.shape import TABLE as SHAPE
from modelglot.graphs.torchscript.operators.shape import expand
from modelglot.graphs.torchscript.operators.table import Table
from modelglot.graphs.torchscript.values import is_number

TABLE = Table()

# element by element


@TABLE("fmax")
def _fmax(g: Kit, a: Any, b: Any, kind: str = "Max") -> Any:
    """The other one where one is no number."""
    a, b = g.together(a, b)
    if not dtypes.is_float(g.dtype(a)):
        return g.op(kind, a, b)
    either = g.op("Where", g.op("IsNaN", b), a, g.op(kind, a, b))
    return g.op("Where", g.op("IsNaN", a), b, either)


TABLE["fmin"] = lambda g, a, b: _fmax(g, a, b, "Min")
TABLE["hypot"] = lambda g, a, b: g.op("Sqrt", add(g, mul(g, a, a), mul(g, b, b)))
TABLE["ldexp"] = lambda g, x, power: mul(g, x, g.op("Pow", g.constant(2, dtypes.FLOAT), g.floats(power)))
TABLE["deg2rad"] = lambda g, x: mul(g, x, math.pi / 180)
TABLE["rad2deg"] = lambda g, x: mul(g, x, 180 / math.pi)
TABLE["erfc"] = lambda g, x: sub(g, 1, g.op("Erf", g.floats(x)))
TABLE["isposinf"] = lambda g, x: g.op("IsInf", x, detect_negative=0)
TABLE["isneginf"] = lambda g, x: g.op("IsInf", x, detect_positive=0)
TABLE["sgn"] = lambda g, x: g.op("Sign", x)
TABLE["signbit"] = lambda g, x: g.op("Less", x, g.constant(0, g.dtype(x)))


@TABLE("xlogy")
def xlogy(g: Kit, a: Any, b: Any) -> Any:
    a, b = g.together(a, b, floats=True)
    zero = g.constant(0, g.dtype(a))
    made = g.op("Where", g.op("Equal", a, zero), zero, g.op("Mul", a, g.op("Log", b)))
    return g.op("Where", g.op("IsNaN", b), b, made)


@TABLE("heaviside")
def heaviside(g: Kit, x: Any, values: Any) -> Any:
    x, values = g.together(x, values)
    zero, one = (g.constant(n, g.dtype(x)) for n in (0, 1))
    return g.op("Where", g.op("Equal", x, zero), values, g.op("Where", g.op("Greater", x, zero), one, zero))


def _log_add(base: float) -> Callable[..., Any]:
    def made(g: Kit, a: Any, b: Any) -> Any:
        a, b = g.together(a, b, floats=True)
        factor = g.constant(math.log(base), g.dtype(a))
        a, b = g.op("Mul", a, factor), g.op("Mul", b, factor)
        apart = g.op("Softplus", g.op("Neg", g.op("Abs", g.op("Sub", a, b))))
        return g.op("Div", g.op("Add", g.op("Max", a, b), apart), factor)

    return made


TABLE["logaddexp"], TABLE["logaddexp2"] = _log_add(math.e), _log_add(2)


@TABLE("logit")
def logit(g: Kit, x: Any, eps: Any = None) -> Any:
    x = g.floats(x)
    if eps is not None:
        x = g.op("Clip", x, g.constant(eps, g.dtype(x)), g.constant(1 - eps, g.dtype(x)))
    return g.op("Log", g.op("Div", x, sub(g, 1, x)))


@TABLE("sinc")
def sinc(g: Kit, x: Any) -> Any:
    x = g.floats(x)
    turned = g.op("Mul", x, g.constant(math.pi, g.dtype(x)))
    zero, one = (g.constant(n, g.dtype(x)) for n in (0, 1))
    return g.op("Where", g.op("Equal", x, zero), one, g.op("Div", g.op("Sin", turned), turned))


@TABLE("nan_to_num")
def nan_to_num(g: Kit, x: Any, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Any:
    dtype = g.dtype(x)
    if not dtypes.is_float(dtype):
        return x
    limits = dtypes.limits(dtype)
    for test, value in (
        (g.op("IsNaN", x), nan or 0.0),
        (g.op("IsInf", x, detect_negative=0), limits[1] if posinf is None else posinf),
        (g.op("IsInf", x, detect_positive=0), limits[0] if neginf is None else neginf),
    ):
        x = g.op("Where", test, g.constant(value, dtype), x)
    return x


@TABLE("isclose")
def isclose(g: Kit, a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    a, b = g.together(a, b)
    near = POINTWISE["le"](g, g.op("Abs", g.op("Sub", a, b)), add(g, atol, mul(g, g.op("Abs", b), rtol)))
    found = g.op("Or", g.op("Equal", a, b), g.op("And", near, POINTWISE["isfinite"](g, b)))
    if equal_nan:
        found = g.op("Or", found, g.op("And", g.op("IsNaN", a), g.op("IsNaN", b)))
    return found


# put together and cut


def _at_least(axes: int) -> Callable[..., Any]:
    def made(g: Kit, x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return [made(g, one) for one in x]
        missing = axes - g.rank(x)
        if missing <= 0:
            return x
        where = {1: [0], 2: [0] if missing == 1 else [0, 1], 3: {1: [2], 2: [0, 2], 3: [0, 1, 2]}.get(missing, [])}
        return g.unsqueeze(x, where[axes])

    return made


for _axes in (1, 2, 3):
    TABLE[f"atleast_{_axes}d"] = _at_least(_axes)
TABLE["vstack"] = lambda g, tensors: PARTS["cat"](g, [_at_least(2)(g, t) for t in tensors], 0)
TABLE["hstack"] = lambda g, tensors: PARTS["cat"](g, tensors, 0 if g.rank(tensors[0]) < 2 else 1)
TABLE["dstack"] = lambda g, tensors: PARTS["cat"](g, [_at_least(3)(g, t) for t in tensors], 2)
TABLE["vsplit"] = lambda g, x, sections: PARTS["tensor_split"](g, x, sections, 0)
TABLE["hsplit"] = lambda g, x, sections: PARTS["tensor_split"](g, x, sections, 0 if g.rank(x) == 1 else 1)
TABLE["dsplit"] = lambda g, x, sections: PARTS["tensor_split"](g, x, sections, 2)
TABLE["fliplr"] = lambda g, x: PARTS["flip"](g, x, [1])
TABLE["flipud"] = lambda g, x: PARTS["flip"](g, x, [0])
TABLE["ravel"] = lambda g, x: g.reshape(x, [-1])


@TABLE("column_stack")
def column_stack(g: Kit, tensors: Any) -> Any:
    columns = [t if g.rank(t) > 1 else g.reshape(t, [-1, 1]) for t in tensors]
    return PARTS["cat"](g, columns, 1)


@TABLE("rot90")
def rot90(g: Kit, x: Any, k: int = 1, dims: Any = (0, 1)) -> Any:
    first, second = g.axes(x, list(dims))
    order = list(range(g.rank(x)))
    order[first], order[second] = second, first
    turns: dict[int, Callable[[], Any]] = {
        0: lambda: g.op("Identity", x),
        1: lambda: g.transpose(PARTS["flip"](g, x, [second]), order),
        2: lambda: PARTS["flip"](g, x, [first, second]),
        3: lambda: PARTS["flip"](g, g.transpose(x, order), [second]),
    }
    return turns[k % 4]()


@TABLE("broadcast_tensors")
def broadcast_tensors(g: Kit, tensors: Any) -> list[Any]:
    total = tensors[0]
    for other in tensors[1:]:
        total = g.op("Or", *(g.cast(v, dtypes.BOOL) for v in (total, other)))
    return [expand(g, t, g.sizes(total)) for t in tensors]


@TABLE("diagonal")
def diagonal(g: Kit, x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    first, second = g.axis(x, dim1), g.axis(x, dim2)
    order = [a for a in range(g.rank(x)) if a not in (first, second)] + [first, second]
    x = g.transpose(x, order)
    *rest, rows, columns = g.sizes(x)
    high, wide = g.int_of(rows, "the rows of a diagonal"), g.int_of(columns, "the columns of a diagonal")
    count = max(min(high - max(-offset, 0), wide - max(offset, 0)), 0)
    places = [(i + max(-offset, 0)) * wide + i + max(offset, 0) for i in range(g.made(count, "a diagonal"))]
    return g.op("Gather", g.reshape(x, [*rest, high * wide]), g.ints(places), axis=len(rest))


@TABLE("diag")
def diag(g: Kit, x: Any, diagonal_: int = 0) -> Any:
    if g.rank(x) == 2:
        return diagonal(g, x, diagonal_)
    if diagonal_ != 0:
        raise UnsupportedError("`diag` beside the diagonal")
    size = g.size(x, 0)
    square = g.op("EyeLike", g.full([size, size], 0, g.dtype(x)))
    return g.op("Mul", square, g.unsqueeze(x, [0]))


TABLE["trace"] = lambda g, x: REDUCE["sum"](g, diagonal(g, x))


@TABLE("select_scatter")
def select_scatter(g: Kit, x: Any, source: Any, dim: int, index: Any) -> Any:
    from modelglot.graphs.torchscript.views import VIEWS

    return VIEWS["select"](g, x, source, dim, index)


@TABLE("slice_scatter")
def slice_scatter(g: Kit, x: Any, source: Any, dim: int = 0, start: Any = None, end: Any = None, step: Any = 1) -> Any:
    from modelglot.graphs.torchscript.views import VIEWS

    return VIEWS["slice"](g, x, source, dim, start, end, step)


@TABLE("take_along_dim")
def take_along_dim(g: Kit, x: Any, indices: Any, dim: Any = None) -> Any:
    if dim is None:
        return g.op("GatherElements", g.reshape(x, [-1]), g.reshape(indices, [-1]), axis=0)
    axis = g.axis(x, dim)
    pairs = enumerate(zip(g.sizes(x), g.sizes(indices), strict=True))
    wide = [a if n == axis or b == 1 else b for n, (a, b) in pairs]
    narrow = [w if n != axis else s for n, (w, s) in enumerate(zip(wide, g.sizes(indices), strict=True))]
    return g.op("GatherElements", expand(g, x, wide), expand(g, indices, narrow), axis=axis)


# products


def _added(product: Callable[..., Any]) -> Callable[..., Any]:
    """``beta * c + alpha * product``; with a beta of 0 the first is not looked at."""

    def made(g: Kit, c: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Any:
        scaled = mul(g, product(g, a, b), alpha)
        return expand(g, scaled, g.sizes(scaled)) if beta == 0 else add(g, scaled, mul(g, c, beta))

    return made


TABLE["addmv"], TABLE["addr"] = _added(LINEAR["mv"]), _added(LINEAR["outer"])
TABLE["vdot"] = lambda g, a, b: g.op("MatMul", a, b)


@TABLE("inner")
def inner(g: Kit, a: Any, b: Any) -> Any:
    if 0 in (g.rank(a), g.rank(b)):
        return mul(g, a, b)
    return tensordot(g, a, b, [g.rank(a) - 1], [g.rank(b) - 1])


@TABLE("tensordot")
def tensordot(g: Kit, a: Any, b: Any, dims_a: Any, dims_b: Any) -> Any:
    letters = "abcdefghijklmnopqrstuvwxyz"
    first, rest = list(letters[: g.rank(a)]), iter(letters[g.rank(a) :])
    second = [""] * g.rank(b)
    for x, y in zip(g.axes(a, list(dims_a)), g.axes(b, list(dims_b)), strict=True):
        second[y] = first[x]
    second = [s or next(rest) for s in second]
    kept = [c for c in first if c not in second] + [c for c in second if c not in first]
    return g.op("Einsum", a, b, equation=f"{''.join(first)},{''.join(second)}->{''.join(kept)}")


@TABLE("cross", "linalg_cross")
def cross(g: Kit, a: Any, b: Any, dim: Any = None) -> Any:
    axis = g.axis(a, dim) if dim is not None else next(i for i, d in enumerate(g.dims(a)) if d == 3)
    one, two = ([1, 2, 0], [2, 0, 1])

    def turned(x: Any, order: list[int]) -> Any:
        return g.op("Gather", x, g.ints(order), axis=axis)

    return g.op("Sub", g.op("Mul", turned(a, one), turned(b, two)), g.op("Mul", turned(a, two), turned(b, one)))


# over axes


TABLE["aminmax"] = lambda g, x, dim=None, keepdim=False: tuple(
    REDUCE[kind](g, x, () if dim is None else (dim,), keepdim) for kind in ("amin", "amax")
)
TABLE["dist"] = lambda g, a, b, p=2: REDUCE["norm"](g, sub(g, a, b), p)
TABLE["msort"] = lambda g, x: REDUCE["sort"](g, x, 0)[0]


@TABLE("std_mean")
def std_mean(g: Kit, *values: Any, **named: Any) -> Any:
    variance, mean = REDUCE["var_mean"](g, *values, **named)
    return (g.op("Sqrt", variance), mean)


@TABLE("nansum")
def nansum(g: Kit, x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    known = g.op("Where", g.op("IsNaN", x), g.constant(0, g.dtype(x)), x) if dtypes.is_float(g.dtype(x)) else x
    return REDUCE["sum"](g, known, dim, keepdim, dtype)


@TABLE("nanmean")
def nanmean(g: Kit, x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    count = REDUCE["sum"](g, g.cast(g.op("Not", g.op("IsNaN", x)), g.dtype(x)), dim, keepdim)
    return g.op("Div", nansum(g, x, dim, keepdim, dtype), count)


@TABLE("kthvalue")
def kthvalue(g: Kit, x: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The smallest k in order, and the last of them."""
    axis = g.axis(x, dim)
    found = REDUCE["topk"](g, x, k, axis, False)
    last = [g.op("Gather", v, g.constant(k - 1), axis=axis) for v in found]
    return tuple(g.unsqueeze(v, [axis]) for v in last) if keepdim else tuple(last)


@TABLE("median")
def median(g: Kit, x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The lower one of two in the middle."""
    if dim is None:
        return median(g, g.reshape(x, [-1]), 0)[0]
    size = g.int_of(g.size(x, g.axis(x, dim)), "the number of elements of a median")
    return kthvalue(g, x, (size - 1) // 2 + 1, dim, keepdim)


@TABLE("pairwise_distance")
def pairwise_distance(g: Kit, a: Any, b: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    return REDUCE["norm"](g, add(g, sub(g, a, b), eps), p, [-1], keepdim)


# by number


@TABLE("bucketize")
def bucketize(g: Kit, x: Any, boundaries: Any, out_int32: bool = False, right: bool = False) -> Any:
    """How many boundaries lie below."""
    value = g.constant(x) if is_number(x) else x
    kind = "LessOrEqual" if right else "Less"
    below = g.op(kind, *g.together(boundaries, g.unsqueeze(value, [g.rank(value)])))
    count = g.op("ReduceSum", g.cast(below, dtypes.INT64), g.ints([-1]), keepdims=0)
    return g.cast(count, dtypes.onnx_type(3)) if out_int32 else count


@TABLE("searchsorted")
def searchsorted(
    g: Kit, boundaries: Any, x: Any, out_int32: bool = False, right: bool = False, side: Any = None, sorter: Any = None
) -> Any:
    if g.rank(boundaries) != 1 or sorter is not None:
        raise UnsupportedError("`searchsorted` in more than one row, or with a sorter")
    return bucketize(g, x, boundaries, out_int32, right or side == "right")


@TABLE("index_add")
def index_add(g: Kit, x: Any, dim: int, index: Any, source: Any, alpha: Any = 1) -> Any:
    if g.rank(x) == 0:
        raise UnsupportedError("`index_add` into a number")
    axis = g.axis(x, dim)
    order = [axis] + [a for a in range(g.rank(x)) if a != axis]
    values = g.transpose(mul(g, g.cast(source, g.dtype(x)), alpha), order)
    where = g.unsqueeze(g.reshape(index, [-1]), [1])
    made = g.op("ScatterND", g.transpose(x, order), where, values, reduction="add")
    return g.transpose(made, [order.index(a) for a in range(len(order))])


@TABLE("scatter_reduce")
def scatter_reduce(
    g: Kit, x: Any, dim: int, index: Any, src: Any, reduce: str = "sum", include_self: bool = True
) -> Any:
    kinds = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min"}
    if reduce not in kinds or not include_self or g.rank(x) == 0:
        raise UnsupportedError(f"`scatter_reduce` by `{reduce}`, or without the first values")
    if g.dims(src) != g.dims(index):
        src = g.op("Slice", src, g.ints([0] * g.rank(index)), g.vector(g.sizes(index)))
    return g.op("ScatterElements", x, index, src, axis=g.axis(x, dim), reduction=kinds[reduce])


@TABLE("isin")
def isin(g: Kit, x: Any, values: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    value, rank = (g.plain(x), 0) if is_number(x) else (x, g.rank(x))
    others = g.plain(values) if is_number(values) else values
    same = g.op("Equal", *g.together(g.unsqueeze(value, [rank]), g.reshape(others, [-1])))
    found = REDUCE["any"](g, same, -1)
    return g.op("Not", found) if invert else found


for _name in ("expand", "permute", "squeeze", "t", "transpose", "unsqueeze", "view"):
    TABLE[f"{_name}_copy"] = SHAPE[_name]
for _name in ("unbind", "unfold", "narrow", "split", "split_with_sizes", "slice", "select"):
    TABLE[f"{_name}_copy"] = PARTS[_name]
TABLE["diagonal_copy"], TABLE["alias_copy"] = diagonal, SHAPE["alias"]
