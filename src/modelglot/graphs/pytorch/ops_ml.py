"""Operators of ai.onnx.ml that are arithmetic."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule


def _floats(call: Call, name: str) -> str:
    return ", ".join(literals.number(value, "float32") for value in call.attr(name, []))


def _binarize(call: Call) -> str:
    return f"({call[0]} > {call.float('threshold', 0.0)}).to({call[0]}.dtype)"


def _scale(call: Call) -> str:
    parts = [f"torch.tensor([{_floats(call, name)}], device={call.device})" for name in ("offset", "scale")]
    return f"({call[0]}.float() - {parts[0]}) * {parts[1]}"


def _extract(call: Call) -> str:
    return f"{call[0]}.index_select(-1, {call[1]}.flatten())"


RULES: dict[str, Rule] = {"ArrayFeatureExtractor": _extract, "Binarizer": _binarize, "Scaler": _scale}
