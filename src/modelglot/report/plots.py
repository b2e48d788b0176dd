"""Reports as pictures, through matplotlib (the `plot` extra)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from modelglot.core.errors import MissingExtraError, UnsupportedError
from modelglot.features.compare.errors import Comparison
from modelglot.features.stats.tensors import Statistics


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
    upper.set_title(f"{report.right} against {report.left}", fontsize=9)
    upper.legend(fontsize=8)
    lower.set_ylabel("bits a weight")
    lower.set_xlabel("tensor")
    figure.savefig(path, dpi=120)
    _pyplot().close(figure)


def plot_statistics(found: Sequence[Statistics], title: str, path: str) -> None:
    """Spread, largest magnitude and share of zeros of every tensor, in order, to a ``.png`` or ``.svg`` file."""
    figure, (upper, lower) = _panels(path)
    places = range(len(found))
    upper.plot(places, [s.std or None for s in found], "o", markersize=4, label="standard deviation")
    largest = [max(abs(s.minimum or 0), abs(s.maximum or 0)) or None for s in found]
    upper.plot(places, largest, "_", markersize=6, label="largest magnitude")
    upper.set_yscale("log")
    upper.set_title(title, fontsize=9)
    upper.legend(fontsize=8)
    lower.plot(places, [100 * s.zeros / s.count if s.count else 0 for s in found], "o", markersize=4)
    lower.set_ylabel("zeros, %")
    lower.set_xlabel("tensor")
    figure.savefig(path, dpi=120)
    _pyplot().close(figure)


def _panels(path: str) -> Any:
    """A figure with two panels above one another. Raises UnsupportedError for another kind of file."""
    if not path.endswith((".png", ".svg")):
        raise UnsupportedError("a plot is a .png or .svg file", path=path)
    return _pyplot().subplots(2, 1, sharex=True, figsize=(10, 6), layout="constrained")


def _pyplot() -> Any:
    try:
        import_module("matplotlib").use("Agg")
        return import_module("matplotlib.pyplot")
    except ImportError:
        raise MissingExtraError("`matplotlib` is not installed", hint="pip install 'modelglot[plot]'") from None
