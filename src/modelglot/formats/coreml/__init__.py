"""Core ML: ``.mlmodel`` (one protocol buffer) and ``.mlpackage`` (a folder with the model and a weight file).

Specification: apple.github.io/coremltools/mlmodel; the weight file is that of coremltools' MILBlob.
"""

from __future__ import annotations

from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.model import Model


class CoreMl(ReadOnly):
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


FORMAT = CoreMl()
