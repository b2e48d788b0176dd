"""How methods_torch.safetensors was recorded: random weights, quantized and decoded by hqq and torchao.

Run it where torch, hqq, torchao and safetensors are. Names are ``case|suffix``; ``case|=wanted`` is what the library
decodes to, in float32. The metadata has each case's library version and, of torchao, the metadata of its own file.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import torch
from hqq.core.quantize import BaseQuantizeConfig, HQQLinear, Quantizer
from safetensors.torch import save_file
from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict
from torchao.quantization import (
    Float8Tensor,
    Float8WeightOnlyConfig,
    Int8WeightOnlyConfig,
    IntxWeightOnlyConfig,
    PerGroup,
    PerRow,
    PerTensor,
    quantize_,
)
from torchao.quantization.quant_primitives import MappingType

tensors: dict[str, torch.Tensor] = {}
metadata: dict[str, str] = {}


def put(case: str, group: dict, wanted: torch.Tensor, library: str, header: dict) -> None:
    tensors.update({f"{case}|{k}": v.detach().clone().contiguous() for k, v in group.items()})
    tensors[f"{case}|=wanted"] = wanted.detach().float().clone().contiguous()
    metadata[case] = json.dumps({"config": {}, "library": f"{library} {version(library)}", "header": header})


def hqq(nbits: int, axis: int, dtype: torch.dtype = torch.float32) -> None:
    config = BaseQuantizeConfig(nbits=nbits, group_size=64, axis=axis)
    made = HQQLinear(torch.nn.Linear(64, 32, bias=False), config, compute_dtype=dtype, device="cpu")
    made.encoded_state_dict = True
    meta = {**made.meta, "compute_dtype": torch.float32, "scale": made.meta["scale"].float(),
            "zero": made.meta["zero"].float()}  # fmt: skip
    wanted = Quantizer.dequantize(made.W_q.data, meta)
    put(f"hqq-{nbits}-axis{axis}-{str(dtype)[6:]}", made.state_dict(), wanted, "hqq", {})


def torchao(case: str, model: torch.nn.Module) -> None:
    flat, header = flatten_tensor_state_dict(model.state_dict())
    group = {k.removeprefix("0"): v for k, v in flat.items()}
    put(f"torchao-{case}", group, model[0].weight.dequantize(), "torchao", header)


def linear(config: object | None = None) -> torch.nn.Module:
    model = torch.nn.Sequential(torch.nn.Linear(64, 32, bias=False))
    if config is not None:
        quantize_(model, config)
    return model


def main() -> None:
    torch.manual_seed(0)
    for nbits in (8, 4, 3, 2, 1):
        for axis in (0, 1):
            hqq(nbits, axis)
    hqq(4, 1, torch.float16)
    hqq(4, 1, torch.bfloat16)
    for size, granularity in (("row", PerRow()), ("group", PerGroup(32)), ("tensor", PerTensor())):
        torchao(f"int8-{size}", linear(Int8WeightOnlyConfig(version=2, granularity=granularity)))
    for bits, kind in ((torch.int4, "SYMMETRIC"), (torch.int4, "ASYMMETRIC"), (torch.int3, "SYMMETRIC")):
        config = IntxWeightOnlyConfig(weight_dtype=bits, granularity=PerGroup(32), mapping_type=MappingType[kind],
                                      version=2)  # fmt: skip
        torchao(f"{str(bits)[6:]}-{kind.lower()}", linear(config))
    torchao("float8-row", linear(Float8WeightOnlyConfig(version=2)))
    model = linear()
    model[0].weight = torch.nn.Parameter(Float8Tensor.from_hp(model[0].weight.data, granularity=PerTensor()))
    torchao("float8-tensor", model)
    save_file(tensors, Path(__file__).with_name("methods_torch.safetensors"), metadata)


if __name__ == "__main__":
    main()
