"""A `Cost` as lines."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.core.cost import Cost
from modelglot.core.errors import printable
from modelglot.report.lines import Line, line, number, plural, size

_SHOWN = 8


def cost_lines(cost: Cost) -> Iterator[Line]:
    yield line("")
    yield line(("cost", "bold"), " for " if cost.inputs else "", printable(", ".join(_ports(cost)), limit=400))
    kinds = [f"{printable(k)} {_count(v).rstrip()}" for k, v in cost.by_operator.items()]
    more = f", and {len(kinds) - _SHOWN} more kinds" if len(kinds) > _SHOWN else ""
    yield line(f"  {_count(cost.flops)}FLOPs: ", ", ".join(kinds[:_SHOWN]), more)
    yield line(f"  activations: {size(cost.peak)} at most at one time, {size(cost.activations)} in all")
    if cost.unknown:
        names = ", ".join(f"{printable(k)} x{v}" for k, v in list(cost.unknown.items())[:_SHOWN])
        yield line(("  not counted, their shapes depend on what the graph computes: ", "yellow"), names)
    if cost.repeated:
        yield line(("  ", "yellow"), f"{plural(cost.repeated, 'loop')} counted as one turn each")
    for step in sorted(cost.steps, key=lambda s: -s.flops)[:_SHOWN]:
        if step.flops:
            weights = f", {number(step.weights)} weights" if step.weights else ""
            yield line(
                f"    {printable(step.name, limit=60)}  ", (step.operator, "cyan"),
                f" {list(step.shape)}  {_count(step.flops)}FLOPs{weights}",
            )  # fmt: skip


def _count(value: int) -> str:
    """With the prefixes of FLOPs: ``4.77 G``."""
    for prefix, unit in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if value >= unit:
            return f"{value / unit:.3g} {prefix}"
    return f"{value} "


def _ports(cost: Cost) -> Iterator[str]:
    ports = list(cost.inputs.items())
    yield from (f"{name} {port}" for name, port in ports[:4])
    if len(ports) > 4:
        yield f"and {len(ports) - 4} more inputs"
