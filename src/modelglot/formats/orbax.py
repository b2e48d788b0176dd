"""Orbax checkpoints (JAX, Flax): a folder of zarr arrays, one file a chunk or all in an OCDBT store.

Source: what Orbax 0.4 to 0.12 writes; docs of zarr and of TensorStore's OCDBT.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from modelglot.containers import ocdbt, strict_json
from modelglot.containers.jax_state import parted
from modelglot.containers.ocdbt import Value
from modelglot.containers.zarr import Store
from modelglot.core.errors import InvalidFileError, located, printable
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Tensor
from modelglot.core.tree import Node, TensorRef

_TREE = "_METADATA"
_MARKS = (_TREE, "_CHECKPOINT_METADATA", ocdbt.MANIFEST)
_DEPTH = 6  # of folders: step / item / array / c / 0 / 0
_ITEMS = ("state", "default", "params", "model")  # what the weights are usually called, in this order


class Orbax(ReadOnly):
    info = FormatInfo(
        name="orbax",
        title="Orbax",
        suffixes=(),
        spec="https://orbax.readthedocs.io/en/latest/",
        can=frozenset({"read", "tree", "folder"}),
        extra="zstd",
        framework="flax",
        blurb="checkpoints of JAX: a folder of zarr arrays, plain or in an OCDBT store, usually compressed",
    )
    instead = "write safetensors or msgpack, which JAX programs load"

    def sniff(self, probe: Probe) -> Match | None:
        if not probe.is_folder:
            return Match(96, "belongs to an Orbax checkpoint") if probe.name in _MARKS else None
        if _TREE in probe.names or ocdbt.MANIFEST in probe.names:
            return Match(92, "has the index of an Orbax checkpoint")
        if any(n.endswith(f"/{mark}") for n in probe.names for mark in _MARKS):
            return Match(88, "holds an Orbax checkpoint")
        if any(n.endswith(("/.zarray", "/zarr.json")) for n in probe.names):
            return Match(75, "holds zarr arrays", "zarr")
        return None

    def read(self, files: FileSet, limits: Limits) -> Model:
        names = files.names(_DEPTH)
        folder, notes = _item(names)
        for name in names:  # all of it is the checkpoint's, down to what writers leave behind: nothing is a side file
            if name.startswith(folder):
                files.index(name)
        tree = _document(files, f"{folder}{_TREE}", limits) if f"{folder}{_TREE}" in names else {}
        complete = tree.get("store_array_data_equal_to_fill_value") is True
        store = Store(files, _values(files, folder, names, limits), limits, complete=complete)
        tensors: dict[str, Tensor] = {}
        with located(path=f"{files.root}/{folder}".rstrip("/")):
            keys = list(store.arrays())
            limits.check("tensors", len(keys), "arrays")
            paths = _paths(tree)
            root = Node("dict")
            for key in sorted(keys):
                path = paths.get(key, tuple(key.split(".")))
                full = ".".join(path)
                if full in tensors:
                    raise InvalidFileError("the same name twice", tensor=full)
                tensors[full] = store.tensor(key, full)
                _put(root, path, TensorRef(full))
        missing = [key for key in paths if key not in keys]
        if missing:
            shown = ", ".join(printable(key, code=True) for key in missing[:4])
            notes.append(Note("not-arrays", f"{len(missing)} leaves are no arrays and not read: {shown}", "warning"))
        if store.holes:
            shown = ", ".join(printable(name, code=True) for name in store.holes[:4])
            notes.append(Note("not-stored", f"{len(store.holes)} arrays have chunks that were not stored, as zarr "
                              f"leaves out what is zero: {shown}"))  # fmt: skip
        kind = "ocdbt" if f"{folder}{ocdbt.MANIFEST}" in names else "zarr"
        return Model(self.info.name, files.refs(), tensors, kind, _custom(tree), parted(root), (), tuple(notes))


def _item(names: Iterable[str]) -> tuple[str, list[Note]]:
    """The folder that has the arrays (with a ``/``), below a step and an item, and what else there was to choose."""
    folders = sorted({n[: -len(mark)] for n in names for mark in (_TREE, ocdbt.MANIFEST) if _is(n, mark)})
    folders = [f for f in folders if not any(p.startswith("ocdbt.process_") for p in f.split("/"))]
    if not folders:
        return "", []
    steps = sorted({f.split("/")[0] for f in folders if f.split("/")[0].isdecimal()}, key=int)
    notes: list[Note] = []
    if steps:
        if len(steps) > 1:
            others = ", ".join(steps[:-1][-6:])
            notes.append(Note("other-steps", f"step {steps[-1]} is read, the newest; the folder also has {others}"))
        folders = [f for f in folders if f.split("/")[0] == steps[-1]]
    folders.sort(key=lambda f: (_rank(f), f))
    if len(folders) > 1:
        others = ", ".join(printable(f.rstrip("/")) for f in folders[1:6])
        notes.append(Note("other-items", f"{printable(folders[0].rstrip('/') or '.')} is read; also there: {others}"))
    return folders[0], notes


def _is(name: str, mark: str) -> bool:
    return name == mark or name.endswith(f"/{mark}")


def _rank(folder: str) -> int:
    item = folder.rstrip("/").rpartition("/")[2]
    return _ITEMS.index(item) if item in _ITEMS else len(_ITEMS)


def _values(files: FileSet, folder: str, names: Iterable[str], limits: Limits) -> dict[str, Value]:
    """Keys of the store, wherever its values lie."""
    if f"{folder}{ocdbt.MANIFEST}" in names:
        return ocdbt.read(files, folder, limits)
    found = {}
    for name in names:
        if name.startswith(folder) and "/" in name[len(folder) :]:
            found[name[len(folder) :]] = Value(name, 0, files.open(name).size)
    return found


def _document(files: FileSet, name: str, limits: Limits) -> dict[str, Any]:
    source = files.open(name)
    limits.check("index", source.size, printable(name))
    with located(path=source.path):
        found = strict_json.loads(source.pread(0, source.size), what="the tree of an Orbax checkpoint")
        if not isinstance(found, dict) or not isinstance(found.get("tree_metadata", {}), dict):
            raise InvalidFileError("the tree of an Orbax checkpoint needs an object `tree_metadata`")
    return found


def _paths(tree: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Key of the store -> path of keys, as the tree lists its leaves."""
    found = {}
    for leaf in tree.get("tree_metadata", {}).values():
        path = tuple(_keys(leaf))
        found[".".join(path)] = path
    return found


def _keys(leaf: Any) -> Iterator[str]:
    for step in leaf.get("key_metadata", ()) if isinstance(leaf, dict) else ():
        if isinstance(step, dict) and isinstance(step.get("key"), (str, int)):
            yield str(step["key"])


def _custom(tree: dict[str, Any]) -> Metadata:
    custom = tree.get("custom_metadata")
    if not isinstance(custom, dict):
        return Metadata()
    return Metadata({key: value if isinstance(value, str) else Entry(value, "json") for key, value in custom.items()})


def _put(root: Node, path: tuple[str, ...], value: Any) -> None:
    node = root
    for key in path[:-1]:
        child = node.get(key)
        if not isinstance(child, Node):
            child = Node("dict")
            node.items.append((key, child))
        node = child
    node.items.append((path[-1], value))


FORMAT = Orbax()
