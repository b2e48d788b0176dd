"""qwen2moe: qwen2's layers with experts, and one that is always asked, behind a gate of its own."""

from modelglot.families import llama
from modelglot.families.family import Family, Key, rule
from modelglot.families.hyperparameters import COMMON, EXPERT_WIDTH, named
from modelglot.families.transforms import Cut, Stack

EXPERTS = (
    rule("model.layers.{i}.mlp.gate", "blk.{i}.ffn_gate_inp"),
    rule("model.layers.{i}.mlp.experts.{e}.gate_proj", "blk.{i}.ffn_gate_exps", Stack()),
    rule("model.layers.{i}.mlp.experts.{e}.up_proj", "blk.{i}.ffn_up_exps", Stack()),
    rule("model.layers.{i}.mlp.experts.{e}.down_proj", "blk.{i}.ffn_down_exps", Stack()),
    # all experts in one, as transformers 5 holds them in memory
    rule(
        "model.layers.{i}.mlp.experts.gate_up_proj",
        "blk.{i}.ffn_gate_exps.weight blk.{i}.ffn_up_exps.weight",
        Cut(axis=1),
        only=lambda _: False,
    ),
    rule("model.layers.{i}.mlp.experts.down_proj", "blk.{i}.ffn_down_exps.weight", only=lambda _: False),
)

FAMILY = Family(
    name="qwen2moe",
    arch="qwen2moe",
    models=("Qwen2MoeForCausalLM",),
    model_type="qwen2_moe",
    rules=(
        *llama.LAYERS,
        *llama.PLAIN_QK,
        *EXPERTS,
        rule("model.layers.{i}.mlp.shared_expert.gate_proj", "blk.{i}.ffn_gate_shexp"),
        rule("model.layers.{i}.mlp.shared_expert.up_proj", "blk.{i}.ffn_up_shexp"),
        rule("model.layers.{i}.mlp.shared_expert.down_proj", "blk.{i}.ffn_down_shexp"),
        rule("model.layers.{i}.mlp.shared_expert_gate", "blk.{i}.ffn_gate_inp_shexp"),
    ),
    keys=(
        *named(COMMON, expert_count="num_experts"),
        EXPERT_WIDTH,
        Key("expert_shared_feed_forward_length", "u32", ("shared_expert_intermediate_size",)),
    ),
    defaults={
        "num_key_value_heads": 16,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "max_position_embeddings": 32768,
        "num_experts": lambda c: c.get("num_local_experts", 60),
        "num_experts_per_tok": 4,
        "moe_intermediate_size": 1408,
        "shared_expert_intermediate_size": 5632,
    },
    fixed={"hidden_act": "silu", "use_sliding_window": False, "norm_topk_prob": False, "decoder_sparse_step": 1},
    ignore=llama.DERIVED,
    sentencepiece=False,
)
