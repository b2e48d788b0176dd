"""glm 4 of 2025 (GLM-4-0414): glm with norms behind attention and feed-forward too."""

from dataclasses import replace

from modelglot.families import glm
from modelglot.families.family import Key, rule
from modelglot.families.hyperparameters import COMMON

FAMILY = replace(
    glm.FAMILY,
    name="glm4",
    arch="glm4",
    models=("Glm4ForCausalLM",),
    model_type="glm4",
    rules=(
        *glm.RULES,
        rule("model.layers.{i}.post_self_attn_layernorm", "blk.{i}.post_attention_norm"),
        rule("model.layers.{i}.post_mlp_layernorm", "blk.{i}.post_ffw_norm"),
    ),
    keys=(*COMMON, Key("rope.dimension_count", "u32", ("rotary",), glm.rotary)),
    tokens={**glm.TOKENS, "bos": "<|endoftext|>"},
)
