"""Attention and what goes with it."""

from __future__ import annotations

from typing import Any

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.values import Tied, Value


def _attention(call: Call) -> Tied:
    parts = [call[0], call[1], call[2]]
    names = ("mask", "past_key", "past_value", "valid")
    parts += [f"{name}={call[number]}" for number, name in enumerate(names, 3) if call.has(number)]
    usual: dict[str, Any] = {"q_num_heads": 0, "kv_num_heads": 0, "is_causal": 0, "qk_matmul_output_mode": 0,
                             "left_window_size": -1, "right_window_size": -1}  # fmt: skip
    short = {"q_num_heads": "heads", "kv_num_heads": "kv_heads", "is_causal": "causal", "qk_matmul_output_mode": "mode",
             "left_window_size": "left", "right_window_size": "right"}  # fmt: skip
    for name, default in usual.items():
        value = int(call.attr(name, default))
        if value != default:
            parts.append(f"{short[name]}={bool(value) if name == 'is_causal' else value}")
    for name, default in (("scale", None), ("softcap", 0.0)):
        value = call.attr(name, default)
        if value != default:
            parts.append(f"{name}={literals.number(value, 'float32')}")
    if call.attr("softmax_precision") is not None:
        parts.append(f"precision=torch.{call.to('softmax_precision')}")
    made = f"{call.use('attention')}({', '.join(parts)})"
    return Tied(made, 4)


def _rotary(call: Call) -> str:
    parts = [*call.all()[:3], call.tensor_or(3), str(call.attr("num_heads", 0)),
             str(call.attr("rotary_embedding_dim", 0)), str(call.flag("interleaved"))]  # fmt: skip
    return f"{call.use('rotary')}({', '.join(parts)})"


def _linear(call: Call) -> Tied:
    rule = call.text("update_rule", "gated_delta")
    parts = [call[0], call[1], call[2], call.tensor_or(3), call.tensor_or(4), call.tensor_or(5),
             str(call.attr("q_num_heads", 1)), str(call.attr("kv_num_heads", 1)), call.float("scale", 0.0),
             literals.text(rule)]  # fmt: skip
    made = f"{call.use('linear_attention')}({', '.join(parts)})"
    return Tied(made, 2)


def _flex(call: Call) -> str:
    """Scores and probabilities go through graphs of the model's own, which are written out here."""
    scale = call.float("scale", 0.0) if call.attr("scale") is not None else "None"
    number = call.attr("softmax_precision")
    kind = call.to("softmax_precision") if number is not None else "float64" if call.dtype() == "float64" else "float32"
    name = call.scope.name(call.node.outputs[0], "scores")
    key = f"{call.use('attention_scores')}({call[0]}, {call[1]}, {scale}).to(torch.{kind})"
    call.scope.lines.add(f"{name} = {key}")
    name = _modified(call, "score_mod", name, kind)
    call.scope.lines.add(f"{name} = torch.softmax({name}, dim=-1)")
    name = _modified(call, "prob_mod", name, kind)
    return f"{call.use('attend')}({name}.to({call[2]}.dtype), {call[2]})"


def _modified(call: Call, attribute: str, name: str, kind: str) -> str:
    graph = call.graph(attribute)
    if graph is None:
        return name
    inner = call.scope.inner()
    inner.bind(graph.inputs[0], Value(name, dtype=kind))
    made = call.write(graph, inner)[0]
    after = call.scope.name(graph.outputs[0], attribute)
    call.scope.lines.add(f"{after} = {made}")
    return after


RULES: dict[str, Rule] = {"Attention": _attention, "RotaryEmbedding": _rotary, "LinearAttention": _linear}
PREVIEW: dict[str, Rule] = {"FlexAttention": _flex}
