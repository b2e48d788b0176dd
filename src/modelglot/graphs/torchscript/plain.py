"""Operators on values that are known while the code is followed, and numbers that are not."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from modelglot.core.errors import LimitError, UnsupportedError
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.values import Object, Scalar, Unknown, is_number

_MOST_ITEMS, _MOST_TEXT = 1_000_000, 100_000
_WORD = 1 << 63  # numbers of the code have 64 bits


def all_known(values: Sequence[Any]) -> bool:
    """True where no value is a tensor or a number that is only known when the graph runs."""
    for value in values:
        if isinstance(value, (list, tuple)):
            if not all_known(value):
                return False
        elif not (value is None or isinstance(value, (bool, int, float, str, complex, dict, Object))):
            return False
    return True


def truth(kit: Kit, value: Any) -> bool | Scalar:
    """A condition, known or as a bool Scalar."""
    if isinstance(value, Unknown):
        raise UnsupportedError(value.why)
    made = to_number(kit, value, "bool") if not isinstance(value, (list, str, dict, tuple)) else bool(value)
    return made if isinstance(made, Scalar) else bool(made)


def to_number(kit: Kit, value: Any, kind: str) -> Any:
    """``int(x)``, ``float(x)``, ``bool(x)`` of a number, a text or a tensor of one element."""
    if isinstance(value, (int, float, str)):
        return {"int": int, "float": float, "bool": bool}[kind](value)
    if isinstance(value, Scalar):
        cast = kit.cast(value.value, dtypes.OF_KIND[kind])
        return value if value.kind == kind else Scalar(cast, kind)
    if not isinstance(value, kit.ir.Value):
        raise UnsupportedError(f"a value that is no number is made {kind}")
    known = kit.known(value)
    if known is not None:
        return {"int": int, "float": float, "bool": bool}[kind](known.reshape(-1)[0])
    one = value if kit.rank(value) == 0 else kit.op("Reshape", value, kit.ints([]), dims=())
    return Scalar(kit.cast(one, dtypes.OF_KIND[kind]), kind)


def lifts(name: str, values: Sequence[Any]) -> bool:
    """True for arithmetic of numbers some of which are only known when the graph runs, and no tensor."""
    if name not in LIFTED or not any(isinstance(v, Scalar) for v in values):
        return False
    return all(is_number(v) or v is None for v in values)


def lifted(kit: Kit, name: str, function: Callable[..., Any], values: Sequence[Any]) -> Any:
    """The operator on values without axes, as a Scalar again; i64 and f64, as numbers of the code are."""
    plain = [kit.plain(v) if is_number(v) else v for v in values]
    if name in _IN_DOUBLE:
        plain = [kit.cast(v, dtypes.DOUBLE) if isinstance(v, kit.ir.Value) else v for v in plain]
    made = function(kit, *plain)
    dtype = kit.dtype(made)
    kind = "int" if name in ("floor", "ceil") else {0: "bool", 1: "int"}.get(dtypes.category(dtype), "float")
    known = kit.known(made)
    if known is not None:
        return {"bool": bool, "int": int, "float": float}[kind](known.reshape(-1)[0])
    return Scalar(kit.cast(made, dtypes.OF_KIND[kind]), kind)


_IN_DOUBLE = ("div", "sqrt", "exp", "log", "sin", "cos", "tanh")
LIFTED = frozenset(
    ("add", "sub", "mul", "div", "floordiv", "floor_divide", "remainder", "neg", "abs", "pow", "eq", "ne", "lt", "gt",
     "le", "ge", "__and__", "__or__", "__xor__", "__not__", "logical_not", "floor", "ceil", "sqrt", "exp", "log",
     "round", "prim.min", "prim.max", "minimum", "maximum", "sin", "cos", "tanh",
     "__range_length", "__derive_index")
)  # fmt: skip


def word(number: Any) -> Any:
    """Raises UnsupportedError for an integer that has more than 64 bits."""
    if isinstance(number, int) and not -_WORD <= number < _WORD:
        raise UnsupportedError("a number of the code has more than 64 bits")
    return number


def _power(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int) and abs(a) > 1 and b > 63:
        raise UnsupportedError("a number of the code has more than 64 bits")
    return word(a**b)


def _add(a: Any, b: Any, alpha: Any = 1) -> Any:
    if isinstance(a, (list, str)):
        if len(a) + len(b) > _MOST_ITEMS:
            raise LimitError(f"a list of more than {_MOST_ITEMS:,} items")
        return a + b
    return word(a + b * alpha if alpha != 1 else a + b)


def _multiply(a: Any, b: Any) -> Any:
    if isinstance(b, (list, str)):
        a, b = b, a
    if isinstance(a, (list, str)) and len(a) * b > _MOST_ITEMS:
        raise LimitError(f"a list of more than {_MOST_ITEMS:,} items")
    return word(a * b)


def _remainder(a: Any, b: Any) -> Any:
    if isinstance(a, str):
        raise UnsupportedError("text is formatted by `%`")
    return a % b


def _shift(a: int, b: int) -> int:
    if not 0 <= b < 64:
        raise UnsupportedError("a shift by more than 63 bits")
    return int(word(a << b))


def _format(text: str, *values: Any) -> str:
    parts = text.split("{}")
    made = parts[0]
    for number, part in enumerate(parts[1:]):
        made += (str(values[number])[:200] if number < len(values) else "{}") + part
    return made[:_MOST_TEXT]


def _range_length(start: int, stop: int, step: int) -> int:
    return len(range(start, stop, step))


def _slice(items: Any, start: Any = None, end: Any = None, step: Any = 1) -> Any:
    return items[start:end:step]


def _first(value: Any) -> Any:
    return value


def _number(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: word(function(*values))


def _texts(function: Callable[..., Any]) -> Callable[..., Any]:
    """Of short texts only: their product is not bounded otherwise."""

    def made(*values: Any) -> Any:
        parts = [p for v in values for p in (v if isinstance(v, list) else [v])]
        if sum(len(p) for p in parts if isinstance(p, str)) > 10_000:
            raise LimitError("text of more than 10,000 characters")
        return function(*values)

    return made


def _extreme(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: function(values[0] if len(values) == 1 else values)


PLAIN: dict[str, Callable[..., Any]] = {
    "add": _add, "sub": _number(operator.sub), "mul": _multiply, "div": operator.truediv, "pow": _power,
    "floordiv": _number(operator.floordiv), "floor_divide": _number(operator.floordiv), "remainder": _remainder,
    "fmod": math.fmod, "neg": operator.neg, "abs": abs, "prim.abs": abs, "eq": operator.eq, "ne": operator.ne,
    "lt": operator.lt, "gt": operator.gt, "le": operator.le, "ge": operator.ge, "__and__": operator.and_,
    "__or__": operator.or_, "__xor__": operator.xor, "__not__": operator.not_, "__lshift__": _shift,
    "__rshift__": operator.rshift, "__is__": operator.is_, "__isnot__": operator.is_not,
    "__contains__": lambda items, item: item in items, "len": len, "format": _format, "str": str, "list": list,
    "ord": ord, "chr": chr, "floor": math.floor, "ceil": math.ceil, "round": round, "sqrt": math.sqrt,
    "exp": math.exp, "log": math.log, "sin": math.sin, "cos": math.cos, "tanh": math.tanh, "Int": int, "Float": float,
    "Bool": bool, "ScalarImplicit": _first, "IntImplicit": _first, "FloatImplicit": _first, "prim.NumToTensor": _first,
    "prim.min": _extreme(min), "prim.max": _extreme(max), "min": _extreme(min), "max": _extreme(max),
    "sum": sum, "any": any, "all": all,
    "sorted": sorted, "slice": _slice, "keys": lambda d: list(d.keys()), "values": lambda d: list(d.values()),
    "items": lambda d: list(d.items()), "copy": lambda items: items.copy(), "__range_length": _range_length,
    "__derive_index": lambda i, start, step: start + i * step, "startswith": str.startswith, "endswith": str.endswith,
    "lower": str.lower, "upper": str.upper, "replace": _texts(str.replace), "split": _texts(str.split),
    "join": _texts(str.join),
    "find": str.find, "strip": str.strip, "device": lambda *parts: str(parts[0]), "is_grad_enabled": lambda: False,
    "is_autocast_enabled": lambda *device: False, "is_autocast_cpu_enabled": lambda: False, "prim.type": str,
    "_get_tracing_state": lambda: None, "prim.is_scripting": lambda: True, "_cudnn_get_conv_benchmark_empty": bool,
    "get_default_dtype": lambda: 6, "prim.AutogradAnyNonZero": lambda *tensors: False,
    "isfinite": math.isfinite, "isinf": math.isinf, "isnan": math.isnan, "bitwise_not": operator.invert,
}  # fmt: skip
