"""Is it Core ML? There is no magic number: a version, a description of inputs and outputs, and a kind of model."""

from __future__ import annotations

from modelglot.containers.protobuf import BYTES, VARINT, in_sight
from modelglot.core.errors import ModelFileError
from modelglot.core.format import Match, Probe
from modelglot.formats.coreml.names import MODELS

MANIFEST = "Manifest.json"
_NEWEST = 64  # specification version, with room
_TYPES = (*range(1, 9), 1000)  # fields of FeatureType
_DESCRIPTION = (1, 10, 11, 12, 13, 20, 21, 50, 100)  # fields of ModelDescription


def sniff(probe: Probe) -> Match | None:
    if probe.is_folder:
        if MANIFEST not in probe.names:
            return None
        return Match(90 if probe.name.lower().endswith(".mlpackage") else 62, "has the manifest of a package")
    head = probe.head
    if probe.name == MANIFEST and b"rootModelIdentifier" in head:
        return Match(92, "the manifest of a package")
    score = _score(head)
    named = probe.name.lower().endswith(".mlmodel")
    if score == 0 and named and head[:1] == b"\x08":
        return Match(45, "only the name says so")
    score = 94 if named and score == 72 else score  # a SavedModel, which has no such name, can begin alike
    return Match(score, "begins with the fields of a Core ML model") if score else None


def _score(head: bytes) -> int:
    """96 where the kind of model is in sight, 72 where only its description is, 0 where something else is."""
    version = described = kind = False
    try:
        for number, wire, value, data in in_sight(head):
            if number == 1 and wire == VARINT and 1 <= value <= _NEWEST:
                version = True
            elif number == 2 and wire == BYTES and _is_description(bytes(data)):
                described = True
            elif number in MODELS and wire == BYTES:
                kind = True
            elif number != 10 or wire != VARINT:
                return 0
    except ModelFileError:
        pass  # the end of what is in sight, or of a damaged file
    return 96 if version and kind else 72 if version and described else 0


def _is_description(data: bytes) -> bool:
    """Its first input has a name and a type of the kinds that there are."""
    try:
        for number, wire, _, inner in in_sight(data):
            if number not in _DESCRIPTION or wire != BYTES:
                return False
            if number in (1, 10):
                return _is_feature(bytes(inner))
    except ModelFileError:
        return False
    return not data


def _is_feature(data: bytes) -> bool:
    try:
        for number, wire, _, inner in in_sight(data):
            if number not in (1, 2, 3) or wire != BYTES:
                return False
            if number == 3:
                first = next(in_sight(bytes(inner)), None)
                return first is None or first[0] in _TYPES
    except ModelFileError:
        pass
    return False
