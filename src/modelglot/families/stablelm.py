"""stablelm 1 and 2: layer norms, rotary positions on a part of each head, in the larger one norms a head."""

from __future__ import annotations

from typing import Any

from modelglot.core.model import Model
from modelglot.families import llama, rope
from modelglot.families.family import Config, Family, Key, rule
from modelglot.families.hyperparameters import (
    BLOCKS,
    CONTEXT,
    FEED_FORWARD,
    HEADS,
    KV_HEADS,
    NORM_EPS,
    TYPE,
    WIDTH,
)
from modelglot.families.transforms import Stack


def _rotary(config: Config) -> int:
    share = rope.parameters(config).get("partial_rotary_factor", 0.25)
    return int(share * (config["hidden_size"] // config["num_attention_heads"]))


def _finish(made: dict[str, Any], model: Model) -> None:
    head = made["hidden_size"] // made["num_attention_heads"]
    made["partial_rotary_factor"] = made.pop("rotary") / head
    made["use_qkv_bias"] = "blk.0.attn_q.bias" in model.tensors
    made["qk_layernorm"] = "blk.0.attn_q_norm.weight" in model.tensors


FAMILY = Family(
    name="stablelm",
    arch="stablelm",
    models=("StableLmForCausalLM", "StableLMEpochForCausalLM"),
    model_type="stablelm",
    rules=(
        *llama.LAYERS,
        *llama.PLAIN_QK,
        rule("model.layers.{i}.self_attn.q_layernorm.norms.{e}", "blk.{i}.attn_q_norm", Stack()),
        rule("model.layers.{i}.self_attn.k_layernorm.norms.{e}", "blk.{i}.attn_k_norm", Stack()),
        *llama.FEED_FORWARD,
    ),
    keys=(
        CONTEXT,
        WIDTH,
        BLOCKS,
        FEED_FORWARD,
        Key("rope.dimension_count", "u32", ("rotary",), _rotary),
        HEADS,
        KV_HEADS,
        Key("use_parallel_residual", "bool", ("use_parallel_residual",)),
        NORM_EPS,
        TYPE,
    ),
    defaults={
        "num_key_value_heads": lambda c: c["num_attention_heads"],
        "layer_norm_eps": lambda c: c.get("norm_eps", 1e-5),
        "use_parallel_residual": True,
    },
    fixed={"hidden_act": "silu", "rope_theta": 10000.0},
    ignore=llama.DERIVED,
    finish=_finish,
    sentencepiece=False,
)
