"""OpenVINO IR: the structure of a model as XML, its weights in a ``.bin`` of the same name.

Specification: docs.openvino.ai, "OpenVINO IR format" and "Operation sets".
"""

from __future__ import annotations

from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.model import Model


class OpenVino(ReadOnly):
    info = FormatInfo(
        name="openvino",
        title="OpenVINO IR",
        suffixes=(".xml", ".bin"),
        spec="https://docs.openvino.ai/2026/documentation/openvino-ir-format.html",
        can=frozenset({"read", "folder"}),
        blurb="Intel's: the graph as XML, the weights as one run of bytes in a file beside it",
    )

    def sniff(self, probe: Probe) -> Match | None:
        if probe.is_folder:
            names = {name.lower() for name in probe.names}
            pair = any(n.endswith(".xml") and f"{n[:-4]}.bin" in names for n in names if "/" not in n)
            return Match(64, "holds a .xml and a .bin of one name") if pair else None
        start = probe.head[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
        if start.startswith((b"<?xml", b"<net", b"<!--")) and b"<net " in start:
            return Match(95, "XML with a `net` of layers")
        stem, dot, suffix = probe.name.lower().rpartition(".")
        if dot and suffix == "bin" and any(name.lower() == f"{stem}.xml" for name in probe.names):
            return Match(46, "a .bin beside the .xml of the same name")
        return None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.openvino.model import read

        return read(files, limits)


FORMAT = OpenVino()
