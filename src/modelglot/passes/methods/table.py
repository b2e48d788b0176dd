"""The methods, most specific first. Facts from each method's own format documentation, figures only."""

from __future__ import annotations

from math import prod
from typing import Any

from modelglot.passes.methods.method import Config, Decoded, Group, Method


def _gptq(group: Group, config: Config) -> Decoded | None:
    """int32 words along the input axis; GPTQ v1 stores zero points less one."""
    words, scales = group["qweight"], group["scales"]
    if words.dtype.name != "i32" or len(words.shape) != 2 or words.shape[1] != scales.shape[1]:
        return None
    columns = _inputs(group, config, words.shape[0])
    if columns is None:
        return None
    bits = words.shape[0] * 32 // columns
    offset = 0 if config.get("checkpoint_format") == "gptq_v2" else 1
    return Decoded((words.shape[1], columns), {"bits": bits, "offset": offset})


def _inputs(group: Group, config: Config, rows: int) -> int | None:
    """Columns of the weight: from ``g_idx``, or from the bits that the configuration names."""
    if "g_idx" in group:
        return group["g_idx"].shape[0]
    bits = config.get("bits", 4)
    return rows * 32 // bits if isinstance(bits, int) and bits in (2, 3, 4, 8) else None


def _awq(group: Group, config: Config) -> Decoded | None:
    """int32 words along the output axis, eight 4-bit numbers in the order 0 2 4 6 1 3 5 7."""
    words, scales = group["qweight"], group["scales"]
    if words.dtype.name != "i32" or len(words.shape) != 2 or words.shape[1] * 8 != scales.shape[1]:
        return None
    return Decoded((scales.shape[1], words.shape[0]), {})


def _packed(group: Group, config: Config) -> Decoded | None:
    """compressed-tensors ``pack-quantized``: int32 words along the input axis, signed numbers stored with an offset."""
    words, scales = group["weight_packed"], group["weight_scale"]
    if words.dtype.name != "i32":
        return None
    bits = _number_of_bits(config)
    columns = words.shape[-1] * 32 // bits
    if "weight_shape" in group and columns % max(1, scales.shape[-1]):
        return None
    return Decoded((words.shape[0], columns), {"bits": bits})


def _number_of_bits(config: Config) -> int:
    groups = config.get("config_groups")
    first: Any = next(iter(groups.values()), {}) if isinstance(groups, dict) else {}
    bits = first.get("weights", {}).get("num_bits", 4) if isinstance(first, dict) else 4
    return bits if bits in (4, 8) else 4


def _nvfp4(group: Group, config: Config) -> Decoded | None:
    """Two e2m1 numbers a byte, an e4m3 scale for every 16, one float scale for all."""
    weight, scale = group["weight"], group["weight_scale"]
    if weight.dtype.name != "u8" or scale.dtype.name != "f8_e4m3" or len(weight.shape) != 2:
        return None
    return Decoded((weight.shape[0], weight.shape[1] * 2), {})


def _scaled(group: Group, config: Config) -> Decoded | None:
    """fp8 or int8 with a scale for the tensor, for each row, or for each block of a matrix."""
    weight = group["weight"]
    name = "weight_scale_inv" if "weight_scale_inv" in group else "weight_scale"
    if weight.dtype.name not in ("f8_e4m3", "f8_e5m2", "f8_e4m3fnuz", "i8") or name not in group:
        return None
    scale = group[name].shape
    block = config.get("weight_block_size")
    if len(scale) == len(weight.shape) == 2 and scale[1] > 1 and not isinstance(block, list):
        block = [128, 128]
    return Decoded(weight.shape, {"block": block if len(scale) == 2 and scale[1] > 1 else None})


def _inverse_scaled(group: Group, config: Config) -> Decoded | None:
    return _scaled(group, config) if "weight_scale_inv" in group else None


def _bnb8(group: Group, config: Config) -> Decoded | None:
    """bitsandbytes LLM.int8(): rows of int8, the row's largest magnitude in SCB."""
    return Decoded(group["weight"].shape, {}) if group["weight"].dtype.name == "i8" else None


def _bnb4(group: Group, config: Config) -> Decoded | None:
    """bitsandbytes NF4 and FP4: the real shape is JSON inside the state tensor, so it is read by the caller."""
    return Decoded((), {}) if group["weight"].dtype.name == "u8" else None


