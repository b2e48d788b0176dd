"""Reading: the metadata is a pickle of plain classes, read symbolically; each part is an archive inside of a file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from math import prod
from typing import Any, NamedTuple

from modelglot.containers.pickle.naming import Named
from modelglot.containers.pickle.torch_storage import TORCH_DTYPES
from modelglot.containers.pickle.window import Window
from modelglot.containers.torch_checkpoint import reading
from modelglot.containers.torch_checkpoint.archive import TorchArchive
from modelglot.containers.torch_checkpoint.hazards import file_hazards, zip_hazards
from modelglot.core.dtype import DTYPES, DType
from modelglot.core.errors import CannotOpenError, InvalidFileError, UnsupportedError, located, printable
from modelglot.core.format import FileSet, Source
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Note
from modelglot.core.tensor import Missing, Tensor
from modelglot.core.tree import Inert, Node, TensorRef, key_text
from modelglot.core.views import assembled
from modelglot.formats.dcp import INDEX
from modelglot.sources.part import Part

_TENSOR, _BYTES = "TensorStorageMetadata", "BytesStorageMetadata"


class _Part(NamedTuple):
    path: str
    offset: int
    length: int


def read(files: FileSet, limits: Limits, folder: str) -> Model:
    """``folder`` is empty or ends with a ``/``."""
    source = files.open(folder + INDEX)
    files.index(folder + INDEX)
    with located(path=source.path):
        top = _metadata(source, limits)
        described, parts = top.get("state_dict_metadata"), dict(_parts(top.get("storage_data")))
        if not isinstance(described, Node) or not described.is_mapping:
            raise InvalidFileError("the metadata lists no tensors")
        limits.check("tensors", len(described.items), "tensors")
    checkpoint = _Checkpoint(files, limits, folder, parts)
    values: dict[str, Any] = {}
    for key, entry in described.items:
        with located(path=source.path, tensor=key_text(key)):
            values[key_text(key)] = checkpoint.value(key_text(key), entry)
    tree = _tree(values, top.get("planner_data"))
    return Model("dcp", files.refs(), checkpoint.tensors, tree=tree, notes=tuple(checkpoint.notes()))


def hazards(files: FileSet, limits: Limits, folder: str) -> Iterator[Finding]:
    """Of the metadata, which is a pickle, and of each part, which is an archive with one."""
    yield from file_hazards(files, limits, folder + INDEX)
    source = files.open(folder + INDEX)
    with located(path=source.path):
        parts = sorted({part for _, part in _parts(_metadata(source, limits).get("storage_data"))})
    for path, group in groupby(parts, key=lambda part: part.path):
        try:
            whole = files.open(folder + path)
        except CannotOpenError:
            continue
        for part in group:
            yield from zip_hazards(Part(whole, part.offset, part.length), limits)


class _Checkpoint:
    """The parts of one checkpoint, opened as they are needed."""

    def __init__(self, files: FileSet, limits: Limits, folder: str, parts: dict[Any, _Part]) -> None:
        self.files, self.limits, self.folder, self.parts = files, limits, folder, parts
        self.tensors: dict[str, Tensor] = {}
        self.missing: dict[str, int] = {}

    def value(self, name: str, entry: Any) -> Any:
        """A reference to a tensor, or the value that was kept beside them."""
        kind = entry.global_.rpartition(".")[2] if isinstance(entry, Inert) else ""
        if kind == _TENSOR:
            self.tensors[name] = self._tensor(name, _attributes(entry, _TENSOR))
            return TensorRef(name)
        if kind != _BYTES:
            raise InvalidFileError(f"neither a tensor nor bytes, but {printable(kind or repr(entry))}")
        part = self.parts.get((name, None))
        if part is None:
            raise InvalidFileError("has no place in the storage")
        archive = self._open(part)
        return f"<{part.path} is missing>" if archive is None else _contents(archive).tree

    def _tensor(self, name: str, entry: Node) -> Tensor:
        shape, chunks = _sizes(entry.get("size")), entry.get("chunks")
        if not isinstance(chunks, Node):
            raise InvalidFileError("lists no parts")
        pieces: list[tuple[tuple[int, ...], Tensor]] = []
        for chunk in chunks.items:
            origin, size = (_sizes(_attributes(chunk, "ChunkStorageMetadata").get(key)) for key in ("offsets", "sizes"))
            if len(origin) != len(shape) or any(o + n > s for o, n, s in zip(origin, size, shape, strict=False)):
                raise InvalidFileError(f"a part of {list(size)} at {list(origin)} lies outside of {list(shape)}")
            part = self.parts.get((name, origin))
            if part is None:
                raise InvalidFileError(f"the part at {list(origin)} has no place in the storage")
            archive = self._open(part)
            if archive is None:
                return Tensor(name, _dtype(entry), shape, Missing(f"{part.path} is missing"))
            with located(path=archive.zip.source.path):
                found = _only(archive)
                if found.shape != size:
                    raise InvalidFileError(f"a part has the shape {list(found.shape)}, not {list(size)}")
                pieces.append((origin, found))
        if sum(prod(t.shape) for _, t in pieces) < prod(shape):
            raise InvalidFileError(f"its parts do not cover the shape {list(shape)}")
        dtype = pieces[0][1].dtype if pieces else _dtype(entry)
        return assembled(Tensor(name, dtype, shape, Missing("")), pieces)

    def _open(self, part: _Part) -> TorchArchive | None:
        """The archive of a part, or None where its file is not there."""
        try:
            return TorchArchive(self.files, self.folder + part.path, self.limits, (part.offset, part.length))
        except CannotOpenError:
            self.missing[part.path] = self.missing.get(part.path, 0) + 1
            return None

    def notes(self) -> Iterator[Note]:
        for path, count in self.missing.items():
            text = f"{printable(path, code=True)} is missing, which has {count:,} parts"
            yield Note("missing-shard", text, "warning")


def _metadata(source: Source, limits: Limits) -> Node:
    limits.check("pickle", source.size, "the metadata")
    root, _ = reading.machine(Window(source, 0, source.size), limits, None).run()
    return _attributes(root, "Metadata")


def _contents(archive: TorchArchive) -> Named:
    named, _ = archive.pickle(f"{archive.root}data.pkl", "data")
    return named


def _only(archive: TorchArchive) -> Tensor:
    tensors = list(_contents(archive).tensors.values())
    if len(tensors) != 1:
        raise InvalidFileError(f"a part with {len(tensors)} tensors")
    return tensors[0]


def _parts(storage: Any) -> Iterator[tuple[tuple[str, tuple[int, ...] | None], _Part]]:
    """(name, origin) -> where the part lies."""
    if not isinstance(storage, Node):
        raise InvalidFileError("the metadata does not say where the data lies")
    for key, value in storage.items:
        index, info = _attributes(key, "MetadataIndex"), _attributes(value, "_StorageInfo")
        origin = index.get("offset")
        numbers = info.get("offset"), info.get("length")
        path = info.get("relative_path")
        if not isinstance(path, str) or not all(isinstance(n, int) and n >= 0 for n in numbers):
            raise InvalidFileError("a part has no path, offset and length", tensor=key_text(index.get("fqn")))
        if info.get("transform_descriptors"):
            raise UnsupportedError("a part that was transformed on writing, such as compressed")
        place = None if origin is None else _sizes(origin)
        yield (key_text(index.get("fqn")), place), _Part(path, *numbers)


def _attributes(value: Any, kind: str) -> Node:
    """What an object of that class holds."""
    found = value.attributes() if isinstance(value, Inert) else None
    if found is None or value.global_.rpartition(".")[2] != kind:
        raise InvalidFileError(f"the metadata has no `{kind}` where one belongs")
    return found


def _sizes(value: Any) -> tuple[int, ...]:
    """``torch.Size((2, 3))``, or what stands for it."""
    if isinstance(value, Inert) and len(value.args) == 1:
        value = value.args[0]
    items = value.items if isinstance(value, Node) else value if isinstance(value, tuple) else None
    if items is None or not all(type(n) is int and n >= 0 for n in items):
        raise InvalidFileError("a size is no row of numbers")
    return tuple(items)


def _dtype(entry: Node) -> DType:
    """The dtype that the metadata names, needed where no part can be opened."""
    properties = entry.get("properties")
    state = properties.state if isinstance(properties, Inert) else None
    first = state.items[0] if isinstance(state, Node) and state.kind == "tuple" and state.items else None
    name = first.global_.rpartition(".")[2] if isinstance(first, Inert) else ""
    return TORCH_DTYPES.get(name, DTYPES["opaque"])


def _tree(values: dict[str, Any], planner: Any) -> Any:
    """The nesting that was flattened on writing, from the planner's paths; flat where there are none."""
    root = Node("dict")
    for name, value in values.items():
        path = planner.get(name) if isinstance(planner, Node) else None
        keys = path.items if isinstance(path, Node) and path.items else [name]
        node = root
        for key in keys[:-1]:
            child = node.get(key)
            if not isinstance(child, Node) or not child.is_mapping:
                child = Node("dict")
                node.items.append((key, child))
            node = child
        node.items.append((keys[-1], value))
    return _lists(root)


def _lists(node: Node) -> Node:
    """Maps from 0, 1, 2 ... are the lists that they were before they were flattened."""
    node.items = [(key, _lists(value) if isinstance(value, Node) and value.is_mapping else value)
                  for key, value in node.items]  # fmt: skip
    keys = [key for key, _ in node.items]
    if keys and keys == list(range(len(keys))) and all(type(key) is int for key in keys):
        return Node("list", [value for _, value in node.items])
    return node
