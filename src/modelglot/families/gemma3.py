"""gemma 3, the text model: gemma 2's layers without caps, with norms on heads and two bases of rotary positions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.families import gemma2
from modelglot.families.family import Config, rule
from modelglot.families.hyperparameters import COMMON, WINDOW
from modelglot.families.transforms import Shift

_EVERY = 6  # the layer that sees the whole text, as llama.cpp has it fixed


def _losses(config: Config) -> Iterable[Loss]:
    yield from gemma2.losses(config)
    kinds = config.get("layer_types")
    wanted = ["sliding_attention" if (n + 1) % _EVERY else "full_attention" for n in range(len(kinds or ()))]
    if kinds and kinds != wanted:
        yield Loss("layer-types", "`layer_types`: llama.cpp gives every sixth layer the whole text", stops=False)


def _finish(made: dict[str, Any], model: Model) -> None:
    made["query_pre_attn_scalar"] = gemma2.scalar(made)
    local = made.pop("rope_local_base_freq", 10000.0)
    scaling = made.pop("rope_scaling", {"rope_type": "default"})
    made["rope_parameters"] = {
        "full_attention": {**scaling, "rope_theta": made.pop("rope_theta", 1e6)},
        "sliding_attention": {"rope_type": "default", "rope_theta": local},
    }


FAMILY = replace(
    gemma2.FAMILY,
    name="gemma3",
    arch="gemma3",
    models=("Gemma3ForCausalLM",),
    model_type="gemma3_text",
    rules=(
        *gemma2.RULES,
        rule("model.layers.{i}.self_attn.q_norm", "blk.{i}.attn_q_norm", Shift(1.0)),
        rule("model.layers.{i}.self_attn.k_norm", "blk.{i}.attn_k_norm", Shift(1.0)),
    ),
    keys=(*COMMON, gemma2.FINAL_CAP, WINDOW),
    defaults={
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 131072,
        "rope_theta": 1e6,
        "rope_local_base_freq": 10000.0,
        "sliding_window": 4096,
    },
    fixed=gemma2.FIXED,
    finish=_finish,
    losses=_losses,
)
