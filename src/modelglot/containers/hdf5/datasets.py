"""The datasets of an HDF5 file as tensors: where their bytes lie, whole or in chunks. Only what is small is read.

Links into other files, external storage, virtual datasets and filters that are not known here are refused: they would
make reading one file open another, or run a plug-in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple

from modelglot.containers.hdf5.opened import library
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

_COMPACT = 64 << 10  # what an object's header can hold
_GZIP, _SHUFFLE, _FLETCHER = 1, 2, 3
_NAMES = {2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scale-offset", 32000: "lzf"}


class Found(NamedTuple):
    """A dataset under its path; ``note`` where it is not a tensor, and why."""

    path: str
    tensor: Tensor | None
    note: str = ""


def tensors(file: Any, place: Place, size: int, limits: Limits) -> Iterator[Found]:
    """All datasets, in the order of the file's groups. ``size`` is that of the HDF5 file."""
    for path, dataset in _walk(file, limits):
        yield _found(path, dataset, place, size, limits)


def _walk(root: Any, limits: Limits) -> Iterator[tuple[str, Any]]:
    h5py = library()
    seen = {h5py.h5o.get_info(root.id).addr}
    count = 0
    stack = [("", root, iter(root))]
    while stack:
        prefix, group, names = stack[-1]
        for name in names:
            path = f"{prefix}/{name}" if prefix else name
            count += 1
            limits.check("entries", count, "objects in the file")
            limits.check("name", len(path), "the path of an object")
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise UnsafeContentError(
                    f"{printable(path, code=True)} is a link into the file {printable(str(link.filename), code=True)}, "
                    "which was not opened"
                )
            if not isinstance(link, h5py.HardLink):
                continue  # a name for what has another one in the same file
            found = group[name]
            if isinstance(found, h5py.Dataset):
                yield path, found
            elif isinstance(found, h5py.Group):
                address = h5py.h5o.get_info(found.id).addr
                if address in seen:
                    continue
                seen.add(address)
                if len(stack) >= limits.depth:
                    raise LimitError(f"groups lie more than {limits.depth} deep", hint="raise `depth`")
                stack.append((path, found, iter(found)))
                break
        else:
            stack.pop()


def _found(path: str, dataset: Any, place: Place, size: int, limits: Limits) -> Found:
    plist = dataset.id.get_create_plist()
    if dataset.shape is None:
        return Found(path, None, "is empty: it has no shape")
    if plist.get_external_count() or dataset.is_virtual:
        raise UnsafeContentError(
            "keeps its values in other files, which were not opened" if plist.get_external_count()
            else "is put together of other datasets, which is not read",
            tensor=path,
        )  # fmt: skip
    shape = tuple(int(n) for n in dataset.shape)
    if prod(shape) >= 1 << 63:
        raise InvalidFileError(f"the shape {list(shape)} has more than 2^63 elements", tensor=path)
    dtype, order, encoding = _dtype(dataset, shape)
    if dtype is None:
        return Found(path, None, f"holds {printable(str(dataset.dtype), limit=60)}, which is no number")
    tensor = Tensor(path, dtype, shape, Inline(b""), encoding)
    if tensor.nbytes:
        data = _data(dataset, plist, tensor, order, place, size, limits)
        tensor = Tensor(path, dtype, shape, data, encoding)
    return Found(path, tensor)


def _dtype(dataset: Any, shape: tuple[int, ...]) -> tuple[DType | None, str, Encoding]:
    """Our dtype, the byte order, and an encoding for bytes that are no numbers here."""
    kind = dataset.dtype
    order = "big" if kind.byteorder == ">" else "little"
    letter = {"f": "f", "i": "i", "u": "u", "c": "c"}.get(kind.kind)
    if letter is not None and library().check_dtype(enum=kind) is None:
        return DTYPES.get(f"{letter}{kind.itemsize * 8}"), order, PLAIN
    if kind.kind == "b":
        return DTYPES["bool"], "little", PLAIN
    if kind.kind == "V" and kind.names is None and kind.subdtype is None:
        said = dataset.attrs.get("dtype")
        named = {("bfloat16", 2): "bf16", ("float8_e4m3fn", 1): "f8_e4m3", ("float8_e5m2", 1): "f8_e5m2"}
        known = named.get((said, kind.itemsize)) if isinstance(said, str) else None
        if known:
            return DTYPES[known], "little", PLAIN
        return DTYPES["opaque"], "little", Opaque("hdf5-opaque", prod(shape) * kind.itemsize)
    return None, order, PLAIN


