"""TensorFlow Lite (LiteRT): a flatbuffer of operators, tensors and buffers.

Specification: github.com/tensorflow/tensorflow, tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from __future__ import annotations

from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.model import Model

SUFFIX = ".tflite"


class TfLite(ReadOnly):
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


FORMAT = TfLite()
