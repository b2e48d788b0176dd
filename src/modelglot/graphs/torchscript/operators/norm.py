"""Normalisation: over a batch, groups of channels, a sample, a layer."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.table import Table

TABLE = Table()


def _filled(g: Kit, value: Any, count: Any, number: float, like: Any) -> Any:
    """A scale or an offset that the code leaves out."""
    if value is not None:
        return value
    return g.constant(np.full(g.made(g.int_of(count, "channels"), "channels"), number), g.dtype(like))


@TABLE("batch_norm", "cudnn_batch_norm", "native_batch_norm")
def batch_norm(
    g: Kit,
    x: Any,
    weight: Any,
    bias: Any,
    mean: Any,
    variance: Any,
    training: Any,
    momentum: Any,
    eps: float,
    *rest: Any,
) -> Any:
    if training or mean is None:
        raise UnsupportedError("the module is in training mode (batch norm)", hint="save it after `module.eval()`")
    channels = g.size(x, 1)
    weight, bias = _filled(g, weight, channels, 1, x), _filled(g, bias, channels, 0, x)
    return g.op("BatchNormalization", x, weight, bias, mean, variance, epsilon=float(eps))


@TABLE("layer_norm")
def layer_norm(
    g: Kit, x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, enable: Any = True
) -> Any:
    sizes = g.ints_of(shape, len(shape), "the shape of a layer norm")
    if weight is None:
        g.made(prod(sizes), "the shape of a layer norm")
        weight = g.constant(np.ones(sizes), g.dtype(x))
    return g.op("LayerNormalization", x, weight, bias, axis=-len(sizes), epsilon=float(eps))


@TABLE("rms_norm")
def rms_norm(g: Kit, x: Any, shape: Any, weight: Any = None, eps: Any = None) -> Any:
    axes = g.ints(list(range(-len(shape), 0)))
    power = g.op("ReduceMean", g.op("Mul", x, x), axes, keepdims=1)
    eps = float(np.finfo(np.float32).eps) if eps is None else eps
    made = g.op("Div", x, g.op("Sqrt", g.op("Add", power, g.constant(eps, g.dtype(x)))))
    return made if weight is None else g.op("Mul", made, weight)


@TABLE("group_norm")
def group_norm(
    g: Kit, x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, enable: Any = True
) -> Any:
    """As an instance norm over groups, then a scale a channel: the operator of its own came later than opset 20."""
    sizes = g.sizes(x)
    apart = g.reshape(x, [sizes[0], groups, -1])
    g.made(groups, "groups")
    ones, zeros = (g.constant(np.full(groups, n), g.dtype(x)) for n in (1, 0))
    made = g.reshape(g.op("InstanceNormalization", apart, ones, zeros, epsilon=float(eps)), sizes)
    return _scaled(g, made, weight, bias)


def _scaled(g: Kit, x: Any, weight: Any, bias: Any) -> Any:
    for kind, value in (("Mul", weight), ("Add", bias)):
        if value is not None:
            x = g.op(kind, x, g.reshape(value, [-1] + [1] * (g.rank(x) - 2)))
    return x


@TABLE("instance_norm")
def instance_norm(
    g: Kit, x: Any, weight: Any, bias: Any, mean: Any, variance: Any, use_input_stats: bool, momentum: Any, eps: float,
    *rest: Any,
) -> Any:  # fmt: skip
    if not use_input_stats:
        return batch_norm(g, x, weight, bias, mean, variance, False, momentum, eps)
    channels = g.size(x, 1)
    weight, bias = _filled(g, weight, channels, 1, x), _filled(g, bias, channels, 0, x)
    return g.op("InstanceNormalization", x, weight, bias, epsilon=float(eps))


@TABLE("local_response_norm")
def local_response_norm(g: Kit, x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    return g.op("LRN", x, size=size, alpha=float(alpha), beta=float(beta), bias=float(k))


@TABLE("_weight_norm")
def weight_norm(g: Kit, v: Any, scale: Any, dim: int = 0) -> Any:
    """A weight as its direction and its length along an axis."""
    axes = [a for a in range(g.rank(v)) if dim == -1 or a != g.axis(v, dim)]
    return g.op("Mul", v, g.op("Div", scale, g.op("ReduceL2", v, g.ints(axes), keepdims=1)))
