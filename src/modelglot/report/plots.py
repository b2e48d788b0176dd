"""Reports as pictures, through matplotlib (the `plot` extra)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from math import ceil
from typing import Any

from modelglot.core.errors import MissingExtraError, UnsupportedError
from modelglot.features.compare.errors import Comparison
from modelglot.features.inspect.tree import Branch
from modelglot.features.stats.tensors import Statistics
from modelglot.report.lines import size

_LABEL_FROM = 0.002  # of the whole: smaller rectangles say nothing
_COLUMNS = 4


def plot_errors(report: Comparison, path: str) -> None:
    """Relative error and bits a weight of every tensor, in order, to a ``.png`` or ``.svg`` file."""
    figure, (upper, lower) = _panels(path)
    kinds = sorted({t.right for t in report.tensors})
    for kind in kinds:
        chosen = [(i, t) for i, t in enumerate(report.tensors) if t.right == kind]
        places = [i for i, _ in chosen]
        upper.plot(places, [max(t.relative, 1e-9) for _, t in chosen], "o", markersize=4, label=kind)
        lower.plot(places, [t.bits for _, t in chosen], "o", markersize=4)
    upper.set_yscale("log")
    upper.set_ylabel("relative error (rmse / rms)")
    upper.set_title(_plain(f"{report.right} against {report.left}"), fontsize=9)
    upper.legend(fontsize=8)
    lower.set_ylabel("bits a weight")
    lower.set_xlabel("tensor")
    _save(figure, path)


def plot_statistics(found: Sequence[Statistics], title: str, path: str) -> None:
    """Spread, largest magnitude and share of zeros of every tensor, in order, to a ``.png`` or ``.svg`` file."""
    figure, (upper, lower) = _panels(path)
    places = range(len(found))
    upper.plot(places, [s.std or None for s in found], "o", markersize=4, label="standard deviation")
    largest = [max(abs(s.minimum or 0), abs(s.maximum or 0)) or None for s in found]
    upper.plot(places, largest, "_", markersize=6, label="largest magnitude")
    upper.set_yscale("log")
    upper.set_title(_plain(title), fontsize=9)
    upper.legend(fontsize=8)
    lower.plot(places, [100 * s.zeros / s.count if s.count else 0 for s in found], "o", markersize=4)
    lower.set_ylabel("zeros, %")
    lower.set_xlabel("tensor")
    _save(figure, path)


def plot_sizes(tree: Branch, title: str, path: str) -> None:
    """The branches of a model as a treemap, areas by bytes, two levels deep."""
    figure, axes = _figure(path)
    squarify = _library("squarify")
    outer = sorted((b for b in _opened(tree) if b.nbytes), key=lambda b: -b.nbytes)
    colours = _pyplot().get_cmap("Set3").colors
    whole = squarify.normalize_sizes([b.nbytes for b in outer], 100, 60)
    for number, (branch, box) in enumerate(zip(outer, squarify.squarify(whole, 0, 0, 100, 60), strict=True)):
        inner = sorted((b for b in branch.children if b.nbytes), key=lambda b: -b.nbytes) or [branch]
        parts = squarify.normalize_sizes([b.nbytes for b in inner], box["dx"], box["dy"])
        boxes = squarify.squarify(parts, box["x"], box["y"], box["dx"], box["dy"])
        for part, place in zip(inner, boxes, strict=True):
            _rectangle(
                axes, place, colours[number % 12], part.label if part is not branch else "", 6, tree.nbytes, part
            )
        _rectangle(axes, box, "none", f"{branch.label}\n{size(branch.nbytes)}", 7, tree.nbytes, branch)
    axes.set(xlim=(0, 100), ylim=(0, 60))
    axes.axis("off")
    axes.set_title(_plain(f"{title}: {size(tree.nbytes)}"), fontsize=9)
    _save(figure, path)


def plot_histograms(found: Mapping[str, Any], title: str, path: str) -> None:
    """The values of tensors, a panel each: ``found`` maps names to histograms of `features.view`."""
    figure, panels = _grid(len(found), path)
    for axes, (name, bins) in zip(panels, found.items(), strict=False):
        width = (bins["high"] - bins["low"]) / len(bins["counts"]) or 1.0
        places = [bins["low"] + (n + 0.5) * width for n in range(len(bins["counts"]))]
        axes.bar(places, bins["counts"], width)
        axes.set_title(_plain(name), fontsize=6)
        axes.tick_params(labelsize=6)
        axes.set_yticks([])
    figure.suptitle(_plain(title), fontsize=9)
    _save(figure, path)


def plot_spectra(found: Mapping[str, Sequence[float]], title: str, path: str) -> None:
    """Singular values of matrices, each as a share of its largest, on logarithmic axes."""
    figure, axes = _figure(path)
    colours = _pyplot().get_cmap("viridis")
    for number, (name, values) in enumerate(found.items()):
        top = values[0] if values and values[0] else 1.0
        label = _plain(name) if len(found) <= 20 else None
        axes.plot(
            range(1, len(values) + 1), [max(v / top, 1e-9) for v in values], linewidth=1, label=label,
            color=colours(number / max(1, len(found) - 1)),
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="singular value", ylabel="share of the largest")
    axes.set_title(_plain(title), fontsize=9)
    if len(found) <= 20:
        axes.legend(fontsize=6)
    _save(figure, path)


def _opened(tree: Branch) -> list[Branch]:
    """The first level that shows more than one part."""
    found = tree.children
    while len(found) == 1 and found[0].children:
        found = found[0].children
    return found


def _rectangle(axes: Any, box: Any, colour: Any, label: str, font: int, whole: int, branch: Branch) -> None:
    """Outer ones have their label in the corner, inner ones in the middle."""
    patches = import_module("matplotlib.patches")
    outer = colour == "none"
    edge = {"edgecolor": "white", "linewidth": 3 if outer else 0.5}
    axes.add_patch(patches.Rectangle((box["x"], box["y"]), box["dx"], box["dy"], facecolor=colour, **edge))
    if label and branch.nbytes > _LABEL_FROM * whole and box["dy"] > 3:
        fits = max(3, int(box["dx"] * 9 / font))
        lines = "\n".join(line if len(line) <= fits else line[: fits - 1] + "…" for line in label.split("\n"))
        place = (
            (box["x"] + 0.6, box["y"] + box["dy"] - 1)
            if outer
            else (box["x"] + box["dx"] / 2, box["y"] + box["dy"] / 2)
        )
        side = {"ha": "left", "va": "top", "weight": "bold"} if outer else {"ha": "center", "va": "center"}
        axes.text(*place, _plain(lines), fontsize=font, clip_on=True, **side)


def _plain(text: str) -> str:
    """Dollar signs begin no formula."""
    return text.replace("$", r"\$")


def _figure(path: str) -> Any:
    _check(path)
    return _pyplot().subplots(figsize=(10, 6), layout="constrained")


def _panels(path: str) -> Any:
    """A figure with two panels above one another. Raises UnsupportedError for another kind of file."""
    _check(path)
    return _pyplot().subplots(2, 1, sharex=True, figsize=(10, 6), layout="constrained")


def _grid(count: int, path: str) -> Any:
    _check(path)
    columns = min(_COLUMNS, max(1, count))
    rows = max(1, ceil(count / columns))
    figure, axes = _pyplot().subplots(
        rows, columns, figsize=(2.6 * columns, 1.5 * rows + 0.5), layout="constrained", squeeze=False
    )
    panels = list(axes.flat)
    for empty in panels[count:]:
        empty.axis("off")
    return figure, panels


def _check(path: str) -> None:
    if not path.endswith((".png", ".svg")):
        raise UnsupportedError("a plot is a .png or .svg file", path=path)


def _save(figure: Any, path: str) -> None:
    figure.savefig(path, dpi=120)
    _pyplot().close(figure)


def _pyplot() -> Any:
    _library("matplotlib").use("Agg")
    return import_module("matplotlib.pyplot")


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError(f"plots need {name}", hint="pip install 'modelglot[plot]'") from None
