"""Checkpoints that each process wrote a file of: files read side by side, values looked up in their trees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from modelglot.containers.torch_checkpoint.folder import read_file
from modelglot.core.errors import InvalidFileError, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.tensor import Tensor
from modelglot.core.tree import Inert, Node, TensorRef, key_text


@dataclass(frozen=True, slots=True)
class RankFile:
    """One file: ``name`` in the folder, and what a reader of PyTorch files finds in it."""

    name: str
    model: Model

    def at(self, *keys: Any) -> Any:
        """The value at a path of keys; None where one of them is not there."""
        value = self.model.tree
        for key in keys:
            body = value.attributes() if isinstance(value, Inert) else value
            if not isinstance(body, Node) or not body.is_mapping:
                return None
            value = body.get(key)
        return value

    def tensor(self, value: Any, what: str) -> Tensor:
        """The tensor that a value of the tree refers to. Raises InvalidFileError where it is something else."""
        if not isinstance(value, TensorRef):
            raise InvalidFileError(f"{what} is no tensor", member=self.name)
        return self.model.tensors[value.name]


def read_ranks(files: FileSet, names: list[str], limits: Limits) -> list[RankFile]:
    """Each file by the reader of its kind, in the order given."""
    found = [RankFile(name, read_file(files, limits, name)) for name in names]
    limits.check("tensors", sum(len(f.model.tensors) for f in found), "tensors")
    return found


def mapping(value: Any, what: str) -> list[tuple[str, Any]]:
    """The pairs of a map with text as keys. Raises InvalidFileError where it is none."""
    body = value.attributes() if isinstance(value, Inert) else value
    if not isinstance(body, Node) or not body.is_mapping:
        raise InvalidFileError(f"{what} is no map")
    return [(key_text(key), item) for key, item in body.items]


def items(value: Any, what: str) -> list[Any]:
    """The values of a list or tuple. Raises InvalidFileError where it is none."""
    if not isinstance(value, Node) or value.is_mapping:
        raise InvalidFileError(f"{what} is no list")
    return list(value.items)


def size(value: Any, what: str) -> tuple[int, ...]:
    """``torch.Size((2, 3))`` or a plain row of numbers."""
    if isinstance(value, Inert) and len(value.args) == 1:
        value = value.args[0]
    found = value.items if isinstance(value, Node) else value if isinstance(value, tuple) else None
    if found is None or not all(type(n) is int and 0 <= n < 1 << 62 for n in found):
        raise InvalidFileError(f"{what} {printable(repr(value)[:60], code=True)} is no row of sizes")
    return tuple(found)


def scalars(value: Any) -> Iterator[tuple[Any, Any]]:
    """What a map has beside tensors: counters, settings, lists without tensors."""
    if isinstance(value, Node) and value.is_mapping:
        for key, item in value.items:
            if isinstance(item, (str, int, float, bool, type(None))):
                yield key, item
