"""mamba: no attention; state-space layers whose decay is kept as a logarithm in Hugging Face."""

from __future__ import annotations

from typing import Any

from modelglot.core.model import Model
from modelglot.families.family import Config, Family, Key, rule
from modelglot.families.hyperparameters import BLOCKS, RMS_EPS, TYPE, WIDTH
from modelglot.families.transforms import NegExp, Reshape

_CONTEXT = 1 << 20  # no length is too long; llama.cpp wants a number


def _inner(config: Config) -> int:
    return int(config.first("intermediate_size", "d_inner") or 2 * config.first("hidden_size", "d_model"))


def _rank(config: Config) -> int:
    rank = config.first("time_step_rank", "dt_rank")
    return rank if isinstance(rank, int) else -(config.first("hidden_size", "d_model") // -16)


def _finish(made: dict[str, Any], model: Model) -> None:
    made["expand"] = made["intermediate_size"] // made["hidden_size"]
    made["use_bias"] = "blk.0.ssm_in.bias" in model.tensors
    made["use_conv_bias"] = "blk.0.ssm_conv1d.bias" in model.tensors


_SQUEEZED = Reshape(
    lambda shape: (shape[0], shape[2]) if len(shape) == 3 else shape,
    lambda shape: (shape[0], 1, shape[1]) if len(shape) == 2 else shape,
)

FAMILY = Family(
    name="mamba",
    arch="mamba",
    models=("MambaForCausalLM", "MambaLMHeadModel"),
    model_type="mamba",
    rules=(
        rule("backbone.embeddings", "token_embd"),
        rule("backbone.embedding", "token_embd", only=lambda _: False),  # state-spaces' own checkpoints
        rule("backbone.norm_f", "output_norm"),
        rule("lm_head", "output"),
        rule("backbone.layers.{i}.norm", "blk.{i}.attn_norm"),
        rule("backbone.layers.{i}.mixer.in_proj", "blk.{i}.ssm_in"),
        rule("backbone.layers.{i}.mixer.conv1d", "blk.{i}.ssm_conv1d", _SQUEEZED),
        rule("backbone.layers.{i}.mixer.x_proj", "blk.{i}.ssm_x"),
        rule("backbone.layers.{i}.mixer.dt_proj", "blk.{i}.ssm_dt"),
        rule("backbone.layers.{i}.mixer.A_log", "blk.{i}.ssm_a", NegExp()),
        rule("backbone.layers.{i}.mixer.D", "blk.{i}.ssm_d"),
        rule("backbone.layers.{i}.mixer.out_proj", "blk.{i}.ssm_out"),
    ),
    keys=(
        Key("context_length", "u32", (), lambda _: _CONTEXT),
        WIDTH._replace(hf=("hidden_size", "d_model")),
        Key("feed_forward_length", "u32", (), lambda _: 0),
        Key("attention.head_count", "u32", (), lambda _: 0),
        BLOCKS,
        Key("ssm.conv_kernel", "u32", ("conv_kernel", "d_conv")),
        Key("ssm.inner_size", "u32", ("intermediate_size",), _inner),
        Key("ssm.state_size", "u32", ("state_size", "d_state")),
        Key("ssm.time_step_rank", "u32", ("time_step_rank",), _rank),
        RMS_EPS._replace(hf=("layer_norm_epsilon", "rms_norm_eps")),
        Key("ssm.dt_b_c_rms", "bool", (), lambda _: False),
        TYPE,
    ),
    defaults={"conv_kernel": 4, "state_size": 16, "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True},
    fixed={"hidden_act": "silu"},
    finish=_finish,
    prefix="backbone.",
    sentencepiece=False,
)
