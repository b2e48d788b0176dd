"""Caffe: ``.caffemodel``, a network's layers with their blobs as one protocol buffer.

Specification: github.com/BVLC/caffe, src/caffe/proto/caffe.proto.
"""

from __future__ import annotations

from modelglot.containers.protobuf import BYTES, VARINT, in_sight
from modelglot.core.errors import ModelFileError
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.model import Model

SUFFIX = ".caffemodel"
_WIRES = {1: BYTES, 2: BYTES, 3: BYTES, 5: VARINT, 6: BYTES, 7: VARINT, 8: BYTES, 100: BYTES}
_INPUT_DIM = 4  # packed by some writers, one by one by others


class Caffe(ReadOnly):
    info = FormatInfo(
        name="caffe",
        title="Caffe",
        suffixes=(SUFFIX,),
        spec="https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto",
        can=frozenset({"read", "folder"}),
        blurb="layers with numbered blobs; the network it is run with is a .prototxt beside it",
    )

    def sniff(self, probe: Probe) -> Match | None:
        named = probe.name.lower().endswith(SUFFIX)
        if probe.is_folder:
            found = any(n.endswith(SUFFIX) and "/" not in n for n in probe.names)
            return Match(73, "holds a .caffemodel") if found else None
        if _fits(probe.head):
            return Match(91 if named else 86, "begins with the layers of a network")
        return Match(42, "only the name says so") if named and probe.head[:1] in (b"\x0a", b"\x12", b"\xa2") else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.caffe.model import read

        return read(files, limits)


def _fits(head: bytes) -> bool:
    """A name that is text, inputs, and a layer that begins with its own name or inputs."""
    layers = False
    try:
        for number, wire, _, data in in_sight(head):
            if number != _INPUT_DIM and _WIRES.get(number) != wire:
                return False
            if number in (1, 3) and not all(byte >= 32 for byte in data):
                return False
            if number in (2, 100):
                if not _is_layer(bytes(data), number):
                    return False
                layers = True
    except ModelFileError:
        pass  # the end of what is in sight, or of a damaged file
    return layers


def _is_layer(data: bytes, number: int) -> bool:
    """Its first field is text of the fields that can come first: name and type, or inputs and outputs."""
    first = next(in_sight(data), None) if len(data) > 1 else None
    if first is None:
        return not data
    allowed = (1, 2, 3, 4) if number == 100 else (1, 2, 3, 4, 5)
    printed = first[1] == VARINT or all(byte >= 32 for byte in first[3]) or (number == 2 and first[0] == 1)
    return first[0] in allowed and printed


FORMAT = Caffe()
