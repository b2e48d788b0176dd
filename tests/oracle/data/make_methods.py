"""How methods.safetensors was recorded: random weights, quantized and decoded by the methods' own libraries.

Run it where torch, bitsandbytes, compressed-tensors, ``mlx[cpu]`` and transformers are. Names are ``case|suffix``;
``case|=wanted`` is what the library decodes to. The metadata has each case's configuration and library version.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import bitsandbytes.functional as bnb
import mlx.core as mx
import numpy as np
import torch
from compressed_tensors.compressors.pack_quantized.base import PackedQuantizationCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from safetensors.torch import save_file
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

tensors: dict[str, torch.Tensor] = {}
metadata: dict[str, str] = {}


def put(case: str, group: dict, wanted: torch.Tensor, config: dict, library: str) -> None:
    tensors.update({f"{case}|{k}": v.contiguous() for k, v in group.items()})
    tensors[f"{case}|=wanted"] = wanted.float().contiguous()
    metadata[case] = json.dumps({"config": config, "library": f"{library} {version(library)}"})


def bitsandbytes() -> None:
    for kind in ("nf4", "fp4"):
        for nested in (False, True):
            q, state = bnb.quantize_4bit(
                torch.randn(48, 128), blocksize=64, quant_type=kind, compress_statistics=nested
            )
            group = {"weight": q, **{f"weight.{k}": v for k, v in state.as_dict(packed=True).items()}}
            put(f"bnb-{kind}{'-nested' * nested}", group, bnb.dequantize_4bit(q, state), {}, "bitsandbytes")
    q, maxima, _ = bnb.int8_vectorwise_quant(torch.randn(32, 64, dtype=torch.float16))
    put("bnb-int8", {"weight": q, "SCB": maxima}, bnb.int8_vectorwise_dequant(q, maxima), {}, "bitsandbytes")


def mlx() -> None:
    for bits in (2, 3, 4, 6, 8):
        parts = mx.quantize(mx.random.normal((32, 128)), group_size=64, bits=bits)
        wanted = mx.dequantize(*parts, group_size=64, bits=bits)
        group = {n: torch.from_numpy(np.array(p)) for n, p in zip(("weight", "scales", "biases"), parts, strict=True)}
        put(f"mlx-{bits}", group, torch.from_numpy(np.array(wanted)), {"group_size": 64, "bits": bits}, "mlx")


def gpt_oss() -> None:
    blocks = torch.randint(0, 256, (2, 6, 3, 16), dtype=torch.uint8)
    scales = torch.randint(120, 132, (2, 6, 3), dtype=torch.uint8)
    wanted = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
    put("mxfp4", {"_blocks": blocks, "_scales": scales}, wanted, {}, "transformers")


def compressed(bits: int, symmetric: bool, strategy: str, size: int | None) -> None:
    args = QuantizationArgs(num_bits=bits, type="int", symmetric=symmetric, strategy=strategy, group_size=size)
    scheme = QuantizationScheme(targets=["Linear"], weights=args, format="pack-quantized")
    weight, half = torch.randn(32, 128), 1 << (bits - 1)
    rows = weight.reshape(32, 128 // (size or 128), -1)
    if symmetric:
        state = {"weight": weight, "weight_scale": rows.abs().amax(-1) / (half - 1)}
    else:
        low, high = rows.amin(-1).clamp(max=0), rows.amax(-1).clamp(min=0)
        scale = (high - low) / (2 * half - 1)
        zeros = (-half - torch.round(low / scale)).clamp(-half, half - 1).to(torch.int8)
        state = {"weight": weight, "weight_scale": scale, "weight_zero_point": zeros}
    stored = PackedQuantizationCompressor.compress(state, scheme)
    wanted = PackedQuantizationCompressor.decompress(dict(stored), scheme)["weight"]
    config = {"config_groups": {"group_0": {"weights": {"num_bits": bits}}}}
    put(f"ct-{bits}-{'' if symmetric else 'a'}sym-{strategy}", stored, wanted, config, "compressed-tensors")


def main() -> None:
    torch.manual_seed(0)
    bitsandbytes()
    mlx()
    gpt_oss()
    for bits in (4, 8):
        for symmetric in (True, False):
            compressed(bits, symmetric, "group", 32)
            compressed(bits, symmetric, "channel", None)
    save_file(tensors, Path(__file__).with_name("methods.safetensors"), metadata)


if __name__ == "__main__":
    main()
