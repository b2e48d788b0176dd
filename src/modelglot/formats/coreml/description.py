"""What a Core ML model says of itself: inputs and outputs, author, licence, entries of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelglot.containers.protobuf import VARINT, Field, varints
from modelglot.core.graph import Port
from modelglot.core.limits import Limits

_INPUT, _OUTPUT, _FUNCTION, _METADATA, _OWN = 1, 10, 20, 100, 100
_TEXTS = {1: "description", 2: "version", 3: "author", 4: "license"}
_SCALARS = {1: "i64", 2: "f64", 3: "string", 6: "dictionary", 7: "sequence"}
_IMAGE, _ARRAY, _STATE = 4, 5, 8
_ELEMENTS = {65568: "f32", 65600: "f64", 131104: "i32", 65552: "f16", 131080: "i8"}
Axes = tuple[int | str | None, ...] | None


@dataclass(slots=True)
class Description:
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)


def description(whole: Field, limits: Limits) -> Description:
    """A ``ModelDescription``; of several functions the first counts."""
    made = Description()
    for part in whole.fields():
        if part.number == _INPUT:
            made.inputs += (_port(part),)
        elif part.number == _OUTPUT:
            made.outputs += (_port(part),)
        elif part.number == _FUNCTION and not made.outputs:
            made.inputs = tuple(_port(p) for p in part.fields() if p.number == 2)
            made.outputs = tuple(_port(p) for p in part.fields() if p.number == 3)
        elif part.number == _METADATA:
            _metadata(part, made)
    return made


def _metadata(whole: Field, made: Description) -> None:
    for part in whole.fields():
        if part.number in _TEXTS and part.length:
            made.texts[_TEXTS[part.number]] = part.text
        elif part.number == _OWN:
            entry = {p.number: p.text for p in part.fields() if p.number in (1, 2)}
            made.own[entry.get(1, "")] = entry.get(2, "")


def _port(whole: Field) -> Port:
    name, kind, axes = "", "unknown", None
    for part in whole.fields():
        if part.number == 1:
            name = part.text
        elif part.number == 3:
            kind, axes = _type(part)
    return Port(name, kind, axes)


def _type(whole: Field) -> tuple[str, Axes]:
    for part in whole.fields():
        if part.number in _SCALARS:
            return _SCALARS[part.number], ()
        if part.number == _IMAGE:
            sizes = {p.number: p.number_value for p in part.fields() if p.number in (1, 2)}
            return "image", (sizes.get(2), sizes.get(1))
        if part.number == _ARRAY:
            return _array(part)
        if part.number == _STATE:
            return next((_array(p) for p in part.fields() if p.number == 1), ("state", None))
    return "unknown", None


def _array(whole: Field) -> tuple[str, Axes]:
    kind, axes = "unknown", list[int | str | None]()
    for part in whole.fields():
        if part.number == 1:
            axes += [part.signed] if part.wire == VARINT else varints(part.bytes, part.at)
        elif part.number == 2:
            kind = _ELEMENTS.get(part.number_value, "unknown")
    return kind, tuple(axes) or None
