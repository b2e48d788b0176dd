"""granite: llama with multipliers on embeddings, attention, residuals and logits."""

from dataclasses import replace

from modelglot.families import llama
from modelglot.families.family import Key
from modelglot.families.hyperparameters import VOCAB, without

FAMILY = replace(
    llama.FAMILY,
    name="granite",
    arch="granite",
    models=("GraniteForCausalLM",),
    model_type="granite",
    keys=(
        *without("attention.key_length", "attention.value_length"),
        VOCAB,
        Key("rope.dimension_count", "u32", (), lambda c: c["hidden_size"] // c["num_attention_heads"]),
        Key("attention.scale", "f32", ("attention_multiplier",)),
        Key("embedding_scale", "f32", ("embedding_multiplier",)),
        Key("residual_scale", "f32", ("residual_multiplier",)),
        Key("logit_scale", "f32", ("logits_scaling",)),
    ),
    defaults={
        "num_key_value_heads": lambda c: c["num_attention_heads"],
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "max_position_embeddings": 2048,
    },
)
