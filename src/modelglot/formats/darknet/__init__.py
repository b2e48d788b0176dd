"""Darknet: ``.weights``, a run of floats after a short header, which only the ``.cfg`` of the network can divide.

Specification: github.com/pjreddie/darknet, src/parser.c; github.com/AlexeyAB/darknet.
"""

from __future__ import annotations

from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.model import Model

WEIGHTS, CONFIGURATION = ".weights", ".cfg"


class Darknet(ReadOnly):
    info = FormatInfo(
        name="darknet",
        title="Darknet",
        suffixes=(WEIGHTS,),
        spec="https://github.com/AlexeyAB/darknet/blob/master/src/parser.c",
        can=frozenset({"read", "folder"}),
        blurb="YOLO's: floats without names, divided by the .cfg beside them",
    )

    def sniff(self, probe: Probe) -> Match | None:
        name, head = probe.name.lower(), probe.head
        if probe.is_folder:
            both = all(any(n.endswith(s) and "/" not in n for n in probe.names) for s in (WEIGHTS, CONFIGURATION))
            return Match(73, "holds .weights and a .cfg") if both else None
        if name.endswith(CONFIGURATION):
            start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
            there = any(n.endswith(WEIGHTS) for n in probe.names)
            return Match(80, "a network's configuration") if there and _is_configuration(start) else None
        if not name.endswith(WEIGHTS) or len(head) < 16:
            return None
        major, minor, revision = (int.from_bytes(head[at : at + 4], "little") for at in (0, 4, 8))
        return Match(72, "a version, and its name") if max(major, minor, revision) < 1000 else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.darknet.model import read

        return read(files, limits)


def _is_configuration(start: bytes) -> bool:
    """Its first section is the network's, after comments perhaps."""
    lines = (line.strip() for line in start.splitlines())
    first = next((line for line in lines if line and line[:1] not in b"#;"), b"")
    return first in (b"[net]", b"[network]")


FORMAT = Darknet()
