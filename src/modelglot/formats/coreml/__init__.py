"""Core ML: ``.mlmodel`` (one protocol buffer) and ``.mlpackage`` (a folder with the model and a weight file).

Specification: apple.github.io/coremltools/mlmodel; the weight file is that of coremltools' MILBlob.
"""

from __future__ import annotations

from collections.abc import Iterable

from modelglot.core.errors import UnsupportedError
from modelglot.core.format import FileSet, FormatInfo, Match, Probe
from modelglot.core.layout import Layout, Options
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Loss


class CoreMl:
    info = FormatInfo(
        name="coreml",
        title="Core ML",
        suffixes=(".mlmodel", ".mlpackage"),
        spec="https://apple.github.io/coremltools/mlmodel/index.html",
        can=frozenset({"read", "folder"}),
        blurb="Apple's: a network or a program with its weights, in one file or in a package",
    )

    def sniff(self, probe: Probe) -> Match | None:
        from modelglot.formats.coreml.sniff import sniff

        return sniff(probe)

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.coreml.model import read

        return read(files, limits)

    def losses(self, model: Model) -> Iterable[Loss]:
        return ()

    def layout(self, model: Model, options: Options) -> Layout:
        raise UnsupportedError("Core ML models are not written")

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        return ()


FORMAT = CoreMl()
