"""TensorFlow's SavedModel: a folder with ``saved_model.pb`` (graph, signatures) and ``variables/`` (a checkpoint).

Specification: www.tensorflow.org/guide/saved_model; TensorFlow's saved_model.proto and saved_object_graph.proto.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelglot.containers.protobuf import BYTES, field_head
from modelglot.containers.tensorflow.dtypes import NUMBERS
from modelglot.core.errors import ModelFileError
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
        if probe.name == NAME and probe.head[:2] == b"\x08\x01":
            return Match(97, "the graph of a SavedModel")
        return Match(93, "the graph of a SavedModel") if _begins_with_a_meta_graph(probe.head) else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.tf_saved_model.reading import read

        return read(files, limits)

    def salvage(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.tf_saved_model.reading import read

        return read(files, limits, damaged=True)

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


def _begins_with_a_meta_graph(head: bytes) -> bool:
    """Version 1, then a graph, which begins with what is said of it: its operators, tags or versions.

    A Core ML model begins alike, with the name of an input in that place.
    """
    view = memoryview(head)
    if head[:2] != b"\x08\x01":
        return False
    try:
        at = 2
        for wanted in (2, 1):
            number, wire, _, at = field_head(view, at, 0)
            if (number, wire) != (wanted, BYTES):
                return False
    except (ModelFileError, IndexError):  # the head of a short file
        return False
    return head[at : at + 1] in (b"\x12", b"\x1a", b"\x22", b"\x2a", b"\x32")


FORMAT = TfSavedModel()
