"""A decoder: tokens to logits, with the keys and values of earlier tokens as inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass

from modelglot.core.encoding import Blocks
from modelglot.core.tensor import Tensor
from modelglot.graphs.language.attention import Attention, rms
from modelglot.graphs.language.experts import mixture, shared
from modelglot.graphs.language.linear import Weights, floats
from modelglot.graphs.language.net import Net, Value
from modelglot.graphs.language.shape import Shape

_EMBEDDING, _OUTPUT = "token_embd.weight", "output.weight"


def activation(net: Net, x: Value, kind: str) -> Value:
    if kind == "silu":
        return net.op("Mul", x, net.op("Sigmoid", x))
    return net.op("Gelu", x, approximate="tanh" if kind == "gelu_tanh" else "none")


def feed_forward(net: Net, weights: Weights, shape: Shape, x: Value, block: str) -> Value:
    """Gate times up, then down; phi 3 has gate and up in one matrix, gpt 2 no gate."""
    kind = shape.traits.activation
    up = weights.multiply(x, f"{block}.ffn_up")
    if weights.has(f"{block}.ffn_gate.weight"):
        up = net.op("Mul", activation(net, weights.multiply(x, f"{block}.ffn_gate"), kind), up)
    elif not shape.traits.gated:
        up = activation(net, up, kind)
    else:
        gate, up = net.ops("Split", 2, up, axis=-1, num_outputs=2)
        up = net.op("Mul", activation(net, gate, kind), up)
    return weights.multiply(up, f"{block}.ffn_down")


@dataclass(slots=True)
class Decoder:
    net: Net
    shape: Shape
    weights: Weights

    def build(self) -> None:
        net, shape, weights = self.net, self.shape, self.weights
        ids = net.input("input_ids", "i64", "batch_size", "sequence_length")
        mask = net.input("attention_mask", "i64", "batch_size", "total_sequence_length")
        positions = net.input("position_ids", "i64", "batch_size", "sequence_length")
        cache = ("batch_size", shape.kv_heads, "past_sequence_length", shape.head)
        grown = ("batch_size", shape.kv_heads, "total_sequence_length", shape.head)
        names = [f"{layer}.{part}" for layer in range(shape.layers) for part in ("key", "value")]
        past = [net.input(f"past_key_values.{name}", "f32", *cache) for name in names]
        with net.at("embedding"):
            x = self._embedded(ids, positions)
        attention = Attention(net, shape, weights, mask, positions)
        present: list[Value] = []
        for layer in range(shape.layers):
            with net.at(f"blk.{layer}"):
                x, *made = self._layer(attention, x, layer, past[2 * layer], past[2 * layer + 1])
                present += made
        with net.at("output"):
            logits = self._logits(self._norm(x, "output_norm"))
        net.output(logits, "logits", "f32", "batch_size", "sequence_length", shape.vocabulary)
        for name, value in zip(names, present, strict=True):
            net.output(value, f"present.{name}", "f32", *grown)

    def _embedded(self, ids: Value, positions: Value) -> Value:
        net, shape = self.net, self.shape
        x = self.weights.rows(ids, _EMBEDDING)
        x = self._times(x, shape.embedding_scale)
        if self.weights.has("position_embd.weight"):
            x = net.op("Add", x, self.weights.rows(positions, "position_embd.weight"))
        return x

    def _layer(
        self, attention: Attention, x: Value, layer: int, key: Value, value: Value
    ) -> tuple[Value, Value, Value]:
        """Attention, then feed-forward; without a norm of its own the feed-forward sees what attention saw."""
        net, block = self.net, f"blk.{layer}"
        with net.at("attn"):
            inside = self._norm_if(x, f"{block}.attn_norm")
            made, present_key, present_value = attention.layer(inside, layer, key, value)
            made = self._times(self._norm_if(made, f"{block}.post_attention_norm"), self.shape.residual_scale)
            after = net.op("Add", x, made)
        beside = not self.weights.has(f"{block}.ffn_norm.weight") and self.weights.has(f"{block}.attn_norm.weight")
        with net.at("ffn"):
            made = self._fed(inside if beside else self._norm_if(after, f"{block}.ffn_norm"), block)
            made = self._times(self._norm_if(made, f"{block}.post_ffw_norm"), self.shape.residual_scale)
            return net.op("Add", after, made), present_key, present_value

    def _fed(self, x: Value, block: str) -> Value:
        if not self.weights.has(f"{block}.ffn_gate_inp.weight"):
            return feed_forward(self.net, self.weights, self.shape, x, block)
        made = mixture(self.net, self.weights, self.shape, x, block)
        if self.weights.has(f"{block}.ffn_gate_shexp.weight"):
            made = self.net.op("Add", made, shared(self.net, self.weights, x, block))
        return made

    def _times(self, x: Value, factor: float) -> Value:
        return x if factor == 1.0 else self.net.op("Mul", x, self.net.number(factor))

    def _norm_if(self, x: Value, name: str) -> Value:
        return self._norm(x, name) if self.weights.has(f"{name}.weight") else x

    def _norm(self, x: Value, name: str) -> Value:
        weight = self.weights.vector(f"{name}.weight")
        if not self.shape.traits.layer_norm:
            return rms(self.net, x, weight, self.shape.epsilon)
        bias = [self.weights.vector(f"{name}.bias")] if self.weights.has(f"{name}.bias") else []
        return self.net.op("LayerNormalization", x, weight, *bias, axis=-1, epsilon=self.shape.epsilon)

    def _logits(self, x: Value) -> Value:
        net, cap = self.net, self.shape.logit_cap
        if self.weights.has(_OUTPUT):
            made = self.weights.matrix(x, self.weights.take(_OUTPUT))
        else:
            made = self._tied(x, self.weights.take(_EMBEDDING))
        made = self._times(made, self.shape.logit_scale)
        if cap:
            made = net.op("Mul", net.op("Tanh", net.op("Div", made, net.number(cap))), net.number(cap))
        return made

    def _tied(self, x: Value, table: Tensor) -> Value:
        """The embedding as the output: floats are read by rows both times and stored once."""
        if isinstance(table.encoding, Blocks):
            return self.weights.matrix(x, table)
        net, width = self.net, self.shape.width
        flat = net.op("Reshape", x, net.ints(-1, width))
        made = net.op("Gemm", flat, floats(net, table), transB=1)
        shape = net.op("Concat", net.op("Shape", x, start=0, end=2), net.ints(self.shape.vocabulary), axis=0)
        return net.op("Reshape", made, shape)
