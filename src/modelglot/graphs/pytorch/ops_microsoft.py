"""Operators that ONNX Runtime's optimizer and quantizer put into files."""

from __future__ import annotations

from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.ops_conv import convolution, spatial_axes
from modelglot.graphs.pytorch.values import Tied, Value

AS_STANDARD = ("QuantizeLinear", "DequantizeLinear", "Gelu", "LayerNormalization", "Trilu", "GridSample", "Range")
_ACTIVATIONS = {
    "Relu": "F.relu({0})", "Tanh": "torch.tanh({0})", "Sigmoid": "torch.sigmoid({0})",
    "LeakyRelu": "F.leaky_relu({0}, {1})", "Clip": "torch.clamp({0}, {1}, {2})",
    "HardSigmoid": "torch.clamp({1} * {0} + {2}, 0.0, 1.0)",
}  # fmt: skip


def _conv(call: Call) -> str:
    made = convolution(call, call[0], call[1], call[2] if call.has(2) else None, spatial_axes(call))
    code = _ACTIVATIONS.get(call.text("activation", ""))
    if code is None:
        raise call.unsupported("its activation is not known")
    from modelglot.graphs.pytorch.literals import number

    made = f"{made} + {call[3]}" if call.has(3) else made
    return code.format(made, *[number(value, "float32") for value in call.attr("activation_params", [])])


def _matmul(call: Call) -> str:
    a, b = (call[n] + ".transpose(-1, -2)" * call.flag(name) for n, name in ((0, "transA"), (1, "transB")))
    alpha = call.float("alpha", 1.0)
    return f"{a} @ {b}" if alpha == "1.0" else f"{alpha} * ({a} @ {b})"


def _biased(code: str) -> Rule:
    def rule(call: Call) -> str:
        return code.format(f"{call[0]} + {call[1]}" if call.has(1) else call[0])

    return rule


def _quick(call: Call) -> str:
    return f"{call[0]} * torch.sigmoid({call.float('alpha', 1.702)} * {call[0]})"


def _skip(simple: bool) -> Rule:
    """The sum of both inputs is the fourth result."""

    def rule(call: Call) -> list[str | Value | None]:
        scale, offset, bias = 2, None if simple else 3, 3 if simple else 4
        terms = [call[0], call[1], *([call[bias]] if call.has(bias) else [])]
        total = call.scope.name(call.node.outputs[0], "total")
        call.scope.lines.add(f"{total} = {' + '.join(terms)}")
        eps = call.float("epsilon", 1e-12)
        if simple:
            made = f"{call.use('rms_norm')}({total}, {call[scale]}, -1, {eps})"
        else:
            behind = f", {call[3]}" if offset is not None and call.has(3) else ""
            made = f"F.layer_norm({total}, {total}.shape[-1:], {call[scale]}{behind}, eps={eps})"
        return [made, None, None, total if call.wants(3) else None]

    return rule


def _simplified(call: Call) -> str:
    return f"{call.use('rms_norm')}({call[0]}, {call[1]}, {call.attr('axis', -1)}, {call.float('epsilon', 1e-5)})"


def _dynamic_matmul(call: Call) -> str:
    parts = (call[0], call[1], call[2], call.tensor_or(3), call.tensor_or(4))
    return f"{call.use('dynamic_quantize_matmul')}({', '.join(parts)})"


def _integer_to_float(call: Call) -> str:
    parts = (*(call[n] for n in range(4)), *(call.tensor_or(n) for n in (4, 5, 6)))
    return f"{call.use('matmul_integer_to_float')}({', '.join(parts)})"


def _dynamic_lstm(call: Call) -> Tied:
    direction = call.text("direction", "forward")
    special = call.has(4) or call.has(7) or call.attr("clip") is not None or call.flag("input_forget")
    names = call.texts("activations")
    if special or (names and [n.lower() for n in names[:3]] != ["sigmoid", "tanh", "tanh"]):
        raise call.unsupported("only the usual activations, without lengths and peepholes, are known")
    if direction not in ("forward", "reverse", "bidirectional"):
        raise call.unsupported("its `direction` is not known")
    parts = [call[0], call[1], call[2], call.tensor_or(3), call.tensor_or(5), call.tensor_or(6), call[8], call[9],
             call[10], call[11], f'"{direction}"']  # fmt: skip
    made = f"{call.use('dynamic_quantize_lstm')}({', '.join(parts)})"
    return Tied(made, 3)


def _rotary(call: Call) -> str:
    """Tables behind the positions, where the standard operator has them before."""
    if call.flag("is_packed_batching"):
        raise call.unsupported("sequences packed into one batch are not known")
    size, heads = int(call.attr("rotary_embedding_dim", 0)), int(call.attr("num_heads", 0))
    parts = [call[0], call[2], call[3], call[1], str(heads), str(size), str(call.flag("interleaved"))]
    return f"{call.use('rotary_at')}({', '.join(parts)})"


