"""A bundle of tensors (TensorFlow's checkpoint since 2016): an index with the place of each tensor, and data files.

Source: tensorflow/core/util/tensor_bundle, its description of the format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from modelglot.containers import sstable
from modelglot.containers.salvage import CUT
from modelglot.containers.tensorflow import strings
from modelglot.containers.tensorflow.dtypes import STRING, Kind, is_quantized, kind
from modelglot.containers.tensorflow.entry import Entry, Header, entry, header
from modelglot.containers.tensorflow.prefix import DATA, INDEX, data_name
from modelglot.containers.tensorflow.slices import extent_of, merged, shown, slice_key
from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import Opaque
from modelglot.core.errors import DamagedFileError, InvalidFileError, ModelFileError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import KIB, Limits
from modelglot.core.notes import Note
from modelglot.core.tensor import EMPTY, Extent, Missing, Stored, Tensor

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
TEXT = "tf:string:"  # metadata keys of string tensors
_SMALL = 64 * KIB  # bytes of a text tensor that is shown; longer ones are carried as bytes


@dataclass
class Bundle:
    """``tensors`` by key, in the order of the index; ``texts`` are the contents of small string tensors, which are no
    tensors then; ``object_graph`` is the serialised graph of objects, where there is one."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    texts: dict[str, tuple[tuple[int, ...], list[bytes]]] = field(default_factory=dict)
    object_graph: bytes | None = None
    notes: list[Note] = field(default_factory=list)


def read_bundle(files: FileSet, prefix: str, limits: Limits, *, damaged: bool = False) -> Bundle:
    """Raises DamagedFileError, InvalidFileError and LimitError; a data file that is not there leaves `Missing`.

    Of a ``damaged`` bundle blocks of the index with a wrong checksum are passed over (and noted), and tensors may reach
    beyond their data file.
    """
    name = prefix + INDEX
    source = files.open(name)
    files.index(name)
    limits.check("header", source.size, "the index of the checkpoint")
    made = _Reader(files, prefix, limits, damaged)
    skipped: sstable.Skipped | None = [] if damaged else None
    with located(path=source.path):
        made.read(sstable.entries(source, limits, skipped))
    made.bundle.notes += [_skipped_note(*keys) for keys in skipped or ()]
    return made.bundle


def _skipped_note(after: bytes, last: bytes) -> Note:
    names = [printable(key.decode("utf-8", "replace"), code=True) for key in (after, last)]
    return Note(CUT, f"a block of the index is damaged: tensors after {names[0]} and up to {names[1]} are lost")


