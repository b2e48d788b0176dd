"""Module paths that kohya's names write with underscores for dots: put apart again by the words that modules have."""

from __future__ import annotations

import re
from functools import lru_cache

from modelglot.core.errors import UnsupportedError, printable

_TEXT = """
down_blocks up_blocks mid_block attentions resnets transformer_blocks single_transformer_blocks downsamplers upsamplers
attn attn1 attn2 to_q to_k to_v to_out add_q_proj add_k_proj add_v_proj to_add_out ff ff_context net proj proj_in
proj_out proj_mlp conv1 conv2 conv conv_in conv_out conv_shortcut time_emb_proj time_embedding linear_1 linear_2
add_embedding text_model encoder layers self_attn q_proj k_proj v_proj out_proj mlp fc1 fc2 input_blocks output_blocks
middle_block emb_layers in_layers out_layers skip_connection op norm norm1 norm1_context linear context_embedder
x_embedder time_text_embed timestep_embedder text_embedder guidance_embedder double_blocks single_blocks img_attn
txt_attn img_mlp txt_mlp img_mod txt_mod qkv linear1 linear2 modulation lin text_projection embeddings token_embedding
position_embedding final_layer_norm layer_norm1 layer_norm2 time_embed label_emb
"""
_WORDS = frozenset(_TEXT.split())
_LONGEST = max(word.count("_") for word in _WORDS) + 1

_RESNET = {"in_layers.2": "conv1", "out_layers.3": "conv2", "emb_layers.1": "time_emb_proj",
           "skip_connection": "conv_shortcut", "in_layers.0": "norm1", "out_layers.0": "norm2"}  # fmt: skip
_BLOCK = re.compile(r"(input_blocks|middle_block|output_blocks)\.(\d+)(?:\.(\d+))?(?:\.(.*))?$")


def unflattened(flat: str) -> str:
    """``down_blocks_0_attentions_1_to_k`` as ``down_blocks.0.attentions.1.to_k``, in diffusers' names.

    Raises UnsupportedError for a word that no known module has.
    """
    path = _split(tuple(flat.split("_")))
    if path is None:
        raise UnsupportedError(f"the module {printable(flat, code=True)} is none that is known here")
    return _diffusers(".".join(path))


@lru_cache(maxsize=65536)
def _split(pieces: tuple[str, ...]) -> tuple[str, ...] | None:
    """The longest words first; another cut where the rest does not fit."""
    if not pieces:
        return ()
    for count in range(min(_LONGEST, len(pieces)), 0, -1):
        word = "_".join(pieces[:count])
        if word in _WORDS or (count == 1 and word.isdecimal()):
            rest = _split(pieces[count:])
            if rest is not None:
                return (word, *rest)
    return None


def _diffusers(path: str) -> str:
    """Blocks of the original UNet, which has two layers and a change of size in each, under diffusers' names."""
    fits = _BLOCK.match(path)
    if not fits:
        return path
    kind, first, second, rest = fits[1], int(fits[2]), fits[3], fits[4]
    if kind == "middle_block":
        inner = ".".join(p for p in (second, rest) if p)
        return "mid_block." + ("attentions.0." + inner if first == 1 else f"resnets.{first // 2}." + _resnet(inner))
    number = first - 1 if kind == "input_blocks" else first
    block, layer = divmod(number, 3)
    side = "down_blocks" if kind == "input_blocks" else "up_blocks"
    if number < 0:
        return "conv_in"
    if rest in ("op", "conv") or (second == "0" and rest == "op"):
        return f"{side}.{block}.{'downsamplers' if side == 'down_blocks' else 'upsamplers'}.0.conv"
    if second == "0":
        return f"{side}.{block}.resnets.{layer}.{_resnet(rest or '')}"
    return f"{side}.{block}.attentions.{layer}.{rest}"


def _resnet(inner: str) -> str:
    return _RESNET.get(inner, inner)
