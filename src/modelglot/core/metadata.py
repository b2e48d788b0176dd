"""Typed, ordered metadata: what a file says about itself beside its tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and its type as the format names it: ``str``, ``u32``, ``f32``, ``bool``, ``array[str]``, ``json`` ...

    Arrays are any `Sequence`; a reader may give one that decodes on demand and keeps its stored bytes.
    """

    value: Any
    type: str = "str"


class Metadata(Mapping[str, Any]):
    """Ordered ``key -> value``; ``entry(key)`` has the type too. Frozen once made."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, Entry | str] | None = None) -> None:
        self._entries: dict[str, Entry] = {
            key: entry if isinstance(entry, Entry) else Entry(entry) for key, entry in (entries or {}).items()
        }

    def __getitem__(self, key: str) -> Any:
        return self._entries[key].value

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Metadata({len(self)} keys)"

    def entry(self, key: str) -> Entry:
        return self._entries[key]

    def entries(self) -> Iterator[tuple[str, Entry]]:
        return iter(self._entries.items())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Metadata) or list(self) != list(other):
            return NotImplemented if not isinstance(other, Metadata) else False
        return all(
            a.type == b.type and _same(a.value, b.value)
            for a, b in zip(self._entries.values(), other._entries.values(), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]


def is_array(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _same(a: Any, b: Any) -> bool:
    if is_array(a) and is_array(b):
        if type(a) is type(b) and not isinstance(a, (list, tuple)):
            return bool(a == b)  # a reader's own array compares what it stored, without decoding it
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b) or (a != a and b != b)
