"""GGUF files put together by hand, right or wrong in any one place."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STR, ARRAY = 8, 9


@dataclass(frozen=True)
class Info:
    """One entry of the tensor list; ``dims`` innermost first."""

    name: str | bytes
    dims: Sequence[int]
    type: int = 0
    offset: int = 0
    n_dims: int | None = None


@dataclass(frozen=True)
class Build:
    """``version`` 1 has 32-bit lengths; ``order`` is ``<`` or ``>``."""

    version: int = 3
    order: str = "<"

    def pack(self, code: str, *values: Any) -> bytes:
        return struct.pack(self.order + code, *values)

    def length(self, value: int) -> bytes:
        return self.pack("I" if self.version == 1 else "Q", value)

    def text(self, value: str | bytes) -> bytes:
        raw = value.encode() if isinstance(value, str) else value
        return self.length(len(raw)) + raw

    def value(self, number: int, value: Any) -> bytes:
        """A value without its type; for an array ``value`` is (element type, values)."""
        if number == STR:
            return self.text(value)
        if number == ARRAY:
            inner, values = value
            return self.pack("I", inner) + self.length(len(values)) + b"".join(self.value(inner, v) for v in values)
        return self.pack(CODES[number], value)

    def entry(self, key: str | bytes, number: int, value: Any) -> bytes:
        return self.text(key) + self.pack("I", number) + self.value(number, value)

    def info(self, info: Info) -> bytes:
        n_dims = len(info.dims) if info.n_dims is None else info.n_dims
        dims = b"".join(self.length(d) for d in info.dims)
        return self.text(info.name) + self.pack("I", n_dims) + dims + self.pack("IQ", info.type, info.offset)

    def file(
        self,
        entries: Iterable[bytes] = (),
        infos: Iterable[Info] = (),
        data: bytes = b"",
        *,
        alignment: int = 32,
        n_entries: int | None = None,
        n_tensors: int | None = None,
        magic: bytes = b"GGUF",
    ) -> bytes:
        keys, tensors = list(entries), list(infos)
        head = magic + self.pack("I", self.version)
        head += self.length(len(tensors) if n_tensors is None else n_tensors)
        head += self.length(len(keys) if n_entries is None else n_entries)
        head += b"".join(keys) + b"".join(map(self.info, tensors))
        return head + bytes(-len(head) % alignment) + data if tensors else head + data
