"""falcon: Q, K and V in one matrix, group by group in Hugging Face; 7B has one norm a layer, 40B has two."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.families.family import Config, Family, Key, rule
from modelglot.families.hyperparameters import BLOCKS, HEADS, NORM_EPS, TYPE, WIDTH, named
from modelglot.families.transforms import GroupedQKV

_CONTEXT = 2048  # of all published models; config.json does not tell


def _groups(config: Config) -> int:
    if config.get("multi_query", True) and not config.get("new_decoder_architecture"):
        return 1
    return int(config.first("num_kv_heads", "n_head_kv", "num_attention_heads", "n_head"))


_QKV = GroupedQKV(_groups, lambda c: int(c.first("num_attention_heads", "n_head")))


def _finish(made: dict[str, Any], model: Model) -> None:
    groups, both = made["num_kv_heads"], "blk.0.attn_norm_2.weight" in model.tensors
    made["new_decoder_architecture"] = both or 1 < groups < made["num_attention_heads"]
    made["num_ln_in_parallel_attn"] = 2 if both else 1 if made["new_decoder_architecture"] else None
    made["multi_query"] = groups == 1 or made["new_decoder_architecture"]
    made["bias"] = "blk.0.attn_qkv.bias" in model.tensors


def _losses(config: Config) -> Iterable[Loss]:
    if config.get("alibi"):
        yield Loss("alibi", "`alibi`: llama.cpp takes rotary positions for every falcon", stops=False)


FAMILY = Family(
    name="falcon",
    arch="falcon",
    models=("FalconForCausalLM", "RWForCausalLM"),
    model_type="falcon",
    rules=(
        rule("transformer.word_embeddings", "token_embd"),
        rule("transformer.ln_f", "output_norm"),
        rule("lm_head", "output"),
        rule("transformer.h.{i}.ln_mlp transformer.h.{i}.ln_attn", "blk.{i}.attn_norm blk.{i}.attn_norm_2"),
        rule("transformer.h.{i}.input_layernorm", "blk.{i}.attn_norm"),
        rule("transformer.h.{i}.self_attention.query_key_value", "blk.{i}.attn_qkv", _QKV),
        rule("transformer.h.{i}.self_attention.dense", "blk.{i}.attn_output"),
        rule("transformer.h.{i}.mlp.dense_h_to_4h", "blk.{i}.ffn_up"),
        rule("transformer.h.{i}.mlp.dense_4h_to_h", "blk.{i}.ffn_down"),
    ),
    keys=named(
        (
            Key("context_length", "u32", ("max_position_embeddings",), lambda _: _CONTEXT),
            Key("tensor_data_layout", "str", (), lambda _: "jploski"),
            WIDTH,
            Key("feed_forward_length", "u32", (), lambda c: 4 * c["hidden_size"]),
            BLOCKS,
            HEADS,
            Key("attention.head_count_kv", "u32", ("num_kv_heads",), _groups),
            NORM_EPS,
            TYPE,
        ),
        attention__layer_norm_epsilon="layer_norm_epsilon",
    ),
    defaults={"layer_norm_epsilon": 1e-5, "tie_word_embeddings": True},
    fixed={"alibi": False, "parallel_attn": True, "rope_theta": 10000.0},
    ignore=("*.self_attention.rotary_emb.inv_freq", "*.attention.masked_bias"),
    finish=_finish,
    prefix="transformer.",
    losses=_losses,
    sentencepiece=False,
)
