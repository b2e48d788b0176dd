"""Compare two models by name, type, shape and bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelglot.core.tensor import Missing, Tensor


@dataclass(frozen=True, slots=True)
class Change:
    """A name in both models whose tensors are not equal; ``why`` is shape, type, bytes or missing."""

    name: str
    why: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Tensors matched by value; ``how`` is ``equal`` or what has to be done to the right one."""

    left: str
    right: str
    how: str


@dataclass(frozen=True, slots=True)
class Diff:
    """``equal`` counts tensors that agree bit for bit; the other fields hold those that do not.

    ``pairs`` lists what was matched by value, and then ``equal`` counts them.
    """

    left: str
    right: str
    equal: int
    changed: tuple[Change, ...]
    only_left: tuple[str, ...]
    only_right: tuple[str, ...]
    notes: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()

    @property
    def same(self) -> bool:
        return not (self.changed or self.only_left or self.only_right)

    def document(self) -> dict[str, Any]:
        return {
            "schema": "modelglot.diff/1", "left": self.left, "right": self.right, "same": self.same,
            "equal": self.equal,
            "changed": [{"name": c.name, "why": c.why, "left": c.left, "right": c.right} for c in self.changed],
            "only_left": list(self.only_left), "only_right": list(self.only_right), "notes": list(self.notes),
            "pairs": [{"left": p.left, "right": p.right, "how": p.how} for p in self.pairs],
        }  # fmt: skip


def candidates(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> list[str]:
    """Names whose bytes have to be compared: in both, of one type and shape, and present."""
    return [n for n, t in left.items() if n in right and _description(t, right[n]) is None]


def compare(
    names: tuple[str, str],
    left: Mapping[str, Tensor],
    right: Mapping[str, Tensor],
    digests: tuple[Mapping[str, str], Mapping[str, str]],
    notes: tuple[str, ...] = (),
) -> Diff:
    """The report from descriptions and the digests of `candidates`."""
    changed, equal = [], 0
    for name, tensor in left.items():
        if name not in right:
            continue
        change = _description(tensor, right[name])
        a, b = digests[0].get(name), digests[1].get(name)
        if change is None and a != b:
            change = Change(name, "bytes", f"blake3 {a and a[:16]}", f"blake3 {b and b[:16]}")
        if change is None:
            equal += 1
        else:
            changed.append(change)
    only_left = tuple(n for n in left if n not in right)
    only_right = tuple(n for n in right if n not in left)
    return Diff(*names, equal, tuple(changed), only_left, only_right, notes)


def _description(left: Tensor, right: Tensor) -> Change | None:
    name = left.name
    if isinstance(left.data, Missing) or isinstance(right.data, Missing):
        gone = [t.data.why if isinstance(t.data, Missing) else "present" for t in (left, right)]
        return Change(name, "missing", *gone)
    if left.shape != right.shape:
        return Change(name, "shape", str(list(left.shape)), str(list(right.shape)))
    if left.type_name != right.type_name:
        return Change(name, "type", left.type_name, right.type_name)
    return None
