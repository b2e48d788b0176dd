"""Reading: a magic number, perhaps a version, hyper-parameters of one of three programs, and tensors to the end."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from modelglot.containers.ggml_types import BLOCK_TYPES, PLAIN_TYPES
from modelglot.containers.window import Window
from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import BLOCKS, PLAIN, Encoding, Opaque, nbytes
from modelglot.core.errors import (
    DamagedFileError,
    InvalidFileError,
    ModelFileError,
    UnsupportedError,
    located,
)
from modelglot.core.format import FileSet, Source
from modelglot.core.limits import Limits
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Extent, Stored, Tensor
from modelglot.formats.ggml import MAGICS, dialects
from modelglot.formats.ggml.dialects import Head

# Blocks changed twice: their bits in ggjt 2, the scales of three types in ggjt 3. (elements, bytes) before each.
_BEFORE_2 = {"q4_0": (32, 20), "q4_1": (32, 24), "q5_0": (32, 22), "q5_1": (32, 24), "q8_0": (32, 36)}
_BEFORE_3 = {"q4_0": (32, 20), "q4_1": (32, 24), "q8_0": (32, 36)}
_GONE = {4: ("q4_2", 16, 10), 5: ("q4_3", 16, 12)}
_CURRENT = 3


def read(files: FileSet, name: str, limits: Limits) -> Model:
    source, number = files.open(name), files.index(name)
    with located(path=source.path):
        magic = MAGICS.get(source.pread(0, min(4, source.size)))
        if magic is None:
            raise InvalidFileError("does not start with `ggml`, `ggmf` or `ggjt`", offset=0)
        if magic == "ggml":
            head, window = _first_that_fits(source, limits)
        else:
            window = _window(source)
            version = int.from_bytes(window.take(4, "the version"), "little")
            if not 1 <= version <= (3 if magic == "ggjt" else 1):
                raise UnsupportedError(f"version {version} of {magic}", offset=4)
            head = dialects.llama(window, limits, scores=True)
            head = head._replace(version=version if magic == "ggjt" else 1, aligned=magic == "ggjt")
        tensors = _tensors(window, head, number, limits)
    dialect = f"{head.dialect}, {magic}" + (f" {head.version}" if magic == "ggjt" else "")
    return Model("ggml", files.refs(), tensors, dialect, Metadata(head.entries), notes=tuple(_notes(tensors, head)))


def _window(source: Source) -> Window:
    window = Window(source, source.size)
    window.take(4, "the magic number")
    return window


def _first_that_fits(source: Source, limits: Limits) -> tuple[Head, Window]:
    """The oldest magic says nothing of who wrote the file: each program's hyper-parameters are tried."""
    said: list[ModelFileError] = []
    readers: tuple[Callable[[Window, Limits], Head], ...] = (dialects.vad, dialects.whisper, dialects.llama)
    for reader in readers:
        window = _window(source)
        try:
            head = reader(window, limits)
            return head, window
        except dialects.AnotherDialect:
            continue
        except ModelFileError as error:
            said.append(error)
    if said:
        raise said[0]
    raise UnsupportedError(
        "a GGML file of a program that is not known here: neither llama.cpp, whisper.cpp nor its voice detection",
        hint="use the program that the file was made for, or the GGUF file of the same model",
    )


def _tensors(window: Window, head: Head, number: int, limits: Limits) -> dict[str, Tensor]:
    """Descriptions with the data behind each, until the file ends."""
    tensors: dict[str, Tensor] = {}
    while window.left:
        start = window.offset
        axes, length, kind = (int.from_bytes(window.take(4, "a tensor"), "little") for _ in range(3))
        if axes > 4:
            raise InvalidFileError(f"a tensor of {axes:,} axes, four are possible", offset=start)
        limits.check("name", length, "bytes of a name", offset=start)
        sizes = [int.from_bytes(window.take(4, "a shape"), "little") for _ in range(axes)]
        name = window.take(length, "a name").decode("utf-8", "surrogateescape")
        with located(tensor=name):
            shape = tuple(reversed(sizes))
            dtype, encoding = _type(kind, prod(shape), head.version, start)
            size = nbytes(DTYPES[dtype], encoding, shape)
            begin = -(-window.offset // 32) * 32 if head.aligned else window.offset
            window.jump(begin, "the padding")
            window.jump(begin + size, "the data")
            if name in tensors:
                raise InvalidFileError("the same name twice", offset=start)
            tensors[name] = Tensor(name, DTYPES[dtype], shape, Stored((Extent(number, begin, size),)), encoding)
            limits.check("tensors", len(tensors), "tensors", offset=start)
    return tensors


def _type(kind: int, count: int, version: int, at: int) -> tuple[str, Encoding]:
    """(dtype, encoding) of a tensor type. Blocks in a layout that is gone are opaque bytes of known length."""
    if kind in PLAIN_TYPES:
        return PLAIN_TYPES[kind], PLAIN
    name = BLOCK_TYPES.get(kind)
    old = (_BEFORE_2 if version < 2 else _BEFORE_3 if version < _CURRENT else {}).get(name or "")
    if kind in _GONE:
        name, *old_size = _GONE[kind]
        old = (old_size[0], old_size[1])
    if name is None:
        raise InvalidFileError(f"unknown tensor type {kind}", offset=at)
    elements, size = old or (BLOCKS[name].elements, BLOCKS[name].bytes)
    if count % elements:
        raise InvalidFileError(f"{count:,} elements are no whole blocks of {elements}", offset=at)
    if old:
        return "opaque", Opaque(f"old-{name}", count // elements * size)
    return "f32", BLOCKS[name]


def _notes(tensors: dict[str, Tensor], head: Head) -> list[Note]:
    old = [t for t in tensors.values() if isinstance(t.encoding, Opaque)]
    notes = []
    if old:
        kinds = ", ".join(dict.fromkeys(t.encoding.name.removeprefix("old-") for t in old))
        text = f"{len(old):,} tensors are quantized ({kinds}) in a layout that llama.cpp gave up in May 2023"
        notes.append(Note("old-blocks", f"{text}: they can be carried and not decoded; get the GGUF file", "warning"))
    layers = head.layers
    if tensors and layers is not None and not any(f".{layers - 1}." in name for name in tensors):
        raise DamagedFileError(
            f"tensors of layer {layers - 1:,} are missing", hint="the file may have ended at the border of a tensor"
        )
    return notes
