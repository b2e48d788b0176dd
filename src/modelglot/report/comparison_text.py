"""How far apart two runtimes are, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modelglot.core.errors import printable
from modelglot.graphs.running import TOLERANCE, Comparison
from modelglot.report.lines import Line, line


def comparison_lines(made: Comparison) -> Iterator[Line]:
    """One line, and one for each output that is further away than it should be."""
    inputs = ", ".join(f"{printable(name)} {list(shape)}" for name, shape in made.inputs.items())
    word, style = ("equal", "green") if made.close else ("NOT EQUAL", "red")
    yield line("checked: ", (word, style), f" to onnxruntime within {made.worst:.1e} on random {inputs}")
    for name, apart in made.outputs.items():
        if apart > TOLERANCE:
            yield line(f"  {printable(name)}: {apart:.3g} apart, and at most {TOLERANCE:g} was wanted")


def comparison_document(made: Comparison) -> dict[str, Any]:
    return {
        "schema": "modelglot.comparison/1",
        "inputs": {name: list(shape) for name, shape in made.inputs.items()},
        "outputs": {name: apart if apart < float("inf") else None for name, apart in made.outputs.items()},
        "tolerance": TOLERANCE,
        "close": made.close,
    }
