"""gpt2: learned positions, biases everywhere, matrices as (in, out)."""

from typing import Any

from modelglot.core.model import Model
from modelglot.families.family import Family, Key, rule
from modelglot.families.hyperparameters import BLOCKS, CONTEXT, HEADS, NORM_EPS, TYPE, WIDTH, named
from modelglot.families.transforms import Transpose


def _finish(made: dict[str, Any], model: Model) -> None:
    made["n_ctx"] = made["n_positions"]


FAMILY = Family(
    name="gpt2",
    arch="gpt2",
    models=("GPT2LMHeadModel",),
    model_type="gpt2",
    rules=(
        rule("transformer.wte", "token_embd"),
        rule("transformer.wpe", "position_embd"),
        rule("transformer.ln_f", "output_norm"),
        rule("lm_head", "output"),
        rule("transformer.h.{i}.ln_1", "blk.{i}.attn_norm"),
        rule("transformer.h.{i}.attn.c_attn", "blk.{i}.attn_qkv", Transpose()),
        rule("transformer.h.{i}.attn.c_proj", "blk.{i}.attn_output", Transpose()),
        rule("transformer.h.{i}.ln_2", "blk.{i}.ffn_norm"),
        rule("transformer.h.{i}.mlp.c_fc", "blk.{i}.ffn_up", Transpose()),
        rule("transformer.h.{i}.mlp.c_proj", "blk.{i}.ffn_down", Transpose()),
    ),
    keys=named(
        (
            BLOCKS,
            CONTEXT,
            WIDTH,
            Key("feed_forward_length", "u32", (), lambda c: c.get("n_inner") or 4 * c.first("n_embd", "hidden_size")),
            HEADS,
            NORM_EPS,
            TYPE,
        ),
        block_count="n_layer",
        context_length="n_positions",
        embedding_length="n_embd",
        attention__head_count="n_head",
        attention__layer_norm_epsilon="layer_norm_epsilon",
    ),
    defaults={"layer_norm_epsilon": 1e-5, "tie_word_embeddings": True},
    fixed={"activation_function": "gelu_new"},
    ignore=("*.attn.bias", "*.attn.masked_bias"),
    finish=_finish,
    prefix="transformer.",
    sentencepiece=False,
)
