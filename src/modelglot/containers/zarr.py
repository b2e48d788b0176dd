"""zarr arrays, versions 2 and 3, over any store: a small JSON document, and chunks that lie where the store says.

Specification: zarr-specs.readthedocs.io (v2; v3 core, sharding-indexed codec).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from modelglot.containers import strict_json
from modelglot.containers.npy_header import simple_dtype
from modelglot.containers.ocdbt import Value
from modelglot.core.dtype import DTYPES, DType
from modelglot.core.errors import DamagedFileError, InvalidFileError, UnsupportedError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.tensor import Extent, Inline, Stored, Tensor, contiguous_strides
from modelglot.core.views import assembled

_NAMES = {
    "float64": "f64", "float32": "f32", "float16": "f16", "bfloat16": "bf16", "int64": "i64", "int32": "i32",
    "int16": "i16", "int8": "i8", "uint64": "u64", "uint32": "u32", "uint16": "u16", "uint8": "u8", "bool": "bool",
    "complex64": "c64", "complex128": "c128", "float8_e4m3fn": "f8_e4m3", "float8_e5m2": "f8_e5m2",
    "float8_e4m3fnuz": "f8_e4m3fnuz", "float8_e5m2fnuz": "f8_e5m2fnuz",
}  # fmt: skip
_CODECS = {"zstd": "zstd", "gzip": "gzip", "zlib": "zlib"}
_ABSENT = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class _Array:
    """``chunk`` is the shape of what is compressed at once; ``shard`` that of one stored object, where shards are used;
    ``tail`` counts bytes of a checksum behind each chunk."""

    dtype: DType
    byteorder: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    shard: tuple[int, ...] | None
    codec: str
    tail: int
    fortran: bool
    key: Callable[[tuple[int, ...]], str]


class Store:
    """Keys with where their values lie, in a folder or in OCDBT."""

    def __init__(self, files: FileSet, values: dict[str, Value], limits: Limits, *, complete: bool = False) -> None:
        self.files, self.values, self.limits = files, values, limits
        self.complete = complete  # the writer stored every chunk, so that one that is not there is lost
        self.holes: list[str] = []  # names of tensors with chunks that were not stored, and are zero

    def arrays(self) -> Iterator[str]:
        """The keys of all arrays, without a ``/`` at the end."""
        for key in self.values:
            folder, _, name = key.rpartition("/")
            if name in (".zarray", "zarr.json"):
                yield folder

    def get(self, key: str) -> bytes:
        """A whole value, for documents and indexes."""
        value = self.values[key]
        self.limits.check("index", value.length, printable(key))
        return self.part(value, 0, value.length)

    def part(self, value: Value, offset: int, length: int) -> bytes:
        if value.data is not None:
            return value.data[offset : offset + length]
        return self.files.open(value.file).pread(value.offset + offset, length)

    def tensor(self, key: str, name: str) -> Tensor:
        """The array of ``key`` as a tensor of ``name``. Raises InvalidFileError, DamagedFileError, UnsupportedError."""
        document = f"{key}/.zarray" if f"{key}/.zarray" in self.values else f"{key}/zarr.json"
        with located(tensor=name, member=document):
            described = strict_json.loads(self.get(document), what="the description of an array")
            array = _described(described)
            count = prod(-(-n // c) for n, c in zip(array.shape, array.chunk, strict=True)) if array.shape else 1
            self.limits.check("entries", count, "chunks")
            whole = Tensor(name, array.dtype, array.shape, Inline(b""))
            parts = list(self._chunks(array, key, name))
            if sum(prod(t.shape) for _, t in parts) < whole.numel:
                if self.complete:
                    raise DamagedFileError("chunks of the array are missing", hint="copy the whole folder")
                _check_fill(described)
                self.holes.append(name)
            return assembled(whole, parts)

    def _chunks(self, array: _Array, key: str, name: str) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        """(origin, tensor) of every chunk that is stored."""
        outer = array.shard or array.chunk
        for index in product(*(range(-(-n // c)) for n, c in zip(array.shape, outer, strict=True))):
            value = self.values.get(f"{key}/{array.key(index)}")
            if value is None:
                continue
            origin = tuple(i * c for i, c in zip(index, outer, strict=True))
            if array.shard is None:
                yield origin, self._chunk(array, name, value)
            else:
                yield from self._inner(array, array.shard, name, value, origin)

    def _inner(
        self, array: _Array, shard: tuple[int, ...], name: str, value: Value, origin: tuple[int, ...]
    ) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        """The chunks of one shard, found by the index at its end: (offset, length) pairs and a crc32c."""
        counts = [n // c for n, c in zip(shard, array.chunk, strict=True)]
        size = prod(counts) * 16 + 4
        if value.length < size:
            raise DamagedFileError(f"a shard of {value.length:,} bytes is too short for its index of {size:,}")
        raw = self.part(value, value.length - size, size - 4)
        for number, index in enumerate(product(*(range(n) for n in counts))):
            offset, length = (int.from_bytes(raw[at : at + 8], "little") for at in (number * 16, number * 16 + 8))
            if offset == length == _ABSENT:
                continue
            if offset + length > value.length:
                raise DamagedFileError(f"a chunk ends {offset + length - value.length:,} bytes after its shard")
            place = tuple(o + i * c for o, i, c in zip(origin, index, array.chunk, strict=True))
            if any(p >= n for p, n in zip(place, array.shape, strict=True)):
                continue  # in the part of the shard that lies outside of the array
            data = None if value.data is None else value.data[offset : offset + length]
            yield place, self._chunk(array, name, Value(value.file, value.offset + offset, length, data))

    def _chunk(self, array: _Array, name: str, value: Value) -> Tensor:
        length, need = value.length - array.tail, prod(array.chunk) * array.dtype.itemsize
        if length < 0 or (array.codec == "raw" and length != need):
            raise DamagedFileError(f"a chunk has {value.length:,} bytes, {need + array.tail:,} are needed")
        strides = None
        if array.fortran and len(array.chunk) > 1:
            strides = tuple(reversed(contiguous_strides(array.chunk[::-1])))
        if value.data is not None:
            from modelglot.containers.codecs import whole

            raw = whole(array.codec, value.data[:length], need)
            if len(raw) != need or strides is not None or array.byteorder == "big":
                raise UnsupportedError("a small chunk that is not little-endian and row-major, kept inside of an index")
            return Tensor(name, array.dtype, array.chunk, Inline(raw))
        source = self.files.open(value.file)
        if value.offset + length > source.size:
            raise DamagedFileError(
                f"a chunk ends {value.offset + length - source.size:,} bytes after the end of the file",
                path=source.path,
                offset=value.offset,
            )
        extent = Extent(self.files.index(value.file), value.offset, length, array.codec)
        return Tensor(name, array.dtype, array.chunk, Stored((extent,), strides, array.byteorder))


def _described(document: Any) -> _Array:
    if not isinstance(document, dict):
        raise InvalidFileError("the description of an array is no object")
    try:
        return _version2(document) if document.get("zarr_format") == 2 else _version3(document)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise InvalidFileError(f"the description of an array is not complete: {error!r}") from None


def _version2(document: dict[str, Any]) -> _Array:
    shape, chunk = _sizes(document["shape"]), _sizes(document["chunks"], least=1)
    named = _NAMES.get(document["dtype"])
    found = (DTYPES[named], "little") if named else simple_dtype(document["dtype"])
    if found is None:
        raise UnsupportedError(f"arrays of {printable(str(document['dtype']), code=True)}")
    if document.get("filters"):
        raise UnsupportedError("filters of a zarr array")
    separator = document.get("dimension_separator", ".")
    compressor = document.get("compressor")
    codec = "raw" if compressor is None else _codec(compressor["id"])
    _alike(shape, chunk)
    return _Array(*found, shape, chunk, None, codec, 0, document.get("order") == "F",
                  lambda index: separator.join(map(str, index)) or "0")  # fmt: skip


def _version3(document: dict[str, Any]) -> _Array:
    if document["chunk_grid"]["name"] != "regular":
        raise UnsupportedError("a chunk grid that is not regular")
    shape, outer = _sizes(document["shape"]), _sizes(document["chunk_grid"]["configuration"]["chunk_shape"], least=1)
    if document["data_type"] not in _NAMES:
        raise UnsupportedError(f"arrays of {printable(str(document['data_type']), code=True)}")
    encoding = document["chunk_key_encoding"]
    first = ["c"] if encoding["name"] == "default" else []
    settings = encoding.get("configuration", {})
    separator = settings.get("separator", "/" if first else ".")
    codecs, shard, chunk = document["codecs"], None, outer
    if codecs and codecs[0]["name"] == "sharding_indexed":
        inner = codecs[0]["configuration"]
        if inner.get("index_location", "end") != "end" or len(codecs) > 1:
            raise UnsupportedError("a shard whose index does not stand at its end")
        if [c["name"] for c in inner["index_codecs"]] != ["bytes", "crc32c"]:
            raise UnsupportedError("an index of a shard that is compressed")
        shard, chunk, codecs = outer, _sizes(inner["chunk_shape"], least=1), inner["codecs"]
        _alike(shard, chunk)
        if any(s % c for s, c in zip(shard, chunk, strict=True)):
            raise InvalidFileError("chunks do not divide their shard")
    _alike(shape, chunk)
    order, codec, tail = _pipeline(codecs)
    return _Array(DTYPES[_NAMES[document["data_type"]]], order, shape, chunk, shard, codec, tail, False,
                  lambda index: separator.join([*first, *map(str, index)]) or "0")  # fmt: skip


def _pipeline(codecs: list[dict[str, Any]]) -> tuple[str, str, int]:
    """(byte order, codec, bytes of checksums at the end)."""
    order, codec, tail = "little", "raw", 0
    for step in codecs:
        name = step["name"]
        if name == "bytes":
            order = step.get("configuration", {}).get("endian", "little")
        elif name == "crc32c":
            tail += 4
        elif codec == "raw" and not tail:
            codec = _codec(name)
        else:
            raise UnsupportedError(f"the codec {printable(str(name), code=True)} after another")
    return order, codec, tail


def _codec(name: Any) -> str:
    if name not in _CODECS:
        raise UnsupportedError(
            f"chunks compressed with {printable(str(name), code=True)}", hint="save the array again with zstd or gzip"
        )
    return _CODECS[name]


def _sizes(value: Any, least: int = 0) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(n) is int and least <= n < 1 << 62 for n in value):
        raise InvalidFileError(f"{printable(repr(value))} is no list of sizes")
    return tuple(value)


def _alike(one: tuple[int, ...], two: tuple[int, ...]) -> None:
    if len(one) != len(two):
        raise InvalidFileError(f"chunks of {list(two)} for an array of {list(one)}")


def _check_fill(document: dict[str, Any]) -> None:
    """Chunks that are not stored hold the fill value, which has to be zero here."""
    if document.get("fill_value") not in (None, 0, 0.0, False, "0", ""):
        raise UnsupportedError(f"chunks that are not stored, with a fill value of {document['fill_value']!r:.40}")