def _options(call: Call, *usual: tuple[str, str, float]) -> list[str]:
    """Attributes that differ from what is usual, as arguments of another name."""
    made = []
    for attribute, argument, default in usual:
        value = call.attr(attribute, default)
        if value != default:
            made.append(f"{argument}={call.float(attribute, 0.0) if isinstance(default, float) else int(value)}")
    return made


def _grouped(call: Call) -> Tied:
    """The attention of ONNX Runtime's language models: a cache that grows, and positions that follow from it."""
    if call.has(10) or call.has(11) or call.flag("smooth_softmax") or call.outputs > 3:
        raise call.unsupported("biases, sinks and scores as a result are not known")
    parts = [
        call[0],
        call.tensor_or(1),
        call.tensor_or(2),
        call.tensor_or(3),
        call.tensor_or(4),
        call[5],
        call.number(6),
    ]
    parts += [str(int(call.attr("num_heads", 1))), str(int(call.attr("kv_num_heads", 1)))]
    if call.flag("do_rotary"):
        parts += [f"cos={call[7]}", f"sin={call[8]}"]
        parts += ["interleaved=True"] if call.flag("rotary_interleaved") else []
    parts += _options(call, ("scale", "scale", 0.0), ("softcap", "softcap", 0.0), ("local_window_size", "window", -1))
    return Tied(f"{call.use('grouped_attention')}({', '.join(parts)})", 3)


def _many_heads(call: Call) -> Tied:
    if call.has(8) or call.has(9) or call.outputs > 3 or call.rank(0) == 5 or not call.has(1):
        raise call.unsupported("packed queries and caches in a buffer are not known")
    parts = [call[0], call[1], call.tensor_or(2), str(int(call.attr("num_heads", 1)))]
    names = ("bias", "padding", "added", "past_key", "past_value")
    parts += [f"{name}={call[number]}" for number, name in enumerate(names, 3) if call.has(number)]
    parts += ["causal=True"] if call.flag("unidirectional") else []
    parts += _options(call, ("scale", "scale", 0.0))
    return Tied(f"{call.use('many_heads')}({', '.join(parts)})", 3)


def _embed(call: Call) -> list[str | Value | None]:
    """Words, places and segments added and normalized; with it how many words of each row are no padding."""
    parts = [call[0], call.tensor_or(1), call[2], call[3], call.tensor_or(4), call[5], call[6], call.tensor_or(8)]
    total = call.scope.name(call.node.outputs[0], "embedded")
    call.scope.lines.add(f"{total} = {call.use('embedded')}({', '.join([*parts[:5], parts[7]])})")
    made = f"F.layer_norm({total}, {total}.shape[-1:], {parts[5]}, {parts[6]}, eps={call.float('epsilon', 1e-12)})"
    counts = f"{call[7]}.sum(1, dtype=torch.int32)" if call.has(7) else f"{call[0]}.new_zeros({call[0]}.shape[0])"
    return [made, counts if call.wants(1) else None, total if call.wants(2) else None]


def _n_bits(call: Call) -> str:
    bits, block = int(call.attr("bits", 4)), int(call.attr("block_size", 32))
    if bits not in (2, 4, 8) or call.has(4):
        raise call.unsupported("only 2, 4 and 8 bits without an index of groups are known")
    size = f"{call.attr('N', 0)}, {call.attr('K', 0)}, {bits}, {block}"
    weight = f"{call.use('unpack_blocks')}({call[1]}, {call[2]}, {call.tensor_or(3)}, {size})"
    bias = f", {call[5]}" if call.has(5) else ""
    return f"F.linear({call[0]}, {weight}.to({call[0]}.dtype){bias})"


RULES: dict[str, Rule] = {
    "FusedConv": _conv, "FusedMatMul": _matmul, "BiasGelu": _biased("F.gelu({0})"), "QuickGelu": _quick,
    "FastGelu": _biased('F.gelu({0}, approximate="tanh")'), "SkipLayerNormalization": _skip(False),
    "SkipSimplifiedLayerNormalization": _skip(True), "SimplifiedLayerNormalization": _simplified,
    "DynamicQuantizeMatMul": _dynamic_matmul, "MatMulIntegerToFloat": _integer_to_float,
    "DynamicQuantizeLSTM": _dynamic_lstm, "MatMulNBits": _n_bits, "Inverse": "torch.linalg.inv({0})",
    "RotaryEmbedding": _rotary, "GroupQueryAttention": _grouped, "MultiHeadAttention": _many_heads,
    "EmbedLayerNormalization": _embed,
}  # fmt: skip
