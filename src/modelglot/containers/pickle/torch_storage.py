"""PyTorch storages in pickles: runs of bytes outside the stream, named by persistent ids.

Source: what ``torch.save`` writes, PyTorch 0.1 to 2.13: ``('storage', class, key, device, count)``, in legacy files
with a sixth part for views.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from modelglot.containers.pickle.plain import as_items
from modelglot.containers.pickle.values import Leaf
from modelglot.core.dtype import DTYPES, DType
from modelglot.core.errors import DamagedFileError, InvalidFileError, printable
from modelglot.core.tensor import EMPTY, Extent, Stored, Tensor
from modelglot.core.tree import Inert

# torch's dtype names -> (ours, a mark that the element is a quantized number or another special one)
TORCH_DTYPES: dict[str, DType] = {
    torch: DTYPES[ours]
    for torch, ours in {
        "float64": "f64", "double": "f64", "float32": "f32", "float": "f32", "float16": "f16", "half": "f16",
        "bfloat16": "bf16", "int64": "i64", "long": "i64", "int32": "i32", "int": "i32", "int16": "i16", "short": "i16",
        "int8": "i8", "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64", "bool": "bool",
        "complex32": "c32", "complex64": "c64", "cfloat": "c64", "complex128": "c128", "cdouble": "c128",
        "chalf": "c32", "float8_e4m3fn": "f8_e4m3", "float8_e5m2": "f8_e5m2", "float8_e4m3fnuz": "f8_e4m3fnuz",
        "float8_e5m2fnuz": "f8_e5m2fnuz", "float8_e8m0fnu": "f8_e8m0", "float4_e2m1fn_x2": "f4_e2m1",
        "quint8": "u8", "qint8": "i8", "qint32": "i32", "quint4x2": "u8", "quint2x4": "u8",
        "bits8": "u8", "bits1x8": "u8", "bits2x4": "u8", "bits4x2": "u8", "bits16": "u16",
    }.items()
}  # fmt: skip
_CLASSES = {
    "Double": "f64", "Float": "f32", "Half": "f16", "BFloat16": "bf16", "Long": "i64", "Int": "i32", "Short": "i16",
    "Char": "i8", "Byte": "u8", "Bool": "bool", "ComplexDouble": "c128", "ComplexFloat": "c64", "ComplexHalf": "c32",
    "QUInt8": "u8", "QInt8": "i8", "QInt32": "i32", "QUInt4x2": "u8", "QUInt2x4": "u8",
}  # fmt: skip
STORAGE_CLASSES: dict[str, DType] = {f"{k}Storage": DTYPES[v] for k, v in _CLASSES.items()}
_UNTYPED = ("UntypedStorage", "_UntypedStorage", "TypedStorage", "_TypedStorage")


@dataclass(slots=True)
class Home:
    """The bytes of a storage: ``nbytes`` from byte ``base`` of ``extent``, which may be compressed."""

    extent: Extent
    nbytes: int
    byteorder: str = "little"
    base: int = 0

    def stored(self, offset: int, length: int, strides: tuple[int, ...] | None) -> Stored:
        """``length`` bytes at ``offset`` of the storage."""
        at = self.base + offset
        if at == 0 and length == self.extent.length and self.extent.codec == "raw":
            return Stored((self.extent,), strides, self.byteorder)
        if self.extent.codec != "raw":
            return Stored((self.extent,), strides, self.byteorder, at)
        return Stored((Extent(self.extent.file, self.extent.offset + at, length),), strides, self.byteorder)


Resolve = Callable[[str], Home | None]  # the home of a storage by its key, None where the file does not have it


class Storage(Leaf):
    """A storage: ``count`` elements of ``dtype`` (u8 for an untyped one); a view starts at element ``first``."""

    __slots__ = ("count", "device", "dtype", "first", "key", "resolve", "settled")

    def __init__(self, key: str, dtype: DType, device: str, count: int, resolve: Resolve) -> None:
        self.key, self.dtype, self.device, self.count = key, dtype, device, count
        self.resolve = resolve
        self.first = 0
        self.settled: Home | None = None

    def home(self) -> Home:
        """Its bytes. Raises DamagedFileError where they are missing, InvalidFileError where the size is another."""
        found = self.settled
        if found is None:
            found = self.resolve(self.key)
            if found is None:
                raise DamagedFileError(
                    f"storage {printable(self.key, code=True)} is not in the file", hint="the file may be incomplete"
                )
            need = self.count * (self.dtype.bits // 8)
            if need != found.nbytes:
                raise InvalidFileError(
                    f"storage {printable(self.key, code=True)} has {found.nbytes:,} bytes, but "
                    f"{self.count:,} elements of {self.dtype.name} need {need:,}",
                    offset=found.extent.offset,
                )
            self.settled = found
        return found

    def finish(self, name: str) -> Any:
        """A storage that stands for itself: a tensor with one axis."""
        home = self.home()
        extra = {"torch:storage": True}
        if self.device != "cpu":
            extra["torch:device"] = self.device  # type: ignore[assignment]
        return Tensor(name, self.dtype, (self.count,), home.stored(0, home.nbytes, None), extra=extra or EMPTY)


class Storages:
    """The handler of persistent ids. What is no storage stays inert; legacy ``('module', obj, ...)`` is the object."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._known: dict[tuple[str | int, str, str, int], Storage] = {}

    def storage(self, key: str | int, dtype: DType, device: str, count: int) -> Storage:
        """The one of this description, always the same object."""
        identity = (key, dtype.name, device, count)
        made = self._known.get(identity)
        if made is None:
            made = self._known[identity] = Storage(str(key), dtype, device, count, self._resolve)
        return made

    def __call__(self, pid: Any) -> Any:
        items = as_items(pid)
        if items and items[0] == "module" and len(items) > 1:
            return items[1]
        if not items or items[0] not in ("storage", b"storage") or len(items) not in (5, 6):
            return Inert("persistent_id", "called", (pid,))
        _, kind, key, device, count = items[:5]
        dtype = storage_dtype(kind)
        device = device.decode("latin-1") if isinstance(device, bytes) else device
        if dtype is None or not isinstance(key, (str, int)) or not isinstance(device, str) or type(count) is not int:
            return Inert("persistent_id", "called", (pid,))
        if count < 0:
            raise InvalidFileError(f"storage {printable(str(key), code=True)} has {count:,} elements")
        made = self.storage(key, dtype, device, count)
        view = as_items(items[5]) if len(items) == 6 else None
        return made if view is None else _view(made, view)


