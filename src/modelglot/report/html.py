"""A model on one self-contained page: no script, no request, nothing from the file but text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment

from modelglot.features.inspect.tree import Branch
from modelglot.report.lines import number, size

_COLOURS = (
    "#4269d0",
    "#efb118",
    "#ff725c",
    "#6cc5b0",
    "#3ca951",
    "#ff8ab7",
    "#a463f2",
    "#97bbf5",
    "#9c6b4e",
    "#9498a0",
)


def render_html(
    summary: Mapping[str, Any],
    scan: Mapping[str, Any],
    tree: Branch,
    templates: Sequence[Mapping[str, Any]],
    stats: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The page. ``summary`` and ``scan`` are documents of their verbs; ``stats`` of tensors, with histograms."""
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {"size": size, "number": number, "share": _share, "path": _outline}
    text = files("modelglot.report").joinpath("report.html.jinja").read_text("utf-8")
    colours = {row["type"]: _COLOURS[n % len(_COLOURS)] for n, row in enumerate(summary["types"])}
    return page.from_string(text).render(
        summary=summary, scan=scan, tree=tree, templates=templates, stats=stats, colours=colours
    )


def _share(part: float, whole: float) -> str:
    """Per cent, as a width."""
    return f"{100 * part / whole:.2f}" if whole else "0"


def _outline(counts: Sequence[int], width: int, height: int) -> str:
    """The outline of a histogram as an SVG path."""
    top = max(counts, default=0) or 1
    step = width / max(1, len(counts))
    points = (f"V{height - height * c / top:.1f}h{step:.2f}" for c in counts)
    return f"M0,{height}{''.join(points)}V{height}Z"
