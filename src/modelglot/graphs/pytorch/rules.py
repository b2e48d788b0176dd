"""The tables of all operators, and which of a model's operators have no rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from modelglot.core.errors import UnsupportedError, printable
from modelglot.graphs.pytorch import (
    ops_activation,
    ops_attention,
    ops_control,
    ops_conv,
    ops_detect,
    ops_index,
    ops_math,
    ops_microsoft,
    ops_ml,
    ops_norm,
    ops_number,
    ops_pool,
    ops_quant,
    ops_recurrent,
    ops_reduce,
    ops_resize,
    ops_sequence,
    ops_shape,
    ops_signal,
    ops_text,
    ops_type,
)
from modelglot.graphs.pytorch.call import Rule

MODULES = (
    ops_math, ops_activation, ops_reduce, ops_shape, ops_number, ops_index, ops_type, ops_conv, ops_pool, ops_resize,
    ops_norm, ops_recurrent, ops_attention, ops_quant, ops_control, ops_sequence, ops_signal, ops_detect,
    ops_text,
)  # fmt: skip
STANDARD: dict[str, Rule] = {name: rule for module in MODULES for name, rule in module.RULES.items()}
BY_DOMAIN: dict[str, Mapping[str, Rule]] = {
    "": STANDARD,
    "ai.onnx": STANDARD,
    "ai.onnx.ml": ops_ml.RULES,
    "ai.onnx.preview": ops_attention.PREVIEW,
    "com.microsoft": {**ops_microsoft.RULES, **{n: STANDARD[n] for n in ops_microsoft.AS_STANDARD}},
}
NEWEST = 28  # of the default domain, whose definitions were read for these rules


def rule_of(domain: str, operator: str) -> Rule:
    """Raises UnsupportedError; `check` says the same of a whole model, before anything is made."""
    found = BY_DOMAIN.get(domain, {}).get(operator)
    if found is None:
        raise UnsupportedError(f"the operator {printable(f'{domain}.{operator}', code=True)} has no rule")
    return found


def version_of(node: Any, versions: Mapping[str, int]) -> int:
    if node.version is not None:
        return int(node.version)
    standard = versions.get("", versions.get("ai.onnx", NEWEST))
    return standard if node.domain in ("", "ai.onnx") else versions.get(node.domain, 1)


def check(graph: Any, versions: Mapping[str, int]) -> None:
    """Raises UnsupportedError that names every operator without a rule, its domain, version and count."""
    missing: Counter[tuple[str, str, int]] = Counter()
    for node in every_node(graph):
        if node.op_type not in BY_DOMAIN.get(node.domain, {}):
            missing[node.domain, node.op_type, version_of(node, versions)] += 1
    if missing:
        shown = []
        for (domain, operator, version), count in sorted(missing.items()):
            where = f"domain {printable(domain or 'ai.onnx', code=True)}, opset {version}"
            shown.append(f"{printable(operator, code=True)} ({where}): {count:,}")
        raise UnsupportedError(
            f"{len(missing):,} operator{'s' * (len(missing) > 1)} of this graph cannot be written for PyTorch",
            detail="; ".join(shown[:12]) + " ..." * (len(shown) > 12),
            hint="docs/guides/onnx-to-pytorch.md has the table of operators",
        )


def every_node(graph: Any) -> Iterator[Any]:
    """The nodes of a graph and of the graphs nested in it."""
    for node in graph:
        yield node
        for attribute in node.attributes.values():
            kind = getattr(attribute.type, "name", "")
            for inner in (attribute.value,) if kind == "GRAPH" else attribute.value if kind == "GRAPHS" else ():
                yield from every_node(inner)
