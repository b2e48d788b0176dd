"""Activations, and dropout, which does nothing in a graph that only computes."""

from __future__ import annotations

from typing import Any

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.pointwise import clamp
from modelglot.graphs.torchscript.operators.table import Table

TABLE = Table()


@TABLE("silu")
def silu(g: Kit, x: Any) -> Any:
    return g.op("Mul", x, g.op("Sigmoid", x))


@TABLE("gelu")
def gelu(g: Kit, x: Any, approximate: str = "none") -> Any:
    return g.op("Gelu", x, approximate=approximate)


@TABLE("leaky_relu")
def leaky_relu(g: Kit, x: Any, negative_slope: float = 0.01, *rest: Any) -> Any:
    return g.op("LeakyRelu", x, alpha=float(negative_slope))


@TABLE("rrelu")
def rrelu(g: Kit, x: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: Any = False, *rest: Any) -> Any:
    if training:
        raise UnsupportedError("the module is in training mode (rrelu)", hint="save it after `module.eval()`")
    return leaky_relu(g, x, (lower + upper) / 2)


@TABLE("prelu")
def prelu(g: Kit, x: Any, weight: Any) -> Any:
    if g.dims(weight) != [1] and g.rank(x) > 2:
        weight = g.reshape(weight, [-1] + [1] * (g.rank(x) - 2))
    return g.op("PRelu", x, weight)


@TABLE("elu")
def elu(g: Kit, x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    if input_scale != 1:
        raise UnsupportedError("`elu` with a scale of its input")
    made = g.op("Elu", x, alpha=float(alpha))
    return made if scale == 1 else g.op("Mul", made, g.constant(scale, g.dtype(x)))


TABLE["selu"] = lambda g, x: g.op("Selu", x)
TABLE["celu"] = lambda g, x, alpha=1.0: g.op("Celu", x, alpha=float(alpha))
TABLE["mish"] = lambda g, x: g.op("Mish", x)
TABLE["softsign"] = lambda g, x: g.op("Softsign", x)
TABLE["hardsigmoid"] = lambda g, x: g.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)
TABLE["relu6"] = lambda g, x: clamp(g, x, 0, 6)
TABLE["hardtanh"] = lambda g, x, low=-1, high=1: clamp(g, x, low, high)
TABLE["log_sigmoid"] = lambda g, x: g.op("Neg", g.op("Softplus", g.op("Neg", x)))
TABLE["tanhshrink"] = lambda g, x: g.op("Sub", x, g.op("Tanh", x))
TABLE["hardshrink"] = lambda g, x, lambd=0.5: g.op("Shrink", x, lambd=float(lambd), bias=0.0)
TABLE["softshrink"] = lambda g, x, lambd=0.5: g.op("Shrink", x, lambd=float(lambd), bias=float(lambd))


@TABLE("softplus")
def softplus(g: Kit, x: Any, beta: float = 1, threshold: float = 20) -> Any:
    """Linear above the threshold; the usual one makes no difference in 32 bits."""
    factor = g.constant(beta, g.dtype(x))
    scaled = x if beta == 1 else g.op("Mul", x, factor)
    made = g.op("Softplus", scaled)
    made = made if beta == 1 else g.op("Div", made, factor)
    if threshold >= 20:
        return made
    return g.op("Where", g.op("Greater", scaled, g.constant(threshold, g.dtype(x))), x, made)


@TABLE("threshold")
def threshold(g: Kit, x: Any, threshold: float, value: float) -> Any:
    dtype = g.dtype(x)
    return g.op("Where", g.op("Greater", x, g.constant(threshold, dtype)), x, g.constant(value, dtype))


@TABLE("glu")
def glu(g: Kit, x: Any, dim: int = -1) -> Any:
    a, b = g.op("Split", x, outputs=2, axis=g.axis(x, dim), num_outputs=2)
    return g.op("Mul", a, g.op("Sigmoid", b))


@TABLE("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
def dropout(g: Kit, x: Any, p: float = 0.5, train: Any = False) -> Any:
    if train:
        raise UnsupportedError("the module is in training mode (dropout)", hint="save it after `module.eval()`")
    return x
