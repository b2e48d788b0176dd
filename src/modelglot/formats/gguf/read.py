"""From the header of one GGUF file to tensors with their places, every size checked before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from modelglot.containers.ggml_types import BLOCK_TYPES, PLAIN_TYPES, REMOVED_TYPES
from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import BLOCKS, PLAIN, Blocks, Encoding, Opaque, nbytes
from modelglot.core.errors import InvalidFileError, ModelFileError, UnsupportedError, printable
from modelglot.core.layout import align
from modelglot.core.notes import Note
from modelglot.core.tensor import EMPTY, Extent, Missing, Stored, Tensor
from modelglot.formats.gguf import types
from modelglot.formats.gguf.header import Header, Info

_MOST = (1 << 63) - 1


class Part(NamedTuple):
    """The tensors of one file, in the order of its list."""

    tensors: dict[str, Tensor]
    notes: tuple[Note, ...]


def read_part(header: Header, file: int, size: int) -> Part:
    """Tensors of file number ``file`` that has ``size`` bytes.

    A tensor whose bytes are not in the file becomes `Missing`, with one warning for all: the list is still true.
    Raises InvalidFileError for what breaks the specification, UnsupportedError for removed types.
    """
    ends = _next_offsets(header.infos)
    big = header.order == ">"
    tensors: dict[str, Tensor] = {}
    name: str | None = None
    try:
        for info, end in zip(header.infos, ends, strict=True):
            name = info.name
            tensors[name] = _tensor(header, info, end, file, size, big)
    except ModelFileError as error:
        error.tensor = name if error.tensor is None else error.tensor
        raise
    lengths = {n: t.nbytes for n, t in tensors.items()}
    return Part(tensors, (*_noted(header, tensors, lengths, size), *_check_places(header, lengths, size)))


def _next_offsets(infos: Sequence[Info]) -> list[int | None]:
    """For each tensor the offset at which the next one in the data begins; None for the last."""
    starts = sorted({info.offset for info in infos})
    after = dict(zip(starts, [*starts[1:], None], strict=False))
    return [after[info.offset] for info in infos]


def _tensor(header: Header, info: Info, end: int | None, file: int, size: int, big: bool) -> Tensor:
    count = prod(info.dims)
    if count > _MOST or max(info.dims, default=0) > _MOST:
        raise InvalidFileError(f"dimensions {list(info.dims)} multiply to more than 2^63", offset=info.at)
    if info.offset % header.alignment:
        raise InvalidFileError(
            f"begins at data offset {info.offset:,}, which is not a multiple of the alignment {header.alignment}",
            offset=info.at,
        )
    if info.offset > _MOST:
        raise InvalidFileError(f"begins at the impossible data offset {info.offset:,}", offset=info.at)
    begin = header.data_start + info.offset
    room = (size if end is None else min(header.data_start + end, size)) - begin
    span = None if end is None else end - info.offset
    dtype, encoding = _encoding(header, info, count, span, max(0, room))
    shape = info.dims[::-1]
    length = nbytes(DTYPES[dtype], encoding, shape)
    if begin + length > _MOST:
        raise InvalidFileError(f"dimensions {list(info.dims)} need {length:,} bytes", offset=info.at)
    extra = {"gguf:type": info.type} if isinstance(encoding, Opaque) else EMPTY
    if begin + length > size:
        why = (
            f"data ends {begin + length - size:,} bytes after the end of the file: "
            f"needs bytes {begin:,}-{begin + length:,}; the file has {size:,}"
        )
        return Tensor(info.name, DTYPES[dtype], shape, Missing(why), encoding, extra)
    data = Stored((Extent(file, begin, length),), byteorder="big" if big else "little")
    return Tensor(info.name, DTYPES[dtype], shape, data, encoding, extra)


def _encoding(header: Header, info: Info, count: int, span: int | None, room: int) -> tuple[str, Encoding]:
    if info.type in PLAIN_TYPES:
        return PLAIN_TYPES[info.type], PLAIN
    if info.type in BLOCK_TYPES:
        return "f32", _blocks(header, info, count, span, room)
    if info.type in REMOVED_TYPES:
        raise UnsupportedError(
            f"type {info.type} ({REMOVED_TYPES[info.type]}) was removed from ggml",
            offset=info.at,
            hint="quantize the original model again with a present llama.cpp",
        )
    return "opaque", Opaque(f"ggml-type-{info.type}", room if span is None else span)


def _blocks(header: Header, info: Info, count: int, span: int | None, room: int) -> Blocks:
    blocks = BLOCKS[BLOCK_TYPES[info.type]]
    row = info.dims[0] if info.dims else 1
    if row % blocks.elements:
        raise InvalidFileError(
            f"rows of {row:,} elements cannot be cut in {blocks.name} blocks of {blocks.elements}", offset=info.at
        )
    if blocks.name == "q8_1":
        wide, narrow = (count // blocks.elements * b.bytes for b in (types.Q8_1_WIDE, blocks))
        taken = room if span is None else span
        if taken in (wide, align(wide, header.alignment)) and taken not in (narrow, align(narrow, header.alignment)):
            return types.Q8_1_WIDE
    return blocks


def _check_places(header: Header, lengths: dict[str, int], size: int) -> list[Note]:
    """Tensors may not overlap; gaps and trailing bytes are noted, since readers other than this refuse them."""
    notes: list[Note] = []
    at, last = 0, ""
    gaps = 0
    for info in sorted(header.infos, key=lambda i: (i.offset, lengths[i.name])):
        if info.offset < at:
            raise InvalidFileError(
                f"begins at data offset {info.offset:,} and overlaps tensor {printable(last, code=True)}, "
                f"which ends at {at:,}",
                tensor=info.name,
                offset=info.at,
            )
        gaps += info.offset > align(at, header.alignment)
        at, last = info.offset + lengths[info.name], info.name
    if gaps:
        notes.append(
            Note(
                "gap",
                f"{gaps:,} tensors begin later than right after the one before; llama.cpp refuses such a file",
                "warning",
            )
        )
    extra = size - header.data_start - align(at, header.alignment)
    if extra > 0:
        notes.append(Note("trailing-bytes", f"{extra:,} bytes follow the last tensor", "warning"))
    return notes


def _noted(header: Header, tensors: dict[str, Tensor], lengths: dict[str, int], size: int) -> list[Note]:
    notes: list[Note] = []
    cut = [t for t in tensors.values() if isinstance(t.data, Missing)]
    if cut:
        need = max(header.data_start + i.offset + lengths[i.name] for i in header.infos)
        notes.append(
            Note(
                "truncated",
                f"the file ends {need - size:,} bytes too early (it has {size:,} of {need:,}): {len(cut):,} of "
                f"{len(tensors):,} tensors are not whole: the download may be incomplete, or it is one part of a file "
                "that was cut in pieces",
                "warning",
            )
        )
    kinds: dict[str, int] = {}
    for tensor in tensors.values():
        if isinstance(tensor.encoding, Opaque):
            kinds[tensor.encoding.name] = kinds.get(tensor.encoding.name, 0) + 1
    for kind, number in kinds.items():
        notes.append(
            Note(
                "unknown-type",
                f"{number:,} tensors have the unknown type `{kind}`: their bytes are carried as they are",
                "warning",
            )
        )
    if header.order == ">":
        notes.append(Note("big-endian", "the file is big-endian; values are turned around when they are moved"))
        encodings = {t.encoding for t in tensors.values()}
        fixed = sorted(e.name for e in encodings if isinstance(e, Blocks) and e.words is None)
        if fixed:
            notes.append(
                Note("big-endian-blocks", f"the byte order of {', '.join(fixed)} blocks cannot be changed", "warning")
            )
    long = [n for n in tensors if len(n.encode("utf-8", "surrogateescape")) >= types.USUAL_NAME]
    for name in long:
        if len(name.encode("utf-8", "surrogateescape")) >= types.MAX_NAME:
            raise InvalidFileError(f"the name has {types.MAX_NAME} bytes or more", tensor=name)
    if long:
        notes.append(
            Note(
                "long-name",
                f"{len(long):,} tensor names have {types.USUAL_NAME} bytes or more, which "
                f"llama.cpp refuses, such as {printable(long[0], code=True)}",
                "warning",
            )
        )
    return notes
