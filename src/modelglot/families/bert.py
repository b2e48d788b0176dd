"""bert, for embeddings: norms behind each half of a layer, no head; the folder's modules say how tokens are pooled."""

from __future__ import annotations

from typing import Any

from modelglot.core.model import Model
from modelglot.families.family import Config, Family, Key, rule
from modelglot.families.hyperparameters import without

_POOLING = {"mean": 1, "cls": 2, "lasttoken": 3}
_LEFT = "llama.cpp takes the hidden states alone"


def _dropped(name: str, config: Config) -> str | None:
    return _LEFT if name.removeprefix("bert.").startswith(("pooler.", "cls.")) else None


def _finish(made: dict[str, Any], model: Model) -> None:
    made["tie_word_embeddings"] = True
    types = model.tensors.get("token_types.weight")
    made["type_vocab_size"] = types.shape[0] if types else 1
    for name in ("bos_token_id", "eos_token_id"):  # those of the tokenizer; bert's configuration has none
        made.pop(name, None)


FAMILY = Family(
    name="bert",
    arch="bert",
    models=("BertModel", "BertForMaskedLM"),
    model_type="bert",
    rules=(
        rule("embeddings.word_embeddings", "token_embd"),
        rule("embeddings.position_embeddings", "position_embd"),
        rule("embeddings.token_type_embeddings", "token_types"),
        rule("embeddings.LayerNorm", "token_embd_norm"),
        rule("encoder.layer.{i}.attention.self.query", "blk.{i}.attn_q"),
        rule("encoder.layer.{i}.attention.self.key", "blk.{i}.attn_k"),
        rule("encoder.layer.{i}.attention.self.value", "blk.{i}.attn_v"),
        rule("encoder.layer.{i}.attention.output.dense", "blk.{i}.attn_output"),
        rule("encoder.layer.{i}.attention.output.LayerNorm", "blk.{i}.attn_output_norm"),
        rule("encoder.layer.{i}.intermediate.dense", "blk.{i}.ffn_up"),
        rule("encoder.layer.{i}.output.dense", "blk.{i}.ffn_down"),
        rule("encoder.layer.{i}.output.LayerNorm", "blk.{i}.layer_output_norm"),
    ),
    keys=(
        *without("attention.causal"),
        Key("attention.causal", "bool", (), lambda _: False),
        Key("pooling_type", "u32", (), lambda c: _POOLING.get(c.get("/pooling", ""))),
    ),
    defaults={"layer_norm_eps": 1e-12, "max_position_embeddings": 512},
    fixed={"hidden_act": "gelu"},
    ignore=("*embeddings.position_ids",),
    dropped=_dropped,
    finish=_finish,
    prefix="bert.",
    sentencepiece=False,
)
