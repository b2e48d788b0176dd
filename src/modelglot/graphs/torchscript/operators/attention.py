"""Attention, written out in products and a softmax, which every runtime has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.linear import linear
from modelglot.graphs.torchscript.operators.parts import repeat_interleave
from modelglot.graphs.torchscript.operators.shape import transpose
from modelglot.graphs.torchscript.operators.table import Table

TABLE = Table()


@TABLE("scaled_dot_product_attention")
def attention(
    g: Kit, query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: Any = 0.0, is_causal: Any = False,
    scale: Any = None, enable_gqa: Any = False,
) -> Any:  # fmt: skip
    if dropout_p:
        raise UnsupportedError("the module is in training mode (attention)", hint="save it after `module.eval()`")
    dtype = g.dtype(query)
    width = g.int_of(g.size(query, g.rank(query) - 1), "the width of a head")
    if enable_gqa:
        heads = [g.int_of(g.size(v, g.rank(v) - 3), "the number of heads") for v in (query, key)]
        key, value = (repeat_interleave(g, v, heads[0] // heads[1], -3) for v in (key, value))
    factor = math.sqrt(scale if scale is not None else 1 / math.sqrt(width))
    half = g.constant(factor, dtype)
    scores = g.op("MatMul", g.op("Mul", query, half), g.op("Mul", transpose(g, key, -1, -2), half))
    if is_causal:
        attn_mask = _causal(g, query, key)
    if attn_mask is not None:
        scores = g.op("Add", scores, _additive(g, attn_mask, dtype))
    return g.op("MatMul", g.op("Softmax", scores, axis=-1), value)


def _causal(g: Kit, query: Any, key: Any) -> Any:
    sizes = [g.size(v, g.rank(v) - 2) for v in (query, key)]
    return g.op("Trilu", g.full(sizes, True, dtypes.BOOL), upper=0)


def _additive(g: Kit, mask: Any, dtype: int) -> Any:
    if g.dtype(mask) != dtypes.BOOL:
        return g.cast(mask, dtype)
    zero, low = g.constant(0, dtype), g.constant(-np.inf, dtype)
    return g.op("Where", mask, zero, low)


@TABLE("_native_multi_head_attention")
def native(
    g: Kit, query: Any, key: Any, value: Any, embed: int, heads: int, qkv_weight: Any, qkv_bias: Any, proj_weight: Any,
    proj_bias: Any, mask: Any = None, need_weights: Any = True, average: Any = True, mask_type: Any = None,
) -> Any:  # fmt: skip
    """The fast path of ``nn.MultiheadAttention``: batch first, one weight for queries, keys and values."""
    if mask is not None:
        raise UnsupportedError("the fast path of attention with a mask")
    n, t = g.sizes(query)[:2]
    packed = linear(g, query, qkv_weight, qkv_bias)
    parts = g.op("Split", packed, outputs=3, axis=2, num_outputs=3)
    width = embed // heads
    q, k, v = (g.transpose(g.reshape(p, [n, t, heads, width]), [0, 2, 1, 3]) for p in parts)
    scores = g.op("MatMul", g.op("Mul", q, g.constant(1 / math.sqrt(width), g.dtype(q))), transpose(g, k, -1, -2))
    weights = g.op("Softmax", scores, axis=-1)
    made = g.reshape(g.transpose(g.op("MatMul", weights, v), [0, 2, 1, 3]), [n, t, embed])
    average_weights = g.op("ReduceMean", weights, g.ints([1]), keepdims=0) if average else weights
    return (linear(g, made, proj_weight, proj_bias), average_weights if need_weights else None)


@TABLE("_transformer_encoder_layer_fwd")
def encoder_layer(
    g: Kit, src: Any, embed: int, heads: int, qkv_w: Any, qkv_b: Any, proj_w: Any, proj_b: Any, use_gelu: bool,
    norm_first: bool, eps: float, n1_w: Any, n1_b: Any, n2_w: Any, n2_b: Any, f1_w: Any, f1_b: Any, f2_w: Any,
    f2_b: Any, mask: Any = None, mask_type: Any = None,
) -> Any:  # fmt: skip
    """The fast path of ``nn.TransformerEncoderLayer``."""

    def normed(x: Any, weight: Any, bias: Any) -> Any:
        return g.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=float(eps))

    def attended(x: Any) -> Any:
        return native(g, x, x, x, embed, heads, qkv_w, qkv_b, proj_w, proj_b, mask, False)[0]

    def forwarded(x: Any) -> Any:
        inner = linear(g, x, f1_w, f1_b)
        return linear(g, g.op("Gelu" if use_gelu else "Relu", inner), f2_w, f2_b)

    if norm_first:
        x = g.op("Add", src, attended(normed(src, n1_w, n1_b)))
        return g.op("Add", x, forwarded(normed(x, n2_w, n2_b)))
    x = normed(g.op("Add", src, attended(src)), n1_w, n1_b)
    return normed(g.op("Add", x, forwarded(x)), n2_w, n2_b)
