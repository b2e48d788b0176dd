"""The one waist between formats: ordered tensors, metadata, the tree they were found in, and side files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from modelglot.core.graph import Graph
from modelglot.core.metadata import Metadata
from modelglot.core.notes import Note
from modelglot.core.tensor import Extent, Stored, Tensor
from modelglot.core.tree import Node, TensorRef


class FileRef(NamedTuple):
    """A file a model was read from. ``stamp`` is (size, mtime_ns, inode): a change between reading and moving shows."""

    path: str
    name: str
    size: int
    role: str = "primary"  # primary | shard | side
    stamp: tuple[int, ...] = ()


class SideFile(NamedTuple):
    """A file that belongs to the model beside its weights: ``what`` is its use in a few words.

    Carried along unread from ``extent``, or made by a conversion, and then ``data`` is what it holds.
    """

    name: str
    extent: Extent | None
    what: str = ""
    data: bytes = b""

    @property
    def size(self) -> int:
        return self.extent.length if self.extent else len(self.data)


@dataclass(frozen=True, slots=True)
class Model:
    """What a reader returns. ``tree`` is None for flat formats, ``graph`` for bare weights; `Extent.file`
    counts in ``files``."""

    format: str
    files: tuple[FileRef, ...]
    tensors: Mapping[str, Tensor]
    dialect: str | None = None
    metadata: Metadata = field(default_factory=Metadata)
    tree: Any = None
    sides: tuple[SideFile, ...] = ()
    notes: tuple[Note, ...] = ()
    graph: Graph | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors written out, tied ones counted each time."""
        return sum(t.nbytes for t in self.tensors.values())

    @property
    def parameters(self) -> int:
        return sum(t.numel for t in self.tensors.values())


def ties(tensors: Mapping[str, Tensor]) -> list[tuple[str, ...]]:
    """Groups of names whose bytes are the same bytes, in order of first appearance."""
    groups: dict[Stored, list[str]] = {}
    for name, tensor in tensors.items():
        if isinstance(tensor.data, Stored) and tensor.nbytes:
            groups.setdefault(tensor.data, []).append(name)
    return [tuple(names) for names in groups.values() if len(names) > 1]


def flat_tree(tensors: Mapping[str, Tensor], kind: str = "dict") -> Node:
    """The tree of a plain state dict."""
    return Node(kind, [(name, TensorRef(name)) for name in tensors])


def duplicates(names: Iterator[str] | list[str]) -> list[str]:
    """Names that occur more than once, each once."""
    seen: set[str] = set()
    again: dict[str, None] = {}
    for name in names:
        if name in seen:
            again[name] = None
        seen.add(name)
    return list(again)
