"""glm 4 of the older kind (GGUF's chatglm): gate and up in one matrix, rotary positions on half of each head."""

from __future__ import annotations

from typing import Any

from modelglot.core.model import Model
from modelglot.families import llama, rope
from modelglot.families.family import Config, Family, Key, rule
from modelglot.families.hyperparameters import BLOCKS, CONTEXT, FEED_FORWARD, HEADS, KV_HEADS, RMS_EPS, TYPE, WIDTH

RULES = (
    *llama.LAYERS,
    *llama.PLAIN_QK,
    rule("model.layers.{i}.mlp.gate_up_proj", "blk.{i}.ffn_up"),
    rule("model.layers.{i}.mlp.down_proj", "blk.{i}.ffn_down"),
)
TOKENS = {"eos": "<|endoftext|>", "eot": "<|user|>", "unk": "<|endoftext|>"}


def _head(config: Config) -> int:
    return int(config.first("head_dim") or config["hidden_size"] // config["num_attention_heads"])


def rotary(config: Config) -> int:
    return int(_head(config) * rope.parameters(config).get("partial_rotary_factor", 0.5))


def finish(made: dict[str, Any], model: Model) -> None:
    made.setdefault("head_dim", made["hidden_size"] // made["num_attention_heads"])
    made["partial_rotary_factor"] = made.pop("rotary") / made["head_dim"]
    made["attention_bias"] = "blk.0.attn_q.bias" in model.tensors


FAMILY = Family(
    name="glm",
    arch="chatglm",
    models=("GlmForCausalLM",),
    model_type="glm",
    rules=RULES,
    keys=(
        CONTEXT,
        WIDTH,
        FEED_FORWARD,
        BLOCKS,
        HEADS,
        KV_HEADS,
        RMS_EPS._replace(hf=("rms_norm_eps", "layernorm_epsilon")),
        TYPE,
        Key("rope.dimension_count", "u32", ("rotary",), rotary),
        Key("/tokenizer.ggml.add_bos_token", "bool", (), lambda _: False),
        Key("rope.freq_base", "f32", ("rope_theta",), lambda c: rope.parameters(c).get("rope_theta")),
    ),
    defaults={
        "num_key_value_heads": 2,
        "rms_norm_eps": 1.5625e-07,
        "rope_theta": 10000.0,
        "max_position_embeddings": 131072,
    },
    fixed={"hidden_act": "silu"},
    ignore=llama.DERIVED,
    finish=finish,
    tokens=TOKENS,
    sentencepiece=False,
)
