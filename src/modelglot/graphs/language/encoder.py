"""bert: all tokens see one another, norms stand behind each half of a layer; the last hidden state is the output."""

from __future__ import annotations

from modelglot.graphs.language.decoder import feed_forward
from modelglot.graphs.language.linear import Weights
from modelglot.graphs.language.net import Net, Value
from modelglot.graphs.language.shape import Shape

_LEAST = -1e38


def build(net: Net, shape: Shape, weights: Weights) -> None:
    ids = net.input("input_ids", "i64", "batch_size", "sequence_length")
    mask = net.input("attention_mask", "i64", "batch_size", "sequence_length")
    types = net.input("token_type_ids", "i64", "batch_size", "sequence_length")

    def norm(x: Value, name: str) -> Value:
        weight, bias = weights.vector(f"{name}.weight"), weights.vector(f"{name}.bias")
        return net.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=shape.epsilon)

    with net.at("embedding"):
        end = net.op("Squeeze", net.op("Shape", ids, start=1, end=2))
        positions = net.op("Range", net.constant("i64", 0), end, net.constant("i64", 1))
        places = weights.rows(net.op("Unsqueeze", positions, net.ints(0)), "position_embd.weight")
        x = net.op("Add", weights.rows(ids, "token_embd.weight"), weights.rows(types, "token_types.weight"))
        x = norm(net.op("Add", x, places), "token_embd_norm")
        there = net.op("Unsqueeze", net.op("Cast", mask, to=9), net.ints(1, 2))
        length = net.op("Concat", net.ints(1, 1), net.op("Shape", ids, start=1, end=2), net.ints(1), axis=0)
        seen = net.op("Where", net.op("Expand", there, length), net.number(0.0), net.number(_LEAST))
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        with net.at(block):
            query, key, value = (weights.multiply(x, f"{block}.attn_{n}") for n in ("q", "k", "v"))
            made = net.op("Attention", query, key, value, seen,
                          q_num_heads=shape.heads, kv_num_heads=shape.heads, scale=shape.scale)  # fmt: skip
            made = weights.multiply(made, f"{block}.attn_output")
            x = norm(net.op("Add", x, made), f"{block}.attn_output_norm")
            x = norm(net.op("Add", x, feed_forward(net, weights, shape, x, block)), f"{block}.layer_output_norm")
    net.output(net.op("Identity", x), "last_hidden_state", "f32", "batch_size", "sequence_length", shape.width)