def _mlx(group: Group, config: Config) -> Decoded | None:
    """MLX affine: uint32 words along the input axis, a scale and a bias for each group."""
    words, scales = group["weight"], group["scales"]
    if words.dtype.name != "u32" or words.shape[:-1] != scales.shape[:-1]:
        return None
    quantization = config.get("group_size"), config.get("bits")
    size = quantization[0] if isinstance(quantization[0], int) else 64
    columns = scales.shape[-1] * size
    if columns * words.shape[-1] == 0 or words.shape[-1] * 32 % columns:
        return None
    return Decoded((*words.shape[:-1], columns), {"bits": words.shape[-1] * 32 // columns})


def _mxfp4(group: Group, config: Config) -> Decoded | None:
    """gpt-oss: 16 bytes of two e2m1 numbers and one exponent for every 32; written with the last two axes swapped."""
    blocks, scales = group["_blocks"], group["_scales"]
    if blocks.dtype.name != "u8" or blocks.shape[:-1] != scales.shape or blocks.shape[-1:] != (16,):
        return None
    experts, rows, count = blocks.shape[0], blocks.shape[1], prod(blocks.shape[2:]) * 2
    return Decoded((experts, count, rows), {})


def _hqq(group: Group, config: Config) -> Decoded | None:
    """HQQ: the shape is a value in the file, so the caller reads it; the kernel reads the packing."""
    words = group["W_q"].dtype.name
    return Decoded((), {}) if words in ("u8", "i32") and group["packing"].dtype.name == "u8" else None


def _torchao(group: Group, config: Config) -> Decoded | None:
    """torchao's Int8Tensor, IntxUnpackedToInt8Tensor and Float8Tensor: one number a byte, scales in blocks."""
    data, scale = group["_weight_qdata"], group["_weight_scale"]
    if data.dtype.name not in ("i8", "f8_e4m3", "f8_e5m2") or scale.dtype.name not in ("f32", "f16", "bf16"):
        return None
    if "_weight_act_pre_scale" in group or not _in_blocks(data.shape, scale.shape):
        return None
    return Decoded(data.shape, {})


def _in_blocks(shape: tuple[int, ...], scale: tuple[int, ...]) -> bool:
    if len(shape) != len(scale):
        return prod(scale) == 1 or (len(scale) == 1 and scale[0] == shape[0])
    return all(n > 0 and size % n == 0 for size, n in zip(shape, scale, strict=True))


_HQQ_ALSO = ("nbits", "group_size", "axis", "unpack_view_dtype", "view_as_float", "quant_scale", "quant_zero",
             "compute_dtype", "offload_meta", "encoded_state_dict", "stores_quant_config", "channel_wise", "optimize",
             "round_zero")  # fmt: skip

METHODS: tuple[Method, ...] = (
    Method("gptq", "GPTQ", "qweight", ("qzeros", "scales"), ("g_idx",), "gptq", _gptq),
    Method("awq", "AWQ", "qweight", ("qzeros", "scales"), (), "awq", _awq),
    Method("compressed-tensors", "compressed-tensors, packed", "weight_packed", ("weight_scale",),
           ("weight_zero_point", "weight_shape", "weight_g_idx"), "packed", _packed),
    Method("nvfp4", "NVFP4", "weight", ("weight_scale", "weight_scale_2"), ("input_scale",), "nvfp4", _nvfp4),
    Method("bitsandbytes-4bit", "bitsandbytes 4-bit", "weight", ("weight.absmax", "weight.quant_map"),
           ("weight.nested_absmax", "weight.nested_quant_map", "weight.quant_state.bitsandbytes__nf4",
            "weight.quant_state.bitsandbytes__fp4"), "bnb4", _bnb4),
    Method("bitsandbytes-8bit", "bitsandbytes 8-bit", "weight", ("SCB",), ("weight_format",), "bnb8", _bnb8),
    Method("mlx", "MLX affine", "weight", ("scales", "biases"), (), "mlx", _mlx),
    Method("fp8", "FP8, block-scaled", "weight", ("weight_scale_inv",), ("input_scale",), "scaled", _inverse_scaled),
    Method("scaled", "FP8 or INT8 with scales", "weight", ("weight_scale",),
           ("input_scale", "weight_zero_point"), "scaled", _scaled),
    Method("hqq", "HQQ", "W_q", ("scale", "zero", "shape", "packing"), _HQQ_ALSO, "hqq", _hqq),
    Method("torchao", "torchao", "_weight_qdata", ("_weight_scale",),
           ("_weight_zero_point", "_weight_act_quant_scale", "_weight_act_quant_zero_point", "_weight_act_pre_scale"),
           "torchao", _torchao),
    Method("mxfp4", "MXFP4 of gpt-oss", "_blocks", ("_scales",), (), "mxfp4", _mxfp4, weight=""),
)  # fmt: skip
