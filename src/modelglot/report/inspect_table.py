"""A line a model: for many, when one report each would be too much."""

from __future__ import annotations

from modelglot.core.errors import printable
from modelglot.features.inspect.report import InspectReport
from modelglot.report.lines import Line, line, number, size

_WIDTHS = {"format": 14, "family": 28, "parameters": 10, "bytes": 9, "dtypes": 16, "path": 0}
_FIGURES = ("parameters", "bytes")
COLUMNS = tuple(_WIDTHS)


def cells(report: InspectReport, *, exact: bool) -> list[str]:
    """``exact``: figures as plain numbers, for programs. The path comes last: it may be long, and lines are printed
    before the next one is known."""
    model = report.model
    stored = sum(f.size for f in model.files if f.role != "side")
    return [
        model.format,
        printable(report.family or "", limit=60),
        str(model.parameters) if exact else number(model.parameters),
        str(stored) if exact else size(stored),
        ",".join(t.type for t in report.types),
        printable(report.path, limit=2000),
    ]


def padded(row: list[str] | tuple[str, ...], style: str = "") -> Line:
    """In columns, as far as the cells fit."""
    pairs = zip(_WIDTHS.items(), row, strict=True)
    made = [cell.rjust(width) if name in _FIGURES else cell.ljust(width) for (name, width), cell in pairs]
    return line(("  ".join(made), style))
