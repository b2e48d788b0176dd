"""Self-attention with a cache of keys and values: positions, masks, one layer's heads."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelglot.graphs.language.linear import Weights
from modelglot.graphs.language.net import Net, Value
from modelglot.graphs.language.shape import Rotary, Shape

_LEAST = -1e38  # of a score that is masked; a sum with another one stays finite


def rms(net: Net, x: Value, weight: Value, epsilon: float) -> Value:
    return net.op("RMSNormalization", x, weight, axis=-1, epsilon=epsilon)


def _layer_norm(net: Net, x: Value, weight: Value, epsilon: float) -> Value:
    return net.op("LayerNormalization", x, weight, axis=-1, epsilon=epsilon)


@dataclass(slots=True)
class Attention:
    """The inputs that all layers share. ``mask [b, total]`` is 1 where there is a token, ``positions [b, s]``."""

    net: Net
    shape: Shape
    weights: Weights
    mask: Value
    positions: Value
    masks: dict[int, Value] = field(default_factory=dict)
    angles: dict[Rotary, tuple[Value, Value]] = field(default_factory=dict)

    def layer(self, x: Value, layer: int, past_key: Value, past_value: Value) -> tuple[Value, Value, Value]:
        """(output, present key, present value) of ``x [b, s, width]``."""
        net, shape = self.net, self.shape
        query, key, value = self._projected(x, f"blk.{layer}")
        window = shape.windowed(layer)
        rotary = shape.local if window and shape.local else shape.rotary
        if rotary is not None and (window or not shape.traits.local_only):
            query = self._rotated(query, rotary, shape.heads)
            key = self._rotated(key, rotary, shape.kv_heads)
        made, present_key, present_value = net.ops(
            "Attention", 3, query, key, value, self._mask(window, past_key), past_key, past_value,
            q_num_heads=shape.heads, kv_num_heads=shape.kv_heads, scale=shape.scale, softcap=shape.attention_cap,
        )  # fmt: skip
        return self.weights.multiply(made, f"blk.{layer}.attn_output"), present_key, present_value

    def _projected(self, x: Value, block: str) -> tuple[Value, Value, Value]:
        net, shape, weights = self.net, self.shape, self.weights
        sizes = (shape.heads * shape.head, shape.kv_heads * shape.head, shape.kv_heads * shape.head)
        if weights.has(f"{block}.attn_qkv.weight"):
            whole = weights.multiply(x, f"{block}.attn_qkv")
            query, key, value = net.ops("Split", 3, whole, net.ints(*sizes), axis=-1)
        else:
            query, key, value = (weights.multiply(x, f"{block}.attn_{n}") for n in ("q", "k", "v"))
        if weights.has(f"{block}.attn_q_norm.weight"):
            query = self._normed(query, f"{block}.attn_q_norm.weight")
            key = self._normed(key, f"{block}.attn_k_norm.weight")
        return query, key, value

    def _normed(self, heads: Value, name: str) -> Value:
        """Every head on its own, with one weight or one each; or all of them, where the weight is as long."""
        net, size, weight = self.net, self.shape.head, self.weights.vector(name)
        axes = self.weights.tensors[name].shape
        norm = _layer_norm if self.shape.traits.layer_norm else rms
        if axes[-1] != size:
            return norm(net, heads, weight, self.shape.epsilon)
        apart = net.op("Reshape", heads, net.ints(0, 0, -1, size))
        if len(axes) == 1:
            made = norm(net, apart, weight, self.shape.epsilon)
        else:
            ones = net.constant("f32", [1.0] * size)
            made = net.op("Mul", norm(net, apart, ones, self.shape.epsilon), weight)
        return net.op("Reshape", made, net.op("Shape", heads))

    def _rotated(self, heads: Value, rotary: Rotary, count: int) -> Value:
        cosine, sine = self._angles(rotary)
        size = 2 * len(rotary.frequencies)
        part = {"rotary_embedding_dim": size} if size != self.shape.head else {}
        interleaved = int(self.shape.traits.interleaved)
        return self.net.op("RotaryEmbedding", heads, cosine, sine, num_heads=count, interleaved=interleaved, **part)

    def _angles(self, rotary: Rotary) -> tuple[Value, Value]:
        """Cosine and sine ``[b, s, pairs]``, computed from the positions: no table, no longest text."""
        if rotary not in self.angles:
            net = self.net
            frequencies = net.constant("f32", list(rotary.frequencies))
            if rotary.long:
                last = net.op("ReduceMax", self.positions, keepdims=0)
                longer = net.op("GreaterOrEqual", last, net.constant("i64", rotary.original))
                frequencies = net.op("Where", longer, net.constant("f32", list(rotary.long)), frequencies)
            each = net.op("Unsqueeze", net.cast(self.positions), net.ints(-1))
            angle = net.op("Mul", each, frequencies)
            made = net.op("Cos", angle), net.op("Sin", angle)
            if rotary.factor != 1.0:
                made = (
                    net.op("Mul", made[0], net.number(rotary.factor)),
                    net.op("Mul", made[1], net.number(rotary.factor)),
                )
            self.angles[rotary] = made
        return self.angles[rotary]

    def _mask(self, window: int, past_key: Value) -> Value:
        """What is added to the scores, ``[b, 1, s, total]``: later tokens, padding and what a window hides."""
        if window not in self.masks:
            net = self.net
            total = net.op("Shape", self.mask, start=1, end=2)
            past = net.op("Shape", past_key, start=2, end=3)
            zero, one = net.constant("i64", 0), net.constant("i64", 1)
            scalar = net.op("Squeeze", total)
            keys = net.op("Range", zero, scalar, one)
            queries = net.op("Unsqueeze", net.op("Range", net.op("Squeeze", past), scalar, one), net.ints(1))
            seen = net.op("LessOrEqual", keys, queries)
            if window:
                near = net.op("Greater", keys, net.op("Sub", queries, net.constant("i64", window)))
                seen = net.op("And", seen, near)
            there = net.op("Unsqueeze", net.op("Cast", self.mask, to=9), net.ints(1, 2))
            allowed = net.op("And", there, net.op("Unsqueeze", seen, net.ints(0, 1)))
            self.masks[window] = net.op("Where", allowed, net.number(0.0), net.number(_LEAST))
        return self.masks[window]
