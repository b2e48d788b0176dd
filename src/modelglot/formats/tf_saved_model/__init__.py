"""TensorFlow's SavedModel: a folder with ``saved_model.pb`` (graph, signatures) and ``variables/`` (a checkpoint).

Specification: www.tensorflow.org/guide/saved_model; TensorFlow's saved_model.proto and saved_object_graph.proto.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelglot.containers.tensorflow.dtypes import NUMBERS
from modelglot.core.format import FileSet, FormatInfo, Match, Probe
from modelglot.core.layout import Layout, Options
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Loss

NAME = "saved_model.pb"


class TfSavedModel:
    info = FormatInfo(
        name="tf-saved-model",
        title="TensorFlow SavedModel",
        suffixes=(".pb",),
        spec="https://www.tensorflow.org/guide/saved_model",
        can=frozenset({"read", "write", "shards", "folder", "into"}),
        dtypes=frozenset({*NUMBERS, "opaque"}),
        framework="tf",
        blurb="graph, signatures and variables in a folder; written by putting weights into one (`--into`)",
    )

    def sniff(self, probe: Probe) -> Match | None:
        if probe.is_folder:
            return Match(95, f"holds {NAME}") if NAME in probe.names else None
        head = probe.head
        if head[:3] != b"\x08\x01\x12":  # version 1, then a graph, whose length is a varint
            return None
        start = next((at + 1 for at in range(3, min(13, len(head))) if head[at] < 0x80), 0)
        if head[start : start + 1] == b"\x0a":
            return Match(97 if probe.name == NAME else 93, "the graph of a SavedModel")
        return None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.tf_saved_model.reading import read

        return read(files, limits)

    def losses(self, model: Model) -> Iterable[Loss]:
        from modelglot.formats.tf_saved_model.writing import losses

        return losses(model)

    def frame(self, files: FileSet, limits: Limits) -> Any:
        from modelglot.formats.tf_saved_model.writing import frame

        return frame(files, limits)

    def layout(self, model: Model, options: Options) -> Layout:
        from modelglot.formats.tf_saved_model.writing import layout

        return layout(model, options)

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        from modelglot.formats.tf_saved_model.reading import hazards

        return hazards(files, limits)


FORMAT = TfSavedModel()
