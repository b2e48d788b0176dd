"""The tensors of a model as columns, and what is to be said of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelglot.core.model import ties
from modelglot.core.tensor import Missing, Stored, Tensor
from modelglot.engine.values import has_numbers
from modelglot.engine.window import obstacle


def columns(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """All tensors, short enough for 100,000 of them: ``kind`` counts in ``kinds``, ``tied`` in ``names``."""
    kinds: dict[str, int] = {}
    kind = [kinds.setdefault(t.type_name, len(kinds)) for t in tensors.values()]
    place = {name: number for number, name in enumerate(tensors)}
    return {
        "names": [shown(name) for name in tensors],
        "kinds": list(kinds),
        "kind": kind,
        "shapes": [list(t.shape) for t in tensors.values()],
        "bytes": [t.nbytes for t in tensors.values()],
        "tied": [[place[name] for name in names] for names in ties(tensors)],
    }


def facts(tensor: Tensor, tied: tuple[str, ...]) -> dict[str, Any]:
    """One tensor: where it lies, and whether its values can be looked at in part."""
    why = obstacle(tensor)
    row: dict[str, Any] = {
        "name": shown(tensor.name), "type": tensor.type_name, "shape": list(tensor.shape), "bytes": tensor.nbytes,
        "elements": tensor.numel, "numbers": has_numbers(tensor), "ties": [shown(n) for n in tied if n != tensor.name],
        "window": {"ok": why is None, "why": why},
    }  # fmt: skip
    data = tensor.data
    if isinstance(data, Stored) and data.extents:
        first = data.extents[0]
        row |= {"file": first.file, "offset": first.offset}
        row |= {"strides": list(data.strides)} if data.strides is not None else {}
        row |= {"codec": first.codec} if first.codec != "raw" else {}
    elif isinstance(data, Missing):
        row["missing"] = data.why
    return row


def shown(name: str) -> str:
    """A name as JSON can carry it."""
    return name.encode("utf-8", "replace").decode()


def changes(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> dict[str, Any]:
    """What differs between two models without a look at their values."""
    both = [n for n in left if n in right]
    same = [n for n in both if _kind(left[n]) == _kind(right[n])]
    unlike = set(both) - set(same)
    return {
        "added": [shown(n) for n in right if n not in left],
        "removed": [shown(n) for n in left if n not in right],
        "same": [shown(n) for n in same],
        "changed": [
            {"name": shown(n), "left": _short(left[n]), "right": _short(right[n])} for n in both if n in unlike
        ],
    }


def _kind(tensor: Tensor) -> tuple[str, tuple[int, ...]]:
    return tensor.type_name, tensor.shape


def _short(tensor: Tensor) -> dict[str, Any]:
    return {"type": tensor.type_name, "shape": list(tensor.shape), "bytes": tensor.nbytes}
