"""PyTorch before 1.6: five pickles, then raw storages; and before 0.1.10 a tar of four streams.

Source: what ``torch.save(..., _use_new_zipfile_serialization=False)`` writes and ``torch.load`` reads. Storage data is
little-endian on every machine; counts before it are 64-bit numbers of elements.
"""

from __future__ import annotations

import struct
from typing import Any

from modelglot.containers import tar
from modelglot.containers.pickle.machine import Machine
from modelglot.containers.pickle.plain import as_items
from modelglot.containers.pickle.torch_storage import Home, Storage, Storages, StorageView, storage_dtype
from modelglot.containers.pickle.torch_tensors import TensorLeaf
from modelglot.containers.pickle.window import Place, Window
from modelglot.containers.torch_checkpoint.detect import LEGACY_MAGIC
from modelglot.containers.torch_checkpoint.reading import Parts, machine, named_value
from modelglot.core.errors import DamagedFileError, InvalidFileError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.notes import Note
from modelglot.core.tensor import Extent
from modelglot.core.tree import Inert, Node


def read_legacy(files: FileSet, name: str, limits: Limits, *, damaged: bool = False) -> Parts:
    """The form of five pickles: magic number, protocol, system, the object, the keys of the storages that follow.

    Storages that are cut off raise DamagedFileError; of a ``damaged`` file they have their place after its end.
    """
    source = files.open(name)
    number = files.index(name)
    window = Window(source, 0, source.size)
    homes: dict[str, Home] = {}
    with located(path=source.path):
        storages = _Counting(homes)
        runner = machine(window, limits, Place(Extent(number, 0, source.size)), storages.load)
        magic, at = runner.run(0)
        if magic != LEGACY_MAGIC:
            raise InvalidFileError("does not start with the magic number of PyTorch files before 1.6", offset=0)
        version, at = runner.run(at)
        if version != 1001:
            raise InvalidFileError(f"version {version!r} of the format before 1.6 is not known; 1001 is", offset=at)
        _system, at = runner.run(at)
        value, at = runner.run(at)
        keys, at = runner.run(at)
        end = _place_storages(source.pread, source.size, number, keys, storages, homes, at, damaged)
        parts = Parts(named_value(value, window, limits, None))
    if end < source.size:
        parts.notes.append(Note("trailing", f"{source.size - end:,} bytes follow the last storage", "warning"))
    return parts


class _Counting:
    """Persistent ids resolved, with the element size and count of every key: the list of keys does not say them."""

    def __init__(self, homes: dict[str, Home]) -> None:
        self.sizes: dict[str, tuple[int, int]] = {}
        self._load = Storages(homes.get)

    def load(self, pid: Any) -> Any:
        made = self._load(pid)
        if isinstance(made, Storage):
            self.sizes.setdefault(made.key, (made.dtype.itemsize, made.count))
        return made


def _place_storages(
    pread: Any, size: int, number: int, keys: Any, storages: _Counting, homes: dict[str, Home], at: int, damaged: bool
) -> int:
    """Fills ``homes`` from the storages after the pickles; the offset where the last one ends."""
    for key in as_items(keys) or ():
        text = str(key)
        width, expected = storages.sizes.get(text, (None, 0))
        if width is None:
            raise InvalidFileError(
                f"storage {printable(text, code=True)} belongs to no tensor, so its size is unknown", offset=at
            )
        if at + 8 > size and damaged:
            length = expected * width
            homes[text] = Home(Extent(number, at + 8, length), length)
            at += 8 + length
            continue
        if at + 8 > size:
            raise DamagedFileError(
                f"storage {printable(text, code=True)} begins after the end of the file",
                offset=at,
                detail=f"the file has {size:,} bytes",
                hint="the download may be incomplete",
            )
        (count,) = struct.unpack("<q", pread(at, 8))
        start, length = at + 8, count * width
        if count < 0:
            raise InvalidFileError(f"storage {printable(text, code=True)} has {count:,} elements", offset=at)
        if start + length > size and not damaged:
            raise DamagedFileError(
                f"storage {printable(text, code=True)} ends {start + length - size:,} bytes after the end of the file",
                offset=start,
                detail=f"needs bytes {start:,}-{start + length:,}; the file has {size:,}",
                hint="the download may be incomplete",
            )
        homes[text] = Home(Extent(number, start, length), length)
        at = start + length
    return at


