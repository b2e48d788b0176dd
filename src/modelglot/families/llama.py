"""llama 1 to 3, mistral, mixtral, smollm and what shares their layers: GGUF knows all of them as ``llama``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelglot.core.metadata import Entry
from modelglot.families import rope
from modelglot.families.family import Config, Family, rule
from modelglot.families.hyperparameters import COMMON, ROPE_DIMENSIONS, VOCAB
from modelglot.families.transforms import RopeRows, Stack

LAYERS = (
    rule("model.embed_tokens", "token_embd"),
    rule("model.norm", "output_norm"),
    rule("lm_head", "output"),
    rule("model.layers.{i}.input_layernorm", "blk.{i}.attn_norm"),
    rule("model.layers.{i}.self_attn.v_proj", "blk.{i}.attn_v"),
    rule("model.layers.{i}.self_attn.o_proj", "blk.{i}.attn_output"),
    rule("model.layers.{i}.post_attention_layernorm", "blk.{i}.ffn_norm"),
)
FEED_FORWARD = (
    rule("model.layers.{i}.mlp.gate_proj", "blk.{i}.ffn_gate"),
    rule("model.layers.{i}.mlp.up_proj", "blk.{i}.ffn_up"),
    rule("model.layers.{i}.mlp.down_proj", "blk.{i}.ffn_down"),
)
PLAIN_QK = (
    rule("model.layers.{i}.self_attn.q_proj", "blk.{i}.attn_q"),
    rule("model.layers.{i}.self_attn.k_proj", "blk.{i}.attn_k"),
)
TURNED_QK = (
    rule("model.layers.{i}.self_attn.q_proj", "blk.{i}.attn_q", RopeRows("num_attention_heads")),
    rule("model.layers.{i}.self_attn.k_proj", "blk.{i}.attn_k", RopeRows("num_key_value_heads")),
)
EXPERTS = (
    rule("model.layers.{i}.block_sparse_moe.gate", "blk.{i}.ffn_gate_inp"),
    rule("model.layers.{i}.block_sparse_moe.experts.{e}.w1", "blk.{i}.ffn_gate_exps", Stack()),
    rule("model.layers.{i}.block_sparse_moe.experts.{e}.w2", "blk.{i}.ffn_down_exps", Stack()),
    rule("model.layers.{i}.block_sparse_moe.experts.{e}.w3", "blk.{i}.ffn_up_exps", Stack()),
)
DERIVED = ("*.rotary_emb.inv_freq", "*.attn.masked_bias", "*.attention.masked_bias")


def _factors(config: Config) -> dict[str, list[float]]:
    made = rope.llama3_factors(config)
    return {"rope_freqs.weight": made} if made else {}


def _finish(made: dict[str, Any], metadata: Mapping[str, Any]) -> None:
    factors = made.pop("/rope_freqs.weight", None)
    if factors:
        made["rope_scaling"] = rope.llama3_scaling(factors, made["rope_theta"], made["max_position_embeddings"])
    if "num_local_experts" in made:
        made |= {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral"}
    elif "sliding_window" in made:
        made |= {"architectures": ["MistralForCausalLM"], "model_type": "mistral"}


def _entries(config: Config) -> dict[str, Entry]:
    """What two published vocabularies need: CodeLlama's infill tokens, no leading token for smollm and granite."""
    size = config.get("vocab_size")
    if size == 32016:
        ids = {"prefix": 32007, "suffix": 32008, "middle": 32009, "eot": 32010}
        return {f"tokenizer.ggml.{name}_token_id": Entry(number, "u32") for name, number in ids.items()}
    return {"tokenizer.ggml.add_bos_token": Entry(False, "bool")} if size == 49152 else {}


DEFAULTS = {
    "num_key_value_heads": lambda c: c["num_attention_heads"],
    "head_dim": lambda c: c["hidden_size"] // c["num_attention_heads"],
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
}

FAMILY = Family(
    name="llama",
    arch="llama",
    models=("LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM", "MixtralForCausalLM", "LlamaModel"),
    model_type="llama",
    rules=(*LAYERS, *TURNED_QK, *FEED_FORWARD, *EXPERTS),
    keys=(*COMMON, VOCAB, ROPE_DIMENSIONS),
    defaults=DEFAULTS,
    fixed={"hidden_act": "silu"},
    ignore=DERIVED,
    extra=_factors,
    derived=("rope_freqs.weight",),
    finish=_finish,
    entries=_entries,
)
