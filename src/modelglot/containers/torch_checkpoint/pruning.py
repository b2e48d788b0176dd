"""A copy of a tree with what a plain PyTorch file can hold: containers, numbers, text, tensors, dtypes, sizes.

Sharing and cycles are kept. Objects are left out and reported with their path; in lists and tuples None takes their
place.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from modelglot.containers.pickle.torch_storage import TORCH_DTYPES
from modelglot.containers.pickle.values import Attributed
from modelglot.core.tree import Inert, Node, TensorRef, key_text

_SCALARS = (str, int, float, complex, bytes, bool, type(None))
_LEFT_OUT = object()


class Pruned:
    """``tree`` is the copy; ``objects`` lists (path, global) of what was left out, ``refs`` the tensors that remain."""

    def __init__(self, tree: Any, tensors: Container[str]) -> None:
        self.objects: list[tuple[str, str]] = []
        self.changed: list[tuple[str, str]] = []  # (path, kind) of containers written as a simpler kind
        self.refs: set[str] = set()
        self._tensors = tensors
        self._copies: dict[int, Node] = {}
        self._todo: list[tuple[Node, Node, str]] = []
        made = self._kept(tree, "")
        self.tree = None if made is _LEFT_OUT else made
        while self._todo:
            self._fill(*self._todo.pop())

    def _fill(self, source: Node, target: Node, path: str) -> None:
        dot = f"{path}." if path else ""
        if not source.is_mapping:
            for position, item in enumerate(source.items):
                made = self._kept(item, f"{dot}{position}")
                target.items.append(None if made is _LEFT_OUT else made)
            return
        for key, value in source.items:
            if type(key) is str and type(value) is TensorRef and value.name in self._tensors:
                self.refs.add(value.name)
                target.items.append((key, value))
                continue
            here = dot + key_text(key)
            name = self._kept(key, here) if _hashable(key) else _LEFT_OUT
            if name is _LEFT_OUT:
                self.objects.append((here, key.global_ if isinstance(key, Inert) else "a key"))
                continue
            made = self._kept(value, here)
            if made is not _LEFT_OUT:
                target.items.append((name, made))
        attributes = getattr(source, "attributes", None)
        if isinstance(attributes, Node) and attributes.is_mapping and source.kind == "ordereddict":
            made = self._kept(attributes, f"{dot}__dict__")
            if isinstance(target, Attributed) and made is not _LEFT_OUT:
                target.attributes = made

    def _kept(self, value: Any, path: str) -> Any:
        if isinstance(value, _SCALARS):
            return value
        if isinstance(value, TensorRef):
            if value.name not in self._tensors:
                return _LEFT_OUT
            self.refs.add(value.name)
            return value
        if isinstance(value, Node):
            known = self._copies.get(id(value))
            if known is None:
                kind = {"defaultdict": "dict", "deque": "list", "frozenset": "set"}.get(value.kind, value.kind)
                if kind != value.kind:
                    self.changed.append((path, value.kind))
                known = self._copies[id(value)] = Attributed(kind, [])
                self._todo.append((value, known, path))
            return known
        if isinstance(value, Inert) and _plain(value):
            return value
        self.objects.append((path, value.global_ if isinstance(value, Inert) else type(value).__name__))
        return _LEFT_OUT


def _plain(value: Inert) -> bool:
    """``torch.float32``, ``torch.Size((1, 2))``, ``torch.device("cpu")``: what weights-only loading takes."""
    if value.role == "reference":
        return value.global_.startswith("torch.") and value.global_[6:] in TORCH_DTYPES
    if value.role != "called" or value.global_ not in ("torch.Size", "torch.device") or value.state is not None:
        return False
    return all(isinstance(a, _SCALARS) or (isinstance(a, Node) and _flat(a)) for a in value.args)


def _flat(node: Node) -> bool:
    return node.kind in ("tuple", "list") and all(isinstance(i, _SCALARS) for i in node.items)


def _hashable(key: Any) -> bool:
    return isinstance(key, _SCALARS) or (isinstance(key, Node) and key.kind == "tuple" and _flat(key))
