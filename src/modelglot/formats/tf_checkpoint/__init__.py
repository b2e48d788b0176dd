"""TensorFlow checkpoints: ``.index`` and ``.data-NNNNN-of-NNNNN`` under one prefix, perhaps a ``.meta`` with the graph.

Specification: www.tensorflow.org/guide/checkpoint; TensorFlow's tensor_bundle.h and tensor_bundle.proto.
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


class TfCheckpoint:
    info = FormatInfo(
        name="tf-checkpoint",
        title="TensorFlow checkpoint",
        suffixes=(".index", ".ckpt"),
        spec="https://www.tensorflow.org/guide/checkpoint",
        can=frozenset({"read", "write", "shards", "folder"}),
        dtypes=frozenset({*NUMBERS, "opaque"}),
        framework="tf",
        blurb="an index and data files under one prefix, by name or by object path; no code, the graph is not needed",
    )

    def sniff(self, probe: Probe) -> Match | None:
        from modelglot.containers.tensorflow.prefix import DATA, INDEX, META, begins_as_bundle, prefixes, table_kind

        names = tuple(probe.names)
        if probe.is_folder:
            found = prefixes(names)
            if len(found) == 1 or (found and "checkpoint" in names):
                return Match(82, f"holds {found[0]}{INDEX} and its data")
            return None
        if probe.head.startswith(b"model_checkpoint_path:"):
            return Match(95, "the state file of a checkpoint")
        if table_kind(probe) == "bundle":
            return Match(97, "a sorted table with the header of a bundle")
        if probe.name.endswith(INDEX) and begins_as_bundle(probe.head):
            return Match(90, "begins like the index of a checkpoint, and does not end like one")
        if (m := DATA.match(probe.name)) is not None and m["prefix"] + INDEX in names:
            return Match(96, "the data of a checkpoint, beside its index")
        if probe.name.endswith(META) and probe.name.removesuffix(META) + INDEX in names:
            return Match(90, "the graph of a checkpoint, beside its index")
        return None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.tf_checkpoint.reading import read

        return read(files, limits)

    def salvage(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.tf_checkpoint.reading import read

        return read(files, limits, damaged=True)

    def losses(self, model: Model) -> Iterable[Loss]:
        from modelglot.formats.tf_checkpoint.writing import losses

        return losses(model)

    def frame(self, files: FileSet, limits: Limits) -> Any:
        from modelglot.formats.tf_checkpoint.writing import frame

        return frame(files, limits)

    def layout(self, model: Model, options: Options) -> Layout:
        from modelglot.formats.tf_checkpoint.writing import layout

        return layout(model, options)

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        from modelglot.formats.tf_checkpoint.reading import hazards

        return hazards(files, limits)


FORMAT = TfCheckpoint()
