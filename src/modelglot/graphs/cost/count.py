"""The sums over a graph whose shapes are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from math import prod
from types import MappingProxyType
from typing import Any

from modelglot.core.cost import Cost, Step
from modelglot.core.dtype import DTYPES
from modelglot.formats.onnx.types import ELEMENTS
from modelglot.graphs.cost.flops import flops
from modelglot.graphs.cost.shapes import shapes_of

_VIEWS = frozenset(["Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Dropout"])  # no bytes of their own
_LOOPS = ("Loop", "Scan")
_STANDARD = ("", "ai.onnx")


def counted(graph: Any, inputs: Mapping[str, str], outer: Mapping[str, tuple[int, ...]] = MappingProxyType({})) -> Cost:
    """The cost of a ``GraphProto`` that `with_shapes` gave its shapes; ``inputs`` is what they are for.

    What is computed of weights alone is computed once, when the graph is loaded: it has no cost here.
    """
    shapes = {**outer, **shapes_of(graph)}
    weights = {t.name: prod(t.dims) for t in graph.initializer}
    steps, unknown, loops = [], Counter[str](), 0
    for node in graph.node:
        used = sum(weights.get(i, 0) for i in dict.fromkeys(node.input))
        bodies = [counted(a.g, {}, shapes) for a in node.attribute if a.HasField("g")]
        if not bodies and all(i in weights for i in node.input if i):
            own = sum(prod(a.t.dims) for a in node.attribute if a.HasField("t"))  # of a `Constant`
            weights |= dict.fromkeys(node.output, used + own)
            continue
        loops += (node.op_type in _LOOPS) + sum(body.repeated for body in bodies)
        for body in bodies:
            unknown.update(body.unknown)
        ins, outs = [shapes.get(i) for i in node.input], [shapes.get(o) for o in node.output]
        try:
            own = flops(node.op_type, ins, outs, {a.name: _value(a) for a in node.attribute}, node.domain in _STANDARD)
        except LookupError:
            unknown[node.op_type] += 1
            continue
        own += max((body.flops for body in bodies), default=0)  # of the branches of an `If` one runs
        first = next((s for s in outs if s is not None), ())
        steps.append(Step(node.name or next(iter(node.output), ""), node.op_type, first, own, used))
    total, peak = _memory(graph, _bytes(graph, shapes, weights))
    found = dict(unknown.most_common())
    return Cost(inputs, sum(s.flops for s in steps), total, peak, tuple(steps), found, loops)


def _value(attribute: Any) -> Any:
    return {1: attribute.f, 2: attribute.i, 3: attribute.s.decode("utf-8", "replace"), 7: list(attribute.ints)}.get(
        attribute.type
    )


def _bytes(graph: Any, shapes: Mapping[str, tuple[int, ...]], constant: Container[str]) -> dict[str, int]:
    found = {}
    for info in (*graph.value_info, *graph.output):
        dtype = ELEMENTS.get(info.type.tensor_type.elem_type, DTYPES["f32"])
        if info.name in shapes and info.name not in constant:
            found[info.name] = prod(shapes[info.name]) * dtype.bits // 8
    return found


def _memory(graph: Any, sizes: Mapping[str, int]) -> tuple[int, int]:
    """(bytes of all values that nodes make, the most that are needed at one time), in the order of the file."""
    last: dict[str, int] = {}
    source = {o: o for node in graph.node for o in node.output}
    for node in graph.node:
        if node.op_type in _VIEWS and node.input and node.input[0] in source and node.output:
            source[node.output[0]] = source[node.input[0]]
    for number, node in enumerate(graph.node):
        last |= {source[i]: number for i in node.input if i in source}
    last |= {source[o.name]: len(graph.node) for o in graph.output if o.name in source}
    total = live = peak = 0
    ends: dict[int, list[str]] = {}
    for name, number in last.items():
        ends.setdefault(number, []).append(name)
    for number, node in enumerate(graph.node):
        made = [o for o in node.output if o and source[o] == o]
        grown = sum(sizes.get(o, 0) for o in made)
        total, live = total + grown, live + grown
        peak = max(peak, live)
        live -= sum(sizes.get(o, 0) for o in made if o not in last)
        live -= sum(sizes.get(name, 0) for name in ends.get(number, ()))
    return total, peak
