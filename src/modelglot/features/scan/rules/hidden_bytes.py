"""Bytes that belong to nothing: between tensors, after the last one, and a second file in the same bytes."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.containers.zip_directory import CENTRAL, END, find_end
from modelglot.core.errors import ModelFileError
from modelglot.core.notes import Finding
from modelglot.core.tensor import Stored
from modelglot.features.scan.look import Look, Whole
from modelglot.features.scan.rules.rule import Rule

ID = "hidden-bytes"
_TILED = ("safetensors", "gguf", "npy")
_MAGIC = (
    (b"PK\x03\x04", "a zip archive"), (b"\x7fELF", "a program"), (b"MZ", "a program"), (b"#!", "a script"),
    (b"\x80\x02", "a pickle"), (b"\x80\x03", "a pickle"), (b"\x80\x04", "a pickle"), (b"\x80\x05", "a pickle"),
    (b"\x1f\x8b\x08", "a gzip file"), (b"<?php", "a script"), (b"<script", "a script"), (b"cos\n", "a pickle"),
    (b"cposix\n", "a pickle"), (b"c__builtin__\n", "a pickle"), (b"cbuiltins\n", "a pickle"),
)  # fmt: skip
# TensorFlow Lite keeps its metadata in an archive at the end, programs are named as such; of a pickle before
# an archive, and of a tar with one inside, both are read
_OTHERS = (
    (0, b"GGUF", "a GGUF file"), (0, b"\x93NUMPY", "an array of NumPy"), (0, b"\x89HDF", "an HDF5 file"),
    (0, b"%PDF-", "a PDF document"), (0, b"\x89PNG", "an image"),
    (0, b"\xff\xd8\xff", "an image"), (0, b"GIF8", "an image"), (0, b"#!", "a script"), (0, b"<", "a web page"),
    (8, b'{"', "a safetensors file"), (8, b'{ "', "a safetensors file"),
    (0, b"\x08", "a protocol buffer"),
)  # fmt: skip
_JUDGED = ("a pickle", "a tar archive")
_LOOKED = 1 << 20  # bytes of a gap


def _of_part(look: Look) -> Iterator[Finding]:
    """Two files in one: what begins as another kind and ends as a zip archive is opened as either."""
    window = look.piece.window
    head = look.piece.head(300)
    if head[:4] in (b"PK\x03\x04", END) or window.length < 60:
        return
    try:
        end = find_end(window.read, window.length)
        if end.count and window.read(end.offset, 4) != CENTRAL:
            return  # two letters and two numbers by chance
    except ModelFileError:
        return
    other = next((what for at, magic, what in _OTHERS if head[at : at + len(magic)] == magic), None)
    if other is not None:
        what = f"begins as {other} and ends as a zip archive: what it is depends on who opens it"
        # what is in these is looked at on its own: data in both is odd, and no more
        yield (look.piece.unknown if other in _JUDGED else look.piece.unsafe)(ID, what, end.shift)


def _of_whole(whole: Whole) -> Iterator[Finding]:
    if whole.model is None or not whole.is_format(*_TILED) or len(whole.model.files) != 1:
        return
    spans = sorted(
        (e.offset, e.offset + e.length)
        for t in whole.model.tensors.values()
        if isinstance(t.data, Stored)
        for e in t.data.extents
        if e.codec == "raw"
    )
    at = spans[0][0] if spans else whole.piece.window.length
    for begin, end in [*spans, (whole.piece.window.length, whole.piece.window.length)]:
        if begin > at:
            yield from _gap(whole, at, begin)
        at = max(at, end)


def _gap(whole: Whole, begin: int, end: int) -> Iterator[Finding]:
    data = whole.piece.window.read(begin, min(end - begin, _LOOKED))
    start = data.lstrip(b"\0")
    if not start and end - begin <= _LOOKED:
        return
    where = "after the last tensor" if end == whole.piece.window.length else "between tensors"
    kind = next((what for magic, what in _MAGIC if start.startswith(magic)), None)
    if kind is not None and (kind != "a program" or len(start) > 64):
        yield whole.piece.unsafe(ID, f"{kind} lies hidden {where}", begin + len(data) - len(start))
    else:
        yield whole.piece.unknown(ID, f"{end - begin:,} bytes {where} belong to nothing", begin)


RULE = Rule(
    ID, "Hidden bytes, and two files in one", "gaps of safetensors, GGUF, npy; archives at the end", _of_part, _of_whole
)
