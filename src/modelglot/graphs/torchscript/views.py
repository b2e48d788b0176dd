"""Views: operators whose result shares its elements with their first argument, and how a change goes back into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelglot.graphs.torchscript.kit import Kit

_LAST = (1 << 63) - 1


def is_view(name: str) -> bool:
    return name in VIEWS or name in _SHARED or name in PERHAPS


def _put(kit: Kit, base: Any, part: Any, axis: int, start: Any, end: Any) -> Any:
    """``base`` with ``part`` from ``start`` to ``end`` along an axis; what lies around is taken from it."""
    pieces = []
    if not (isinstance(start, int) and start == 0):
        pieces.append(kit.slice(base, axis, 0, start))
    pieces.append(kit.cast(part, kit.dtype(base)))
    if not (isinstance(end, int) and end == _LAST):
        pieces.append(kit.slice(base, axis, end, _LAST))
    made = pieces[0] if len(pieces) == 1 else kit.op("Concat", *pieces, axis=axis)
    kit.refine(made, kit.dims(base))
    return made


def _into_select(kit: Kit, base: Any, new: Any, dim: Any, index: Any) -> Any:
    axis = kit.axis(base, dim)
    part = kit.unsqueeze(new, [axis])
    if isinstance(index, int):
        return _put(kit, base, part, axis, index, index + 1 if index != -1 else _LAST)
    at = kit.op("Reshape", kit.plain(index), kit.ints([1]))
    last = kit.op("Add", at, kit.ints([1]))
    return _put(kit, base, part, axis, at, last)


def _into_slice(kit: Kit, base: Any, new: Any, dim: Any = 0, start: Any = None, end: Any = None, step: Any = 1) -> Any:
    axis = kit.axis(base, dim)
    if step == 1:
        return _put(kit, base, new, axis, 0 if start is None else start, _LAST if end is None else end)
    size = kit.int_of(kit.size(base, axis), "the size of a tensor whose slice with a step is changed")
    rows = list(range(kit.made(size, "rows")))[start:end:step]
    shape = [len(rows)]
    indices = kit.constant([[r] for r in rows] or [[0]][:0]) if rows else kit.constant(shape)
    order = [axis, *(a for a in range(kit.rank(base)) if a != axis)]
    back = [order.index(a) for a in range(len(order))]
    made = kit.op("ScatterND", kit.transpose(base, order), indices, kit.transpose(new, order))
    return kit.transpose(made, back)


def _as_base(kit: Kit, base: Any, new: Any, *rest: Any, **named: Any) -> Any:
    return kit.reshape(new, kit.sizes(base))


def _transposed(kit: Kit, base: Any, new: Any, first: Any = 0, second: Any = 1) -> Any:
    order = list(range(kit.rank(base)))
    a, b = kit.axis(base, first), kit.axis(base, second)
    order[a], order[b] = b, a
    return kit.transpose(new, order)


def _permuted(kit: Kit, base: Any, new: Any, dims: Any) -> Any:
    order = kit.axes(base, dims)
    return kit.transpose(new, [order.index(a) for a in range(len(order))])


VIEWS: dict[str, Callable[..., Any]] = {
    "select": _into_select,
    "slice": _into_slice,
    "narrow": lambda kit, base, new, dim, start, length: _into_slice(
        kit, base, new, dim, start, kit.int_of(start, "start") + kit.int_of(length, "length")
    ),
    "transpose": _transposed,
    "t": _transposed,
    "permute": _permuted,
    **dict.fromkeys(("view", "squeeze", "unsqueeze", "unflatten", "view_as"), _as_base),
}
_SHARED = frozenset(("chunk", "split", "split_with_sizes", "tensor_split", "unbind", "expand", "expand_as", "unfold",
                     "diagonal", "movedim", "real", "imag", "_item"))  # fmt: skip
PERHAPS = frozenset(("reshape", "reshape_as", "flatten", "contiguous"))  # a copy where the memory is no run
SAME = frozenset(("to", "type_as", "detach", "prim.data", "data", "alias", "cpu", "cuda", "dropout",
                  "feature_dropout", "alpha_dropout", "float", "double", "half", "long", "int", "bool", "lift_fresh",
                  "prim.NumToTensor"))  # fmt: skip
