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
}  # fmt: skip
