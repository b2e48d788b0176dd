"""Pooling: over windows, and to a given size where the windows are equal."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.table import Table
from modelglot.graphs.torchscript.values import Unknown

TABLE = Table()
_POSITIONS = Unknown("the positions of a max pool, which PyTorch counts otherwise than ONNX, are used")


def _batched(function: Callable[..., Any], axes: int) -> Callable[..., Any]:
    """A sample without a batch gets one for the operator."""

    def made(g: Kit, x: Any, *rest: Any, **named: Any) -> Any:
        if g.rank(x) != axes + 1:
            return function(g, axes, x, *rest, **named)
        found = function(g, axes, g.unsqueeze(x, [0]), *rest, **named)
        if isinstance(found, tuple):
            return tuple(g.squeeze(f, [0]) for f in found)
        return g.squeeze(found, [0])

    return made


def _window(g: Kit, axes: int, kernel: Any, stride: Any, padding: Any) -> dict[str, Any]:
    sizes = g.ints_of(kernel, axes, "kernel")
    strides = g.ints_of(stride, axes, "stride") if stride not in (None, [], ()) else sizes
    return {"kernel_shape": sizes, "strides": strides, "pads": g.ints_of(padding, axes, "padding") * 2}


def max_pool(
    g: Kit,
    axes: int,
    x: Any,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: Any = False,
) -> Any:
    window = _window(g, axes, kernel, stride, padding)
    return g.op("MaxPool", x, dilations=g.ints_of(dilation, axes, "dilation"), ceil_mode=int(ceil_mode), **window)


def _max_pool_with_indices(g: Kit, axes: int, x: Any, *rest: Any, **named: Any) -> Any:
    raise UnsupportedError("the positions of a max pool, which PyTorch counts otherwise than ONNX")


def avg_pool(
    g: Kit, axes: int, x: Any, kernel: Any, stride: Any = (), padding: Any = 0, ceil_mode: Any = False,
    count_include_pad: Any = True, divisor_override: Any = None,
) -> Any:  # fmt: skip
    window = _window(g, axes, kernel, stride, padding)
    if divisor_override is not None:
        if ceil_mode:
            raise UnsupportedError("an average pool with a divisor of its own, rounded up")
        made = g.op("AveragePool", x, count_include_pad=1, **window)
        return g.op("Mul", made, g.constant(prod(window["kernel_shape"]) / divisor_override, g.dtype(x)))
    return g.op("AveragePool", x, ceil_mode=int(ceil_mode), count_include_pad=int(count_include_pad), **window)


def _adaptive(kind: str, whole: str) -> Callable[..., Any]:
    def made(g: Kit, axes: int, x: Any, output: Any) -> Any:
        spatial = g.sizes(x)[2:]
        found = [output] * axes if isinstance(output, int) else list(output)
        wanted = [s if w is None else w for w, s in zip(found, spatial, strict=True)]
        if all(w == 1 for w in wanted):
            return g.op(whole, x)
        sizes = g.ints_of(spatial, axes, "the size before an adaptive pool")
        targets = g.ints_of(wanted, axes, "the size after an adaptive pool")
        if sizes == targets:
            return g.op("Identity", x)
        if all(s % t == 0 for s, t in zip(sizes, targets, strict=True)):
            steps = [s // t for s, t in zip(sizes, targets, strict=True)]
            return g.op(kind, x, kernel_shape=steps, strides=steps)
        return _uneven(g, kind, x, sizes, targets)

    return made


def _uneven(g: Kit, kind: str, x: Any, sizes: list[int], targets: list[int]) -> Any:
    """Windows that differ in size: axis by axis, each window cut out and reduced."""
    if sum(targets) > 256:
        raise UnsupportedError(f"an adaptive pool from {sizes} to {targets}: its windows differ")
    reduce = "ReduceMean" if kind == "AveragePool" else "ReduceMax"
    for axis, (size, target) in enumerate(zip(sizes, targets, strict=True), 2):
        bounds = [(i * size // target, -(-((i + 1) * size) // target)) for i in range(target)]
        parts = [g.op(reduce, g.slice(x, axis, a, b), g.ints([axis]), keepdims=1) for a, b in bounds]
        x = parts[0] if len(parts) == 1 else g.op("Concat", *parts, axis=axis)
    return x


def _lp_pool(g: Kit, axes: int, x: Any, norm: float, kernel: Any, stride: Any = (), ceil_mode: Any = False) -> Any:
    window = _window(g, axes, kernel, stride, 0)
    return g.op("LpPool", x, p=int(norm), ceil_mode=int(ceil_mode), **window)


for _axes in (1, 2, 3):
    TABLE[f"max_pool{_axes}d"] = _batched(max_pool, _axes)
    TABLE[f"max_pool{_axes}d_with_indices"] = _batched(_max_pool_with_indices, _axes)
    TABLE[f"avg_pool{_axes}d"] = _batched(avg_pool, _axes)
    TABLE[f"lp_pool{_axes}d"] = _batched(_lp_pool, _axes)
    TABLE[f"adaptive_avg_pool{_axes}d"] = _batched(_adaptive("AveragePool", "GlobalAveragePool"), _axes)
    _maximum = _batched(_adaptive("MaxPool", "GlobalMaxPool"), _axes)
    TABLE[f"adaptive_max_pool{_axes}d"] = lambda g, x, output, inner=_maximum: (inner(g, x, output), _POSITIONS)
