"""TensorFlow's first checkpoints (before 2017): one sorted table that holds the tensors themselves.

Specification: TensorFlow's saved_tensor_slice.proto and tensor_slice_writer; LevelDB's table format.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from modelglot.containers.protobuf import Field, fields
from modelglot.containers.sstable import Block, block_entries, blocks
from modelglot.containers.tensorflow.dtypes import kind
from modelglot.containers.tensorflow.entry import shape_of
from modelglot.containers.tensorflow.prefix import table_kind
from modelglot.containers.tensorflow.slices import Slice, extent_of, merged, slice_key, slice_of
from modelglot.containers.tensorflow.tensor_proto import Place, read_value
from modelglot.core.errors import InvalidFileError, UnsupportedError, located, printable
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Extent, Missing, Stored, Tensor


class _Described(NamedTuple):
    """A tensor as the table's first entry has it."""

    name: str
    dtype: int
    shape: tuple[int, ...]
    slices: tuple[Slice, ...]


class TfV1Checkpoint(ReadOnly):
    info = FormatInfo(
        name="tf-v1-checkpoint",
        title="TensorFlow checkpoint, version 1",
        suffixes=(".ckpt",),
        spec="https://github.com/tensorflow/tensorflow/blob/v1.15.0/tensorflow/core/util/saved_tensor_slice.proto",
        can=frozenset({"read"}),
        framework="tf",
        blurb="one table with the tensors inside, as TensorFlow wrote them before 2017",
    )
    instead = "`--to tf-checkpoint`"

    def sniff(self, probe: Probe) -> Match | None:
        return Match(90, "a sorted table that is no bundle") if table_kind(probe) == "slices" else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        """The tensors lie among the entries, so the whole file is read once; none is kept."""
        if files.primary is None:
            raise UnsupportedError("a folder is no checkpoint of version 1", path=files.root, hint="name the file")
        source, number = files.open(files.primary), files.index(files.primary)
        described: dict[str, _Described] = {}
        expected: dict[bytes, tuple[_Described, Slice]] = {}
        parts: dict[str, list[tuple[Slice, Tensor]]] = {}
        notes: list[Note] = []
        with located(path=source.path):
            for block in blocks(source, limits):
                place = _placer(block, number)
                for key, at, length in block_entries(block.data, block.offset):
                    message = fields(memoryview(block.data)[at : at + length], at)
                    if not key:
                        described = _described(message, limits)
                        expected = {slice_key(d.name, p): (d, p) for d in described.values() for p in d.slices}
                    elif key in expected:
                        of, part = expected.pop(key)
                        with located(tensor=of.name):
                            tensor = _stored(of, part, message, place, limits)
                        if tensor is None:
                            notes.append(Note("text-tensor", f"{printable(of.name, code=True)} holds text: not read"))
                        else:
                            parts.setdefault(of.name, []).append((part, tensor))
                    else:
                        raise InvalidFileError(f"an entry that the table does not announce: {key[:80]!r}")
            if not described:
                raise InvalidFileError("the table describes no tensors")
            gone = next((d.name for d, _ in expected.values()), None)
            if gone is not None:
                raise InvalidFileError("a part that the table announces is not there", tensor=gone)
            tensors = {n: _merged(described[n], found) for n, found in parts.items()}
        return Model(self.info.name, files.refs(), tensors, notes=tuple(notes))


def _placer(block: Block, file: int) -> Place:
    """Where bytes of the unpacked block are stored."""
    if block.codec == "raw":
        return lambda at, length: Stored((Extent(file, block.offset + at, length),))
    return lambda at, length: Stored((Extent(file, block.offset, block.length, block.codec),), skip=at)


def _described(message: Iterable[Field], limits: Limits) -> dict[str, _Described]:
    found: dict[str, _Described] = {}
    for outer in message:
        if outer.number != 1:
            continue
        for part in outer.fields():
            if part.number == 1:
                one = _one(part)
                if one.name in found:
                    raise InvalidFileError("the table describes it twice", tensor=one.name)
                found[one.name] = one
                limits.check("tensors", len(found), "tensors in the table")
    return found


def _one(message: Field) -> _Described:
    name, dtype, slices = "", 0, list[Slice]()
    shape: tuple[int, ...] = ()
    for part in message.fields():
        if part.number == 1:
            name = part.text
        elif part.number == 2:
            shape = shape_of(part.bytes)
        elif part.number == 3:
            dtype = part.number_value
        elif part.number == 4:
            slices.append(slice_of(part.bytes))
    return _Described(name, dtype, shape, tuple(slices))


def _stored(of: _Described, part: Slice, message: Iterable[Field], place: Place, limits: Limits) -> Tensor | None:
    """One part; None for text."""
    limits.check("name", len(of.name), "the tensor's name")
    shape = extent_of(part, of.shape)
    for outer in message:
        if outer.number == 2:
            for inner in outer.fields():
                if inner.number == 3:
                    return read_value(of.name, inner.fields(), place, limits, of.dtype, shape).tensor
    raise InvalidFileError("an entry of the table holds no values")


def _merged(of: _Described, parts: list[tuple[Slice, Tensor]]) -> Tensor:
    dtype = kind(of.dtype).dtype
    if dtype is None:
        raise UnsupportedError(f"values of {kind(of.dtype).word} are not read", tensor=of.name)
    with located(tensor=of.name):
        made = merged(Tensor(of.name, dtype, of.shape, Missing("nothing is stored")), parts)
    return made


FORMAT = TfV1Checkpoint()
