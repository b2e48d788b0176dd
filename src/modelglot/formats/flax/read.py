"""Reading: the maps become a tree, their leaves tensors named by the path of keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from modelglot.containers.jax_state import parted
from modelglot.containers.msgpack import Reader, Span
from modelglot.core.dtype import DTYPES
from modelglot.core.errors import InvalidFileError, located, printable
from modelglot.core.format import FileSet, Source
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Extent, Stored, Tensor
from modelglot.core.tree import Node, TensorRef
from modelglot.formats.flax import DTYPES as NAMES

NDARRAY, COMPLEX, SCALAR = 1, 2, 3  # Flax's extension types
CHUNKED = "__msgpack_chunked_array__"
_BY_NAME = {name: DTYPES[ours] for ours, name in NAMES.items()}


def read(files: FileSet, limits: Limits, name: str) -> Model:
    source, number = files.open(name), files.index(name)
    with located(path=source.path):
        reader = Reader(source, limits)
        root = reader.value()
        if not isinstance(root, Node) or root.kind != "dict":
            raise InvalidFileError("does not begin with a map, as Flax's files do", offset=0)
        if reader.at != source.size:
            raise InvalidFileError(f"{source.size - reader.at:,} bytes follow the state", offset=reader.at)
        found = _Found(source, number, limits)
        tree = found.node(root, ())
    notes = [Note("dotted-key", f"the key {printable(key, code=True)} has a dot: written again it becomes two keys")
             for key in found.dotted[:1]]  # fmt: skip
    return Model("flax", files.refs(), found.tensors, None, tree=parted(tree), notes=tuple(notes))


@dataclass(slots=True)
class _Found:
    source: Source
    number: int
    limits: Limits
    tensors: dict[str, Tensor] = field(default_factory=dict)
    dotted: list[str] = field(default_factory=list)

    def node(self, node: Node, path: tuple[str, ...]) -> Node:
        """The same node with tensors where its arrays were."""
        pairs = node.items if node.kind == "dict" else [(str(n), v) for n, v in enumerate(node.items)]
        made = []
        for key, value in pairs:
            if not isinstance(key, str):
                raise InvalidFileError(f"the key {printable(repr(key))} is no text", tensor=".".join(path))
            if "." in key:
                self.dotted.append(key)
            made.append((key, self.value(value, (*path, key))))
        return Node("dict", made)

    def value(self, value: Any, path: tuple[str, ...]) -> Any:
        name = ".".join(path)
        with located(tensor=name):
            if isinstance(value, Node):
                if value.kind == "dict" and value.get(CHUNKED) is True:
                    return self.keep(self.chunked(value, name))
                return self.node(value, path)
            if isinstance(value, Span):
                return self.span(value, name)
            return value

    def span(self, span: Span, name: str) -> Any:
        if span.code in (NDARRAY, SCALAR):
            return self.keep(self.array(span, name))
        if span.code == COMPLEX:
            pair = Reader(self.source, self.limits, span.offset, span.offset + span.length).value()
            parts = pair.items if isinstance(pair, Node) else []
            if len(parts) == 2 and all(isinstance(part, (int, float)) for part in parts):
                return complex(*parts)
            return str(pair)
        what = "bytes" if span.code is None else f"an extension of type {span.code}"
        return f"<{what}, {span.length:,} bytes>"

    def keep(self, tensor: Tensor) -> TensorRef:
        if tensor.name in self.tensors:
            raise InvalidFileError("the same path of keys twice")
        self.tensors[tensor.name] = tensor
        self.limits.check("tensors", len(self.tensors), "tensors")
        return TensorRef(tensor.name)

    def array(self, span: Span, name: str) -> Tensor:
        """An array: its shape, the name of its dtype, its bytes."""
        reader = Reader(self.source, self.limits, span.offset, span.offset + span.length)
        value = reader.value()
        parts = value.items if isinstance(value, Node) and value.kind == "list" else []
        if len(parts) != 3 or not isinstance(parts[0], Node) or not isinstance(parts[2], Span):
            raise InvalidFileError("an array needs a shape, a dtype and bytes", offset=span.offset)
        shape, data = tuple(parts[0].items), parts[2]
        kind = _BY_NAME.get(_text(self.source, parts[1]))
        if kind is None:
            raise InvalidFileError(f"unknown dtype {printable(str(parts[1]))}", offset=span.offset)
        if not all(isinstance(n, int) and n >= 0 for n in shape) or prod(shape) * kind.itemsize != data.length:
            raise InvalidFileError(
                f"{kind.name} of shape {printable(str(list(shape)))} has {data.length:,} bytes", offset=data.offset
            )
        return Tensor(name, kind, shape, Stored((Extent(self.number, data.offset, data.length),)))

    def chunked(self, node: Node, name: str) -> Tensor:
        """An array above 1 GiB, which Flax cuts into flat pieces."""
        shape, pieces = _numbered(node.get("shape")), list(_numbered(node.get("chunks")))
        tensors = [self.array(p, name) for p in pieces if isinstance(p, Span)]
        sizes = tuple(shape)
        if not tensors or len(tensors) != len(pieces) or not all(isinstance(n, int) and n >= 0 for n in sizes):
            raise InvalidFileError("an array in chunks needs a shape and chunks")
        whole = sum(t.numel for t in tensors)
        if len({t.dtype for t in tensors}) > 1 or whole != prod(sizes):
            raise InvalidFileError(f"the chunks have {whole:,} elements, the shape is {list(sizes)}")
        extents = tuple(e for t in tensors if isinstance(t.data, Stored) for e in t.data.extents)
        return replace(tensors[0], shape=sizes, data=Stored(extents))


def _text(source: Source, value: Any) -> str:
    """Old msgpack wrote names as raw bytes."""
    if isinstance(value, Span) and value.length < 64:
        return source.pread(value.offset, value.length).decode("ascii", "replace")
    return str(value)


def _numbered(node: Any) -> Iterator[Any]:
    """The values of ``{"0": a, "1": b}``, in order."""
    if isinstance(node, Node) and node.is_mapping:
        values = {key: value for key, value in node.items if isinstance(key, str)}
        for number in range(len(node.items)):
            yield values.get(str(number))
