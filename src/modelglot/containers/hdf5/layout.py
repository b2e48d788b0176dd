"""An HDF5 file laid out before its data is known: h5py writes groups and headers into a record, datasets stay empty.

Space for a dataset is set aside when it is made and never filled, so all that is written is metadata; where each
dataset lies is asked of the library. Equal input gives equal bytes: no times are kept.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, NamedTuple

from modelglot.containers.hdf5.described import library
from modelglot.core.errors import InvalidFileError
from modelglot.core.layout import OutFile, Piece, Slot

_ALIGNMENT = 64


class Dataset(NamedTuple):
    """A dataset to make: ``kind`` is a NumPy type, ``attributes`` are texts."""

    path: str
    kind: Any
    shape: tuple[int, ...]
    nbytes: int
    attributes: dict[str, str] = {}


def lay_out(name: str, datasets: Iterable[Dataset]) -> OutFile:
    """``name`` with these datasets, in the groups that their paths say."""
    h5py, record = library(), _Record()
    slots: list[Slot] = []
    with h5py.File(
        record, "w", libver=("earliest", "v108"), alignment_threshold=_ALIGNMENT, alignment_interval=_ALIGNMENT
    ) as file:
        for dataset in datasets:
            made = _make(h5py, file, dataset)
            if dataset.nbytes:
                offset = made.id.get_offset()
                if offset is None:
                    raise InvalidFileError("no space was set aside in the HDF5 file", tensor=dataset.path)
                slots.append(Slot(dataset.path, offset, dataset.nbytes))
    return OutFile(name, record.size, tuple(record.pieces(slots)), tuple(slots))


def _make(h5py: Any, file: Any, dataset: Dataset) -> Any:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    plist.set_obj_track_times(False)
    group, _, last = dataset.path.rpartition("/")
    owner = file.require_group(group) if group else file
    space = h5py.h5s.create_simple(dataset.shape) if dataset.shape else h5py.h5s.create(h5py.h5s.SCALAR)
    made = h5py.Dataset(h5py.h5d.create(owner.id, last.encode(), h5py.h5t.py_create(dataset.kind, logical=True), space,
                                        dcpl=plist))  # fmt: skip
    for key, value in dataset.attributes.items():
        made.attrs[key] = value
    return made


class _Record(io.RawIOBase):
    """A file that keeps what is written to it by place; the rest is zero."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._at = self.size = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def truncate(self, size: int | None = None) -> int:
        self.size = self._at if size is None else size
        return self.size

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        for page, inside, begin, end in self._runs(len(view)):
            self._pages.setdefault(page, bytearray(_PAGE))[inside : inside + end - begin] = view[begin:end]
        self._at += len(view)
        self.size = max(self.size, self._at)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        for page, inside, begin, end in self._runs(len(view)):
            held = self._pages.get(page)
            view[begin:end] = held[inside : inside + end - begin] if held is not None else bytes(end - begin)
        self._at += len(view)
        return len(view)

    def _runs(self, length: int) -> Iterable[tuple[int, int, int, int]]:
        """(page, place in it, begin, end) of ``length`` bytes from here."""
        done = 0
        while done < length:
            page, inside = divmod(self._at + done, _PAGE)
            count = min(_PAGE - inside, length - done)
            yield page, inside, done, done + count
            done += count

    def pieces(self, slots: list[Slot]) -> Iterable[Piece]:
        """What was written, without the zeros around it and without the places of the data."""
        holes = sorted((s.offset, s.offset + s.length) for s in slots)
        number = 0
        for page in sorted(self._pages):
            begin, end = page * _PAGE, min((page + 1) * _PAGE, self.size)
            data = self._pages[page]
            while begin < end:
                while number < len(holes) and holes[number][1] <= begin:
                    number += 1
                if number < len(holes) and holes[number][0] <= begin:
                    begin = min(end, holes[number][1])
                    continue
                stop = min(end, holes[number][0]) if number < len(holes) else end
                part = bytes(data[begin - page * _PAGE : stop - page * _PAGE])
                if part.strip(b"\0"):
                    yield Piece(begin, part)
                begin = stop


_PAGE = 4096