def storage_dtype(value: Any) -> DType | None:
    """The dtype of ``torch.FloatStorage`` and its like, u8 for untyped ones, None for what is no storage class."""
    return _class_dtype(value.global_) if isinstance(value, Inert) else None


@lru_cache(maxsize=256)
def _class_dtype(global_: str) -> DType | None:
    if not global_.startswith("torch."):
        return None
    name = global_.rpartition(".")[2]
    return DTYPES["u8"] if name in _UNTYPED else STORAGE_CLASSES.get(name)


def torch_dtype(value: Any) -> tuple[DType, str] | None:
    """(dtype, torch's name) of a reference such as ``torch.float32``."""
    if not isinstance(value, Inert) or not value.global_.startswith("torch."):
        return None
    name = value.global_[6:]
    found = TORCH_DTYPES.get(name)
    return (found, name) if found else None


def _view(root: Storage, view: list[Any]) -> Any:
    """Legacy files: ``(key, offset, count)``, in elements, of a part of another storage."""
    if len(view) != 3 or type(view[1]) is not int or type(view[2]) is not int:
        raise InvalidFileError("a storage view is not described by a key, an offset and a count")
    return StorageView(root, view[1], view[2])


class StorageView(Storage):
    """A part of a storage, as legacy files and the tar form name it."""

    __slots__ = ("root",)

    def __init__(self, root: Storage, first: int, count: int) -> None:
        super().__init__(root.key, root.dtype, root.device, count, root.resolve)
        self.root, self.first = root, first

    def home(self) -> Home:
        whole = self.root.home()
        size = self.dtype.itemsize
        if self.first < 0 or self.count < 0 or (self.first + self.count) * size > whole.nbytes:
            span = f"{self.first:,} to {self.first + self.count:,}"
            raise InvalidFileError(
                f"a view of elements {span} leaves its storage {printable(self.key, code=True)} of "
                f"{whole.nbytes // size:,}"
            )
        return Home(whole.extent, self.count * size, whole.byteorder, whole.base + self.first * size)
