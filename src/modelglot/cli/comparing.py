"""modelglot diff, modelglot digest"""

from __future__ import annotations

from collections.abc import Iterator

import click

from modelglot.api.comparing import diff, digest
from modelglot.cli.errors import NO
from modelglot.cli.options import (
    component_option,
    exclude_option,
    from_option,
    include_option,
    json_option,
    layout_options,
    print_json,
)
from modelglot.core.errors import printable
from modelglot.core.urls import public
from modelglot.features.diff.tensors import Diff
from modelglot.report.lines import Line, line, plural, write


@click.command("diff")
@click.argument("left")
@click.argument("right")
@component_option
@include_option
@exclude_option
@click.option("--match", type=click.Choice(["name", "value"]), default="name",
              help="Which tensors belong together: those of one name, or those of equal values.")  # fmt: skip
@layout_options
@click.option("--all", "show_all", is_flag=True, help="List every difference, not the first 20 of a kind.")
@json_option
def diff_command(
    left: str,
    right: str,
    component: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    match: str,
    layout: str | None,
    axes: tuple[str, ...],
    show_all: bool,
    as_json: bool,
) -> int:
    """Are two models the same tensors, bit for bit, whatever their formats? Exit code 0: yes, 1: no."""
    report = diff(left, right, component=component, include=include, exclude=exclude, match=match, layout=layout,
                  axes=axes)  # fmt: skip
    if as_json:
        print_json(report.document())
    else:
        write(_diff_lines(report, None if show_all else 20))
    return 0 if report.same else NO


def _diff_lines(report: Diff, most: int | None) -> Iterator[Line]:
    for note in report.notes:
        yield line(("note: ", "dim"), printable(note, limit=400))
    matched = [f"= {printable(p.left)}  {printable(p.right)}" + ("" if p.how == "equal" else f"  ({p.how})")
               for p in report.pairs if p.how != "equal" or p.left != p.right]  # fmt: skip
    changed = [f"~ {printable(c.name)}  {c.why}: {c.left} -> {c.right}" for c in report.changed]
    left = [f"- {printable(n)}  only in {printable(report.left)}" for n in report.only_left]
    right = [f"+ {printable(n)}  only in {printable(report.right)}" for n in report.only_right]
    for rows, style in ((matched, "dim"), (changed, "yellow"), (left, "red"), (right, "green")):
        for row in rows[:most]:
            yield line((row, style))
        if most is not None and len(rows) > most:
            yield line(f"  ... {len(rows) - most:,} more (--all lists them)")
    if report.same:
        turned = sum(p.how != "equal" for p in report.pairs)
        how = f", {turned:,} of them with their axes in another order" if turned else ", bit for bit"
        yield line(("same: ", "green"), f"{plural(report.equal, 'tensor')}{how}")
    else:
        yield line(
            ("different: ", "red"),
            f"{plural(report.equal, 'tensor')} equal, {len(report.changed):,} changed, "
            f"{len(report.only_left):,} only left, {len(report.only_right):,} only right",
        )


@click.command("digest")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@component_option
@include_option
@exclude_option
@from_option
@click.option("--tensors", is_flag=True, help="Also the digest of each tensor.")
@json_option
def digest_command(
    paths: tuple[str, ...],
    component: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    format: str | None,
    tensors: bool,
    as_json: bool,
) -> int:
    """One digest of the weights, equal for equal tensors in any format, order or sharding (BLAKE3)."""
    for path in paths:
        found = digest(path, component=component, include=include, exclude=exclude, format=format)
        if as_json:
            print_json(found.document())
            continue
        if tensors:
            write(line(f"{value}  ", printable(name)) for name, value in found.tensors.items())
        write([line((found.total, "bold"), f"  {printable(public(path))}", f"  ({found.said})" if found.said else "")])
    return 0
