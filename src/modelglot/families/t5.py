"""t5 and flan-t5: an encoder and a decoder, positions as learned biases of the first layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.families.family import Config, Family, Key, Rule, rule
from modelglot.families.hyperparameters import BLOCKS, TYPE


def _half(hf: str, gguf: str, forward: int) -> tuple[Rule, ...]:
    """Layers of the encoder or the decoder; ``forward`` is the place of the feed-forward in each."""
    layer, dense = f"{hf}.block.{{i}}.layer", f"{hf}.block.{{i}}.layer.{forward}.DenseReluDense"
    block = f"{gguf}.blk.{{i}}"
    return (
        *(rule(f"{layer}.0.SelfAttention.{n}", f"{block}.attn_{n}") for n in "qkvo"),
        rule(f"{layer}.0.SelfAttention.relative_attention_bias", f"{block}.attn_rel_b"),
        rule(f"{layer}.0.layer_norm", f"{block}.attn_norm"),
        rule(f"{dense}.wi_0 {dense}.wi_1", f"{block}.ffn_gate {block}.ffn_up"),
        rule(f"{dense}.wi", f"{block}.ffn_up"),
        rule(f"{dense}.wo", f"{block}.ffn_down"),
        rule(f"{layer}.{forward}.layer_norm", f"{block}.ffn_norm"),
        rule(f"{hf}.final_layer_norm", f"{gguf}.output_norm"),
    )


_CROSS = (
    *(rule(f"decoder.block.{{i}}.layer.1.EncDecAttention.{n}", f"dec.blk.{{i}}.cross_attn_{n}") for n in "qkvo"),
    rule("decoder.block.{i}.layer.1.layer_norm", "dec.blk.{i}.cross_attn_norm"),
)
# The same matrix, saved under any of its names or all.
_EMBEDDINGS = (
    rule("shared", "token_embd"),
    rule("encoder.embed_tokens", "token_embd", only=lambda _: False),
    rule("decoder.embed_tokens", "token_embd", only=lambda _: False),
)


def _finish(made: dict[str, Any], model: Model) -> None:
    gated = "enc.blk.0.ffn_gate.weight" in model.tensors
    made["feed_forward_proj"] = "gated-gelu" if gated else "relu"
    # the first models share one matrix and scale what leaves the decoder, the gated ones do neither
    made["scale_decoder_outputs"] = not gated and made.get("tie_word_embeddings", True)


def _losses(config: Config) -> Iterable[Loss]:
    gated = str(config.get("feed_forward_proj", "relu")).startswith("gated")
    if config.get("scale_decoder_outputs", config.get("tie_word_embeddings", True) and not gated):
        text = "the decoder's output is scaled by 1 / sqrt(d_model) here, and not by llama.cpp: its logits are larger"
        yield Loss("output-scale", text, stops=False)


FAMILY = Family(
    name="t5",
    arch="t5",
    models=("T5ForConditionalGeneration", "T5WithLMHeadModel"),
    model_type="t5",
    rules=(*_EMBEDDINGS, rule("lm_head", "output"), *_half("encoder", "enc", 1), *_half("decoder", "dec", 2), *_CROSS),
    keys=(
        Key("context_length", "u32", ("n_positions",)),
        Key("embedding_length", "u32", ("d_model",)),
        Key("feed_forward_length", "u32", ("d_ff",)),
        BLOCKS._replace(hf=("num_layers",)),
        Key("decoder_block_count", "u32", ("num_decoder_layers",)),
        Key("attention.head_count", "u32", ("num_heads",)),
        Key("attention.key_length", "u32", ("d_kv",)),
        Key("attention.value_length", "u32", ("d_kv",), restore=None),
        Key("attention.layer_norm_epsilon", "f32", ("layer_norm_epsilon",)),
        Key("attention.relative_buckets_count", "u32", ("relative_attention_num_buckets",)),
        Key("attention.layer_norm_rms_epsilon", "f32", ("layer_norm_epsilon",), restore=None),
        Key("decoder_start_token_id", "u32", ("decoder_start_token_id",)),
        TYPE,
    ),
    defaults={
        "n_positions": 512,
        "num_decoder_layers": lambda c: c["num_layers"],
        "layer_norm_epsilon": 1e-6,
        "relative_attention_num_buckets": 32,
        "decoder_start_token_id": lambda c: c.get("pad_token_id", 0),
        "tie_word_embeddings": True,
    },
    fixed={"is_encoder_decoder": True},
    finish=_finish,
    losses=_losses,
)
