"""TensorFlow Lite (LiteRT): a flatbuffer of operators, tensors and buffers.

Specification: github.com/tensorflow/tensorflow, tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from __future__ import annotations

from collections.abc import Iterable

from modelglot.core.errors import UnsupportedError
from modelglot.core.format import FileSet, FormatInfo, Match, Probe
from modelglot.core.layout import Layout, Options
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Loss

SUFFIX = ".tflite"


class TfLite:
    info = FormatInfo(
        name="tflite",
        title="TensorFlow Lite",
        suffixes=(SUFFIX, ".lite"),
        spec="https://ai.google.dev/edge/litert",
        can=frozenset({"read", "folder"}),
        blurb="a graph for phones and microcontrollers (LiteRT), often quantized: raw integers with scales beside",
    )

    def sniff(self, probe: Probe) -> Match | None:
        if probe.is_folder:
            found = any(n.lower().endswith(SUFFIX) and "/" not in n for n in probe.names)
            return Match(74, "holds a .tflite file") if found else None
        return Match(100, "has the mark `TFL3`") if probe.head[4:8] == b"TFL3" else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.tflite.model import read

        return read(files, limits)

    def losses(self, model: Model) -> Iterable[Loss]:
        return ()

    def layout(self, model: Model, options: Options) -> Layout:
        raise UnsupportedError("TensorFlow Lite files are not written")

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        return ()


FORMAT = TfLite()
