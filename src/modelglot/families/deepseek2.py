"""deepseek 2: K and V from one small vector a token, of which GGUF keeps the two halves apart; experts."""

from __future__ import annotations

from typing import Any

from modelglot.core.model import Model
from modelglot.families import llama, rope
from modelglot.families.family import Config, Family, Key, rule
from modelglot.families.hyperparameters import COMMON, EXPERT_WIDTH, KEY_LENGTH, KV_HEADS, VALUE_LENGTH, VOCAB, named
from modelglot.families.qwen2moe import EXPERTS
from modelglot.families.transforms import KeyValue

_GATES = {1: "softmax", 2: "sigmoid"}


def _multiplier(config: Config) -> float | None:
    scale = rope.parameters(config).get("mscale_all_dim")
    return None if scale is None else 0.1 * scale


def _leading(config: Config) -> int:
    """Layers without experts."""
    given = config.get("first_k_dense_replace")
    if given is None:
        return 0 if config.get("n_routed_experts") is not None else int(config["num_hidden_layers"])
    return int(given)


def _dropped(name: str, config: Config) -> str | None:
    """Layers behind the last, which guess further tokens."""
    parts = name.split(".")
    if parts[:2] == ["model", "layers"] and parts[2].isdecimal() and int(parts[2]) >= config["num_hidden_layers"]:
        return "llama.cpp predicts one token at a time"
    return None


def finish(made: dict[str, Any], model: Model) -> None:
    """Sizes of heads from their sums, and the scale of attention, which is kept with the rotary positions."""
    made["num_key_value_heads"] = made["num_attention_heads"]
    made["qk_nope_head_dim"] = made.pop("key") - made["qk_rope_head_dim"]
    made.setdefault("q_lora_rank", None)
    made.setdefault("norm_topk_prob", False)
    multiplier = made.pop("multiplier", None)
    if multiplier is not None and "rope_scaling" in made:
        made["rope_scaling"] |= dict.fromkeys(("mscale", "mscale_all_dim"), round(multiplier * 10, 6))
    made["attention_bias"] = "blk.0.attn_kv_a_mqa.bias" in model.tensors


def _key(key: Key) -> Key:
    changed = {
        KV_HEADS: lambda _: 1,  # what attention comes to once K and V are taken apart
        KEY_LENGTH: lambda c: c["kv_lora_rank"] + c["qk_rope_head_dim"],
        VALUE_LENGTH: lambda c: c["kv_lora_rank"],
    }
    if key.gguf == "expert_gating_func":
        return key._replace(hf=("scoring_func", *key.hf), restore=_GATES.get)
    return key._replace(make=changed[key], restore=None) if key in changed else key


FAMILY = Family(
    name="deepseek2",
    arch="deepseek2",
    models=("DeepseekV2ForCausalLM",),
    model_type="deepseek_v2",
    rules=(
        rule("model.embed_tokens", "token_embd"),
        rule("model.norm", "output_norm"),
        rule("lm_head", "output"),
        rule("model.layers.{i}.input_layernorm", "blk.{i}.attn_norm"),
        rule("model.layers.{i}.self_attn.q_proj", "blk.{i}.attn_q"),
        rule("model.layers.{i}.self_attn.q_a_proj", "blk.{i}.attn_q_a"),
        rule("model.layers.{i}.self_attn.q_a_layernorm", "blk.{i}.attn_q_a_norm"),
        rule("model.layers.{i}.self_attn.q_b_proj", "blk.{i}.attn_q_b"),
        rule("model.layers.{i}.self_attn.kv_a_proj_with_mqa", "blk.{i}.attn_kv_a_mqa"),
        rule("model.layers.{i}.self_attn.kv_a_layernorm", "blk.{i}.attn_kv_a_norm"),
        rule(
            "model.layers.{i}.self_attn.kv_b_proj",
            "blk.{i}.attn_k_b blk.{i}.attn_v_b",
            KeyValue("num_attention_heads", "qk_nope_head_dim", "v_head_dim"),
        ),
        rule("model.layers.{i}.self_attn.o_proj", "blk.{i}.attn_output"),
        rule("model.layers.{i}.post_attention_layernorm", "blk.{i}.ffn_norm"),
        *llama.FEED_FORWARD,
        *EXPERTS,
        rule("model.layers.{i}.mlp.gate.e_score_correction_bias", "blk.{i}.exp_probs_b.bias"),
        rule("model.layers.{i}.mlp.shared_experts.gate_proj", "blk.{i}.ffn_gate_shexp"),
        rule("model.layers.{i}.mlp.shared_experts.up_proj", "blk.{i}.ffn_up_shexp"),
        rule("model.layers.{i}.mlp.shared_experts.down_proj", "blk.{i}.ffn_down_shexp"),
    ),
    keys=(
        *(_key(k) for k in named(COMMON, expert_count="n_routed_experts")),
        Key("leading_dense_block_count", "u32", ("first_k_dense_replace",), _leading),
        VOCAB,
        Key("attention.q_lora_rank", "u32", ("q_lora_rank",)),
        Key("attention.kv_lora_rank", "u32", ("kv_lora_rank",)),
        Key("attention.key_length_mla", "u32", ("key",), lambda c: c["qk_nope_head_dim"] + c["qk_rope_head_dim"]),
        Key("attention.value_length_mla", "u32", ("v_head_dim",)),
        EXPERT_WIDTH._replace(hf=("moe_intermediate_size", "intermediate_size")),
        Key("expert_shared_count", "u32", ("n_shared_experts",), lambda c: c.get("n_shared_experts") or 0),
        Key("expert_weights_scale", "f32", ("routed_scaling_factor",)),
        Key("expert_weights_norm", "bool", ("norm_topk_prob",), lambda c: c.get("norm_topk_prob") or None),
        Key("rope.dimension_count", "u32", ("qk_rope_head_dim",)),
        Key("rope.scaling.yarn_log_multiplier", "f32", ("multiplier",), _multiplier),
    ),
    defaults={"rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 2048, "kv_lora_rank": 512},
    fixed={"hidden_act": "silu"},
    ignore=llama.DERIVED,
    dropped=_dropped,
    finish=finish,
    sentencepiece=False,
)