def _data(dataset: Any, plist: Any, tensor: Tensor, order: str, place: Place, size: int, limits: Limits) -> Data:
    h5d = library().h5d
    layout = plist.get_layout()
    if layout == h5d.COMPACT:
        if tensor.nbytes > _COMPACT:
            raise DamagedFileError(f"{tensor.nbytes:,} bytes in an object's header", tensor=tensor.name)
        return Inline(dataset[()].astype(dataset.dtype.newbyteorder("<")).tobytes())
    if layout == h5d.CHUNKED:
        return _chunked(dataset, plist, tensor, order, place, size, limits)
    offset = dataset.id.get_offset()
    if offset is None:
        return _unwritten(dataset, tensor)
    _inside(offset, tensor.nbytes, size, tensor.name)
    return place(offset, tensor.nbytes, "raw")._replace(byteorder=order)


def _unwritten(dataset: Any, tensor: Tensor) -> Data:
    """A dataset without storage is full of its fill value."""
    if any(bytes(dataset.fillvalue.tobytes())):
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


def _chunked(dataset: Any, plist: Any, tensor: Tensor, order: str, place: Place, size: int, limits: Limits) -> Data:
    """Each stored chunk a box at its place, unpacked as it is read."""
    if isinstance(tensor.encoding, Opaque):
        raise UnsupportedError("values that are no numbers, in chunks", tensor=tensor.name)
    filters = [plist.get_filter(n)[0] for n in range(plist.get_nfilters())]
    unknown = [f for f in filters if f not in (_GZIP, _SHUFFLE, _FLETCHER)]
    if unknown:
        name = _NAMES.get(unknown[0], f"number {unknown[0]}")
        raise UnsupportedError(f"is packed with the HDF5 filter {name}, which is not read", tensor=tensor.name)
    if filters != sorted(filters, key=(_SHUFFLE, _GZIP, _FLETCHER).index) or len(set(filters)) != len(filters):
        raise UnsupportedError("its HDF5 filters come in an unusual order", tensor=tensor.name)
    shape = tuple(int(n) for n in plist.get_chunk())
    limits.check("entries", dataset.id.get_num_chunks(), "chunks of a dataset")
    if prod(shape) * tensor.dtype.itemsize > limits.member:
        raise LimitError(f"chunks of {prod(shape) * tensor.dtype.itemsize:,} bytes", tensor=tensor.name)
    boxes: list[tuple[tuple[int, ...], Tensor]] = []
    for info in _stored_chunks(dataset):
        _inside(info.byte_offset, info.size, size, tensor.name)
        part = Tensor(tensor.name, tensor.dtype, shape, Inline(b""), tensor.encoding)
        active = [f for n, f in enumerate(filters) if not info.filter_mask >> n & 1]
        data = _chunk(part, info, active, order, place)
        boxes.append((tuple(info.chunk_offset), Tensor(tensor.name, tensor.dtype, shape, data, PLAIN, EMPTY)))
    if not boxes:
        return _unwritten(dataset, tensor)
    if len(boxes) < prod(-(-n // c) for n, c in zip(tensor.shape, shape, strict=True)):
        _unwritten(dataset, tensor)  # what no chunk covers is the fill value, which has to be zero
    return assembled(tensor, boxes).data


def _stored_chunks(dataset: Any) -> list[Any]:
    """Place, size and skipped filters of every stored chunk; one by one where the library cannot go through them."""
    found: list[Any] = []
    if hasattr(dataset.id, "chunk_iter"):
        dataset.id.chunk_iter(found.append)
        return found
    return [dataset.id.get_chunk_info(number) for number in range(dataset.id.get_num_chunks())]


def _chunk(part: Tensor, info: Any, active: list[int], order: str, place: Place) -> Data:
    length = info.size - (4 if _FLETCHER in active else 0)
    if _GZIP not in active and length != part.nbytes:
        raise DamagedFileError(f"a chunk of {length:,} bytes where {part.nbytes:,} belong", tensor=part.name)
    stored = place(info.byte_offset, length, "zlib" if _GZIP in active else "raw")
    if _SHUFFLE not in active or part.dtype.itemsize == 1:
        return stored._replace(byteorder=order)
    if order == "big":
        raise UnsupportedError("big-endian and shuffled", tensor=part.name)
    inner = Tensor(part.name, part.dtype, part.shape, stored)
    return Derived("unshuffle", (inner,), {"width": part.dtype.itemsize})
