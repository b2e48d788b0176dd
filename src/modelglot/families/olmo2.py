"""olmo 2: norms behind attention and feed-forward instead of before, and on the whole of Q and K."""

from modelglot.families import llama
from modelglot.families.family import Family, rule
from modelglot.families.hyperparameters import COMMON
from modelglot.families.qwen3 import HEAD_NORMS

FAMILY = Family(
    name="olmo2",
    arch="olmo2",
    models=("Olmo2ForCausalLM",),
    model_type="olmo2",
    rules=(
        rule("model.embed_tokens", "token_embd"),
        rule("model.norm", "output_norm"),
        rule("lm_head", "output"),
        *llama.PLAIN_QK,
        *HEAD_NORMS,
        rule("model.layers.{i}.self_attn.v_proj", "blk.{i}.attn_v"),
        rule("model.layers.{i}.self_attn.o_proj", "blk.{i}.attn_output"),
        rule("model.layers.{i}.post_attention_layernorm", "blk.{i}.post_attention_norm"),
        rule("model.layers.{i}.post_feedforward_layernorm", "blk.{i}.post_ffw_norm"),
        *llama.FEED_FORWARD,
    ),
    keys=COMMON,
    defaults={
        "num_key_value_heads": lambda c: c["num_attention_heads"],
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 2048,
    },
    fixed={"hidden_act": "silu", "attention_bias": False},
    ignore=llama.DERIVED,
)
