"""Command-R: attention and feed-forward beside one another after one norm, logits times a scale."""

from __future__ import annotations

from typing import Any

from modelglot.core.model import Model
from modelglot.families import gemma2, llama
from modelglot.families.family import Family, Key, rule
from modelglot.families.hyperparameters import COMMON, CONTEXT
from modelglot.families.qwen3 import HEAD_NORMS

RULES = (
    rule("model.embed_tokens", "token_embd"),
    rule("model.norm", "output_norm"),
    rule("model.layers.{i}.input_layernorm", "blk.{i}.attn_norm"),
    *llama.PLAIN_QK,
    rule("model.layers.{i}.self_attn.v_proj", "blk.{i}.attn_v"),
    rule("model.layers.{i}.self_attn.o_proj", "blk.{i}.attn_output"),
    *llama.FEED_FORWARD,
)
SCALE = Key("logit_scale", "f32", ("logit_scale",))
UNSCALED = Key("rope.scaling.type", "str", (), lambda _: "none")


def _finish(made: dict[str, Any], model: Model) -> None:
    made["use_qk_norm"] = "blk.0.attn_q_norm.weight" in model.tensors
    made["attention_bias"] = "blk.0.attn_q.bias" in model.tensors


FAMILY = Family(
    name="cohere",
    arch="command-r",
    models=("CohereForCausalLM",),
    model_type="cohere",
    rules=(*RULES, *HEAD_NORMS),
    keys=(
        *(k if k is not CONTEXT else CONTEXT._replace(make=lambda c: c.first("model_max_length", *CONTEXT.hf))
          for k in COMMON),
        SCALE,
        UNSCALED,
    ),
    defaults={
        "num_key_value_heads": lambda c: c["num_attention_heads"],
        "layer_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 8192,
        "logit_scale": 0.0625,
        "tie_word_embeddings": True,
    },
    fixed={"hidden_act": "silu"},
    ignore=(*llama.DERIVED, "lm_head.weight"),
    finish=_finish,
    losses=gemma2.own_output,
    sentencepiece=False,
)  # fmt: skip
