"""Bounds on what a reader may take from a file. Every size in a file is compared with the bytes present first."""

from __future__ import annotations

from dataclasses import dataclass

from modelglot.core.errors import LimitError

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes unless the name says otherwise. Raise one with ``dataclasses.replace`` or ``--limit name=value``."""

    header: int = 100 * MIB  # safetensors JSON, GGUF key-values: what the specifications allow
    pickle: int = 64 * MIB  # one opcode stream
    pickle_opcodes: int = 10_000_000
    member: int = 256 * MIB  # a compressed metadata member, inflated
    ratio: int = 200  # inflated : stored, beyond 1 MiB
    entries: int = 1_100_000  # archive members
    tensors: int = 1_000_000
    name: int = 64 * KIB
    depth: int = 64  # nesting of JSON and arrays
    tree_values: int = 4_000_000
    index: int = 64 * MIB  # a shard index, a config

    def check(self, name: str, value: int, what: str, *, offset: int | None = None) -> None:
        """Raise LimitError when ``value`` is above the limit ``name``; ``what`` says what has that size."""
        most = getattr(self, name)
        if value > most:
            raise LimitError(
                f"{what}: {value:,} is above the limit of {most:,}",
                offset=offset,
                hint=f"if the file is trusted, raise it: `--limit {name}={value}`",
            )
