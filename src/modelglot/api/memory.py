"""Arrays in memory as a model: each storage is a file, each array a view of one, so ties and strides stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import plain_encoding
from modelglot.core.errors import DamagedFileError, UnsupportedError, located
from modelglot.core.tensor import Extent, Inline, Stored, Tensor, is_contiguous, span
from modelglot.core.tree import Node, TensorRef

_SCALARS = (bool, int, float, complex, str, bytes, type(None))


class MemorySource:
    """One buffer that reads like a file."""

    def __init__(self, buffer: memoryview) -> None:
        self.path = "memory"
        self.size = len(buffer)
        self._buffer = buffer

    def pread(self, offset: int, length: int) -> bytes:
        return bytes(self._view(offset, length))

    def readinto(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self._view(offset, len(buffer))

    def _view(self, offset: int, length: int) -> memoryview:
        if offset < 0 or offset + length > self.size:
            raise DamagedFileError("the array is larger than its storage", offset=offset)
        return self._buffer[offset : offset + length]


class MemoryPool:
    """`SourcePool` for buffers."""

    def __init__(self, buffers: list[memoryview]) -> None:
        self._sources = [MemorySource(b) for b in buffers]

    def __call__(self, number: int) -> MemorySource:
        return self._sources[number]

    def check_unchanged(self) -> None:
        """Memory is the caller's to keep still."""

    def close(self) -> None:
        self._sources = []


def gather(state: Mapping[str, Any]) -> tuple[Node | None, dict[str, Tensor], list[memoryview]]:
    """(tree, tensors, buffers) of a possibly nested mapping; the tree is None for a flat state dict."""
    collector = _Collector()
    tree = collector.value(state, "")
    flat = all(isinstance(v, TensorRef) for _, v in tree.items)
    return None if flat else tree, collector.tensors, collector.buffers


class _Collector:
    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.buffers: list[memoryview] = []
        self._storages: dict[int, tuple[int, Any]] = {}

    def value(self, value: Any, path: str) -> Any:
        if isinstance(value, Mapping):
            kind = "ordereddict" if type(value).__name__ == "OrderedDict" else "dict"
            return Node(kind, [(k, self.value(v, f"{path}.{k}" if path else str(k))) for k, v in value.items()])
        if isinstance(value, (list, tuple)):
            kind = "list" if isinstance(value, list) else "tuple"
            return Node(kind, [self.value(v, f"{path}.{i}" if path else str(i)) for i, v in enumerate(value)])
        if type(value) in _SCALARS:
            return value
        return self.array(value, path)

    def array(self, value: Any, name: str) -> TensorRef:
        if name in self.tensors:
            raise UnsupportedError("two arrays would have this name", tensor=name)
        module = type(value).__module__.split(".")[0]
        is_torch = module == "torch" or (hasattr(value, "untyped_storage") and hasattr(value, "stride"))
        with located(tensor=name):
            self.tensors[name] = self._torch(value, name) if is_torch else self._numpy(value, name)
        return TensorRef(name)

    def _torch(self, value: Any, name: str) -> Tensor:
        import torch

        from modelglot.api.frameworks import _TORCH

        if value.layout is not torch.strided or value.is_quantized:
            raise UnsupportedError(
                "sparse and quantized torch tensors cannot be saved",
                tensor=name,
                hint="`.to_dense()` or `.dequantize()` first",
            )
        if value.device.type == "meta":
            raise UnsupportedError("the tensor is on the meta device and has no values", tensor=name)
        ours = {getattr(torch, theirs): mine for mine, theirs in _TORCH.items() if hasattr(torch, theirs)}
        if value.dtype not in ours:
            raise UnsupportedError(f"no tensor dtype for `{value.dtype}`", tensor=name)
        value = value.detach().resolve_conj().resolve_neg().cpu()
        dtype, item = DTYPES[ours[value.dtype]], value.element_size()
        shape, strides = tuple(value.shape), tuple(value.stride())
        storage = value.untyped_storage()
        key = storage.data_ptr() or id(value)
        if key not in self._storages:
            flat = torch.empty(0, dtype=torch.uint8).set_(storage)
            self._storages[key] = (len(self.buffers), storage)
            self.buffers.append(flat.numpy().data.cast("B") if len(storage) else memoryview(b""))
        number = self._storages[key][0]
        where = Extent(number, value.storage_offset() * item, span(shape, strides) * item)
        return Tensor(name, dtype, shape, Stored((where,), None if is_contiguous(shape, strides) else strides))

    def _numpy(self, value: Any, name: str) -> Tensor:
        import numpy as np

        from modelglot.kernels.arrays import dtype_of, pack

        array = np.asarray(value)
        if array.dtype.hasobject:
            raise UnsupportedError(f"a value of type `{type(value).__name__}` is not a tensor", tensor=name)
        dtype = dtype_of(array.dtype)
        shape = tuple(array.shape)
        if dtype.bits < 8:
            return Tensor(name, dtype, shape, Inline(pack(array, dtype)), plain_encoding(dtype))
        contiguous = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
        key = array.__array_interface__["data"][0] if array is value and contiguous.base is not None else id(contiguous)
        key = hash((key, shape, dtype.name, array.strides))
        if key not in self._storages:
            self._storages[key] = (len(self.buffers), (array, contiguous))
            self.buffers.append(contiguous.data)
        return Tensor(name, dtype, shape, Stored((Extent(self._storages[key][0], 0, contiguous.nbytes),)))
