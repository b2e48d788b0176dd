"""What a person says of a graph's inputs: ``x=f32[batch,3,224,224]``, ``sr=16000``, ``flag=true``, or only a shape."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from modelglot.core.errors import UnsupportedError, printable
from modelglot.formats.onnx.types import NUMBERS

_PORT = re.compile(r"([a-z][a-z0-9_]*)\[([^\]]*)\]")
_AXIS = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "none": None}
_MOST_AXES = 64


@dataclass(frozen=True, slots=True)
class Port:
    """An input of the graph: a dtype of ours, and sizes; a name stands for a size that is only known when it runs."""

    dtype: str
    dims: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.dims))}]"


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that becomes part of the graph."""

    value: int | float | bool | str | None


Given = Port | Fixed
HINT = "write `--input NAME=DTYPE[SIZES]`, such as `x=f32[batch,3,224,224]`, or a value, such as `rate=16000`"


def parse_inputs(texts: Iterable[str]) -> dict[str, Given]:
    """By name; one without a name has the name ``""`` and is meant for the only input there is.

    Raises UnsupportedError for what is none of the forms, and for a name that is given twice.
    """
    found: dict[str, Given] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            name, value = "", text
        if name in found:
            raise UnsupportedError(f"the input {printable(name, code=True)} is given twice", hint=HINT)
        found[name.strip()] = parse_input(value.strip())
    return found


def parse_input(text: str) -> Given:
    """Raises UnsupportedError."""
    port = _PORT.fullmatch(text)
    if port:
        return _port(text, *port.groups())
    if text.lower() in _WORDS:
        return Fixed(_WORDS[text.lower()])
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return Fixed(text[1:-1])
    for number in (int, float):
        try:
            return Fixed(number(text))
        except ValueError:
            continue
    raise UnsupportedError(f"{printable(text, code=True)} is no input", hint=HINT)


def _port(text: str, dtype: str, sizes: str) -> Port:
    if dtype not in NUMBERS:
        known = "f32, f16, i64, i32, u8, bool"
        raise UnsupportedError(f"{printable(dtype, code=True)} is no dtype of ONNX", hint=f"such as {known}")
    dims: list[int | str] = []
    for size in filter(None, (part.strip() for part in sizes.split(",") if sizes.strip())):
        if size.isascii() and size.isdigit() and len(size) < 10:
            dims.append(int(size))
        elif _AXIS.fullmatch(size):
            dims.append(size)
        else:
            raise UnsupportedError(
                f"{printable(size, code=True)} of {printable(text, code=True)} is no size", hint=HINT
            )
    if len(dims) > _MOST_AXES:
        raise UnsupportedError(f"an input of {len(dims)} axes", hint=HINT)
    return Port(dtype, tuple(dims))
