"""llama 1 to 3, mistral, smollm and what shares their layers: GGUF knows all of them as ``llama``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelglot.core.metadata import Entry
from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.families import rope
from modelglot.families.family import Config, Family, rule
from modelglot.families.hyperparameters import COMMON, ROPE_DIMENSIONS, VOCAB
from modelglot.families.transforms import RopeRows

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
DERIVED = ("*.rotary_emb.inv_freq", "*.attn.masked_bias", "*.attention.masked_bias")


def _factors(config: Config) -> dict[str, list[float]]:
    made = rope.llama3_factors(config)
    return {"rope_freqs.weight": made} if made else {}


def _finish(made: dict[str, Any], model: Model) -> None:
    factors = made.pop("/rope_freqs.weight", None)
    if factors:
        made["rope_scaling"] = rope.llama3_scaling(factors, made["rope_theta"], made["head_dim"])
    made["attention_bias"] = "blk.0.attn_q.bias" in model.tensors
    made["mlp_bias"] = "blk.0.ffn_up.bias" in model.tensors


def losses(config: Config) -> Iterable[Loss]:
    window = config.get("sliding_window")
    if window and window < config.get("max_position_embeddings", 0):
        text = f"`sliding_window` {window:,}: GGUF has no key for it here, and llama.cpp attends to the whole text"
        yield Loss("sliding-window", text, stops=False)


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
    models=("LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM", "LlamaModel"),
    model_type="llama",
    rules=(*LAYERS, *TURNED_QK, *FEED_FORWARD),
    keys=(*COMMON, VOCAB, ROPE_DIMENSIONS),
    defaults=DEFAULTS,
    fixed={"hidden_act": "silu"},
    ignore=DERIVED,
    extra=_factors,
    derived=("rope_freqs.weight",),
    finish=_finish,
    entries=_entries,
    losses=losses,
)
