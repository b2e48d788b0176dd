"""Activations."""

from __future__ import annotations

from modelglot.graphs.pytorch.call import Call, Rule


def _with(code: str, **defaults: float) -> Rule:
    """An expression of the input and of attributes, which have defaults."""

    def rule(call: Call) -> str:
        return code.format(call[0], **{name: call.float(name, value) for name, value in defaults.items()})

    return rule


def _prelu(call: Call) -> str:
    """ONNX's slope broadcasts from the right, that of `F.prelu` belongs to the second axis: ``(C, 1, 1)`` is both."""
    x, slope, shape = call[0], call[1], call.shape(1)
    if shape == (1,) or call.version < 7:  # when it did not broadcast yet, it was one for each channel
        return f"F.prelu({x}, {slope})"
    if shape is not None and call.rank() == 1 + len(shape) and all(size == 1 for size in shape[1:]):
        return f"F.prelu({x}, {slope}.flatten())"
    return f"torch.where({x} < 0, {x} * {slope}, {x})"


def _softmax(function: str) -> Rule:
    """Before opset 13 the axes from ``axis`` on were one."""

    def rule(call: Call) -> str:
        axis, rank = int(call.attr("axis", -1 if call.version >= 13 else 1)), call.rank()
        if call.version >= 13 or axis == -1 or (rank is not None and axis == rank - 1):
            return f"F.{function}({call[0]}, dim={axis})"
        axis = axis if axis >= 0 else axis % max(call.ranked(), 1)
        return f"F.{function}({call[0]}.flatten({axis}), dim={axis}).view_as({call[0]})"

    return rule


def _hardmax(call: Call) -> str:
    if call.version >= 13:
        return f"{call.use('hardmax')}({call[0]}, {call.attr('axis', -1)})"
    axis = int(call.attr("axis", 1)) % max(call.ranked(), 1)
    return f"{call.use('hardmax')}({call[0]}.flatten({axis}), {axis}).view_as({call[0]})"


def _gelu(call: Call) -> str:
    how = ', approximate="tanh"' if call.text("approximate", "none") == "tanh" else ""
    return f"F.gelu({call[0]}{how})"


def _swish(call: Call) -> str:
    alpha = call.float("alpha", 1.0)
    return f"F.silu({call[0]})" if alpha == "1.0" else f"{call[0]} * torch.sigmoid({alpha} * {call[0]})"


def _swiglu(call: Call) -> str:
    return f"({_swish(call)}) * {call[1]}"


def _shrink(call: Call) -> str:
    lambd, bias = call.float("lambd", 0.5), call.float("bias", 0.0)
    return f"{call.use('shrink')}({call[0]}, {lambd}, {bias})"


RULES: dict[str, Rule] = {
    "Relu": "F.relu({0})", "Sigmoid": "torch.sigmoid({0})", "Softsign": "F.softsign({0})", "Mish": "F.mish({0})",
    "Softplus": "F.softplus({0})", "HardSwish": "F.hardswish({0})",
    "LeakyRelu": _with("F.leaky_relu({0}, {alpha})", alpha=0.01), "PRelu": _prelu,
    "Elu": _with("F.elu({0}, {alpha})", alpha=1.0), "Celu": _with("F.celu({0}, {alpha})", alpha=1.0),
    "Selu": _with("{gamma} * F.elu({0}, {alpha})", alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
    "HardSigmoid": _with("torch.clamp({alpha} * {0} + {beta}, min=0.0, max=1.0)", alpha=0.2, beta=0.5),
    "ThresholdedRelu": _with("F.threshold({0}, {alpha}, 0.0)", alpha=1.0), "Shrink": _shrink,
    "Gelu": _gelu, "Swish": _swish, "SwiGLU": _swiglu,
    "Softmax": _softmax("softmax"), "LogSoftmax": _softmax("log_softmax"), "Hardmax": _hardmax,
}  # fmt: skip
