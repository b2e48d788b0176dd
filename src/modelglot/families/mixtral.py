"""mixtral: llama's layers with experts, one tensor each in Hugging Face and one for all of them in GGUF."""

from dataclasses import replace

from modelglot.families import llama
from modelglot.families.family import rule
from modelglot.families.transforms import Stack

EXPERTS = (
    rule("model.layers.{i}.block_sparse_moe.gate", "blk.{i}.ffn_gate_inp"),
    rule("model.layers.{i}.block_sparse_moe.experts.{e}.w1", "blk.{i}.ffn_gate_exps", Stack()),
    rule("model.layers.{i}.block_sparse_moe.experts.{e}.w2", "blk.{i}.ffn_down_exps", Stack()),
    rule("model.layers.{i}.block_sparse_moe.experts.{e}.w3", "blk.{i}.ffn_up_exps", Stack()),
)

FAMILY = replace(
    llama.FAMILY,
    name="mixtral",
    models=("MixtralForCausalLM",),
    model_type="mixtral",
    rules=(*llama.LAYERS, *llama.TURNED_QK, *EXPERTS),
    defaults={**llama.DEFAULTS, "head_dim": None, "rope_theta": 1e6, "num_key_value_heads": 8, "rms_norm_eps": 1e-5},
    extra=None,
    finish=None,
    derived=(),
    like=lambda metadata: "llama.expert_count" in metadata,
)
