"""Tensors as the arrays of numpy, torch, jax and tensorflow. Each framework is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from modelglot.core.encoding import Blocks, Opaque
from modelglot.core.errors import MissingExtraError, UnsupportedError
from modelglot.core.tensor import Tensor

if TYPE_CHECKING:
    import numpy as np

FRAMEWORKS = ("numpy", "torch", "jax", "tensorflow")
_TORCH = {
    "f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i64": "int64", "i32": "int32",
    "i16": "int16", "i8": "int8", "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64", "bool": "bool",
    "c32": "complex32", "c64": "complex64", "c128": "complex128", "f8_e4m3": "float8_e4m3fn", "f8_e5m2": "float8_e5m2",
    "f8_e4m3fnuz": "float8_e4m3fnuz", "f8_e5m2fnuz": "float8_e5m2fnuz", "f8_e8m0": "float8_e8m0fnu",
}  # fmt: skip


def extra(module: str, name: str) -> Any:
    """Import an optional module, or raise MissingExtraError with the command that installs it."""
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtraError(f"`{module}` is not installed", hint=f"pip install {name}") from None


def to_numpy(tensor: Tensor, data: bytearray) -> np.ndarray[Any, Any]:
    """The array of contiguous little-endian ``data``, sharing its memory. Raises UnsupportedError for blocks."""
    from modelglot.kernels.arrays import as_array

    if isinstance(tensor.encoding, Blocks):
        raise UnsupportedError(
            f"`{tensor.type_name}` is a quantized block type, not an array of numbers",
            tensor=tensor.name,
            hint="`.bytes()` gives the stored blocks",
        )
    if isinstance(tensor.encoding, Opaque):
        return as_array(data, tensor.dtype, (-1,))
    return as_array(data, tensor.dtype, tensor.shape)


def to_torch(tensor: Tensor, data: bytearray) -> Any:
    torch = extra("torch", "torch")
    if isinstance(tensor.encoding, (Blocks, Opaque)) or tensor.dtype.name not in _TORCH:
        raise UnsupportedError(
            f"torch has no dtype for `{tensor.type_name}`", tensor=tensor.name, hint="`.bytes()` gives the stored bytes"
        )
    dtype = getattr(torch, _TORCH[tensor.dtype.name])
    if not data:
        return torch.empty(tensor.shape, dtype=dtype)
    return torch.frombuffer(data, dtype=dtype).reshape(tensor.shape)


def _to_jax(tensor: Tensor, array: np.ndarray[Any, Any]) -> Any:
    """jax narrows 64-bit numbers unless told otherwise; where that would change a value, say so instead."""
    made = extra("jax.numpy", "jax").asarray(array)
    if made.dtype != array.dtype:
        back = made.__array__().astype(array.dtype)
        if not ((back == array) | (array != array)).all():
            raise UnsupportedError(
                f"jax would narrow `{array.dtype}` to `{made.dtype}` and change values",
                tensor=tensor.name,
                hint='`jax.config.update("jax_enable_x64", True)` keeps 64 bits',
            )
    return made


def convert_to(framework: str, tensor: Tensor, data: bytearray) -> Any:
    """One of `FRAMEWORKS`. Raises UnsupportedError for another name."""
    if framework == "torch":
        return to_torch(tensor, data)
    if framework == "numpy":
        return to_numpy(tensor, data)
    if framework == "jax":
        return _to_jax(tensor, to_numpy(tensor, data))
    if framework == "tensorflow":
        return extra("tensorflow", "tensorflow").convert_to_tensor(to_numpy(tensor, data))
    raise UnsupportedError(f"no framework `{framework}`", hint="one of " + ", ".join(FRAMEWORKS))
