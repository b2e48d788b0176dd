"""PyTorch tensors in pickles: what ``torch._utils._rebuild_*`` would make, described and not made.

A strided tensor becomes one `Tensor`; a sparse or nested one an inert object of its component tensors; a quantized one
a tensor of integers with its quantizer in ``extra``. Source: ``torch/_utils.py`` of PyTorch 0.4 to 2.13, the
signatures of the rebuild functions only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelglot.containers.pickle.plain import as_items
from modelglot.containers.pickle.torch_storage import Storage, torch_dtype
from modelglot.containers.pickle.values import UNKNOWN, Handler, Leaf
from modelglot.core.dtype import DTYPES, DType
from modelglot.core.encoding import PLAIN, Packed
from modelglot.core.errors import InvalidFileError
from modelglot.core.tensor import EMPTY, Missing, Tensor, span
from modelglot.core.tree import Inert, Node

_PAIRS = DTYPES["f4_e2m1"]  # torch.float4_e2m1fn_x2: one element of torch is two of ours


class TensorLeaf(Leaf):
    """A strided tensor: ``shape`` and ``strides`` in elements, ``offset`` in elements of the storage."""

    __slots__ = ("dtype", "extra", "more", "offset", "shape", "storage", "strides", "touched")

    def __init__(
        self,
        storage: Storage,
        dtype: DType,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        touches: tuple[int, bool] | None = None,
    ) -> None:
        self.storage, self.dtype, self.offset, self.shape, self.strides = storage, dtype, offset, shape, strides
        self.touched = touches or touched(shape, strides)
        self.extra: Mapping[str, Any] = EMPTY
        self.more: list[tuple[str, Leaf]] | tuple[()] = ()

    def companions(self) -> Sequence[tuple[str, Leaf]]:
        """(suffix, leaf) of tensors that belong to this one: the scales of a quantized tensor."""
        return self.more

    def finish(self, name: str) -> Any:
        """The tensor. Raises InvalidFileError where it leaves its storage, and what `Storage.home` raises."""
        home = self.storage.home()
        size = 1 if self.dtype is _PAIRS else self.dtype.bits // 8
        count, whole = self.touched
        at, length = self.offset * size, count * size
        if at + length > home.nbytes:
            raise InvalidFileError(
                f"needs bytes {at:,}-{at + length:,} of a storage of {home.nbytes:,} bytes",
                offset=home.extent.offset,
                detail=f"shape {list(self.shape)}, strides {list(self.strides)}, offset {self.offset:,}",
            )
        data = home.stored(at, length, None if whole else self.strides)
        if self.dtype is not _PAIRS:
            return Tensor(name, self.dtype, self.shape, data, PLAIN, self.extra)
        if not whole or not self.shape:
            extra = {**self.extra, "torch:dtype": "float4_e2m1fn_x2"}
            return Tensor(name, DTYPES["u8"], self.shape, data, PLAIN, extra)
        return Tensor(name, _PAIRS, (*self.shape[:-1], self.shape[-1] * 2), data, Packed(4), self.extra)

    def marked(self, **marks: Any) -> TensorLeaf:
        """A copy with ``torch:``-marks added to ``extra``; marks of None are left out."""
        copy = TensorLeaf(self.storage, self.dtype, self.offset, self.shape, self.strides, self.touched)
        copy.extra = {**self.extra, **{f"torch:{k}": v for k, v in marks.items() if v is not None}}
        copy.more = self.more
        return copy


class MetaLeaf(Leaf):
    """A tensor that was saved without storage."""

    __slots__ = ("dtype", "extra", "shape")

    def __init__(self, dtype: DType, shape: tuple[int, ...], extra: Mapping[str, Any]) -> None:
        self.dtype, self.shape, self.extra = dtype, shape, extra

    def finish(self, name: str) -> Any:
        return Tensor(name, self.dtype, self.shape, Missing("a meta tensor: saved without its data"), extra=self.extra)


def touched(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, bool]:
    """Elements from the first to one past the last that the view touches, and whether they are all of it in order."""
    step = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if stride != step and size != 1:
            return span(shape, strides), 0 in shape
        step *= size
    return step, True


def sizes(value: Any) -> tuple[int, ...] | None:
    """A shape or strides: a tuple of naturals, or ``torch.Size`` of one."""
    if isinstance(value, Inert) and value.global_ == "torch.Size" and value.args:
        value = value.args[0]
    items = as_items(value)
    if items is None:
        return None
    for item in items:
        if type(item) is not int or not 0 <= item < 1 << 63:
            return None
    return tuple(items)


def _strided(storage: Any, offset: Any, size: Any, stride: Any, dtype: DType | None = None) -> Any:
    if not isinstance(storage, Storage):
        return UNKNOWN
    shape, strides = sizes(size), sizes(stride)
    if type(offset) is not int or offset < 0 or shape is None or strides is None:
        raise InvalidFileError("a tensor's offset, shape or strides are not natural numbers")
    if len(shape) != len(strides):
        raise InvalidFileError(f"a tensor of shape {list(shape)} has {len(strides)} strides")
    leaf = TensorLeaf(storage, dtype or storage.dtype, offset, shape, strides)
    if storage.device != "cpu":
        leaf.extra = {"torch:device": storage.device}
    return leaf


def _finished(leaf: Any, requires_grad: Any, metadata: Any) -> Any:
    """Marks for what a plain tensor does not say: gradients wanted, and the lazy conjugate and negative bits."""
    if leaf is UNKNOWN:
        return leaf
    bits = metadata if isinstance(metadata, Node) and metadata.is_mapping else None
    conj, neg = (bits.get("conj"), bits.get("neg")) if bits else (None, None)
    if requires_grad is True or conj or neg:
        return leaf.marked(requires_grad=requires_grad is True or None, conj=conj or None, neg=neg or None)
    return leaf


def tensor_v1(args: list[Any]) -> Any:
    """``_rebuild_tensor(storage, offset, size, stride)``."""
    return _strided(*args) if len(args) == 4 else UNKNOWN


def tensor_v2(args: list[Any]) -> Any:
    """``_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])``."""
    if not 6 <= len(args) <= 7:
        return UNKNOWN
    leaf = _strided(*args[:4])
    if args[4] is False and len(args) == 6:
        return leaf
    return _finished(leaf, args[4], args[6] if len(args) == 7 else None)


def tensor_v3(args: list[Any]) -> Any:
    """``_rebuild_tensor_v3``: as v2 on an untyped storage, with the dtype after the hooks."""
    found = torch_dtype(args[6]) if 7 <= len(args) <= 8 else None
    if found is None:
        return UNKNOWN
    leaf = _strided(args[0], args[1], args[2], args[3], found[0])
    return _finished(leaf, args[4], args[7] if len(args) == 8 else None)


def parameter(args: list[Any]) -> Any:
    """``Parameter(data, requires_grad)``, ``_rebuild_parameter[_with_state](data, requires_grad, hooks[, state])``."""
    if not args or not isinstance(args[0], (TensorLeaf, MetaLeaf, Inert)):
        return UNKNOWN
    data, wanted = args[0], len(args) < 2 or args[1] is True
    return data.marked(parameter=True, requires_grad=wanted or None) if isinstance(data, TensorLeaf) else data


def meta(args: list[Any]) -> Any:
    """``_rebuild_meta_tensor_no_storage(dtype, size, stride, requires_grad)``."""
    found, shape = (torch_dtype(args[0]), sizes(args[1])) if len(args) == 4 else (None, None)
    if found is None or shape is None:
        return UNKNOWN
    return MetaLeaf(found[0], shape, {"torch:requires_grad": True} if args[3] is True else EMPTY)


def quantized(args: list[Any]) -> Any:
    """``_rebuild_qtensor(storage, offset, size, stride, quantizer, requires_grad, hooks)``."""
    leaf: Any = _strided(*args[:4]) if len(args) == 7 else UNKNOWN
    quantizer = as_items(args[4]) if len(args) == 7 else None
    if leaf is UNKNOWN or not quantizer or not isinstance(quantizer[0], Inert):
        return UNKNOWN
    scheme = quantizer[0].global_.removeprefix("torch.")
    if len(quantizer) == 3 and all(isinstance(q, (int, float)) for q in quantizer[1:]):
        return leaf.marked(quantizer={"scheme": scheme, "scale": quantizer[1], "zero_point": quantizer[2]})
    if len(quantizer) == 4 and all(isinstance(q, Leaf) for q in quantizer[1:3]):
        leaf = leaf.marked(quantizer={"scheme": scheme, "axis": quantizer[3]})
        leaf.more = [("scales", quantizer[1]), ("zero_points", quantizer[2])]
        return leaf
    return UNKNOWN


def sparse(args: list[Any]) -> Any:
    """``_rebuild_sparse_tensor(layout, data)``: an inert object whose attributes are the component tensors."""
    data = as_items(args[1]) if len(args) == 2 else None
    layout = args[0].args[0] if data and isinstance(args[0], Inert) and args[0].args else None
    if data is None or not isinstance(layout, str) or not layout.startswith("torch.sparse_"):
        return UNKNOWN
    if layout == "torch.sparse_coo" and len(data) in (3, 4):
        parts = list(zip(("indices", "values", "shape", "is_coalesced"), data, strict=False))
    elif len(data) == 4:
        first, second = ("ccol", "row") if layout.endswith("sc") else ("crow", "col")
        parts = list(zip((f"{first}_indices", f"{second}_indices", "values", "shape"), data, strict=True))
    else:
        return UNKNOWN
    shape = sizes(data[2 if layout == "torch.sparse_coo" else 3])
    if shape is not None:
        parts = [(k, Node("tuple", list(shape)) if k == "shape" else v) for k, v in parts]
    return Inert(f"{layout}_tensor", "object", (), Node("dict", parts))


def nested(args: list[Any]) -> Any:
    """``_rebuild_nested_tensor(buffer, sizes, strides, offsets)``."""
    if len(args) != 4:
        return UNKNOWN
    parts = list(zip(("values", "sizes", "strides", "offsets"), args, strict=True))
    return Inert("torch.nested_tensor", "object", (), Node("dict", parts))


def _first_leaf(args: list[Any]) -> Any:
    """``_rebuild_device_tensor_from_*(data, dtype, device, requires_grad)``: the data, wherever it was."""
    return args[0] if args and isinstance(args[0], Leaf) else UNKNOWN


def handlers() -> dict[str, Handler]:
    """``module.name -> handler`` of everything that makes tensors, and of TorchScript's containers."""
    table: dict[str, Handler] = {
        "_rebuild_tensor": tensor_v1,
        "_rebuild_tensor_v2": tensor_v2,
        "_rebuild_tensor_v3": tensor_v3,
        "_rebuild_parameter": parameter,
        "_rebuild_parameter_with_state": parameter,
        "_rebuild_qtensor": quantized,
        "_rebuild_sparse_tensor": sparse,
        "_rebuild_nested_tensor": nested,
        "_rebuild_meta_tensor_no_storage": meta,
        "_rebuild_device_tensor_from_numpy": _first_leaf,
        "_rebuild_device_tensor_from_cpu_tensor": _first_leaf,
        "_rebuild_xla_tensor": _first_leaf,
    }
    table = {f"torch._utils.{name}": handler for name, handler in table.items()}

    def from_type(args: list[Any]) -> Any:
        """``_rebuild_from_type[_v2](function, class, arguments, state)``: tensors with attributes, and subclasses."""
        inner = as_items(args[2]) if len(args) == 4 else None
        handler = table.get(args[0].global_) if inner is not None and isinstance(args[0], Inert) else None
        return handler(inner) if handler is not None and inner is not None else UNKNOWN

    for module in ("torch._tensor", "torch.tensor"):
        table[f"{module}._rebuild_from_type"] = table[f"{module}._rebuild_from_type_v2"] = from_type
    for name in ("Parameter", "Buffer"):
        table[f"torch.nn.parameter.{name}"] = parameter
    for kind in ("int", "tensor", "double", "bool"):
        table[f"torch.jit._pickle.build_{kind}list"] = lambda args: args[0] if len(args) == 1 else UNKNOWN
    table["torch.jit._pickle.build_tensor_from_id"] = lambda args: args[0] if len(args) == 1 else UNKNOWN
    table["torch.jit._pickle.restore_type_tag"] = lambda args: args[0] if len(args) == 2 else UNKNOWN
    return table
