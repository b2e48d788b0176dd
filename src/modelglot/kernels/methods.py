"""Decoders of quantization methods: all parts of one weight in, float32 out.

Each follows the documentation of its method; shapes are those of the stored tensors. ``parts`` maps a suffix to an
array (floats as float32, packed words as unsigned integers).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from modelglot.core.errors import InvalidFileError

Array = Any  # numpy.ndarray; its operators are typed as Any in any case
Parts = Mapping[str, Array]

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)
AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)  # where the numbers 0..7 of a word are


def words(packed: Array, bits: int, axis: int) -> Array:
    """Unsigned ``bits``-wide numbers of 32-bit words, lowest bits first, spread along ``axis``."""
    stream = np.moveaxis(np.ascontiguousarray(packed).view(np.uint32), axis, -1)
    if 32 % bits == 0:
        shifts = np.arange(0, 32, bits, dtype=np.uint32)
        spread = (stream[..., None] >> shifts) & np.uint32((1 << bits) - 1)
        spread = spread.reshape(*stream.shape[:-1], -1)
    else:  # 3 bits run across words
        flat = np.unpackbits(np.ascontiguousarray(stream).view(np.uint8), axis=-1, bitorder="little")
        groups = flat.reshape(*stream.shape[:-1], -1, bits)
        spread = (groups << np.arange(bits, dtype=np.uint8)).sum(-1)
    return np.moveaxis(spread, -1, axis).astype(np.int32)


def gptq(parts: Parts, params: Mapping[str, Any]) -> Array:
    """(q - zero) * scale of the group that ``g_idx`` names for each input; [in, out] stored, [out, in] given."""
    bits = params["bits"]
    q = words(parts["qweight"], bits, 0)
    zeros = words(parts["qzeros"], bits, 1)[:, : q.shape[1]] + params["offset"]
    scales = parts["scales"]
    group = parts["g_idx"].astype(np.int64) if "g_idx" in parts else np.arange(len(q)) // (len(q) // len(scales))
    return ((q - zeros[group]) * scales[group]).T


def awq(parts: Parts, params: Mapping[str, Any]) -> Array:
    """(q - zero) * scale; words of eight 4-bit numbers along the outputs, in AWQ's order."""

    def unpacked(packed: Array) -> Array:
        q = words(packed, 4, 1)
        return q.reshape(len(q), -1, 8)[:, :, AWQ_ORDER].reshape(len(q), -1)

    q, zeros, scales = unpacked(parts["qweight"]), unpacked(parts["qzeros"]), parts["scales"]
    size = len(q) // len(scales)
    return ((q - np.repeat(zeros, size, 0)) * np.repeat(scales, size, 0)).T


def packed(parts: Parts, params: Mapping[str, Any]) -> Array:
    """compressed-tensors: numbers stored as q + 2**(bits-1); zero points packed alike along the outputs."""
    bits = params["bits"]
    half = 1 << (bits - 1)
    columns = int(parts["weight_shape"][1]) if "weight_shape" in parts else None
    q = words(parts["weight_packed"], bits, 1)[:, :columns] - half
    scales = parts["weight_scale"]
    size = -(-q.shape[1] // scales.shape[1])
    group = parts["weight_g_idx"].astype(np.int64) if "weight_g_idx" in parts else np.arange(q.shape[1]) // size
    if "weight_zero_point" in parts:
        zeros = parts["weight_zero_point"]
        if zeros.dtype.itemsize == 4:
            zeros = words(zeros, bits, 0)[: len(q)] - half
        q = q - zeros.astype(np.int32)[:, group]
    return q * scales[:, group]


def scaled(parts: Parts, params: Mapping[str, Any]) -> Array:
    """Values times a scale: one, one a row, or one a block of ``params["block"]`` rows and columns."""
    weight = parts["weight"].astype(np.float32)
    scale = parts["weight_scale_inv"] if "weight_scale_inv" in parts else parts["weight_scale"]
    if "weight_zero_point" in parts:
        weight = weight - parts["weight_zero_point"].astype(np.float32).reshape(-1, *[1] * (weight.ndim - 1))
    block = params.get("block")
    if block:
        scale = np.repeat(np.repeat(scale, block[0], 0), block[1], 1)[: weight.shape[0], : weight.shape[1]]
    elif scale.ndim == 1 and scale.size == weight.shape[0] and scale.size > 1:
        scale = scale.reshape(-1, *[1] * (weight.ndim - 1))
    return weight * scale


def nibbles(data: Array) -> Array:
    """Two 4-bit numbers a byte, low half first, along the last axis."""
    return np.stack((data & 15, data >> 4), -1).reshape(*data.shape[:-1], -1)


def nvfp4(parts: Parts, params: Mapping[str, Any]) -> Array:
    """e2m1 * e4m3 scale of 16 * scale of the tensor."""
    values = E2M1[nibbles(parts["weight"])]
    scale = np.repeat(parts["weight_scale"], 16, -1) * parts["weight_scale_2"].reshape(-1)[0]
    return values * scale[:, : values.shape[1]]


def mxfp4(parts: Parts, params: Mapping[str, Any]) -> Array:
    """e2m1 * 2**(exponent - 127); [experts, out, groups, 16] stored, [experts, in, out] given."""
    values = np.ldexp(E2M1[nibbles(parts["_blocks"])], parts["_scales"].astype(np.int32)[..., None] - 127)
    return values.reshape(*values.shape[:2], -1).swapaxes(1, 2)


def mlx(parts: Parts, params: Mapping[str, Any]) -> Array:
    """q * scale + bias of its group."""
    q = words(parts["weight"], params["bits"], -1)
    size = q.shape[-1] // parts["scales"].shape[-1]
    return q * np.repeat(parts["scales"], size, -1) + np.repeat(parts["biases"], size, -1)


def bnb8(parts: Parts, params: Mapping[str, Any]) -> Array:
    """int8 * row maximum / 127."""
    return parts["weight"].astype(np.float32) * (parts["SCB"].reshape(-1, 1) / np.float32(127))


def bnb4(parts: Parts, params: Mapping[str, Any]) -> Array:
    """Indexes (high half first) into ``quant_map`` times the block's maximum, which may be quantized itself."""
    state = bnb_state(parts)
    values = parts["weight.quant_map"].astype(np.float32)
    data = parts["weight"].reshape(-1)
    indexes = np.stack((data >> 4, data & 15), -1).reshape(-1)
    maxima = parts["weight.absmax"]
    if "weight.nested_absmax" in parts:
        blocks = np.repeat(parts["weight.nested_absmax"], int(state["nested_blocksize"]))[: maxima.size]
        maxima = parts["weight.nested_quant_map"][maxima.astype(np.int64)] * blocks + np.float32(state["nested_offset"])
    count = int(np.prod(params["shape"]))
    scale = np.repeat(maxima.astype(np.float32), int(state["blocksize"]))[:count]
    return (values[indexes[:count]] * scale).reshape(params["shape"])


def bnb_state(parts: Parts) -> dict[str, Any]:
    """bitsandbytes keeps block size, shape and offset as JSON in a tensor of bytes."""
    raw = next((p for n, p in parts.items() if ".quant_state." in n), None)
    try:
        state = json.loads(bytes(raw)) if raw is not None else None
    except ValueError:
        state = None
    if not isinstance(state, dict) or not {"blocksize", "shape"} <= set(state):
        raise InvalidFileError("the bitsandbytes state is not the JSON it should be")
    return state
