"""What a file says of its computation, in summary: ports, operators, functions. The graph itself is not held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Port(NamedTuple):
    """An input or output. An axis is a size, a name (``batch``), or None where nothing is said; ``shape`` is None where
    not even the rank is known. ``dtype`` is one of ours, or the format's own word (``string``)."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None

    def __str__(self) -> str:
        axes = "..." if self.shape is None else ", ".join("?" if a is None else str(a) for a in self.shape)
        return f"{self.name} [{axes}] {self.dtype}"


class Signature(NamedTuple):
    """One way to call the model; most formats have exactly one, named ``main``."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """``operators`` counts the nodes by operator, most frequent first, those of nested graphs and functions included;
    ``functions`` names what the file defines itself; ``dialect`` says what the graph is written in (``ONNX``).
    ``in_metadata``: all of it stands in the model's metadata too, and goes where that goes. ``about`` are keys of the
    metadata that describe the graph and its file (producer, versions): without it they say nothing."""

    dialect: str
    signatures: tuple[Signature, ...] = ()
    operators: Mapping[str, int] = field(default_factory=dict)
    functions: tuple[str, ...] = ()
    in_metadata: bool = False
    about: frozenset[str] = frozenset()

    @property
    def nodes(self) -> int:
        return sum(self.operators.values())


def counted(operators: Mapping[str, int]) -> dict[str, int]:
    """Most frequent first, equal ones by name: the order `Graph.operators` has."""
    return dict(sorted(operators.items(), key=lambda item: (-item[1], item[0])))
