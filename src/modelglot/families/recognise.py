"""Which known model tensors are: language models by what the file says, diffusion models and LoRAs by shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelglot.core.errors import UnsupportedError
from modelglot.core.tensor import Tensor
from modelglot.families import registry
from modelglot.families.original import slices

Tensors = Mapping[str, Tensor]

# where checkpoints keep the part that denoises, and where a component file has it
_PLACES = ("", "model.diffusion_model.", "state_dict.model.diffusion_model.", "unet.", "transformer.")
_CROSS = "transformer_blocks.0.attn2.to_k.weight"  # its width is that of the text encoder
_PARTS = {
    "model.diffusion_model.": "denoiser", "first_stage_model.": "VAE", "cond_stage_model.": "text encoder",
    "conditioner.embedders.": "text encoders", "text_encoders.": "text encoders", "vae.": "VAE",
}  # fmt: skip


def recognise(tensors: Tensors, metadata: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    """A few words, such as ``llama (LlamaForCausalLM)`` or ``Stable Diffusion XL: denoiser, VAE, text encoders``."""
    return (
        _language(metadata, config)
        or _original(tensors)
        or _lora(tensors)
        or _diffusion(tensors)
        or _component(tensors)
    )


def _language(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    if not config.get("architectures") and "general.architecture" not in metadata:
        return None
    try:
        if config.get("architectures"):
            return f"{registry.by_config(config).name} ({config['architectures'][0]})"
        return registry.by_metadata(metadata).name
    except UnsupportedError:
        return None


def _original(tensors: Tensors) -> str | None:
    count = slices(tensors)
    return f"llama (Meta's own layout, {count:,} slice{'s' * (count > 1)})" if count else None


def _diffusion(tensors: Tensors) -> str | None:
    for place in _PLACES:
        name = _denoiser(tensors, place)
        if name is not None:
            found = dict.fromkeys(part for prefix, part in _PARTS.items() if _has(tensors, prefix))
            return f"{name}: {', '.join(found) or 'denoiser only'}"
    return None


def _denoiser(tensors: Tensors, place: str) -> str | None:
    def width(name: str) -> int:
        tensor = tensors.get(place + name)
        return tensor.shape[-1] if tensor is not None and tensor.shape else 0

    first = width(f"input_blocks.1.1.{_CROSS}") or width(f"down_blocks.0.attentions.0.{_CROSS}")
    later = width(f"input_blocks.4.1.{_CROSS}") or width(f"down_blocks.1.attentions.0.{_CROSS}")
    if first in (768, 1024):
        return "Stable Diffusion 1" if first == 768 else "Stable Diffusion 2"
    if not first and later in (1280, 2048):
        return "Stable Diffusion XL" if later == 2048 else "Stable Diffusion XL refiner"
    if width("joint_blocks.0.x_block.attn.qkv.weight") or width("transformer_blocks.0.attn.add_q_proj.weight"):
        single = width("single_transformer_blocks.0.attn.to_q.weight")
        return "Flux" if single else "Stable Diffusion 3"
    if width("double_blocks.0.img_attn.qkv.weight"):
        return "Flux"
    return None


def _component(tensors: Tensors) -> str | None:
    if "encoder.conv_in.weight" in tensors and "decoder.conv_out.weight" in tensors:
        return "VAE of a diffusion model"
    if "text_model.encoder.layers.0.self_attn.q_proj.weight" in tensors:
        return "CLIP text encoder"
    return None


def _has(tensors: Tensors, prefix: str) -> bool:
    return any(name.startswith((prefix, f"state_dict.{prefix}")) for name in tensors)


def lora_dialect(tensors: Tensors) -> str | None:
    """``kohya``, ``peft``, ``diffusers`` or ``original``: whose names the low-rank pairs have."""
    for name in tensors:
        if name.startswith(("lora_unet_", "lora_te")):
            return "kohya"
        if ".lora_A." in name or name.endswith((".lora_A", ".lora_B")):
            return "peft"
        if name.endswith(("_lora.down.weight", "_lora.up.weight", ".lora.down.weight", ".lora.up.weight")):
            return "diffusers"
        if name.startswith(("unet:", "text_encoder:")) and name.endswith((":up", ":down")):
            return "original"
    return None


def _lora(tensors: Tensors) -> str | None:
    dialect = lora_dialect(tensors)
    if dialect is None:
        return None
    down = (".lora_down.weight", ".lora_A.weight", ".lora_A.default.weight", "lora.down.weight", ":down")
    ranks = sorted({t.shape[0] for n, t in tensors.items() if n.endswith(down) and t.shape})
    shown = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {ranks[0]} to {ranks[-1]}" if ranks else "no pairs"
    return f"LoRA, {dialect} names, {shown}"