class _Reader:
    def __init__(self, files: FileSet, prefix: str, limits: Limits, damaged: bool) -> None:
        self.files, self.prefix, self.limits, self.damaged = files, prefix, limits, damaged
        self.bundle = Bundle()
        self.header = Header(0, False)
        self._shards: dict[int, tuple[int, int, str]] = {}  # shard -> number in the model, size, path
        self._there = set(files.names(prefix.count("/") or 1))
        self._parts: dict[bytes, Entry] = {}

    def read(self, found: Iterable[tuple[bytes, bytes]]) -> None:
        keys: list[tuple[str, Entry]] = []
        first = True
        for key, value in found:
            if first:
                first = False
                self.header = self._header(value) if not key else self._header_by_names()
                if not key:
                    continue
            if key[0] == 0:
                self._parts[key] = entry(value)
                continue
            try:
                keys.append((key.decode("utf-8", "surrogateescape"), entry(value)))
            except ModelFileError as error:
                error.tensor, error.offset = key.decode("utf-8", "replace"), None
                raise
        if first:
            raise InvalidFileError("the index of the checkpoint is empty")
        self.limits.check("tensors", len(keys), "tensors in the index")
        for name, described in keys:
            try:
                self._add(name, described)
            except ModelFileError as error:
                error.tensor = error.tensor if error.tensor is not None else name
                raise
        self._missing_noted()

    def _header(self, value: bytes) -> Header:
        made = header(value)
        if not 0 < made.shards <= self.limits.entries:
            raise InvalidFileError(f"the index says {made.shards:,} data files")
        return made

    def _header_by_names(self) -> Header:
        """What names of data files say, where the block with the header is damaged."""
        counts = {int(m["count"]) for m in map(DATA.match, self._there) if m and m["prefix"] == self.prefix}
        if not self.damaged or len(counts) != 1:
            raise InvalidFileError("the index of the checkpoint begins without a header")
        return Header(counts.pop(), False)

    def _add(self, name: str, found: Entry) -> None:
        self.limits.check("name", len(name), "the tensor's name")
        word = kind(found.dtype)
        if found.slices:
            self.bundle.tensors[name] = self._merged(name, found, word)
        elif found.dtype == STRING and (name == GRAPH or found.size <= _SMALL):
            self._text(name, found)
        else:
            self.bundle.tensors[name] = self._tensor(name, found, found.shape, word)

    def _tensor(self, name: str, found: Entry, shape: tuple[int, ...], word: Kind) -> Tensor:
        dtype = word.dtype
        extra: Mapping[str, Any] = {"tf:dtype": found.dtype} if is_quantized(found.dtype) else EMPTY
        if dtype is None:
            extra = {"tf:dtype": found.dtype, "tf:crc32c": found.crc}
            raw = Opaque(word.word, found.size)
            return Tensor(name, DTYPES["opaque"], shape, self._stored(found, whole=False), raw, extra)
        need = prod(shape) * dtype.itemsize
        if need != found.size:
            raise InvalidFileError(
                f"{found.size:,} bytes are stored, but {word.word} of shape {list(shape)} needs {need:,}"
            )
        return Tensor(name, dtype, shape, self._stored(found), extra=extra)

    def _stored(self, found: Entry, *, whole: bool = True) -> Stored | Missing:
        place = self._shard(found.shard)
        if place is None:
            return Missing(f"{data_name(self.prefix, found.shard, self.header.shards)} is missing")
        number, size, path = place
        if found.offset + found.size > size and not self.damaged:
            raise DamagedFileError(
                f"data ends {found.offset + found.size - size:,} bytes after the end of the file",
                path=path,
                offset=found.offset,
                detail=f"needs bytes {found.offset:,}-{found.offset + found.size:,}; the file has {size:,}",
                hint="the download may be incomplete",
            )
        order = "big" if self.header.big and whole else "little"
        crc = found.crc if whole else None  # that of texts covers what is not stored as it is
        return Stored((Extent(number, found.offset, found.size),), None, order, 0, crc)

    def _shard(self, shard: int) -> tuple[int, int, str] | None:
        """Number, size and path of a data file; None where it is not there."""
        if shard not in self._shards:
            if shard >= self.header.shards:
                raise InvalidFileError(f"lies in data file {shard:,} of {self.header.shards:,}")
            name = data_name(self.prefix, shard, self.header.shards)
            if name not in self._there:
                return None
            source = self.files.open(name)
            self._shards[shard] = self.files.index(name), source.size, source.path
        return self._shards[shard]

    def _text(self, name: str, found: Entry) -> None:
        """A string tensor read: small ones are metadata, and the graph of objects is one."""
        place = self._shard(found.shard)
        if place is None or (self.damaged and found.offset + found.size > place[1]):
            self.bundle.tensors[name] = self._tensor(name, found, found.shape, kind(found.dtype))
            return
        self.limits.check("index", found.size, "the text's size")
        self._stored(found)  # checks the place
        source = self.files.open(data_name(self.prefix, found.shard, self.header.shards))
        with located(path=source.path, tensor=name, base=found.offset):
            data = source.pread(found.offset, found.size)
            texts = strings.decode(data, prod(found.shape))
            if not strings.checks(data, texts, found.crc):
                raise DamagedFileError("the texts do not match their checksum (CRC-32C)", offset=0)
        if name == GRAPH and len(texts) == 1:
            self.bundle.object_graph = texts[0]
        else:
            self.bundle.texts[name] = found.shape, texts

    def _merged(self, name: str, found: Entry, word: Kind) -> Tensor:
        """A variable that was saved in slices: its parts at their places."""
        if word.dtype is None:
            raise InvalidFileError(f"a tensor of {word.word} is stored in slices")
        whole = Tensor(name, word.dtype, found.shape, Missing("a part of it is not in the index"))
        parts = []
        for part in found.slices:
            shape, at = extent_of(part, found.shape), self._parts.get(slice_key(name, part))
            if at is None and self.damaged:
                return whole
            if at is None:
                raise InvalidFileError(f"the slice {shown(part)} is not in the index")
            if at.dtype != found.dtype or (at.shape and at.shape != shape):
                raise InvalidFileError(f"the slice {shown(part)} has another type or shape than the index says")
            parts.append((part, self._tensor(name, at, shape, word)))
        return merged(whole, parts)

    def _missing_noted(self) -> None:
        gone: dict[str, int] = {}
        for tensor in self.bundle.tensors.values():
            if isinstance(tensor.data, Missing):
                gone[tensor.data.why] = gone.get(tensor.data.why, 0) + 1
        for why, count in gone.items():
            self.bundle.notes.append(Note("missing-shard", f"{printable(why)}: {count:,} tensors", "warning"))
