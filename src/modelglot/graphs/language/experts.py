"""A mixture of experts: each expert is run on the tokens that chose it."""

from __future__ import annotations

from dataclasses import replace

from modelglot.core.tensor import Tensor
from modelglot.core.views import part, reshaped
from modelglot.graphs.language.linear import EXPERTS, Weights
from modelglot.graphs.language.net import Net, Value
from modelglot.graphs.language.shape import Shape


def mixture(net: Net, weights: Weights, shape: Shape, x: Value, block: str) -> Value:
    """``x [b, s, width]``. The shares of the chosen experts are a softmax over them, as mixtral and qwen 3 have it, or
    over all."""
    flat = net.op("Reshape", x, net.ints(1, -1, shape.width))
    scores = weights.multiply(flat, f"{block}.ffn_gate_inp")
    scores = net.op("Softmax", scores, axis=-1) if shape.whole_softmax else scores
    share, chosen = net.ops("TopK", 2, scores, net.ints(shape.used_experts), axis=-1)
    share = share if shape.whole_softmax else net.op("Softmax", share, axis=-1)
    made = net.op("Mul", flat, net.number(0.0))
    for expert in range(shape.experts):
        made = _expert(net, weights, flat, made, chosen, share, block, expert)
    return net.op("Reshape", made, net.op("Shape", x))


def shared(net: Net, weights: Weights, x: Value, block: str) -> Value:
    """The expert that every token has, behind a gate of its own."""
    gate, up = (weights.multiply(x, f"{block}.ffn_{name}_shexp") for name in ("gate", "up"))
    made = weights.multiply(net.op("Mul", net.op("Mul", gate, net.op("Sigmoid", gate)), up), f"{block}.ffn_down_shexp")
    opened = net.op("Sigmoid", weights.row(x, f"{block}.ffn_gate_inp_shexp.weight"))
    return net.op("Mul", made, opened)


def _expert(
    net: Net, weights: Weights, flat: Value, made: Value, chosen: Value, share: Value, block: str, expert: int
) -> Value:
    """Adds the expert's part for its tokens; a token has an expert once at most."""
    hit = net.op("Equal", chosen, net.constant("i64", expert))  # [1, tokens, used]
    weight = net.op("ReduceSum", net.op("Where", hit, share, net.number(0.0)), net.ints(-1), keepdims=0)
    tokens = net.op("Squeeze", net.op("NonZero", net.op("Squeeze", weight, net.ints(0))), net.ints(0))
    inside = net.op("Gather", flat, tokens, axis=1)
    matrices = [_of(weights, f"{block}.ffn_{name}_exps.weight", expert) for name in ("gate", "up", "down")]
    gate = weights.matrix(inside, matrices[0])
    gate = net.op("Mul", gate, net.op("Sigmoid", gate))
    done = weights.matrix(net.op("Mul", gate, weights.matrix(inside, matrices[1])), matrices[2])
    done = net.op("Mul", done, net.op("Unsqueeze", net.op("Gather", weight, tokens, axis=1), net.ints(-1)))
    where = net.op("Expand", net.op("Unsqueeze", tokens, net.ints(0, 2)), net.op("Shape", done))
    return net.op("ScatterElements", made, where, done, axis=1, reduction="add")


def _of(weights: Weights, name: str, expert: int) -> Tensor:
    whole = weights.take(name, EXPERTS)
    _, out, width = whole.shape
    one = reshaped(part(whole, expert, expert + 1), (out, width))
    return replace(one, name=f"{name.removesuffix('.weight')}.{expert}.weight")
