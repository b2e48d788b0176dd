"""gpt-oss: experts with gate and up row by row in turn, in MXFP4 or plain; attention with a sink a head."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelglot.core.encoding import Blocks
from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.core.tensor import Tensor
from modelglot.families import llama, rope
from modelglot.families.family import Config, Family, Key, rule
from modelglot.families.hyperparameters import COMMON, WINDOW
from modelglot.families.mxfp4 import Mxfp4
from modelglot.families.transforms import Alternate, Transpose

_EXPERTS = "model.layers.{i}.mlp.experts"
_GATE_UP = "blk.{i}.ffn_gate_exps.weight blk.{i}.ffn_up_exps.weight"


def _is_mxfp4(tensor: Tensor) -> bool:
    return isinstance(tensor.encoding, Blocks) and tensor.encoding.name == "mxfp4"


def _finish(made: dict[str, Any], model: Model) -> None:
    made.setdefault("rope_scaling", {"rope_type": "default"})
    if made["rope_scaling"]["rope_type"] == "yarn":
        made["rope_scaling"]["truncate"] = False
    experts = model.tensors.get("blk.0.ffn_down_exps.weight")
    if experts is not None and _is_mxfp4(experts):
        whole = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]
        made["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": whole}


def _losses(config: Config) -> Iterable[Loss]:
    if rope.parameters(config).get("truncate") is False:
        text = "yarn's `truncate` false: llama.cpp rounds the bounds between which frequencies are mixed"
        yield Loss("rope-truncate", text, stops=False)


FAMILY = Family(
    name="gpt-oss",
    arch="gpt-oss",
    models=("GptOssForCausalLM",),
    model_type="gpt_oss",
    rules=(
        rule("model.embed_tokens", "token_embd"),
        rule("model.norm", "output_norm"),
        rule("lm_head", "output"),
        rule("model.layers.{i}.input_layernorm", "blk.{i}.attn_norm"),
        *llama.PLAIN_QK,
        rule("model.layers.{i}.self_attn.v_proj", "blk.{i}.attn_v"),
        rule("model.layers.{i}.self_attn.o_proj", "blk.{i}.attn_output"),
        rule("model.layers.{i}.self_attn.sinks", "blk.{i}.attn_sinks.weight"),
        rule("model.layers.{i}.post_attention_layernorm", "blk.{i}.post_attention_norm"),
        rule("model.layers.{i}.mlp.router", "blk.{i}.ffn_gate_inp"),
        rule(f"{_EXPERTS}.gate_up_proj_blocks {_EXPERTS}.gate_up_proj_scales", _GATE_UP, Mxfp4(2), only=_is_mxfp4),
        rule(
            f"{_EXPERTS}.down_proj_blocks {_EXPERTS}.down_proj_scales",
            "blk.{i}.ffn_down_exps.weight",
            Mxfp4(1),
            only=_is_mxfp4,
        ),
        rule(f"{_EXPERTS}.gate_up_proj", _GATE_UP, Alternate(columns=True)),
        rule(f"{_EXPERTS}.down_proj", "blk.{i}.ffn_down_exps.weight", Transpose()),
        rule(f"{_EXPERTS}.gate_up_proj_bias", "blk.{i}.ffn_gate_exps.bias blk.{i}.ffn_up_exps.bias", Alternate()),
        rule(f"{_EXPERTS}.down_proj_bias", "blk.{i}.ffn_down_exps.bias"),
    ),
    keys=(*COMMON, WINDOW, Key("expert_feed_forward_length", "u32", ("intermediate_size",), restore=None)),
    defaults={
        "num_key_value_heads": 8,
        "head_dim": 64,
        "rms_norm_eps": 1e-5,
        "rope_theta": 150000.0,
        "max_position_embeddings": 131072,
        "sliding_window": 128,
    },
    fixed={"hidden_act": "silu", "attention_bias": True},
    packed=("mxfp4",),
    ignore=llama.DERIVED,
    finish=_finish,
    losses=_losses,
    sentencepiece=False,
)
