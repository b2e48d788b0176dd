"""phi 3 and phi 4: Q, K and V in one matrix, gate and up in another; long contexts by a factor for each frequency."""

from __future__ import annotations

import math
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
    RMS_EPS,
    TYPE,
    WIDTH,
    shortest,
)

_LONG, _SHORT = "rope_factors_long.weight", "rope_factors_short.weight"


def _rotary(config: Config) -> int:
    share = rope.parameters(config).get("partial_rotary_factor", 1.0)
    return int(share * config["hidden_size"]) // int(config["num_attention_heads"])


def _original(config: Config) -> Any:
    return rope.parameters(config).get("original_max_position_embeddings")


def _factors(config: Config) -> dict[str, list[float]]:
    given = rope.parameters(config)
    return {_LONG: given["long_factor"], _SHORT: given["short_factor"]} if given.get("long_factor") else {}


def _attention(config: Config) -> float | None:
    """What attention is multiplied by in a context that was made longer."""
    given = rope.parameters(config)
    if not given.get("long_factor"):
        return None
    scale = config["max_position_embeddings"] / _original(config)
    if scale <= 1:
        return 1.0
    if given.get("rope_type") == "yarn":
        return 0.1 * math.log(scale) + 1
    return math.sqrt(1 + math.log(scale) / math.log(_original(config)))


def _finish(made: dict[str, Any], model: Model) -> None:
    long, short = made.pop(f"/{_LONG}", None), made.pop(f"/{_SHORT}", None)
    share = made.pop("rotary", 0) * made["num_attention_heads"] / made["hidden_size"]
    made |= {"partial_rotary_factor": share} if share not in (0, 1) else {}
    made["sliding_window"] = made.get("sliding_window") or None
    if long and short:
        made["rope_scaling"] = {
            "rope_type": "longrope",
            "long_factor": [shortest(v) for v in long],
            "short_factor": [shortest(v) for v in short],
            "original_max_position_embeddings": made["original_max_position_embeddings"],
        }


FAMILY = Family(
    name="phi3",
    arch="phi3",
    models=("Phi3ForCausalLM",),
    model_type="phi3",
    rules=(
        rule("model.embed_tokens", "token_embd"),
        rule("model.norm", "output_norm"),
        rule("lm_head", "output"),
        rule("model.layers.{i}.input_layernorm", "blk.{i}.attn_norm"),
        rule("model.layers.{i}.self_attn.qkv_proj", "blk.{i}.attn_qkv"),
        rule("model.layers.{i}.self_attn.o_proj", "blk.{i}.attn_output"),
        rule("model.layers.{i}.post_attention_layernorm", "blk.{i}.ffn_norm"),
        rule("model.layers.{i}.mlp.gate_up_proj", "blk.{i}.ffn_up"),
        rule("model.layers.{i}.mlp.down_proj", "blk.{i}.ffn_down"),
    ),
    keys=(
        CONTEXT,
        Key("rope.scaling.original_context_length", "u32", ("original_max_position_embeddings",), _original),
        WIDTH,
        FEED_FORWARD,
        BLOCKS,
        HEADS,
        KV_HEADS,
        RMS_EPS,
        Key("rope.dimension_count", "u32", ("rotary",), _rotary),
        Key("rope.freq_base", "f32", ("rope_theta",), lambda c: rope.parameters(c).get("rope_theta")),
        TYPE,
        Key("attention.sliding_window", "u32", ("sliding_window",), lambda c: c.get("sliding_window") or 0),
        Key("rope.scaling.attn_factor", "f32", (), _attention),
    ),
    defaults={
        "num_key_value_heads": lambda c: c["num_attention_heads"],
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 4096,
        "original_max_position_embeddings": 4096,
    },
    fixed={"hidden_act": "silu"},
    ignore=llama.DERIVED,
    extra=_factors,
    derived=(_LONG, _SHORT),
    finish=_finish,
)
