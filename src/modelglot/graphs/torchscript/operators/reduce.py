"""Over axes: sums, extremes, norms, softmax, sorting, running sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.pointwise import TABLE as POINTWISE
from modelglot.graphs.torchscript.operators.shape import expand
from modelglot.graphs.torchscript.operators.table import Table

TABLE = Table()


def _over(g: Kit, kind: str, x: Any, dim: Any, keepdim: bool) -> Any:
    """ONNX's ``Reduce*`` with axes as an input; no axes are all of them."""
    whole = dim is None or dim in ([], ()) or g.rank(x) == 0
    axes = None if whole else g.ints(g.axes(x, dim))
    return g.op(kind, x, axes, keepdims=int(keepdim))


def _reduction(kind: str, *, floats: bool = False) -> Callable[..., Any]:
    def made(g: Kit, x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
        if isinstance(dim, int) and not isinstance(keepdim, bool):  # sum(x, dtype)
            dim, keepdim = None, False
        if dtype is not None:
            x = g.cast(x, dtypes.onnx_type(dtype))
        elif floats:
            x = g.floats(x)
        elif not dtypes.is_float(g.dtype(x)):
            x = g.cast(x, dtypes.INT64)
        return _over(g, kind, x, dim, keepdim)

    return made


TABLE["sum"], TABLE["mean"] = _reduction("ReduceSum"), _reduction("ReduceMean", floats=True)
TABLE["prod"] = _reduction("ReduceProd")
TABLE["amax"] = lambda g, x, dim=(), keepdim=False: _over(g, "ReduceMax", x, list(dim) or None, keepdim)
TABLE["amin"] = lambda g, x, dim=(), keepdim=False: _over(g, "ReduceMin", x, list(dim) or None, keepdim)
TABLE["logsumexp"] = lambda g, x, dim, keepdim=False: _over(g, "ReduceLogSumExp", g.floats(x), dim, keepdim)


def _extreme(reduce: str, arg: str, both: Callable[..., Any]) -> Callable[..., Any]:
    def made(g: Kit, x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if isinstance(dim, g.ir.Value):
            return both(g, x, dim)
        if dim is None:
            return g.op(reduce, x, keepdims=0)
        axis = g.axis(x, dim)
        if g.rank(x) == 0:
            return (g.op("Identity", x), g.constant(0))
        return (_over(g, reduce, x, axis, keepdim), g.op(arg, x, axis=axis, keepdims=int(keepdim)))

    return made


TABLE["max"] = _extreme("ReduceMax", "ArgMax", POINTWISE["maximum"])
TABLE["min"] = _extreme("ReduceMin", "ArgMin", POINTWISE["minimum"])


def _position(kind: str) -> Callable[..., Any]:
    def made(g: Kit, x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if dim is None:
            return g.op(kind, g.reshape(x, [-1]), axis=0, keepdims=0)
        if g.rank(x) == 0:
            return g.constant(0)
        return g.op(kind, x, axis=g.axis(x, dim), keepdims=int(keepdim))

    return made


TABLE["argmax"], TABLE["argmin"] = _position("ArgMax"), _position("ArgMin")


@TABLE("any")
def any_(g: Kit, x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    made = _over(g, "ReduceMax", g.cast(g.cast(x, dtypes.BOOL), dtypes.FLOAT), dim, keepdim)
    return g.cast(made, dtypes.BOOL)


@TABLE("all")
def all_(g: Kit, x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    made = _over(g, "ReduceMin", g.cast(g.cast(x, dtypes.BOOL), dtypes.FLOAT), dim, keepdim)
    return g.cast(made, dtypes.BOOL)


def variance(g: Kit, x: Any, dim: Any, correction: Any, keepdim: bool) -> Any:
    mean = _over(g, "ReduceMean", x, dim, True)
    apart = g.op("Sub", x, mean)
    squares = _over(g, "ReduceSum", g.op("Mul", apart, apart), dim, keepdim)
    axes = g.axes(x, None if dim is None or dim == [] else dim)
    count: Any = 1
    for axis in axes:
        size = g.int_of(g.size(x, axis), "the number of elements of a variance")
        count *= size
    return g.op("Div", squares, g.constant(max(count - correction, 0), g.dtype(x)))


@TABLE("var")
def var(g: Kit, x: Any, dim: Any = None, unbiased: Any = True, keepdim: bool = False, correction: Any = None) -> Any:
    if isinstance(dim, bool):  # var(x, unbiased)
        dim, unbiased = None, dim
    return variance(g, x, dim, int(unbiased) if correction is None else correction, keepdim)


@TABLE("std")
def std(g: Kit, *values: Any, **named: Any) -> Any:
    return g.op("Sqrt", var(g, *values, **named))


@TABLE("var_mean")
def var_mean(g: Kit, x: Any, dim: Any = None, *rest: Any, **named: Any) -> Any:
    keepdim = rest[1] if len(rest) > 1 else named.get("keepdim", False)
    return (var(g, x, dim, *rest, **named), _over(g, "ReduceMean", x, dim, keepdim))


@TABLE("norm", "linalg_vector_norm", "frobenius_norm", "linalg_norm")
def norm(g: Kit, x: Any, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    kinds = {1: "ReduceL1", 2: "ReduceL2", None: "ReduceL2"}
    if abs(p or 0) == float("inf"):
        return _over(g, "ReduceMax" if p > 0 else "ReduceMin", g.op("Abs", x), dim, keepdim)
    if p == 0:
        nonzero = g.cast(g.cast(x, dtypes.BOOL), g.dtype(x))
        return _over(g, "ReduceSum", nonzero, dim, keepdim)
    if p not in kinds:
        dtype = g.dtype(x)
        powers = _over(g, "ReduceSum", g.op("Pow", g.op("Abs", x), g.constant(p, dtype)), dim, keepdim)
        return g.op("Pow", powers, g.constant(1 / p, dtype))
    return _over(g, kinds[p], x, dim, keepdim)


def _soft(kind: str) -> Callable[..., Any]:
    def made(g: Kit, x: Any, dim: int, dtype: Any = None) -> Any:
        x = (
            g.cast(x, dtypes.onnx_type(dtype))
            if isinstance(dtype, int) and not isinstance(dtype, bool)
            else g.floats(x)
        )
        if g.rank(x) == 0:
            return g.squeeze(g.op(kind, g.unsqueeze(x, [0]), axis=0), [0])
        return g.op(kind, x, axis=g.axis(x, dim))

    return made


TABLE["softmax"] = TABLE["_softmax"] = _soft("Softmax")
TABLE["log_softmax"] = TABLE["_log_softmax"] = _soft("LogSoftmax")
TABLE["softmin"] = lambda g, x, dim, dtype=None: TABLE["softmax"](g, g.op("Neg", x), dim, dtype)


@TABLE("cumsum")
def cumsum(g: Kit, x: Any, dim: int, dtype: Any = None) -> Any:
    if dtype is not None:
        x = g.cast(x, dtypes.onnx_type(dtype))
    elif not dtypes.is_float(g.dtype(x)):
        x = g.cast(x, dtypes.INT64)
    if g.rank(x) == 0:
        return x
    return g.op("CumSum", x, g.constant(g.axis(x, dim)))


@TABLE("topk")
def topk(g: Kit, x: Any, k: Any, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    made = g.op("TopK", x, g.vector([k]), outputs=2, axis=g.axis(x, dim), largest=int(largest), sorted=int(sorted))
    return tuple(made)


@TABLE("sort")
def sort(g: Kit, x: Any, *rest: Any, stable: Any = None, dim: int = -1, descending: bool = False) -> Any:
    if len(rest) == 3:  # sort(x, stable, dim, descending)
        rest = rest[1:]
    dim = rest[0] if rest else dim
    descending = rest[1] if len(rest) > 1 else descending
    axis = g.axis(x, dim)
    return topk(g, x, g.size(x, axis), axis, descending)


TABLE["argsort"] = lambda g, x, *rest, **named: sort(g, x, *rest, **named)[1]


@TABLE("normalize")
def normalize(g: Kit, x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    size = g.op("Max", norm(g, x, p, [dim], True), g.constant(eps, g.dtype(x)))
    return g.op("Div", x, size)


@TABLE("cosine_similarity")
def cosine_similarity(g: Kit, a: Any, b: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    product = g.op("Mul", a, b)
    dot = _over(g, "ReduceSum", product, dim, False)
    low = g.constant(eps, g.dtype(a))
    a, b = (expand(g, v, g.sizes(product)) for v in (a, b))
    sizes = [g.op("Max", norm(g, v, 2, [dim], False), low) for v in (a, b)]
    return g.op("Div", dot, g.op("Mul", *sizes))


@TABLE("count_nonzero")
def count_nonzero(g: Kit, x: Any, dim: Any = None) -> Any:
    return _over(g, "ReduceSum", g.cast(g.cast(x, dtypes.BOOL), dtypes.INT64), dim, False)
