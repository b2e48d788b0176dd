"""qwen3: llama's layers with norms on every head's query and key, and rotary halves left as they are."""

from modelglot.families import llama
from modelglot.families.family import Family, rule
from modelglot.families.hyperparameters import COMMON

HEAD_NORMS = (
    rule("model.layers.{i}.self_attn.q_norm", "blk.{i}.attn_q_norm"),
    rule("model.layers.{i}.self_attn.k_norm", "blk.{i}.attn_k_norm"),
)
DEFAULTS = {
    "num_key_value_heads": 32,
    "head_dim": 128,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "max_position_embeddings": 32768,
}

FAMILY = Family(
    name="qwen3",
    arch="qwen3",
    models=("Qwen3ForCausalLM", "Qwen3Model"),
    model_type="qwen3",
    rules=(*llama.LAYERS, *llama.PLAIN_QK, *HEAD_NORMS, *llama.FEED_FORWARD),
    keys=COMMON,
    defaults=DEFAULTS,
    fixed={"hidden_act": "silu", "use_sliding_window": False, "attention_bias": False},
    ignore=llama.DERIVED,
    sentencepiece=False,
)