def read_tar(files: FileSet, name: str, limits: Limits) -> Parts:
    """The tar form: ``storages`` and ``tensors`` are streams of small pickles and numbers, ``pickle`` is the object."""
    source = files.open(name)
    number = files.index(name)
    with located(path=source.path):
        found = {m.name: m for m in tar.members(source, limits) if m.kind == "file"}
        for needed in ("storages", "tensors", "pickle"):
            if needed not in found:
                raise InvalidFileError(f"the tar has no file `{needed}`")
        windows = {n: Window(source, m.offset, m.size) for n, m in found.items()}
        homes: dict[str, Home] = {}
        with located(member="storages"):
            storages = _tar_storages(windows["storages"], number, limits, homes)
        with located(member="tensors"):
            tensors = _tar_tensors(windows["tensors"], limits, storages)
        objects: dict[str, Any] = {**storages, **tensors}

        def load(pid: Any) -> Any:
            items = as_items(pid)
            if items:
                return items[0]  # a class that was saved with its source
            return objects.get(str(pid), Inert("persistent_id", "called", (pid,)))

        window = windows["pickle"]
        with located(member="pickle"):
            member = found["pickle"]
            runner = machine(window, limits, Place(Extent(number, member.offset, member.size)), load)
            value, _end = runner.run()
        return Parts(named_value(value, window, limits, None))


def _tar_storages(window: Window, number: int, limits: Limits, homes: dict[str, Home]) -> dict[str, Storage]:
    """Storages by their id: (key, device, class), a count and raw data each; then views of them."""
    runner = machine(window, limits, None)
    count, at = _natural(runner, 0, "storages")
    found: dict[str, Storage] = {}
    for _ in range(count):
        described, at = runner.run(at)
        items = as_items(described)
        dtype = storage_dtype(items[2]) if items is not None and len(items) == 3 else None
        if items is None or dtype is None or not isinstance(items[1], str):
            raise InvalidFileError("a storage is not described by key, device and class", offset=at)
        key = str(items[0])
        (elements,) = struct.unpack("<q", window.read(at, 8))
        length = elements * dtype.itemsize
        if elements < 0 or at + 8 + length > window.length:
            raise DamagedFileError(
                f"storage {printable(key, code=True)} of {elements:,} elements does not fit in the file",
                offset=at,
                hint="the download may be incomplete",
            )
        homes[key] = Home(Extent(number, window.offset + at + 8, length), length)
        found[key] = Storage(key, dtype, items[1], elements, homes.get)
        at += 8 + length
    views, at = runner.run(at)
    for view in as_items(views) or ():
        items = as_items(view)
        if items is None or len(items) != 4 or str(items[1]) not in found or type(items[2] + items[3]) is not int:
            raise InvalidFileError("a storage view is malformed", offset=at)
        found[str(items[0])] = StorageView(found[str(items[1])], items[2], items[3])
    return found


def _tar_tensors(window: Window, limits: Limits, storages: dict[str, Storage]) -> dict[str, TensorLeaf]:
    """Tensors by their id: (key, storage, class), then the number of axes, sizes, strides and offset as numbers."""
    runner = machine(window, limits, None)
    count, at = _natural(runner, 0, "tensors")
    found: dict[str, TensorLeaf] = {}
    for _ in range(count):
        described, at = runner.run(at)
        items = as_items(described)
        if items is None or len(items) != 3 or str(items[1]) not in storages:
            raise InvalidFileError("a tensor is not described by key, storage and class", offset=at)
        (axes,) = struct.unpack("<i4x", window.read(at, 8))
        if not 0 <= axes <= 64:
            raise InvalidFileError(f"a tensor of {axes:,} axes", offset=at)
        numbers = struct.unpack(f"<{2 * axes + 1}q", window.read(at + 8, 16 * axes + 8))
        if any(n < 0 for n in numbers):
            raise InvalidFileError("a tensor has a negative size, stride or offset", offset=at)
        storage = storages[str(items[1])]
        leaf = TensorLeaf(storage, storage.dtype, numbers[-1], numbers[:axes], numbers[axes : 2 * axes])
        if storage.device != "cpu":
            leaf.extra = {"torch:device": storage.device}
        found[str(items[0])] = leaf
        at += 16 + 16 * axes
    return found


def _natural(runner: Machine, at: int, what: str) -> tuple[int, int]:
    value, end = runner.run(at)
    if type(value) is not int or value < 0 or value * 4 > runner.window.length:
        shown = type(value).__name__ if isinstance(value, (Node, Inert)) else repr(value)
        raise InvalidFileError(f"the number of {what} is {printable(shown, code=True)}", offset=at)
    return value, end
