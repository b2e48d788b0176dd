"""ONNX: a graph of operators with its weights, as one protocol buffer; large weights may lie in files beside it.

Specification: github.com/onnx/onnx, docs/IR.md and docs/ExternalData.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelglot.core.format import FileSet, FormatInfo, Match, Probe
from modelglot.core.layout import Layout, Options
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Loss
from modelglot.formats.onnx.types import NUMBERS

SUFFIX = ".onnx"


class Onnx:
    info = FormatInfo(
        name="onnx",
        title="ONNX",
        suffixes=(SUFFIX,),
        spec="https://github.com/onnx/onnx/blob/main/docs/IR.md",
        can=frozenset({"read", "write", "text-metadata", "folder", "into"}),
        dtypes=frozenset(NUMBERS),
        blurb="a graph and its weights, which can be put into one (`--into`); other models become a box of tensors",
    )

    def sniff(self, probe: Probe) -> Match | None:
        from modelglot.formats.onnx.sniff import sniff

        return sniff(probe)

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.onnx.model import read

        return read(files, limits)

    def salvage(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.onnx.model import read

        return read(files, limits, damaged=True)

    def losses(self, model: Model) -> Iterable[Loss]:
        from modelglot.formats.onnx.write import losses

        return losses(model)

    def frame(self, files: FileSet, limits: Limits) -> Any:
        """What is around the weights of a file, for `Options.frame`."""
        from modelglot.formats.onnx.frame import of_file

        return of_file(files, limits)

    def layout(self, model: Model, options: Options) -> Layout:
        from modelglot.formats.onnx.write import layout

        return layout(model, options)

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        return ()


FORMAT = Onnx()
