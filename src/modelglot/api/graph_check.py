"""What is done with a graph before it is published: run beside its source and compared."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelglot.api.target import Verify
from modelglot.core.errors import MissingExtraError
from modelglot.graphs.checking import TOLERANCE, Array, Difference, compare, outputs_of

Wanted = Callable[[str], "list[Array]"]  # outputs of the source's runtime; gets a folder to work in


@dataclass(slots=True)
class GraphCheck:
    """``said`` is what a person is told once the conversion is done; ``left`` why nothing is compared.

    ``holds`` keeps what the conversion still reads (a folder of an exporter) until then.
    """

    name: str  # of the ONNX file
    runtime: str
    inputs: Mapping[str, Array] = field(default_factory=dict)
    wanted: Wanted | None = None
    left: str | None = None
    holds: Any = None
    said: list[str] = field(default_factory=list)
    difference: Difference | None = None

    def after(self, verify: Verify) -> Verify:
        """Compares once the written files were read back. What differs raises, and nothing is published."""

        def both(folder: str, names: list[str]) -> dict[str, str]:
            digests = verify(folder, names)
            self.run(os.path.join(folder, self.name))
            return digests

        return both

    def run(self, path: str) -> None:
        if self.wanted is None or self.left is not None:
            self.said.append(f"not checked: {self.left or 'it was not asked for'}")
            return
        try:
            with tempfile.TemporaryDirectory(prefix="modelglot-") as folder:
                found = outputs_of(path, self.inputs)
                self.difference = compare(found, self.wanted(folder))
        except MissingExtraError as error:
            self.said.append(f"not checked: {error.what}")
            return
        most = self.difference
        what = f"{len(found)} output{'s' * (len(found) != 1)} of {self.runtime} and ONNX Runtime on random inputs"
        most_of = f"{most.absolute:.2g} (relative {most.relative:.2g}; tolerance {TOLERANCE:g})"
        self.said.append(f"checked: {what} differ by at most {most_of}")


def saved(folder: str, inputs: Mapping[str, Array]) -> str:
    """The inputs as a file in the folder, for a worker."""
    np.savez(os.path.join(folder, "inputs.npz"), **dict(inputs))  # type: ignore[arg-type]
    return "inputs.npz"
