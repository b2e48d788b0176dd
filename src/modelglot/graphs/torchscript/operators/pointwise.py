"""Element by element: arithmetic, comparisons, activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.table import Table
from modelglot.graphs.torchscript.values import Scalar, is_number

TABLE = Table()


def _unary(kind: str, *, floats: bool = True) -> Callable[..., Any]:
    return lambda g, x, *rest: g.op(kind, g.floats(x) if floats else x)


_FLOAT = {
    "sqrt": "Sqrt", "exp": "Exp", "log": "Log", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin",
    "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "asinh": "Asinh", "acosh": "Acosh",
    "atanh": "Atanh", "arcsin": "Asin", "arccos": "Acos", "arctan": "Atan", "sigmoid": "Sigmoid", "erf": "Erf",
    "reciprocal": "Reciprocal", "hardswish": "HardSwish", "isinf": "IsInf", "isnan": "IsNaN",
}  # fmt: skip
for _name, _kind in _FLOAT.items():
    TABLE[_name] = _unary(_kind)
for _name, _kind in {"abs": "Abs", "neg": "Neg", "negative": "Neg", "relu": "Relu", "sign": "Sign"}.items():
    TABLE[_name] = _unary(_kind, floats=False)


def _rounding(kind: str) -> Callable[..., Any]:
    """Integers are whole already."""

    def made(g: Kit, x: Any, decimals: int = 0) -> Any:
        if not dtypes.is_float(g.dtype(x)) or not decimals:
            return g.op(kind, x) if dtypes.is_float(g.dtype(x)) else x
        factor = g.constant(10.0**decimals, g.dtype(x))
        return g.op("Div", g.op(kind, g.op("Mul", x, factor)), factor)

    return made


for _name, _kind in {"floor": "Floor", "ceil": "Ceil", "round": "Round"}.items():
    TABLE[_name] = _rounding(_kind)


def _binary(kind: str, *, floats: bool = False) -> Callable[..., Any]:
    def made(g: Kit, a: Any, b: Any) -> Any:
        return g.op(kind, *g.together(a, b, floats=floats))

    return made


TABLE["minimum"] = _binary("Min")
TABLE["maximum"] = _binary("Max")
TABLE["prim.min"], TABLE["prim.max"] = TABLE["minimum"], TABLE["maximum"]


@TABLE("mul", "multiply")
def mul(g: Kit, a: Any, b: Any) -> Any:
    a, b = g.together(a, b)
    return g.op("And" if g.dtype(a) == dtypes.BOOL else "Mul", a, b)


@TABLE("add")
def add(g: Kit, a: Any, b: Any, alpha: Any = 1) -> Any:
    a, b = g.together(a, b)
    return g.op("Or" if g.dtype(a) == dtypes.BOOL else "Add", a, _scaled(g, b, alpha))


@TABLE("sub", "subtract")
def sub(g: Kit, a: Any, b: Any, alpha: Any = 1) -> Any:
    a, b = g.together(a, b)
    return g.op("Sub", a, _scaled(g, b, alpha))


@TABLE("rsub")
def rsub(g: Kit, a: Any, b: Any, alpha: Any = 1) -> Any:
    return sub(g, b, a, alpha)


def _scaled(g: Kit, value: Any, alpha: Any) -> Any:
    return value if alpha == 1 else g.op("Mul", value, g.at(alpha, g.dtype(value)))


@TABLE("div", "divide", "true_divide")
def div(g: Kit, a: Any, b: Any, rounding_mode: str | None = None) -> Any:
    if rounding_mode == "floor":
        return floor_divide(g, a, b)
    if rounding_mode == "trunc":
        return trunc(g, g.op("Div", *g.together(a, b)))
    return g.op("Div", *g.together(a, b, floats=True))


@TABLE("floor_divide", "floordiv")
def floor_divide(g: Kit, a: Any, b: Any) -> Any:
    a, b = g.together(a, b)
    if dtypes.is_float(g.dtype(a)):
        return g.op("Floor", g.op("Div", a, b))
    rest = g.op("Mod", a, b)  # of the sign of the divisor, as Python's
    return g.op("Div", g.op("Sub", a, rest), b)


@TABLE("trunc", "fix")
def trunc(g: Kit, x: Any) -> Any:
    if not dtypes.is_float(g.dtype(x)):
        return x
    return g.op("Mul", g.op("Sign", x), g.op("Floor", g.op("Abs", x)))


@TABLE("frac")
def frac(g: Kit, x: Any) -> Any:
    return g.op("Sub", x, trunc(g, x))


@TABLE("remainder")
def remainder(g: Kit, a: Any, b: Any) -> Any:
    a, b = g.together(a, b)
    if not dtypes.is_float(g.dtype(a)):
        return g.op("Mod", a, b)
    return g.op("Sub", a, g.op("Mul", b, g.op("Floor", g.op("Div", a, b))))


@TABLE("fmod")
def fmod(g: Kit, a: Any, b: Any) -> Any:
    return g.op("Mod", *g.together(a, b), fmod=1)


@TABLE("pow")
def power(g: Kit, a: Any, b: Any) -> Any:
    dtype = g.promoted([a, b])
    if b == 2 and not is_number(a):
        return g.op("Mul", a, a)
    a, b = (g.at(v, dtype) if is_number(v) else g.cast(v, dtype) for v in (a, b))
    return g.op("Pow", a, b)


@TABLE("float_power")
def float_power(g: Kit, a: Any, b: Any) -> Any:
    return g.op("Pow", *(g.at(v, dtypes.DOUBLE) if is_number(v) else g.cast(v, dtypes.DOUBLE) for v in (a, b)))


@TABLE("square")
def square(g: Kit, x: Any) -> Any:
    return g.op("Mul", x, x)


@TABLE("atan2", "arctan2")
def atan2(g: Kit, y: Any, x: Any) -> Any:
    """The quadrant by hand: ONNX has one argument."""
    y, x = g.together(y, x, floats=True)
    dtype = g.dtype(y)
    zero, pi = g.constant(0, dtype), g.constant(math.pi, dtype)
    base = g.op("Atan", g.op("Div", y, x))
    turned = g.op("Where", g.op("Less", y, zero), g.op("Sub", base, pi), g.op("Add", base, pi))
    found = g.op("Where", g.op("Less", x, zero), turned, base)
    origin = g.op("And", g.op("Equal", y, zero), g.op("Equal", x, zero))
    return g.op("Where", origin, zero, found)


@TABLE("rsqrt")
def rsqrt(g: Kit, x: Any) -> Any:
    return g.op("Reciprocal", g.op("Sqrt", g.floats(x)))


def _log_of(base: float) -> Callable[..., Any]:
    return lambda g, x: g.op("Div", g.op("Log", g.floats(x)), g.constant(math.log(base), g.dtype(g.floats(x))))


TABLE["log2"], TABLE["log10"] = _log_of(2), _log_of(10)
TABLE["log1p"] = lambda g, x: g.op("Log", g.op("Add", g.floats(x), g.constant(1, g.dtype(g.floats(x)))))
TABLE["expm1"] = lambda g, x: g.op("Sub", g.op("Exp", g.floats(x)), g.constant(1, g.dtype(g.floats(x))))
TABLE["exp2"] = lambda g, x: g.op("Pow", g.constant(2, g.dtype(g.floats(x))), g.floats(x))

# comparisons and logic


def _comparison(kind: str, negated: bool = False) -> Callable[..., Any]:
    def made(g: Kit, a: Any, b: Any) -> Any:
        if isinstance(a, (list, tuple)) or isinstance(b, (list, tuple)):
            return _lists(g, list(a), list(b), negated)
        same = isinstance(a, Scalar) and isinstance(b, Scalar) and a.axis is not None and a.axis == b.axis
        if same and kind == "Equal":
            return not negated
        values = g.together(a, b)
        if kind != "Equal" and g.dtype(values[0]) == dtypes.BOOL:
            values = [g.cast(v, dtypes.INT64) for v in values]
        found = g.op(kind, *values)
        return g.op("Not", found) if negated else found

    return made


def _lists(g: Kit, a: list[Any], b: list[Any], negated: bool) -> Any:
    """Shapes are compared size by size."""
    if len(a) != len(b):
        return negated
    found: Any = None
    for x, y in zip(a, b, strict=True):
        if (not isinstance(x, Scalar) and not isinstance(y, Scalar) and x == y) or (
            isinstance(x, Scalar) and isinstance(y, Scalar) and x.axis is not None and x.axis == y.axis
        ):
            continue
        if not isinstance(x, Scalar) and not isinstance(y, Scalar):
            return negated
        same = g.op("Equal", *g.together(x, y))
        found = same if found is None else g.op("And", found, same)
    if found is None:
        return not negated
    return Scalar(g.op("Not", found) if negated else found, "bool")


TABLE["eq"], TABLE["ne"] = _comparison("Equal"), _comparison("Equal", True)
TABLE["not_equal"] = TABLE["ne"]
TABLE["lt"], TABLE["gt"] = _comparison("Less"), _comparison("Greater")
TABLE["le"], TABLE["ge"] = _comparison("LessOrEqual"), _comparison("GreaterOrEqual")


def _logic(kind: str, *, integers: str | None = None) -> Callable[..., Any]:
    def made(g: Kit, a: Any, b: Any) -> Any:
        first, second = g.together(a, b)
        if integers is not None and g.dtype(first) != dtypes.BOOL:
            return g.op(integers, first, second)
        return g.op(kind, g.cast(first, dtypes.BOOL), g.cast(second, dtypes.BOOL))

    return made


for _kind in ("And", "Or", "Xor"):
    _low = _kind.lower()
    for _name in (f"__{_low}__", f"__i{_low}__", f"bitwise_{_low}"):
        TABLE[_name] = _logic(_kind, integers=f"Bitwise{_kind}")
    TABLE[f"logical_{_low}"] = _logic(_kind)


@TABLE("logical_not", "__not__")
def logical_not(g: Kit, x: Any) -> Any:
    return g.op("Not", g.cast(x, dtypes.BOOL))


@TABLE("bitwise_not")
def bitwise_not(g: Kit, x: Any) -> Any:
    return g.op("Not" if g.dtype(x) == dtypes.BOOL else "BitwiseNot", x)


@TABLE("isfinite")
def isfinite(g: Kit, x: Any) -> Any:
    return g.op("Not", g.op("Or", g.op("IsInf", x), g.op("IsNaN", x)))


@TABLE("where")
def where(g: Kit, condition: Any, a: Any = None, b: Any = None) -> Any:
    if a is None or b is None:
        raise UnsupportedError("`where` of a condition alone")
    return g.op("Where", g.cast(condition, dtypes.BOOL), *g.together(a, b))


@TABLE("masked_fill")
def masked_fill(g: Kit, x: Any, mask: Any, value: Any) -> Any:
    filled = g.at(value, g.dtype(x)) if is_number(value) else g.cast(value, g.dtype(x))
    return g.op("Where", g.cast(mask, dtypes.BOOL), filled, x)


@TABLE("clamp", "clip")
def clamp(g: Kit, x: Any, min: Any = None, max: Any = None) -> Any:
    dtype = g.promoted([v for v in (x, min, max) if v is not None])
    made = g.cast(x, dtype)
    for kind, bound in (("Max", min), ("Min", max)):
        if bound is not None:
            made = g.op(kind, made, g.at(bound, dtype) if is_number(bound) else g.cast(bound, dtype))
    return made


TABLE["clamp_min"] = lambda g, x, low: clamp(g, x, low)
TABLE["clamp_max"] = lambda g, x, high: clamp(g, x, None, high)


@TABLE("lerp")
def lerp(g: Kit, a: Any, b: Any, weight: Any) -> Any:
    return add(g, a, mul(g, sub(g, b, a), weight))


@TABLE("addcmul")
def addcmul(g: Kit, x: Any, a: Any, b: Any, value: Any = 1) -> Any:
    return add(g, x, mul(g, a, b), value)


@TABLE("addcdiv")
def addcdiv(g: Kit, x: Any, a: Any, b: Any, value: Any = 1) -> Any:
    return add(g, x, div(g, a, b), value)


@TABLE("__range_length")
def range_length(g: Kit, start: Any, stop: Any, step: Any) -> Any:
    """How often a loop over a range turns."""
    span = g.op("Sub", g.op("Add", g.op("Sub", stop, start), step), g.op("Sign", step))
    return g.op("Max", floor_divide(g, span, step), g.constant(0, dtypes.INT64))


@TABLE("__derive_index")
def derive_index(g: Kit, turn: Any, start: Any, step: Any) -> Any:
    return g.op("Add", start, g.op("Mul", turn, step))
