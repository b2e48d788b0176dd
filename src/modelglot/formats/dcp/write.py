"""Writing: each tensor whole, as the archive that ``torch.save`` makes of it, one behind the other in a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modelglot.containers.pickle.emitter import Emitter
from modelglot.containers.pickle.torch_storage import TORCH_DTYPES
from modelglot.containers.torch_checkpoint import writing
from modelglot.core.errors import UnsupportedError
from modelglot.core.layout import Fixup, Layout, Options, OutFile, Piece, Slot, shard
from modelglot.core.model import Model
from modelglot.core.tensor import Tensor
from modelglot.core.tree import Inert, Node, TensorRef, key_text
from modelglot.formats.dcp import INDEX

_META, _FILES = "torch.distributed.checkpoint.metadata", "torch.distributed.checkpoint.filesystem"
_NAMES = {dtype.name: name for name, dtype in reversed(TORCH_DTYPES.items())}


def layout(model: Model, options: Options) -> Layout:
    """Raises UnsupportedError where a file name was given: the checkpoint is a folder."""
    if options.name is not None:
        raise UnsupportedError(
            "a distributed checkpoint is a folder", hint="give a folder as the target: `out/ --to dcp`"
        )
    tree, _ = writing.chosen_tree(model)
    leaves = list(_leaves(tree, ()))
    sizes = {path: model.tensors[v.name].nbytes if isinstance(v, TensorRef) else 0 for path, v in leaves}
    values = dict(leaves)
    names = _names(list(values))
    files, storage = [], []
    groups = shard({names[path]: size for path, size in sizes.items()}, options)
    by_name = {names[path]: path for path in values}
    for number, group in enumerate(groups):
        name, at = f"__0_{number}.distcp", 0
        pieces: list[Piece] = []
        slots: list[Slot] = []
        fixups: list[Fixup] = []
        for key in group:
            value = values[by_name[key]]
            part = _archive(value, model.tensors)
            pieces += [p._replace(offset=p.offset + at) for p in part.pieces]
            slots += [s._replace(offset=s.offset + at) for s in part.slots]
            fixups += [_moved(f, at) for f in part.fixups]
            place = _object(_FILES, "_StorageInfo", relative_path=name, offset=at, length=part.size)
            storage.append(
                (_index(key, model.tensors.get(value.name) if isinstance(value, TensorRef) else None), place)
            )
            at += part.size
        files.append(OutFile(name, at, tuple(pieces), tuple(slots), tuple(fixups)))
    described = [(names[path], _described(value, model.tensors)) for path, value in leaves]
    planner = [(names[path], Node("tuple", list(path))) for path in values]
    metadata = _object(
        _META,
        "Metadata",
        state_dict_metadata=Node("dict", described),
        planner_data=Node("dict", planner),
        storage_data=Node("dict", storage),
        storage_meta=None,
    )
    raw = Emitter(lambda out, name: None).finish(metadata)
    return Layout((*files, OutFile(INDEX, len(raw), (Piece(0, raw),))))


def _leaves(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """(path of keys, tensor or plain value), as DCP flattens a state dict: maps are entered, lists only for tensors."""
    if isinstance(value, Node) and (value.is_mapping or _has_tensors(value)):
        items = value.items if value.is_mapping else list(enumerate(value.items))
        for key, child in items:
            yield from _leaves(child, (*path, key))
    else:
        yield path, value


def _has_tensors(node: Node) -> bool:
    stack: list[Any] = [node]
    while stack:
        value = stack.pop()
        if isinstance(value, TensorRef):
            return True
        if isinstance(value, Node):
            stack += [v for _, v in value.items] if value.is_mapping else value.items
    return False


def _names(paths: list[tuple[Any, ...]]) -> dict[tuple[Any, ...], str]:
    """Keys joined with dots, a number behind what would be there twice."""
    found: dict[tuple[Any, ...], str] = {}
    taken: set[str] = set()
    for path in paths:
        name = ".".join(key_text(key) for key in path)
        while name in taken:
            name += "_"
        taken.add(name)
        found[path] = name
    return found


def _archive(value: Any, tensors: Any) -> OutFile:
    held = {value.name: tensors[value.name]} if isinstance(value, TensorRef) else {}
    return writing.file("part", held, value)


def _moved(fixup: Fixup, by: int) -> Fixup:
    return fixup._replace(offset=fixup.offset + by, targets=tuple(t + by for t in fixup.targets))


def _described(value: Any, tensors: Any) -> Inert:
    if not isinstance(value, TensorRef):
        return _object(_META, "BytesStorageMetadata")
    tensor = tensors[value.name]
    chunk = _object(_META, "ChunkStorageMetadata", offsets=_size([0] * len(tensor.shape)), sizes=_size(tensor.shape))
    properties = Inert(f"{_META}.TensorProperties")
    properties.state = Node("tuple", [
        Inert(f"torch.{_NAMES[tensor.dtype.name]}", "reference"),
        Inert("torch.serialization._get_layout", "called", ("torch.strided",)),
        tensor.extra.get("torch:requires_grad") is True,
        Inert(f"{_META}._MEM_FORMAT_ENCODING", "called", (0,)),
        False,
    ])  # fmt: skip
    return _object(
        _META, "TensorStorageMetadata", properties=properties, size=_size(tensor.shape), chunks=Node("list", [chunk])
    )


def _index(name: str, tensor: Tensor | None) -> Inert:
    place = None if tensor is None else _size([0] * len(tensor.shape))
    return _object(_META, "MetadataIndex", fqn=name, offset=place, index=None if tensor is None else 0)


def _size(numbers: Any) -> Inert:
    return Inert("torch.Size", "called", (Node("tuple", list(numbers)),))


def _object(module: str, name: str, **state: Any) -> Inert:
    made = Inert(f"{module}.{name}")
    made.state = Node("dict", list(state.items()))
    return made
