"""Control flow of the graph as control flow of Python."""

from __future__ import annotations

from typing import Any

from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.scope import Scope, bare
from modelglot.graphs.pytorch.values import NUMBER, Value

_FOREVER = 2**31 - 1
_DEEP = 18  # Python allows 20 blocks of loops in one another


def _if(call: Call) -> None:
    scope, outputs = call.scope, call.node.outputs
    names = [scope.name(value, "if") for value in outputs]
    for head, branch in (
        (f"if {bare(call.number(0)) if call.is_python(0) else call[0]}:", "then_branch"),
        ("else:", "else_branch"),
    ):
        with scope.lines.block(head):
            results = call.write(call.graph(branch), scope.inner())
            for name, result in zip(names, results, strict=False):
                scope.lines.add(f"{name} = {result}")
    for value, name in zip(outputs, names, strict=True):
        scope.bind(value, Value(name))


def _loop(call: Call) -> None:
    """``for`` over the trip count, left where the condition no longer holds."""
    if call.scope.lines.depth > _DEEP:
        raise call.unsupported("it is nested too deep for Python")
    scope, graph, lines = call.scope, call.graph("body"), call.scope.lines
    carried = _carried(scope, graph.inputs[2:], [call[n] for n in range(2, call.count)])
    scans = [scope.name(value, "scanned") for value in call.node.outputs[len(carried) :]]
    for name in scans:
        lines.add(f"{name} = []")
    counter = scope.name(graph.inputs[0], "i")
    inner = scope.inner()
    inner.bind(graph.inputs[0], Value(counter, NUMBER, "int64", ()))
    inner.bind(graph.inputs[1], Value("True", NUMBER, "bool", ()))
    for value, name in zip(graph.inputs[2:], carried, strict=True):
        inner.bind(value, Value(name))
    with lines.block(f"for {counter} in {_trips(call)}:"):
        results = call.write(graph, inner)
        goes = inner.find(graph.outputs[0])
        after = results[1:]
        for name, result in zip(scans, after[len(carried) :], strict=True):
            lines.add(f"{name}.append({result})")
        if carried and after[: len(carried)] != carried:
            lines.add(f"{', '.join(carried)} = {', '.join(after[: len(carried)])}")
        if goes.code != "True" and not (goes.array is not None and bool(goes.array.all())):
            with lines.block(f"if not {results[0]}:"):
                lines.add("break")
    _finish(call, graph.outputs[1:], carried, scans)


def _trips(call: Call) -> str:
    """An iterable of the numbers of iterations."""
    known = call.ints(0) if call.has(0) else None
    if not call.has(0) or (known and known[0] >= _FOREVER):
        count = "itertools.count()"
    else:
        count = f"range({call.number(0)})"
    if call.has(1) and not (call.array(1) is not None and bool(call.array(1).all())):
        return f"{count} if {call.number(1) if call.is_python(1) else call[1]} else ()"
    return count


def _carried(scope: Scope, inputs: Any, first: list[str]) -> list[str]:
    """Names that are set anew by every iteration."""
    names = [scope.name(value, "carried") for value in inputs]
    for name, code in zip(names, first, strict=True):
        scope.lines.add(f"{name} = {code}")
    return names


def _finish(call: Call, inside: Any, carried: list[str], scans: list[str]) -> None:
    """Results of a loop: the last values, and what each iteration gave, stacked."""
    for value, name in zip(call.node.outputs, carried, strict=False):
        if value.name:
            call.scope.bind(value, Value(name))
    for number, name in enumerate(scans, len(carried)):
        value = call.node.outputs[number]
        known = inside[number].shape
        shape = tuple(size if isinstance(size, int) and size >= 0 else 0 for size in known) if known is not None else ()
        kind = call.out_dtype(number) or "float32"
        call.scope.lines.add(f"{name} = {call.use('stacked')}({name}, {shape}, torch.{kind})")
        if value.name:
            call.scope.bind(value, Value(name))


def _scan(call: Call) -> None:
    if call.version < 9:
        raise call.unsupported("the Scan of before opset 9 is another operator")
    scope, graph, lines = call.scope, call.graph("body"), call.scope.lines
    count = int(call.attr("num_scan_inputs", 1))
    states = call.count - count
    carried = _carried(scope, graph.inputs[:states], [call[n] for n in range(states)])
    axes = call.ints_attr("scan_input_axes", [0] * count) or [0] * count
    turned = call.ints_attr("scan_input_directions", [0] * count) or [0] * count
    outputs = len(call.node.outputs) - states
    out_axes = call.ints_attr("scan_output_axes", [0] * outputs) or [0] * outputs
    out_turned = call.ints_attr("scan_output_directions", [0] * outputs) or [0] * outputs
    scans = [scope.name(value, "scanned") for value in call.node.outputs[states:]]
    for name in scans:
        lines.add(f"{name} = []")
    parts = [_along(call[states + n], axes[n], turned[n]) for n in range(count)]
    names = [scope.name(value, "item") for value in graph.inputs[states:]]
    inner = scope.inner()
    for value, name in zip(graph.inputs, [*carried, *names], strict=True):
        inner.bind(value, Value(name))
    source = f"zip({', '.join(parts)})" if count > 1 else parts[0]
    with lines.block(f"for {', '.join(names)} in {source}:"):
        results = call.write(graph, inner)
        for number, name in enumerate(scans):
            lines.add(f"{name}.append({results[states + number]})")
        if carried and results[:states] != carried:
            lines.add(f"{', '.join(carried)} = {', '.join(results[:states])}")
    _finish(call, graph.outputs, carried, scans)
    for name, axis, backwards in zip(scans, out_axes, out_turned, strict=True):
        if backwards:
            lines.add(f"{name} = {name}.flip(0)")
        if axis:
            lines.add(f"{name} = torch.movedim({name}, 0, {axis})")


def _along(code: str, axis: int, backwards: int) -> str:
    made = f"{code}.unbind({axis})" if axis else f"{code}.unbind()"
    return f"{made}[::-1]" if backwards else made


def _sequence_map(call: Call) -> None:
    scope, graph, lines = call.scope, call.graph("body"), call.scope.lines
    names = [scope.name(value, "mapped") for value in call.node.outputs]
    for name in names:
        lines.add(f"{name} = []")
    sequence, others = call[0], [call[n] for n in range(1, call.count)]
    counter = scope.name(graph.inputs[0], "i")
    inner = scope.inner()
    inner.bind(graph.inputs[0], Value(f"{sequence}[{counter}]"))
    for value, code in zip(graph.inputs[1:], others, strict=True):
        inner.bind(value, Value(f"({code}[{counter}] if isinstance({code}, list) else {code})"))
    with lines.block(f"for {counter} in range(len({sequence})):"):
        for name, result in zip(names, call.write(graph, inner), strict=True):
            lines.add(f"{name}.append({result})")
    for value, name in zip(call.node.outputs, names, strict=True):
        scope.bind(value, Value(name))


RULES: dict[str, Rule] = {"If": _if, "Loop": _loop, "Scan": _scan, "SequenceMap": _sequence_map}
