"""From an object tree to named tensors: every `Leaf` gets the name of its path and becomes a `TensorRef`.

Modules pickled whole are walked as ``Module.state_dict()`` does. Objects are entered once; a container that is reached
a second time is copied, so that both paths have their names, until a budget is spent. Nothing recurses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from modelglot.containers.pickle.values import Attributed, Leaf
from modelglot.containers.pickle.window import Blob, Window
from modelglot.core.errors import LimitError, ModelFileError, printable
from modelglot.core.limits import KIB, MIB, Limits
from modelglot.core.notes import Note
from modelglot.core.tensor import Tensor
from modelglot.core.tree import Inert, Node, TensorRef, key_text

_BYTES, _ALL_BYTES = 64 * KIB, 16 * MIB  # large bytes values that are loaded to be shown, each and together
_DEEPEST = 1000  # levels that are walked, as in `modelglot.core.tree.walk`


@dataclass(slots=True)
class Named:
    """The result: tensors in stored order, the tree with references, notes."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    tree: Any = None
    notes: list[Note] = field(default_factory=list)


def name_tensors(root: Any, window: Window, limits: Limits, prefix: str = "") -> Named:
    """Names every tensor under ``root``. Errors of a tensor carry its name."""
    return _Namer(window, limits).run(root, prefix)


