"""bloom: a norm behind the embedding, positions as slopes, Q, K and V in one matrix, head by head."""

from modelglot.families.family import Config, Family, Key, rule
from modelglot.families.hyperparameters import BLOCKS, HEADS, NORM_EPS, TYPE, WIDTH, named
from modelglot.families.transforms import GroupedQKV


def _heads(config: Config) -> int:
    return int(config.first("n_head", "num_attention_heads"))


FAMILY = Family(
    name="bloom",
    arch="bloom",
    models=("BloomForCausalLM", "BloomModel"),
    model_type="bloom",
    rules=(
        rule("transformer.word_embeddings", "token_embd"),
        rule("transformer.word_embeddings_layernorm", "token_embd_norm"),
        rule("transformer.ln_f", "output_norm"),
        rule("lm_head", "output"),
        rule("transformer.h.{i}.input_layernorm", "blk.{i}.attn_norm"),
        rule("transformer.h.{i}.self_attention.query_key_value", "blk.{i}.attn_qkv", GroupedQKV(_heads, _heads)),
        rule("transformer.h.{i}.self_attention.dense", "blk.{i}.attn_output"),
        rule("transformer.h.{i}.post_attention_layernorm", "blk.{i}.ffn_norm"),
        rule("transformer.h.{i}.mlp.dense_h_to_4h", "blk.{i}.ffn_up"),
        rule("transformer.h.{i}.mlp.dense_4h_to_h", "blk.{i}.ffn_down"),
    ),
    keys=named(
        (
            Key("context_length", "u32", ("seq_length",), lambda c: c.first("seq_length", "hidden_size", "n_embed")),
            WIDTH._replace(hf=(*WIDTH.hf, "n_embed")),
            Key("feed_forward_length", "u32", (), lambda c: 4 * c.first("hidden_size", "n_embed")),
            BLOCKS,
            HEADS,
            Key("attention.head_count_kv", "u32", (), _heads),
            NORM_EPS,
            TYPE,
        ),
        block_count="n_layer",
        attention__head_count="n_head",
        attention__layer_norm_epsilon="layer_norm_epsilon",
    ),
    defaults={"layer_norm_epsilon": 1e-5, "tie_word_embeddings": True},
    prefix="transformer.",
    sentencepiece=False,
)
