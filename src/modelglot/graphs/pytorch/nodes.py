"""Graphs written as lines: each node by its rule, nested graphs in blocks."""

from __future__ import annotations

from typing import Any

from modelglot.core.errors import InvalidFileError, printable
from modelglot.graphs.pytorch import names
from modelglot.graphs.pytorch.call import Call, used
from modelglot.graphs.pytorch.fold import folded
from modelglot.graphs.pytorch.rules import rule_of, version_of
from modelglot.graphs.pytorch.scope import Scope
from modelglot.graphs.pytorch.values import Tied, Value

# What a rule runs into where a node has other inputs, outputs or attributes than its operator.
_WRONG = (ValueError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError)


def write_graph(graph: Any, scope: Scope) -> list[str]:
    """The lines of a graph; returns its outputs as tensors. Inputs are bound already."""
    for value in graph.initializers.values():
        if value.name not in scope.values:
            scope.constant(value, value.const_value, initializer=True)
    said = None
    for node in graph:
        part = _part(node)
        if part and part != said and scope.outer is None:
            scope.lines.add(f"# {part}")
            said = part
        write_node(node, scope)
    return [scope.tensor(scope.find(value)) for value in graph.outputs]


def write_node(node: Any, scope: Scope) -> None:
    """Raises InvalidFileError where inputs or attributes are not those of the operator."""
    rule = rule_of(node.domain, node.op_type)
    call = Call(node, scope, version_of(node, scope.module.versions), write_graph)
    try:
        known = folded(call)
        made: Any = known if known is not None else rule(call) if callable(rule) else _filled(rule, call)
        _bind(node, scope, made)
    except _WRONG as error:
        what = f"{call.title} has not the inputs, outputs and attributes of its definition (opset {call.version})"
        raise InvalidFileError(what, detail=f"node {printable(node.name, code=True)}" if node.name else None) from error


def _filled(rule: str, call: Call) -> str:
    return rule.format(*call.all())


def _bind(node: Any, scope: Scope, made: Any) -> None:
    """Results under the names of the outputs. None: the rule has done that itself."""
    if made is None:
        return
    outputs = list(node.outputs)
    if isinstance(made, Tied):
        _together(node, scope, made)
    else:
        for value, one in zip(outputs, made if isinstance(made, list) else [made], strict=False):
            if one is not None and value.name:
                if isinstance(one, Value):
                    scope.keep(value, one, node.op_type)
                else:
                    scope.assign(value, one, node.op_type)


def _together(node: Any, scope: Scope, made: Tied) -> None:
    """``a, _ = code``, or ``a = code[0]`` where only the first result is used."""
    outputs: list[Any] = list(node.outputs)
    outputs += [None] * (made.count - len(outputs))
    wanted = [value is not None and bool(value.name) and used(value) for value in outputs]
    if wanted and not any(wanted[1:]) and len(outputs) > 1:
        scope.assign(outputs[0], f"{made.code}[0]", node.op_type)
        return
    words = [scope.name(value, node.op_type) if want else "_" for value, want in zip(outputs, wanted, strict=True)]
    scope.lines.add(f"{', '.join(words)}{',' * (len(words) == 1)} = {made.code}")
    for value, word, want in zip(outputs, words, wanted, strict=True):
        if want:
            scope.bind(value, Value(word))


def _part(node: Any) -> str:
    """The layer that a node's name tells: ``/encoder/layers.0/MatMul`` is of ``encoder/layers.0``."""
    path = [part for part in (node.name or "").split("/") if part]
    words = [names.comment(part) for part in path[:-1][:3]]
    return "/".join(words) if len(path) > 1 and all(words) else ""