class _Namer:
    def __init__(self, window: Window, limits: Limits) -> None:
        self.window, self.limits = window, limits
        self.out = Named()
        self.budget = limits.tensors // 4  # items that copies may have: sharing describes enormous trees in few bytes
        self.barren: set[int] = set()  # containers without a tensor, which need no copy
        self.seen: set[int] = set()
        self.again: list[str] = []
        self.twice: dict[str, int] = {}
        self.kept: list[Any] = []  # everything whose id was taken must live as long as the ids are compared
        self.loaded = 0

    def run(self, root: Any, prefix: str) -> Named:
        holder = [root]
        if isinstance(root, Leaf) and not root.nested and not prefix:
            prefix = "tensor"  # nothing but this one; elsewhere a name may be empty, as a key may
        stack: list[Iterator[tuple[str, list[Any], int, int]]] = [iter([(prefix, holder, 0, -1)])]
        opened: list[tuple[int, int]] = []  # id, and the number of tensors when it was entered
        inside: set[int] = set()
        while stack:
            for path, items, position, half in stack[-1]:
                value = items[position] if half < 0 else items[position][1]
                kind = type(value)
                if kind is str or kind is int or kind is float or kind is bool or value is None:
                    continue
                made = self.tensor(value, path) if isinstance(value, Leaf) else self.replaced(value, path)
                if made is not value:
                    items[position] = made if half < 0 else (items[position][0], made)
                    if type(made) is TensorRef:
                        continue
                if isinstance(made, (Node, Inert)) and id(made) not in inside and len(stack) < _DEEPEST:
                    entered = self.enter(made, path)
                    if entered is None:
                        continue
                    if entered is not made:
                        items[position] = entered if half < 0 else (items[position][0], entered)
                    inside.add(id(entered))
                    opened.append((id(entered), len(self.out.tensors)))
                    stack.append(self.parts(entered, path))
                    break
            else:
                stack.pop()
                if opened:
                    closed, before = opened.pop()
                    inside.discard(closed)
                    if len(self.out.tensors) == before:
                        self.barren.add(closed)
        self.out.tree = holder[0]
        if self.again:
            self.out.notes.append(
                Note(
                    "same-name",
                    f"{len(self.again):,} tensors have the path of another and got a "
                    f"number, such as {printable(self.again[0], code=True)}",
                    "warning",
                )
            )
        return self.out

    def enter(self, value: Node | Inert, path: str) -> Node | Inert | None:
        """The value whose children to walk: itself the first time, a copy of a container seen before, or None."""
        if id(value) not in self.seen:
            self.seen.add(id(value))
            self.kept.append(value)
            return value
        if isinstance(value, Inert) or not value.items or id(value) in self.barren:
            return None
        if self.budget < len(value.items):
            if self.budget >= 0:
                self.budget = -1
                self.out.notes.append(
                    Note(
                        "shared-values",
                        "the tree reaches its containers by so many ways that only the first of each was named",
                        "warning",
                    )
                )
            return None
        self.budget -= len(value.items)
        copy = Attributed(value.kind, list(value.items))
        copy.attributes = value.attributes if isinstance(value, Attributed) else None
        self.kept.append(copy)
        self.seen.add(id(copy))
        return copy

    def parts(self, value: Node | Inert, path: str) -> Iterator[tuple[str, list[Any], int, int]]:
        """(path, items, position, 1 for the value of a pair or -1) of every child."""
        dot = f"{path}." if path else ""
        if isinstance(value, Node):
            items = value.items
            if value.is_mapping:
                for position in range(len(items)):
                    key = items[position][0]
                    yield dot + (key if type(key) is str else key_text(key)), items, position, 1
            else:
                for position in range(len(items)):
                    yield f"{dot}{position}", items, position, -1
            return
        body = module_body(value)
        if body is not None:
            yield from self.module(value, body, dot)
            return
        attributes = value.attributes()
        if attributes is not None:
            yield from self.parts(attributes, path)
        elif value.state is not None:
            holder = [value.state]
            yield f"{dot}state", holder, 0, -1
            value.state = holder[0]
        if value.items:
            keyed = all(type(i) is tuple and len(i) == 2 for i in value.items)
            for position in range(len(value.items)):
                key = key_text(value.items[position][0]) if keyed else str(position)
                yield dot + key, value.items, position, 1 if keyed else -1
        arguments = list(value.args)
        for position in range(len(arguments)):
            yield f"{dot}{position}", arguments, position, -1
        if arguments:
            value.args = tuple(arguments)

    def module(self, value: Inert, body: Node, dot: str) -> Iterator[tuple[str, list[Any], int, int]]:
        """Parameters, persistent buffers, then submodules, in the order and by the names of ``state_dict()``."""
        where = printable(dot.rstrip("."), code=True) if dot else "the file"
        self.out.notes.append(
            Note(
                "whole-module",
                f"{where} is a module pickled whole, of class "
                f"{printable(value.global_, code=True)}; tensors are named as in its state dict",
            )
        )
        yield from self._own(body, dot)
        stack: list[tuple[str, Iterator[tuple[Any, Any]]]] = [(dot, iter(_section(body, "_modules")))]
        depth_guard = {id(body)}
        bodies = [id(body)]
        while stack:
            prefix, rest = stack[-1]
            for key, child in rest:
                inner = module_body(child) if isinstance(child, Inert) else None
                if inner is None or id(inner) in depth_guard or self.budget < 0:
                    continue
                self.budget -= 1
                here = f"{prefix}{key_text(key)}."
                yield from self._own(inner, here)
                depth_guard.add(id(inner))
                bodies.append(id(inner))
                self.kept.append(inner)
                stack.append((here, iter(_section(inner, "_modules"))))
                break
            else:
                stack.pop()
                depth_guard.discard(bodies.pop())

    def _own(self, body: Node, dot: str) -> Iterator[tuple[str, list[Any], int, int]]:
        transient = body.get("_non_persistent_buffers_set")
        skipped = set(map(key_text, transient.items)) if isinstance(transient, Node) else set()
        for section in ("_parameters", "_buffers"):
            items = _section(body, section)
            for position, (key, child) in enumerate(items):
                name = key_text(key)
                if child is None or (section == "_buffers" and name in skipped):
                    continue
                if isinstance(child, TensorRef):  # a submodule that two modules share
                    self._alias(child.name, dot + name)
                    continue
                yield dot + name, items, position, 1

    def _alias(self, first: str, name: str) -> None:
        if first in self.out.tensors:
            self._add(replace(self.out.tensors[first], name=name))

    def tensor(self, value: Leaf, path: str) -> Any:
        """A reference to the tensor that a leaf becomes, or another value where it turns out to be none."""
        name = self._free(path) if path in self.out.tensors else path
        try:
            made = value.finish(name)
            while isinstance(made, Leaf):  # an array without axes that holds an array
                made = made.finish(name)
        except ModelFileError as error:
            error.tensor = error.tensor or name
            raise
        if not isinstance(made, Tensor):
            return made
        self._add(made)
        for suffix, leaf in value.companions():
            self.tensor(leaf, f"{name}.{suffix}")
        return TensorRef(name)

    def replaced(self, value: Any, path: str) -> Any:
        """A reference under the name of this path; large bytes loaded while they stay few."""
        if isinstance(value, TensorRef):  # in a copy of a container whose tensors have their first names
            name = self._free(path)
            self._alias(value.name, name)
            return TensorRef(name)
        if isinstance(value, Blob):
            if value.length <= _BYTES and self.loaded + value.length <= _ALL_BYTES:
                self.loaded += value.length
                return self.window.read(value.offset, value.length)
            return Inert("builtins.bytes", "called", (value.length,))
        return value

    def _free(self, name: str) -> str:
        if name not in self.out.tensors:
            return name
        number = self.twice.get(name, 1)
        while (fresh := f"{name}#{number + 1}") in self.out.tensors:
            number += 1
        self.twice[name] = number + 1
        self.again.append(fresh)
        return fresh

    def _add(self, tensor: Tensor) -> None:
        if len(self.out.tensors) >= self.limits.tensors:
            raise LimitError(f"more than {self.limits.tensors:,} tensors", hint="raise the limit `tensors`")
        self.out.tensors[tensor.name] = tensor


def module_body(value: Inert) -> Node | None:
    """The ``__dict__`` of a pickled ``torch.nn.Module``, also of one that a function was to rebuild (torch.fx)."""
    for body in (value.attributes(), *value.args[:1]):
        if not isinstance(body, Node) or not body.is_mapping:
            continue
        if isinstance(body.get("_modules"), Node) and isinstance(body.get("_parameters"), Node):
            return body
    return None


def _section(body: Node, name: str) -> list[Any]:
    found = body.get(name)
    return found.items if isinstance(found, Node) and found.is_mapping else []
