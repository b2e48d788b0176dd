"""gemma 2: norms that multiply by 1 + weight, four of them a layer, capped logits, every other layer with a window."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelglot.core.metadata import Entry
from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.families import llama
from modelglot.families.family import Config, Family, Key, rule
from modelglot.families.hyperparameters import (
    BLOCKS,
    CONTEXT,
    FEED_FORWARD,
    HEADS,
    KEY_LENGTH,
    KV_HEADS,
    RMS_EPS,
    TYPE,
    VALUE_LENGTH,
    WIDTH,
    WINDOW,
)
from modelglot.families.transforms import Shift

FINAL_CAP = Key("final_logit_softcapping", "f32", ("final_logit_softcapping",))
RULES = (
    rule("model.embed_tokens", "token_embd"),
    rule("model.norm", "output_norm", Shift(1.0)),
    rule("model.layers.{i}.input_layernorm", "blk.{i}.attn_norm", Shift(1.0)),
    *llama.PLAIN_QK,
    rule("model.layers.{i}.self_attn.v_proj", "blk.{i}.attn_v"),
    rule("model.layers.{i}.self_attn.o_proj", "blk.{i}.attn_output"),
    rule("model.layers.{i}.post_attention_layernorm", "blk.{i}.post_attention_norm", Shift(1.0)),
    rule("model.layers.{i}.pre_feedforward_layernorm", "blk.{i}.ffn_norm", Shift(1.0)),
    rule("model.layers.{i}.post_feedforward_layernorm", "blk.{i}.post_ffw_norm", Shift(1.0)),
    *llama.FEED_FORWARD,
)
FIXED = {"hidden_activation": "gelu_pytorch_tanh", "attention_bias": False}
_LARGEST = 46  # layers of the model whose attention is scaled by its width, as llama.cpp knows it


def scalar(config: Any) -> int:
    """What llama.cpp takes for ``query_pre_attn_scalar``, for which GGUF has no key."""
    if config["num_hidden_layers"] == _LARGEST:
        return int(config["hidden_size"]) // int(config["num_attention_heads"])
    return int(config["head_dim"])


def losses(config: Config) -> Iterable[Loss]:
    given, wanted = config.get("query_pre_attn_scalar"), scalar(config)
    if given is not None and given != wanted:
        text = f"`query_pre_attn_scalar` {given}: GGUF has no key for it, and llama.cpp takes {wanted}"
        yield Loss("attention-scale", text, stops=False)
    yield from own_output(config)


def own_output(config: Config) -> Iterable[Loss]:
    """An output matrix that is not the embedding, where llama.cpp knows none."""
    if config.get("tie_word_embeddings") is False:
        yield Loss("output", "an output matrix of its own: llama.cpp takes the embedding for it", stops=False)


def _finish(made: dict[str, Any], model: Model) -> None:
    made["query_pre_attn_scalar"] = scalar(made)


FAMILY = Family(
    name="gemma2",
    arch="gemma2",
    models=("Gemma2ForCausalLM",),
    model_type="gemma2",
    rules=RULES,
    keys=(
        CONTEXT,
        WIDTH,
        BLOCKS,
        FEED_FORWARD,
        HEADS,
        KV_HEADS,
        RMS_EPS,
        KEY_LENGTH,
        VALUE_LENGTH,
        TYPE,
        Key("attn_logit_softcapping", "f32", ("attn_logit_softcapping",)),
        FINAL_CAP,
        WINDOW,
    ),
    defaults={
        "num_key_value_heads": 4,
        "head_dim": 256,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 8192,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "sliding_window": 4096,
    },
    fixed={**FIXED, "rope_theta": 10000.0},
    ignore=(*llama.DERIVED, "lm_head.weight"),
    finish=_finish,
    entries=lambda config: {"tokenizer.ggml.add_space_prefix": Entry(False, "bool")},
    losses=losses,
)
