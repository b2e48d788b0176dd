"""qwen2 and qwen2.5: llama's layers with biases on Q, K and V, and rotary halves left as they are."""

from modelglot.families import llama
from modelglot.families.family import Family
from modelglot.families.hyperparameters import without

FAMILY = Family(
    name="qwen2",
    arch="qwen2",
    models=("Qwen2ForCausalLM", "Qwen2Model"),
    model_type="qwen2",
    rules=(*llama.LAYERS, *llama.PLAIN_QK, *llama.FEED_FORWARD),
    keys=without("attention.key_length", "attention.value_length"),
    defaults={
        "num_key_value_heads": 32,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "max_position_embeddings": 32768,
    },
    fixed={"hidden_act": "silu", "use_sliding_window": False},
    ignore=llama.DERIVED,
    sentencepiece=False,
)
