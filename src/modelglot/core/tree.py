"""Nested values around tensors, as training checkpoints have them, held inert.

Python's own ``None bool int float complex str bytes`` stand for themselves; `TensorRef` names a tensor of the model;
`Node` is a container; `Inert` is an object of a class that was never imported. A value may be reached by several
ways (as in the file), so walkers here are iterative, bounded, and stop at cycles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from modelglot.core.errors import LimitError, printable
from modelglot.core.notes import Loss


@dataclass(frozen=True, slots=True)
class TensorRef:
    """The place of a tensor in a tree; ``name`` is its key in ``Model.tensors``."""

    name: str


@dataclass(slots=True, eq=False)
class Node:
    """A container. ``items`` holds (key, value) pairs for dicts, values for lists, tuples and sets.

    ``kind`` is the Python class: dict, ordereddict, defaultdict, counter, list, tuple, set, frozenset, deque; or
    ``parts``, a mapping that is not in the file: components which its reader told apart among flat names.
    Compared by identity: contents may be shared and even cyclic.
    """

    kind: str
    items: list[Any] = field(default_factory=list)

    @property
    def is_mapping(self) -> bool:
        return self.kind in ("dict", "ordereddict", "defaultdict", "counter", "parts")

    def get(self, key: Any, default: Any = None) -> Any:
        """The last value stored under a key of a mapping (later items win, as in Python)."""
        for k, v in reversed(self.items):
            if k == key and type(k) is type(key):
                return v
        return default


@dataclass(slots=True, eq=False)
class Inert:
    """An object or a reference to a global, never imported: ``global_`` is ``module.name``.

    ``role`` is ``reference`` (just named), ``called`` (a function was to run), or ``object`` (an instance).
    ``state`` is what BUILD gave; ``items`` what SETITEMS or APPENDS added.
    """

    global_: str
    role: Literal["reference", "called", "object"] = "object"
    args: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)

    def attributes(self) -> Node | None:
        """The instance's ``__dict__`` where the state is one."""
        state = self.state
        if isinstance(state, Node) and state.kind == "tuple" and len(state.items) == 2:
            state = state.items[0] or state.items[1]
        return state if isinstance(state, Node) and state.is_mapping else None


Path = tuple[Any, ...]


def children(value: Any) -> Iterator[tuple[Any, Any]]:
    """(key, child) of a container or an inert object: dict keys, list positions, attribute names."""
    if isinstance(value, Node):
        yield from value.items if value.is_mapping else enumerate(value.items)
    elif isinstance(value, Inert):
        attributes = value.attributes()
        if attributes is not None:
            yield from attributes.items
        elif value.state is not None:
            yield "state", value.state
        if value.items:
            pairs = all(isinstance(i, tuple) and len(i) == 2 for i in value.items)
            yield from value.items if pairs else enumerate(value.items)
        yield from enumerate(value.args)


def walk(root: Any, *, limit: int = 4_000_000) -> Iterator[tuple[Path, Any]]:
    """Every value with its path, parents first, in stored order. A container inside itself is not entered again.

    Raises LimitError after ``limit`` values: sharing can make a small file describe an enormous tree.
    """
    yield (), root
    stack: list[tuple[Path, Any, Iterator[tuple[Any, Any]]]] = [((), root, children(root))]
    open_ids = {id(root)}
    seen = 0
    while stack:
        path, owner, rest = stack[-1]
        for key, child in rest:
            seen += 1
            if seen > limit:
                raise LimitError(f"the object tree has over {limit:,} values", hint="raise the limit `tree_values`")
            here = (*path, key)
            yield here, child
            if isinstance(child, (Node, Inert)) and id(child) not in open_ids and len(here) < 1000:
                open_ids.add(id(child))
                stack.append((here, child, children(child)))
                break
        else:
            stack.pop()
            open_ids.discard(id(owner))


def path_name(path: Path) -> str:
    """``('model', 'layers.0.w')`` as ``model.layers.0.w``. Keys that are not text or numbers appear as their global."""
    return ".".join(key_text(k) for k in path)


def key_text(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, (Inert,)):
        return key.global_
    if isinstance(key, Node):
        return "(" + ",".join(key_text(i) for i in key.items[:8] if not isinstance(i, (Node, tuple))) + ")"
    return str(key) if isinstance(key, (int, float, bool, type(None))) else repr(key)[:80]


def plain_loss(tree: Any, *, stops: bool) -> list[Loss]:
    """What a target without nesting cannot hold of a tree: everything that is no tensor."""
    names = [
        path_name(path)
        for path, value in walk(tree)
        if path and not isinstance(value, TensorRef) and not (isinstance(value, Node) and value.items)
    ]
    if tree is None or not names:
        return []
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    return [Loss("training-state", ", ".join(printable(n) for n in names[:8]) + more, stops=stops)]
