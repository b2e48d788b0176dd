"""modelglot report, modelglot plot"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import click

from modelglot.api.measuring import compare
from modelglot.api.viewing import View
from modelglot.cli.options import limit_option
from modelglot.core.errors import UnsupportedError
from modelglot.core.limits import Limits
from modelglot.core.tensor import Tensor
from modelglot.passes.select import matches
from modelglot.report.lines import line, write
from modelglot.sources.sink import replacing

PANELS = 24  # tensors of one picture
_LINES = 64

_force = click.option("--force", is_flag=True, help="Replace a file that is there.")


@click.command("report")
@click.argument("path")
@click.option("-o", "--output", required=True, metavar="FILE", help="The page to write.")
@click.option("--stats", is_flag=True, help="Also what the values of each tensor are like; reads all of them.")
@_force
@limit_option
def report_command(path: str, output: str, stats: bool, force: bool, limits: Limits) -> None:
    """Write a page about a model: what it is, whether it is safe, what is inside. One file, no script, no network."""
    from modelglot.report.html import render_html

    view = View(path, limits=limits)
    found = [view.stats(t.name) for t in _chosen(view, ())] if stats else []
    page = render_html(view.summary(), view.scan(), view.report.tree, view.templates()["templates"], found)
    with replacing(output, force=force) as place, open(place, "w", encoding="utf-8") as file:
        file.write(page)
    write([line(f"wrote {output}")])


def _sizes(views: Sequence[View], match: tuple[str, ...], output: str) -> None:
    from modelglot.report.plots import plot_sizes

    plot_sizes(views[0].report.tree, _title(views[0]), output)


def _histograms(views: Sequence[View], match: tuple[str, ...], output: str) -> None:
    from modelglot.report.plots import plot_histograms

    chosen, said = _some(_chosen(views[0], match), PANELS)
    found = {t.name: views[0].stats(t.name)["histogram"] for t in chosen}
    plot_histograms({name: bins for name, bins in found.items() if bins}, _title(views[0]) + said, output)


def _spectrum(views: Sequence[View], match: tuple[str, ...], output: str) -> None:
    from modelglot.report.plots import plot_spectra

    found, left = {}, 0
    chosen, said = _some([t for t in _chosen(views[0], match) if len(t.shape) > 1], _LINES)
    for tensor in chosen:
        try:
            found[tensor.name] = views[0].spectrum(tensor.name)["values"]
        except UnsupportedError:
            left += 1
    said += f" ({left} too large)" if left else ""
    plot_spectra(found, _title(views[0]) + said, output)


def _compare(views: Sequence[View], match: tuple[str, ...], output: str) -> None:
    from modelglot.report.plots import plot_errors

    if len(views) != 2:
        raise click.UsageError("`--what compare` takes two files")
    plot_errors(compare(views[0].path, views[1].path, include=match), output)


_PICTURES: dict[str, Callable[[Sequence[View], tuple[str, ...], str], None]] = {
    "sizes": _sizes, "histograms": _histograms, "spectrum": _spectrum, "compare": _compare,
}  # fmt: skip


@click.command("plot")
@click.argument("paths", nargs=-1, required=True, metavar="PATH [PATH]")
@click.option("--what", type=click.Choice(list(_PICTURES)), default="sizes", show_default=True)
@click.option("-o", "--output", required=True, metavar="FILE", help="A .png or .svg file.")
@click.option("--match", multiple=True, metavar="GLOB", help="Only tensors whose name fits, such as '*.attn.*'.")
@_force
@limit_option
def plot_command(
    paths: tuple[str, ...], what: str, output: str, match: tuple[str, ...], force: bool, limits: Limits
) -> None:
    """Draw a model: where the bytes are, how its values are spread, singular values, or two models compared."""
    if what != "compare" and len(paths) > 1:
        raise click.UsageError(f"`--what {what}` draws one file; `--what compare` takes two")
    with replacing(output, force=force) as place:
        _PICTURES[what]([View(path, limits=limits) for path in paths], match, place)
    write([line(f"wrote {output}")])


def _title(view: View) -> str:
    return os.path.basename(os.path.abspath(view.path))


def _chosen(view: View, match: tuple[str, ...]) -> list[Tensor]:
    """Tensors with numbers, in the order of the file."""
    found = [t for t in view.with_numbers() if not match or matches(t.name, match)]
    if not found:
        raise UnsupportedError("no tensor with numbers is chosen", path=view.path)
    return found


def _some(tensors: list[Tensor], most: int) -> tuple[list[Tensor], str]:
    """Those of most elements, in their order, and what is to be said of the rest."""
    if len(tensors) <= most:
        return tensors, ""
    largest = {t.name for t in sorted(tensors, key=lambda t: -t.numel)[:most]}
    return [t for t in tensors if t.name in largest], f": the {most} largest of {len(tensors):,}, see `--match`"
