"""Tensors made of nothing: filled, counted, random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.table import Table
from modelglot.graphs.torchscript.values import Scalar, is_number

TABLE = Table()


def _type(dtype: Any, default: int) -> int:
    return default if dtype is None else dtypes.onnx_type(dtype)


def _filled(number: float) -> Callable[..., Any]:
    def made(g: Kit, size: Any, dtype: Any = None, *rest: Any, **named: Any) -> Any:
        return g.full(size, number, _type(dtype, dtypes.FLOAT))

    return made


def _like(number: float) -> Callable[..., Any]:
    def made(g: Kit, x: Any, dtype: Any = None, *rest: Any, **named: Any) -> Any:
        return g.full(g.sizes(x), number, _type(dtype, g.dtype(x)))

    return made


def _new(number: float) -> Callable[..., Any]:
    def made(g: Kit, x: Any, size: Any, dtype: Any = None, *rest: Any, **named: Any) -> Any:
        return g.full(size, number, _type(dtype, g.dtype(x)))

    return made


for _name, _number in {"zeros": 0, "ones": 1, "empty": 0}.items():
    TABLE[_name], TABLE[f"{_name}_like"], TABLE[f"new_{_name}"] = _filled(_number), _like(_number), _new(_number)


@TABLE("full")
def full(g: Kit, size: Any, value: Any, dtype: Any = None, *rest: Any, **named: Any) -> Any:
    return g.full(size, value, _type(dtype, g.dtype_of(value)))


@TABLE("full_like")
def full_like(g: Kit, x: Any, value: Any, dtype: Any = None, *rest: Any, **named: Any) -> Any:
    return g.full(g.sizes(x), value, _type(dtype, g.dtype(x)))


@TABLE("new_full")
def new_full(g: Kit, x: Any, size: Any, value: Any, dtype: Any = None, *rest: Any, **named: Any) -> Any:
    return g.full(size, value, _type(dtype, g.dtype(x)))


@TABLE("new_tensor", "tensor", "as_tensor", "scalar_tensor")
def tensor(g: Kit, data: Any, dtype: Any = None, *rest: Any, **named: Any) -> Any:
    if isinstance(data, g.ir.Value):
        return data if dtype is None else g.cast(data, dtypes.onnx_type(dtype))
    flat = _flat(data)
    if not any(isinstance(v, Scalar) for v in flat):
        default = dtypes.FLOAT if any(isinstance(v, float) for v in flat) or not flat else dtypes.of_number(flat[0])
        return g.constant(data, _type(dtype, default))
    if isinstance(data, Scalar):
        return g.at(data, _type(dtype, g.dtype_of(data)))
    made = g.cast(g.vector(flat), _type(dtype, g.dtype_of(flat[0])))
    return g.reshape(made, np.shape(np.empty(_shape(data))))


def _flat(data: Any) -> list[Any]:
    return [v for d in data for v in _flat(d)] if isinstance(data, (list, tuple)) else [data]


def _shape(data: Any) -> tuple[int, ...]:
    return (len(data), *_shape(data[0])) if isinstance(data, (list, tuple)) and data else ()


@TABLE("arange", "range")
def arange(g: Kit, *values: Any, dtype: Any = None, **named: Any) -> Any:
    numbers = [v for v in values if is_number(v)][:3]
    if len(values) > len(numbers) and dtype is None:  # positional: end, dtype, layout ...
        numbers, dtype = _split_arange(values)
    start, end, step = (0, numbers[0], 1) if len(numbers) == 1 else (*numbers, 1)[:3]
    whole = all(isinstance(n, int) or (isinstance(n, Scalar) and n.kind == "int") for n in (start, end, step))
    kind = _type(dtype, dtypes.INT64 if whole else dtypes.FLOAT)
    inner = dtypes.INT64 if whole else kind
    made = g.op("Range", *(g.at(n, inner) for n in (start, end, step)))
    size = end.axis if isinstance(end, Scalar) and start == 0 and step == 1 else None
    if size is not None:
        g.refine(made, [size])
    return g.cast(made, kind)


def _split_arange(values: Any) -> tuple[list[Any], Any]:
    """``arange(end, dtype, layout, device, pin)`` and the forms with a start and a step."""
    count = {5: 1, 6: 2, 7: 3}.get(len(values), len(values))
    rest = values[count:]
    return list(values[:count]), rest[0] if rest else None


@TABLE("linspace")
def linspace(g: Kit, start: Any, end: Any, steps: int, dtype: Any = None, *rest: Any, **named: Any) -> Any:
    count = g.made(g.int_of(steps, "steps"), "`linspace`")
    return g.constant(np.linspace(start, end, count), _type(dtype, dtypes.FLOAT))


@TABLE("eye")
def eye(g: Kit, n: int, m: Any = None, dtype: Any = None, *rest: Any, **named: Any) -> Any:
    rows = g.int_of(n, "rows")
    columns = rows if m is None else g.int_of(m, "columns")
    g.made(rows * columns, "`eye`")
    return g.constant(np.eye(rows, columns), _type(dtype, dtypes.FLOAT))


def _window(function: Callable[[int], Any]) -> Callable[..., Any]:
    """A periodic window is one of a longer one, without its last element."""

    def made(g: Kit, size: Any, periodic: Any = True, *rest: Any, **named: Any) -> Any:
        count = g.made(g.int_of(size, "a window"), "a window")
        return g.constant(function(count + int(bool(periodic)))[:count], dtypes.FLOAT)

    return made


TABLE["hann_window"], TABLE["hamming_window"] = _window(np.hanning), _window(np.hamming)


@TABLE("rand", "randn", "rand_like", "randn_like", "bernoulli", "multinomial", "normal")
def random(g: Kit, *values: Any, **named: Any) -> Any:
    raise UnsupportedError("random numbers: outputs of the two runtimes could not be compared")
