"""Where every byte of the output goes, before one is moved. Data: printable, testable, shippable to a worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Piece(NamedTuple):
    """Literal bytes at an offset: headers, padding that is not zero, directories."""

    offset: int
    data: bytes


class Slot(NamedTuple):
    """``tensor`` (a name in the model) written contiguously, little-endian, at ``offset``; ``length`` is its bytes."""

    tensor: str
    offset: int
    length: int


class Fixup(NamedTuple):
    """A value known once the data passed: the checksum ``kind`` of ``length`` bytes at ``offset``, four bytes as they
    are stored, put at ``targets`` of the file named ``into``, or of this one.

    Kinds: ``crc32``, ``crc32c-masked``. Fix-ups run in the order of the files and of each file's list, so a later one
    may cover what an earlier one wrote.
    """

    kind: str
    offset: int
    length: int
    targets: tuple[int, ...]
    into: str | None = None


class OutFile(NamedTuple):
    """One output file. Bytes that no piece and no slot covers are zero."""

    name: str
    size: int
    pieces: tuple[Piece, ...]
    slots: tuple[Slot, ...] = ()
    fixups: tuple[Fixup, ...] = ()


class Layout(NamedTuple):
    """The files of a target, in the order in which they are published (an index comes last)."""

    files: tuple[OutFile, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """What a person may choose about the output, for any writer.

    ``max_shard_size`` in bytes of tensor data, None for one file; ``name`` is the wanted file name, or None when the
    target is a folder and the format's usual name applies; ``settings`` are a format's own (``gguf:alignment=64``).
    ``groups`` names the tensors of each shard, where they are to be those of the source. ``folder``: the target is a
    folder although ``name`` is given, so the files beside the weights come along. ``frame`` is what the format's own
    `frame` took from a file: the weights are put into it, everything else of it is kept.
    """

    max_shard_size: int | None = None
    name: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    groups: tuple[tuple[str, ...], ...] = ()
    folder: bool = False
    frame: Any = None


def align(offset: int, to: int) -> int:
    """The next multiple of ``to``."""
    return -(-offset // to) * to


def shard(sizes: dict[str, int], options: Options) -> list[list[str]]:
    """Tensor names in the groups that were asked for, or cut into consecutive ones of at most ``max_shard_size`` bytes;
    a tensor larger than that stands alone."""
    if options.groups:
        return [[name for name in group if name in sizes] for group in options.groups]
    most = options.max_shard_size
    groups: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes.items():
        if most is not None and groups[-1] and filled + size > most:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += size
    return groups
