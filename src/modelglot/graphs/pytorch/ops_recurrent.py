"""LSTM, GRU and RNN."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.values import Tied

_DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
_ACTIVATIONS = {
    "relu": "torch.relu", "tanh": "torch.tanh", "sigmoid": "torch.sigmoid", "softsign": "F.softsign",
    "softplus": "F.softplus",
    "affine": "lambda v: {alpha} * v + {beta}", "leakyrelu": "lambda v: F.leaky_relu(v, {alpha})",
    "thresholdedrelu": "lambda v: F.threshold(v, {alpha}, 0.0)",
    "scaledtanh": "lambda v: {alpha} * torch.tanh({beta} * v)",
    "hardsigmoid": "lambda v: torch.clamp({alpha} * v + {beta}, 0.0, 1.0)", "elu": "lambda v: F.elu(v, {alpha})",
}  # fmt: skip
_ALPHAS = {"affine": 1.0, "leakyrelu": 0.01, "thresholdedrelu": 1.0, "scaledtanh": 1.0, "hardsigmoid": 0.2, "elu": 1.0}
_BETAS = {"scaledtanh": 1.0, "hardsigmoid": 0.5}


def _layer(kind: str) -> Rule:
    def rule(call: Call) -> Tied:
        direction = call.text("direction", "forward")
        if direction not in ("forward", "reverse", "bidirectional"):
            raise call.unsupported("its `direction` is not known")
        states = [call.tensor_or(5)] + ([call.tensor_or(6)] if kind == "LSTM" else [])
        activations = _names(call, kind, direction)
        usual = [name.lower() for name in activations] == [n.lower() for n in _DEFAULTS[kind]] * (
            1 + (direction == "bidirectional")
        )
        plain = usual and not call.has(4) and call.attr("clip") is None and not call.flag("input_forget")
        plain = plain and not (kind == "LSTM" and call.has(7))
        plain = plain and (kind != "GRU" or call.flag("linear_before_reset"))
        more = [literals.text(direction)] if direction != "forward" else []
        more += ["batch_first=True"] if call.flag("layout") else []
        if plain:
            parts = [call[0], call[1], call[2], call.tensor_or(3), *states, *more]
            made = f"{call.use(kind.lower())}({', '.join(parts)})"
        else:
            made = _steps(call, kind, states, direction, activations)
        return Tied(made, len(states) + 1)

    return rule


def _steps(call: Call, kind: str, states: list[str], direction: str, names: list[str]) -> str:
    """What torch's own layers lack is computed step by step."""
    functions = f"[{', '.join(_activation(call, name, number) for number, name in enumerate(names))}]"
    parts = [
        call[0],
        call[1],
        call[2],
        call.tensor_or(3),
        call.tensor_or(4),
        *states,
        literals.text(direction),
        functions,
    ]
    if call.attr("clip") is not None:
        parts.append(f"clip={call.float('clip', 0.0)}")
    if kind == "LSTM":
        parts += [f"peephole={call[7]}"] if call.has(7) else []
        parts += ["coupled=True"] if call.flag("input_forget") else []
    if kind == "GRU" and call.flag("linear_before_reset"):
        parts.append("before_reset=True")
    if call.flag("layout"):
        parts.append("batch_first=True")
    return f"{call.use(f'{kind.lower()}_steps')}({', '.join(parts)})"


def _names(call: Call, kind: str, direction: str) -> list[str]:
    count = 1 + (direction == "bidirectional")
    return call.texts("activations") or _DEFAULTS[kind] * count


def _activation(call: Call, name: str, number: int) -> str:
    code = _ACTIVATIONS.get(name.lower())
    if code is None:
        raise call.unsupported("one of its activations is not known")
    values = []
    for which, defaults in (("activation_alpha", _ALPHAS), ("activation_beta", _BETAS)):
        given = call.attr(which, [])
        value = given[number] if number < len(given) else defaults.get(name.lower(), 0.0)
        values.append(literals.number(value, "float32"))
    return code.format(alpha=values[0], beta=values[1])


RULES: dict[str, Rule] = {kind: _layer(kind) for kind in _DEFAULTS}
