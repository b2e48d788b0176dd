"""An `InspectReport` as lines: what it is, what is noticed, what is inside, and the tree."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.containers.side_files import what_is
from modelglot.core.errors import printable
from modelglot.features.inspect.report import InspectReport, short
from modelglot.features.inspect.tree import Branch
from modelglot.report.cost_text import cost_lines
from modelglot.report.lines import Line, line, number, plural, size

_METADATA_SHOWN = 24
_OPERATORS_SHOWN, _SIGNATURES_SHOWN, _PORTS_SHOWN = 12, 6, 8


def render(report: InspectReport, *, depth: int | None = None, metadata: bool = False) -> Iterator[Line]:
    """``depth`` levels of the tree (all by default); ``metadata`` shows every key with its whole value."""
    yield from _head(report)
    yield from _name(report)
    for note in report.notes:
        style = "yellow" if note.level == "warning" else "dim"
        yield line(("warning: " if note.level == "warning" else "note: ", style), printable(note.text, limit=500))
    yield from _training(report)
    yield from _graph(report)
    yield from cost_lines(report.cost) if report.cost else ()
    yield from _metadata(report, metadata)
    yield from _files(report)
    if report.tree.children:
        yield line("")
        yield line(("tensors", "bold"))
        yield from _branches(report.tree.children, "", depth)


def _head(report: InspectReport) -> Iterator[Line]:
    model = report.model
    stored = sum(f.size for f in model.files if f.role != "side")
    kind = f"{report.title}, {model.dialect}" if model.dialect else report.title
    yield line((printable(report.path), "bold"), ": ", (kind, "cyan"), f" ({report.why}), {size(stored)}")
    totals = f"{plural(len(model.tensors), 'tensor')}, {number(model.parameters)} parameters, {size(model.nbytes)}"
    yield line("  ", totals if model.tensors else "no tensors")
    if len(report.types) > 1 or report.types:
        parts = [f"{t.type} x{t.tensors:,} ({size(t.nbytes)})" for t in report.types]
        yield line("  types: ", ", ".join(parts))
    if report.family:
        yield line("  family: ", printable(report.family))
    for names in report.ties[:6]:
        yield line("  tied: ", " = ".join(printable(n) for n in names[:6]))
    if len(report.ties) > 6:
        yield line(f"  ... and {len(report.ties) - 6:,} more ties")


def _name(report: InspectReport) -> Iterator[Line]:
    said = report.name.get("said")
    if said:
        yield line("  name: ", printable(str(said), limit=400))


def _training(report: InspectReport) -> Iterator[Line]:
    if len(report.parts) > 1 or any(p.path for p in report.parts):
        for part in report.parts:
            where = f"`{printable(part.path)}`" if part.path else "the file"
            yield line(
                "  component ", (part.role, "cyan"), f": {where}, {plural(part.tensors, 'tensor')}, {size(part.nbytes)}"
            )
    if report.training:
        shown = [f"{printable(k)}={_value(v)}" for k, v in list(report.training.items())[:12]]
        more = f", and {len(report.training) - 12} more" if len(report.training) > 12 else ""
        yield line("  training state: ", ", ".join(shown), more)
    if report.objects:
        names = [f"{printable(n)} x{c}" if c > 1 else printable(n) for n, c in list(report.objects.items())[:8]]
        more = f", and {len(report.objects) - 8} more" if len(report.objects) > 8 else ""
        yield line("  objects named in the file, not imported: ", ", ".join(names), more)
    if report.calls:
        yield line(
            ("warning: ", "yellow"),
            "loading this with pickle would call ",
            ", ".join(printable(c, code=True) for c in report.calls[:6]),
            "; modelglot never does",
        )


def _value(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else printable(str(value), limit=60)


def _graph(report: InspectReport) -> Iterator[Line]:
    graph = report.model.graph
    if graph is None:
        return
    yield line("")
    yield line(("graph", "bold"))
    kinds = [
        f"{printable(name)} x{count:,}" if count > 1 else printable(name) for name, count in graph.operators.items()
    ]
    more = f", and {len(kinds) - _OPERATORS_SHOWN} more kinds" if len(kinds) > _OPERATORS_SHOWN else ""
    yield line(f"  {graph.dialect}, {plural(graph.nodes, 'node')}: ", ", ".join(kinds[:_OPERATORS_SHOWN]), more)
    if graph.functions:
        yield line(
            "  functions: ", ", ".join(printable(f) for f in graph.functions[:6]), " ..." * (len(graph.functions) > 6)
        )
    for signature in graph.signatures[:_SIGNATURES_SHOWN]:
        yield line("  ", (printable(signature.name), "cyan"))
        for what, ports in (("in ", signature.inputs), ("out", signature.outputs)):
            for port in ports[:_PORTS_SHOWN]:
                yield line(f"    {what} ", printable(str(port)))
            if len(ports) > _PORTS_SHOWN:
                yield line(f"    ... {len(ports) - _PORTS_SHOWN:,} more")
    if len(graph.signatures) > _SIGNATURES_SHOWN:
        yield line(f"  ... {len(graph.signatures) - _SIGNATURES_SHOWN:,} more signatures")


def _metadata(report: InspectReport, whole: bool) -> Iterator[Line]:
    metadata = report.model.metadata
    if not len(metadata):
        return
    yield line("")
    yield line(("metadata", "bold"))
    keys = list(metadata)
    for key in keys if whole else keys[:_METADATA_SHOWN]:
        text = short(metadata, key, cut=1_000_000 if whole else 100)
        yield line(f"  {printable(key)}: ", (text, "green"))
    if not whole and len(keys) > _METADATA_SHOWN:
        yield line(f"  ... {len(keys) - _METADATA_SHOWN} more keys (--metadata shows all)")


def _files(report: InspectReport) -> Iterator[Line]:
    sides = {s.name for s in report.model.sides}
    files = [f for f in report.model.files if f.name not in sides]
    if len(files) < 2 and not sides:
        return
    yield line("")
    yield line(("files", "bold"))
    for file in files[:40]:
        yield line(f"  {printable(file.name)}  {size(file.size)}  ", (what_is(file.name), "dim"))
    if len(files) > 40:
        yield line(f"  ... {len(files) - 40} more")
    for side in report.model.sides[:60]:
        yield line(f"  {printable(side.name)}  {size(side.size)}  ", (side.what, "dim"))
    if len(report.model.sides) > 60:
        yield line(f"  ... {len(report.model.sides) - 60} more")


def _branches(branches: list[Branch], indent: str, depth: int | None) -> Iterator[Line]:
    if depth is not None and depth <= 0:
        return
    for position, branch in enumerate(branches):
        last = position == len(branches) - 1
        stem = f"{indent}{'└─ ' if last else '├─ '}"
        if _is_small(branch):
            yield line(stem, printable(branch.label), "  ", *_one_line(branch))
            continue
        yield line(stem, printable(branch.label), "  ", *_about(branch))
        yield from _branches(branch.children, indent + ("   " if last else "│  "), None if depth is None else depth - 1)


def _is_small(branch: Branch) -> bool:
    """A module of two or three tensors, such as a weight and a bias, reads best on one line."""
    return 0 < len(branch.children) <= 3 and all(c.type is not None and len(c.label) < 40 for c in branch.children)


def _one_line(branch: Branch) -> Line:
    """``weight [64, 192], bias [64] f32``."""
    types = {c.type for c in branch.children}
    spans: Line = []
    for position, child in enumerate(branch.children):
        shape, space, kind = _about(child)
        spans += [(", " if position else "", ""), (printable(child.label) + " ", ""), shape]
        if len(types) > 1 or position == len(branch.children) - 1:
            spans += [space, kind]
    return spans


def _about(branch: Branch) -> Line:
    if branch.type is not None:
        shape = "various shapes" if branch.various else f"[{', '.join(map(str, branch.shape or ()))}]"
        return line((shape, "green"), " ", (branch.type, "cyan"))
    return line((f"{plural(branch.tensors, 'tensor')}, {number(branch.parameters)}, {size(branch.nbytes)}", "dim"))
