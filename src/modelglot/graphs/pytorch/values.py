"""What a value of the graph is in the source: an expression, and whether that is a tensor or plain Python numbers.

Shapes stay Python numbers as long as operators can work on them, so that ``Shape``, ``Gather``, ``Concat`` and
``Reshape`` become ``x.reshape(x.shape[0], -1)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelglot.graphs.pytorch import literals

TENSOR = "tensor"
NUMBER = "number"  # a Python int or bool that stands for a tensor without axes
NUMBERS = "numbers"  # a Python sequence of int that stands for a tensor with one axis
LIST = "list"  # a Python list of tensors, or None where an optional value is absent


@dataclass(slots=True)
class Value:
    """``code`` may stand at any place of the source; it is empty for a constant that was not asked for yet.

    ``dtype`` is a torch name, ``shape`` has None for an axis whose size is not known; both are None where the graph
    does not tell. ``array`` holds a constant, ``items`` the code of each of ``NUMBERS``.
    """

    code: str = ""
    kind: str = TENSOR
    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None
    array: Any = None
    items: list[str] | None = None
    element: int | None = None  # ONNX's number of the element type
    weight: str | None = None  # name of a tensor that is kept with the weights

    @property
    def rank(self) -> int | None:
        return None if self.shape is None else len(self.shape)

    def copy(self, **changes: Any) -> Value:
        kept = {name: getattr(self, name) for name in self.__slots__}
        return Value(**{**kept, **changes})


def number(code: str, dtype: str = "int64") -> Value:
    return Value(code, NUMBER, dtype, ())


def numbers(items: list[str], dtype: str = "int64") -> Value:
    return Value(literals.items(items), NUMBERS, dtype, (len(items),), items=items)


def sequence(code: str) -> Value:
    """Python numbers of which only their number may be known."""
    return Value(code, NUMBERS, "int64", (None,))


@dataclass(slots=True)
class Tied:
    """An expression of several results, ``a, b = code``: ``count`` of them, 0 for as many as there are outputs."""

    code: str
    count: int = 0
