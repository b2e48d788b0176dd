"""The datasets of an HDF5 file as tensors: where their bytes lie, whole or in chunks. Only what is small is read.

Links into other files, external storage, virtual datasets and filters that are not known here are refused: they would
make reading one file open another, or run a plug-in.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple

from modelglot.containers.hdf5.described import Described
from modelglot.core.dtype import DTYPES, DType
from modelglot.core.encoding import PLAIN, Encoding, Opaque
from modelglot.core.errors import (
    DamagedFileError,
    InvalidFileError,
    LimitError,
    UnsafeContentError,
    UnsupportedError,
    printable,
)
from modelglot.core.limits import Limits
from modelglot.core.tensor import EMPTY, Data, Derived, Inline, Stored, Tensor
from modelglot.core.views import assembled

Place = Callable[[int, int, str], Stored]  # offset and length in the HDF5 file, codec -> where the bytes are stored

Said = dict[str, Any]  # properties of a dataset, as `child` tells them
_GZIP, _SHUFFLE, _FLETCHER = 1, 2, 3
_NAMES = {2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scale-offset", 32000: "lzf"}


class Found(NamedTuple):
    """A dataset under its path; ``note`` where it is not a tensor, and why."""

    path: str
    tensor: Tensor | None
    note: str = ""


def tensors(found: Described, place: Place, size: int, limits: Limits) -> Iterator[Found]:
    """All datasets, in the order of the file's groups. ``size`` is that of the HDF5 file."""
    for path, said in found.datasets:
        yield _found(path, said, place, size, limits)


def _found(path: str, said: Said, place: Place, size: int, limits: Limits) -> Found:
    if said["shape"] is None:
        return Found(path, None, "is empty: it has no shape")
    if said["external"] or said["virtual"]:
        raise UnsafeContentError(
            "keeps its values in other files, which were not opened" if said["external"]
            else "is put together of other datasets, which is not read",
            tensor=path,
        )  # fmt: skip
    shape = tuple(said["shape"])
    if prod(shape) >= 1 << 63:
        raise InvalidFileError(f"the shape {list(shape)} has more than 2^63 elements", tensor=path)
    dtype, order, encoding = _dtype(said, shape)
    if dtype is None:
        return Found(path, None, f"holds {printable(said['text'], limit=60)}, which is no number")
    tensor = Tensor(path, dtype, shape, Inline(b""), encoding)
    if tensor.nbytes:
        tensor = Tensor(path, dtype, shape, _data(said, tensor, order, place, size, limits), encoding)
    return Found(path, tensor)


def _dtype(said: Said, shape: tuple[int, ...]) -> tuple[DType | None, str, Encoding]:
    """Our dtype, the byte order, and an encoding for bytes that are no numbers here."""
    kind, size, order = said["kind"], said["itemsize"], "big" if said["big"] else "little"
    if kind in "fiuc" and not said["enum"]:
        return DTYPES.get(f"{kind}{size * 8}"), order, PLAIN
    if kind == "b":
        return DTYPES["bool"], "little", PLAIN
    if kind == "V" and not said["record"]:
        named = {("bfloat16", 2): "bf16", ("float8_e4m3fn", 1): "f8_e4m3", ("float8_e5m2", 1): "f8_e5m2"}
        known = named.get((said["named"], size))
        if known:
            return DTYPES[known], "little", PLAIN
        return DTYPES["opaque"], "little", Opaque("hdf5-opaque", prod(shape) * size)
    return None, order, PLAIN


def _data(said: Said, tensor: Tensor, order: str, place: Place, size: int, limits: Limits) -> Data:
    if said["layout"] == "compact":
        value = b64decode(said.get("value", ""))
        if len(value) != tensor.nbytes:
            raise DamagedFileError(f"{tensor.nbytes:,} bytes in an object's header", tensor=tensor.name)
        return Inline(value)
    if said["layout"] == "chunked":
        return _chunked(said, tensor, order, place, size, limits)
    if said["offset"] is None:
        return _unwritten(said, tensor)
    _inside(said["offset"], tensor.nbytes, size, tensor.name)
    return place(said["offset"], tensor.nbytes, "raw")._replace(byteorder=order)


def _unwritten(said: Said, tensor: Tensor) -> Data:
    """A dataset without storage is full of its fill value."""
    if said["filled"]:
        raise UnsupportedError("nothing is stored, and its fill value is not zero", tensor=tensor.name)
    return Derived("assemble", (), {"origins": []})


def _inside(offset: int, length: int, size: int, name: str) -> None:
    if offset + length > size:
        raise DamagedFileError(
            f"data ends {offset + length - size:,} bytes after the end of the file",
            offset=offset,
            tensor=name,
            hint="the download may be incomplete",
        )


def _chunked(said: Said, tensor: Tensor, order: str, place: Place, size: int, limits: Limits) -> Data:
    """Each stored chunk a box at its place, unpacked as it is read."""
    if isinstance(tensor.encoding, Opaque):
        raise UnsupportedError("values that are no numbers, in chunks", tensor=tensor.name)
    filters, shape = said["filters"], tuple(said["chunk"])
    unknown = [f for f in filters if f not in (_GZIP, _SHUFFLE, _FLETCHER)]
    if unknown:
        name = _NAMES.get(unknown[0], f"number {unknown[0]}")
        raise UnsupportedError(f"is packed with the HDF5 filter {name}, which is not read", tensor=tensor.name)
    if filters != sorted(filters, key=(_SHUFFLE, _GZIP, _FLETCHER).index) or len(set(filters)) != len(filters):
        raise UnsupportedError("its HDF5 filters come in an unusual order", tensor=tensor.name)
    limits.check("entries", said["count"], "chunks of a dataset")
    if prod(shape) * tensor.dtype.itemsize > limits.member:
        raise LimitError(f"chunks of {prod(shape) * tensor.dtype.itemsize:,} bytes", tensor=tensor.name)
    boxes: list[tuple[tuple[int, ...], Tensor]] = []
    for origin, offset, length, mask in said["chunks"]:
        _inside(offset, length, size, tensor.name)
        part = Tensor(tensor.name, tensor.dtype, shape, Inline(b""), tensor.encoding)
        active = [f for n, f in enumerate(filters) if not mask >> n & 1]
        data = _chunk(part, offset, length, active, order, place)
        boxes.append((tuple(origin), Tensor(tensor.name, tensor.dtype, shape, data, PLAIN, EMPTY)))
    if not boxes:
        return _unwritten(said, tensor)
    if len(boxes) < prod(-(-n // c) for n, c in zip(tensor.shape, shape, strict=True)):
        _unwritten(said, tensor)  # what no chunk covers is the fill value, which has to be zero
    return assembled(tensor, boxes).data


def _chunk(part: Tensor, offset: int, size: int, active: list[int], order: str, place: Place) -> Data:
    length = size - (4 if _FLETCHER in active else 0)
    if _GZIP not in active and length != part.nbytes:
        raise DamagedFileError(f"a chunk of {length:,} bytes where {part.nbytes:,} belong", tensor=part.name)
    stored = place(offset, length, "zlib" if _GZIP in active else "raw")
    if _SHUFFLE not in active or part.dtype.itemsize == 1:
        return stored._replace(byteorder=order)
    if order == "big":
        raise UnsupportedError("big-endian and shuffled", tensor=part.name)
    inner = Tensor(part.name, part.dtype, part.shape, stored)
    return Derived("unshuffle", (inner,), {"width": part.dtype.itemsize})
