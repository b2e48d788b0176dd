"""Is it ONNX? There is no magic number: the fields in sight must be those of a ``ModelProto``, up to its graph."""

from __future__ import annotations

from modelglot.containers.protobuf import BYTES, VARINT, in_sight
from modelglot.core.errors import ModelFileError
from modelglot.core.format import Match, Probe

SUFFIX = ".onnx"
_IR, _PRODUCER, _GRAPH, _OPSET = 1, 2, 7, 8
_WIRES = {1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES, 14: BYTES, 20: BYTES,
          25: BYTES, 26: BYTES}  # fmt: skip
_GRAPH_FIELDS = (1, 2, 5, 10, 11, 12, 13, 14, 15, 16)
_NEWEST = 64  # IR version, with room
_OTHERS = (b"version https://git-lfs", b"# xet", b"<", b"PK", b"{", b"GGUF")


def sniff(probe: Probe) -> Match | None:
    if probe.is_folder:
        found = any(n.lower().endswith(SUFFIX) and "/" not in n for n in probe.names)
        return Match(76, "holds an .onnx file") if found else None
    named = probe.name.lower().endswith(SUFFIX)
    score = _score(probe.head)
    if score:
        return Match(max(score, 85 * named), "begins with the fields of an ONNX model")
    return Match(40, "only the name says so") if named and probe.size and not probe.head.startswith(_OTHERS) else None


def _score(head: bytes) -> int:
    """92 where a graph is in sight, 70 where only fields before it are, 0 where one of another message is."""
    seen = set()
    try:
        for number, wire, value, data in in_sight(head):
            if _WIRES.get(number) != wire or not _fits(number, value, data):
                return 0
            seen.add(number)
    except ModelFileError:
        pass  # the end of what is in sight, or of a damaged file
    if _GRAPH in seen and seen & {_IR, _OPSET}:
        return 92
    return 70 if {_IR, _PRODUCER} <= seen or {_IR, _OPSET} <= seen else 0


def _fits(number: int, value: int, data: memoryview) -> bool:
    if number == _IR:
        return 1 <= value <= _NEWEST
    if number == _PRODUCER:
        return all(byte >= 32 for byte in data)
    if number == _GRAPH and len(data) > 1:
        return data[0] & 7 == BYTES and (data[0] >> 3 in _GRAPH_FIELDS or data[0] & 0x80 != 0)
    return True
