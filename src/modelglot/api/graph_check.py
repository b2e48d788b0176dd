"""What is done with a graph before it is published: run beside its source and compared."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelglot.api.target import Verify
from modelglot.core.errors import MissingExtraError, UnsupportedError
from modelglot.graphs.checking import Array, Difference, compare, outputs_of
from modelglot.graphs.running import TOLERANCE
from modelglot.graphs.running import session as loaded

Wanted = Callable[[str], "list[Array]"]  # outputs of the source's runtime; gets a folder to work in


@dataclass(slots=True)
class GraphCheck:
    """``said`` is what a person is told once the conversion is done; ``left`` why nothing is compared.

    ``loads``: ONNX Runtime loads the graph all the same. ``holds`` keeps what the conversion still reads (a folder of
    an exporter) until then.
    """

    name: str  # of the ONNX file
    runtime: str
    inputs: Mapping[str, Array] = field(default_factory=dict)
    wanted: Wanted | None = None
    left: str | None = None
    loads: bool = True
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
        """Raises UnsupportedError where ONNX Runtime does not load the graph, or its outputs are others."""
        if self.left is not None and not self.loads:
            self.said.append(f"not checked: {self.left}")
            return
        try:
            session = loaded(path)
        except MissingExtraError as error:
            self.said.append(f"not checked: {error.what}")
            return
        if self.wanted is None or self.left is not None:
            self.said.append(f"not checked: {self.left or 'there is nothing to compare with'}; {self._runs(session)}")
            return
        try:
            with tempfile.TemporaryDirectory(prefix="modelglot-") as folder:
                wanted = self.wanted(folder)
        except UnsupportedError as error:  # a library is missing, or random inputs are none that the source takes
            self.said.append(f"not checked: {error.what}; {self._runs(session)}")
            return
        found = outputs_of(session, self.inputs)
        most = self.difference = compare(found, wanted)
        what = f"{len(found)} output{'s' * (len(found) != 1)} of {self.runtime} and ONNX Runtime on random inputs"
        most_of = f"{most.absolute:.2g} (relative {most.relative:.2g}; tolerance {TOLERANCE:g})"
        self.said.append(f"checked: {what} differ by at most {most_of}")

    def _runs(self, session: Any) -> str:
        """Random inputs need not be ones that the model takes, so this is only said."""
        try:
            outputs_of(session, self.inputs)
        except UnsupportedError as error:
            return error.what
        return "ONNX Runtime runs the graph on random inputs"


def saved(folder: str, inputs: Mapping[str, Array]) -> str:
    """The inputs as a file in the folder, for a worker."""
    np.savez(os.path.join(folder, "inputs.npz"), **dict(inputs))  # type: ignore[arg-type]
    return "inputs.npz"
