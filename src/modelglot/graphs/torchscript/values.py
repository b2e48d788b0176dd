"""What names of the code stand for while it is followed.

Numbers, text, lists, tuples and dicts that are known are Python's own. A tensor is a `Cell`, which operators that work
in place change; a number that is only known when the graph runs is a `Scalar`; a module or another object an `Object`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Cell:
    """A variable tensor: its value (``onnx_ir.Value``) changes where the code works in place.

    A view is made again from its ``base`` when that changed; ``write`` puts a new value of the view into the base.
    ``perhaps``: a copy or a view, as memory happens to lie; then neither may be read after the other changed, and
    ``why`` says so.
    """

    __slots__ = ("base", "perhaps", "remake", "seen", "value", "version", "why", "write")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.version = 0
        self.base: Cell | None = None
        self.seen = 0
        self.remake: Callable[[], Any] | None = None
        self.write: Callable[[Any], Any] | None = None
        self.perhaps = False
        self.why: str | None = None


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number of the code that a value without axes holds; ``kind`` is int, float or bool.

    ``axis`` is the name of the size it is, where it is one.
    """

    value: Any
    kind: str
    axis: str | None = None


@dataclass(slots=True, eq=False)
class Object:
    """An instance: ``kind`` is the qualified name of its class, ``path`` where it is in the module."""

    kind: str
    attributes: dict[str, Any] = field(default_factory=dict)
    path: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """A dotted name of the code that is no variable: a function, a class, an operator."""

    text: str


@dataclass(frozen=True, slots=True)
class Method:
    owner: Object
    name: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that two branches leave with nothing in common, or that was never set: an error where it is used."""

    why: str


UNSET = Unknown("a value that the code never set is used")


class Sequence:
    """A list of tensors that a loop of the graph made: ``value`` has ONNX's sequence type, ``like`` one element."""

    __slots__ = ("like", "value")

    def __init__(self, value: Any, like: Any) -> None:
        self.value = value
        self.like = like


class Raised(Exception):
    """The code ends here with an error of its own."""


Number = int | float | bool | Scalar


def is_number(value: Any) -> bool:
    return isinstance(value, (bool, int, float, Scalar))
