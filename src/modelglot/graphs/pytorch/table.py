"""The table of operators for people, made from the tables of rules."""

from __future__ import annotations

from collections.abc import Iterable

from modelglot.graphs.pytorch import ops_attention, ops_microsoft, ops_ml
from modelglot.graphs.pytorch.rules import MODULES, NEWEST


def markdown() -> str:
    """A row a theme: what it is, and its operators."""
    rows = ["| what | operators |", "|---|---|"]
    for module in MODULES:
        title = (module.__doc__ or "").strip().partition("\n")[0]
        rows.append(f"| {title.partition('.')[0].partition(':')[0]} | {_listed(module.RULES)} |")
    rows.append(f"| `ai.onnx.ml` | {_listed(ops_ml.RULES)} |")
    rows.append(f"| `ai.onnx.preview` | {_listed(ops_attention.PREVIEW)} |")
    microsoft = [*ops_microsoft.RULES, *ops_microsoft.AS_STANDARD]
    rows.append(f"| `com.microsoft` | {_listed(microsoft)} |")
    count = sum(len(module.RULES) for module in MODULES)
    return "\n".join([f"{count} operators of the default domain, up to opset {NEWEST}:", "", *rows, ""])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
