"""PyTorch files that are cut off: the pickle in front names every storage, whether it is there or not."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.containers.pickle.machine import Machine
from modelglot.containers.pickle.torch_storage import storage_dtype
from modelglot.containers.pickle.window import Window
from modelglot.containers.salvage import joined
from modelglot.containers.torch_checkpoint.detect import is_legacy
from modelglot.containers.torch_checkpoint.legacy import read_legacy
from modelglot.containers.torch_checkpoint.reading import model
from modelglot.containers.zip_rebuild import Lacking, Whole, archives
from modelglot.core.format import FileSet, Source
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.tree import Inert, Node

_FOLDERS = {b"data.pkl": b"data/", b"constants.pkl": b"constants/"}  # pickles, and where their storages lie


def salvage_file(files: FileSet, limits: Limits, name: str) -> Model:
    """One file by ``torch.save``, of either form. Raises DamagedFileError where its pickle is not whole."""
    from modelglot.containers.torch_checkpoint.archive import read_zip

    source = files.open(name)
    if is_legacy(source.pread(0, min(64, source.size))):
        return model(files, "torch-legacy", read_legacy(files, name, limits, damaged=True))
    parts = archives(source, storages(limits))
    return joined(files, name, parts, lambda part: model(part, "torch-zip", read_zip(part, name, limits)))


def storages(limits: Limits) -> Lacking:
    """A member for every storage that a pickle of the archive names."""
    return lambda part, members: _named(part, members, limits)


def _named(part: Source, members: list[Whole], limits: Limits) -> Iterator[Whole]:
    for member in members:
        root, slash, pickle = member.name.rpartition(b"/")
        if pickle not in _FOLDERS or member.method:
            continue
        head = part.pread(member.header + 26, 4)
        start = member.header + 30 + int.from_bytes(head[:2], "little") + int.from_bytes(head[2:], "little")
        sizes: dict[str, int] = {}

        def met(pid: object, sizes: dict[str, int] = sizes) -> Inert:
            items = pid.items if isinstance(pid, Node) else []
            dtype = storage_dtype(items[1]) if len(items) > 4 else None
            if dtype is not None and isinstance(items[2], str) and type(items[4]) is int and items[4] >= 0:
                sizes[items[2]] = items[4] * dtype.itemsize
            return Inert("persistent_id", "called", (pid,))

        Machine(Window(part, start, member.stored), limits, {}, met).run()
        for key, size in sizes.items():
            yield Whole(root + slash + _FOLDERS[pickle] + key.encode("utf-8", "surrogateescape"), 0, 0, 0, size, size)
