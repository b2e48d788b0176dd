"""Quantized numbers."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.ops_conv import convolution, spatial_axes
from modelglot.graphs.pytorch.values import Tied

# Elements of a small type by ONNX's number: name for the support functions.
KINDS = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", **literals.SMALL,
         17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz"}  # fmt: skip


def _quantize(call: Call) -> str:
    """The type is that of the zero point, or is named, or 8 bits without sign."""
    named = int(call.attr("output_dtype", 0))
    element = call.element(2) if call.has(2) else named or 2
    kind = KINDS.get(element or 2)
    if kind is None:
        raise call.unsupported("it makes a type that is not known")
    x, scale = call[0], call[1]
    if call.attr("precision", 0):
        x, scale = (f"{code}.to(torch.{call.to('precision')})" for code in (x, scale))
    parts, name = [x, scale, call.tensor_or(2), literals.text(kind)], "quantize"
    if kind.startswith("float8"):
        parts, name = [x, scale, f"torch.{kind}", str(call.flag("saturate", 1))], "quantize_float8"
    elif kind.startswith("float"):
        parts, name = [x, scale, literals.text(kind)], "quantize_small_float"
    more = {"axis": (1, call.attr("axis", 1)), "block": (0, call.attr("block_size", 0))}
    parts += [f"{key}={value}" for key, (usual, value) in more.items() if value != usual]
    return f"{call.use(name)}({', '.join(parts)})"


def _dequantize(call: Call) -> str:
    parts = [call[0], call[1], call.tensor_or(2)]
    more = {"axis": (1, call.attr("axis", 1)), "block": (0, call.attr("block_size", 0))}
    parts += [f"{name}={value}" for name, (usual, value) in more.items() if value != usual]
    made = f"{call.use('dequantize')}({', '.join(parts)})"
    return f"{made}.to(torch.{call.to('output_dtype')})" if call.attr("output_dtype", 0) else made


def _dynamic(call: Call) -> Tied:
    return Tied(f"{call.use('dynamic_quantize')}({call[0]})")


def _matmul_integer(call: Call) -> str:
    return f"{call.use('matmul_integer')}({call[0]}, {call[1]}, {call.tensor_or(2)}, {call.tensor_or(3)})"


def _qlinear_matmul(call: Call) -> str:
    kind = KINDS.get(call.element(7) or 2, "uint8")
    return f"{call.use('qlinear_matmul')}({', '.join(call.all()[:8])}, {literals.text(kind)})"


def _conv_integer(call: Call) -> str:
    """In float64, which holds such sums exactly."""
    axes = spatial_axes(call)
    x = f"{call.use('centred')}({call[0]}, {call.tensor_or(2)})"
    weight = f"{call.use('centred')}({call[1]}, {call.tensor_or(3)}, 0)"
    return f"{_named(call, x, weight, axes)}.to(torch.int32)"


def _named(call: Call, x: str, weight: str, axes: int, bias: str | None = None) -> str:
    """The convolution of two expressions that are given names first."""
    names = [call.scope.name(call.node.outputs[0], word) for word in ("centred", "kernel")]
    for name, code in zip(names, (x, weight), strict=True):
        call.scope.lines.add(f"{name} = {code}")
    return convolution(call, names[0], names[1], bias, axes)


def _qlinear_conv(call: Call) -> str:
    axes = spatial_axes(call, 3)
    x = f"{call.use('centred')}({call[0]}, {call[2]})"
    weight = f"{call.use('centred')}({call[3]}, {call[5]}, 0)"
    made = _named(call, x, weight, axes, f"{call[8]}.double()" if call.has(8) else None)
    kind = KINDS.get(call.element(7) or 2, "uint8")
    return f"{call.use('requantize')}({made}, {call[1]}, {call[4]}, {call[6]}, {call[7]}, {literals.text(kind)}, 1)"


RULES: dict[str, Rule] = {
    "QuantizeLinear": _quantize, "DequantizeLinear": _dequantize, "DynamicQuantizeLinear": _dynamic,
    "MatMulInteger": _matmul_integer, "QLinearMatMul": _qlinear_matmul, "ConvInteger": _conv_integer,
    "QLinearConv": _qlinear_conv,
}  # fmt: skip
