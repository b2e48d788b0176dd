"""Values that two branches leave, as one: equal ones stay, tensors and numbers become outputs of an ``If``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.emitter import Dim
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.live import live
from modelglot.graphs.torchscript.state import State
from modelglot.graphs.torchscript.values import UNSET, Cell, Object, Scalar, Unknown, is_number

Made = Callable[[list[Any]], Any]  # the merged value, given the outputs of the node


class Merge:
    """Collects pairs; `node` emits the ``If`` once all are known."""

    def __init__(self, kit: Kit, state: State, yes: list[Any], no: list[Any]) -> None:
        self.kit, self.state, self.yes, self.no = kit, state, yes, no
        self.pairs: list[tuple[Any, Any]] = []
        self.places: dict[tuple[int, int], int] = {}
        self.unread: set[int] = set()

    def of(self, a: Any, b: Any) -> Made:
        if a is b or (type(a) is type(b) and isinstance(a, (bool, int, float, str)) and a == b):
            return lambda _: a
        if a is UNSET or b is UNSET:
            return self._one(b if a is UNSET else a, first=b is UNSET)
        if isinstance(a, self.kit.ir.Value) and isinstance(b, self.kit.ir.Value):
            place = self._pair(a, b)
            return lambda results: results[place]
        if isinstance(a, Cell) and isinstance(b, Cell):
            place = self._pair(self.state.read(a), self.state.read(b))
            return lambda results: Cell(results[place])
        if is_number(a) and is_number(b):
            return self._numbers(a, b)
        if isinstance(a, (list, tuple)) and type(a) is type(b) and len(a) == len(b):
            parts, kind = [self.of(x, y) for x, y in zip(a, b, strict=True)], type(a)
            return lambda results: kind(p(results) for p in parts)
        if isinstance(a, dict) and isinstance(b, dict) and list(a) == list(b):
            entries = {key: self.of(a[key], b[key]) for key in a}
            return lambda results: {key: made(results) for key, made in entries.items()}
        return lambda _: Unknown(f"two branches leave {_word(a)} and {_word(b)} under one name")

    def _one(self, value: Any, *, first: bool) -> Made:
        """What only one branch sets; the other gives zeros of that type, which nobody reads."""
        if isinstance(value, (list, tuple)):
            parts, kind = [self._one(v, first=first) for v in value], type(value)
            return lambda results: kind(p(results) for p in parts)
        if not isinstance(value, (Cell, Scalar)):
            return lambda _: value
        own = self.state.read(value) if isinstance(value, Cell) else value.value
        zeros = self.kit.constant(np.zeros([1] * self.kit.rank(own)), self.kit.dtype(own))
        self.unread.add(id(zeros))
        place = self._pair(own, zeros) if first else self._pair(zeros, own)
        if isinstance(value, Cell):
            return lambda results: Cell(results[place])
        return lambda results: Scalar(results[place], value.kind)

    def _numbers(self, a: Any, b: Any) -> Made:
        kinds = [v.kind if isinstance(v, Scalar) else type(v).__name__ for v in (a, b)]
        kind = max(kinds, key=("bool", "int", "float").index)
        dtype = dtypes.OF_KIND[kind]
        place = self._pair(self._at(a, dtype, self.yes), self._at(b, dtype, self.no))
        return lambda results: Scalar(results[place], kind)

    def _at(self, number: Any, dtype: int, nodes: list[Any]) -> Any:
        with self.kit.inside() as made:
            value = self.kit.at(number, dtype)
        nodes.extend(made)
        return value

    def _pair(self, a: Any, b: Any) -> int:
        key = (id(a), id(b))
        if key not in self.places:
            self.places[key] = len(self.pairs)
            self.pairs.append((a, b))
        return self.places[key]

    def node(self, condition: Any) -> list[Any]:
        """The outputs, one a pair; nothing is emitted where there are none."""
        kit, results, outputs = self.kit, list[Any](), list[tuple[Any, Any]]()
        shapes: list[list[Dim]] = []
        for a, b in self.pairs:
            if a is b:
                results.append(a)
                continue
            results.append(None)
            own = [kit.dims(v) for v in (a, b) if id(v) not in self.unread]
            shapes.append(own[0] if len(own) == 1 else common(kit, a, b))
            outputs.append((self._own(a, self.yes), self._own(b, self.no)))
        if not outputs:
            return results
        firsts, seconds = [a for a, _ in outputs], [b for _, b in outputs]
        yes = kit.graph("then", [], firsts, live(self.yes, firsts))
        no = kit.graph("else", [], seconds, live(self.no, seconds))
        attributes = {"then_branch": yes, "else_branch": no}
        node = kit.ir.node("If", [condition], attributes, num_outputs=len(outputs))
        kit.name(node)
        for output, (a, _), dims in zip(node.outputs, outputs, shapes, strict=True):
            output.type, output.shape = a.type, kit.ir.Shape(dims)
        kit.add(node)
        left = iter(node.outputs)
        return [r if r is not None else next(left) for r in results]

    def _own(self, value: Any, nodes: list[Any]) -> Any:
        """The value as one that a node of the branch makes."""
        with self.kit.inside() as made:
            own = self.kit.op("Identity", value) if value.const_value is None else _kept(self.kit, value)
        nodes.extend(made)
        return own


def _kept(kit: Kit, value: Any) -> Any:
    """A constant as the result of a node: folding would give the constant again."""
    node = kit.ir.node("Identity", [value])
    kit.name(node)
    node.outputs[0].type, node.outputs[0].shape = value.type, value.shape
    kit.add(node)
    return node.outputs[0]


def common(kit: Kit, a: Any, b: Any) -> list[Dim]:
    """Sizes that two values of one type share. Raises UnsupportedError where types or ranks differ."""
    if kit.dtype(a) != kit.dtype(b):
        raise UnsupportedError(f"two branches leave `{dtypes.name(kit.dtype(a))}` and `{dtypes.name(kit.dtype(b))}`")
    first, second = kit.dims(a), kit.dims(b)
    if len(first) != len(second):
        raise UnsupportedError(f"two branches leave tensors with {len(first)} and {len(second)} axes")
    return [x if x == y else None for x, y in zip(first, second, strict=True)]


def _word(value: Any) -> str:
    words = {Cell: "a tensor", Object: "an object", Scalar: "a number", type(None): "None"}
    return words.get(type(value), f"a value of type {type(value).__name__}")
