"""qwen3moe: qwen3's layers with experts."""

from modelglot.families import llama, qwen3
from modelglot.families.family import Family
from modelglot.families.hyperparameters import COMMON, EXPERT_WIDTH, named
from modelglot.families.qwen2moe import EXPERTS

FAMILY = Family(
    name="qwen3moe",
    arch="qwen3moe",
    models=("Qwen3MoeForCausalLM",),
    model_type="qwen3_moe",
    rules=(*llama.LAYERS, *llama.PLAIN_QK, *qwen3.HEAD_NORMS, *EXPERTS),
    keys=(*named(COMMON, expert_count="num_experts"), EXPERT_WIDTH),
    defaults={
        "num_key_value_heads": 4,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "max_position_embeddings": 32768,
        "num_experts": lambda c: c.get("num_local_experts", 128),
        "num_experts_per_tok": 8,
        "moe_intermediate_size": 768,
    },
    fixed={
        "hidden_act": "silu",
        "use_sliding_window": False,
        "norm_topk_prob": True,
        "decoder_sparse_step": 1,
        "attention_bias": False,
    },
    ignore=llama.DERIVED,
    sentencepiece=False,
)
