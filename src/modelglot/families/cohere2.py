"""Command-R7B: Command-R with a window in three of four layers, which alone have rotary positions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from modelglot.core.notes import Loss
from modelglot.families import cohere, gemma2
from modelglot.families.family import Config, Key
from modelglot.families.hyperparameters import COMMON, VOCAB, WINDOW

_EVERY = 4  # the layer that sees the whole text, as llama.cpp has it fixed


def _rotary(config: Config) -> int:
    head = config["hidden_size"] // config["num_attention_heads"]
    return int(config.get("rotary_pct", 1.0) * head)


def _losses(config: Config) -> Iterable[Loss]:
    yield from gemma2.own_output(config)
    kinds = config.get("layer_types")
    wanted = ["sliding_attention" if (n + 1) % _EVERY else "full_attention" for n in range(len(kinds or ()))]
    if kinds and kinds != wanted:
        yield Loss("layer-types", "`layer_types`: llama.cpp gives every fourth layer the whole text", stops=False)


FAMILY = replace(
    cohere.FAMILY,
    name="cohere2",
    arch="cohere2",
    models=("Cohere2ForCausalLM",),
    model_type="cohere2",
    rules=cohere.RULES,
    keys=(
        *COMMON,
        cohere.SCALE,
        WINDOW,
        VOCAB,
        Key("rope.dimension_count", "u32", (), _rotary),
        cohere.UNSCALED,
    ),
    defaults={**cohere.FAMILY.defaults, "head_dim": lambda c: c["hidden_size"] // c["num_attention_heads"],
              "sliding_window": 4096},
    fixed={"hidden_act": "silu", "attention_bias": False, "rotary_pct": 1.0},
    finish=None,
    losses=_losses,
)  # fmt: skip
