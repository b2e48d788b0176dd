"""deepseek 3 and R1: deepseek 2's layers, experts chosen by sigmoids with a correction each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelglot.families import deepseek2


def _like(metadata: Mapping[str, Any]) -> bool:
    return metadata.get("deepseek2.expert_gating_func") == 2


FAMILY = replace(
    deepseek2.FAMILY,
    name="deepseek3",
    models=("DeepseekV3ForCausalLM",),
    model_type="deepseek_v3",
    defaults={**deepseek2.FAMILY.defaults, "scoring_func": "sigmoid"},
    fixed={"hidden_act": "silu", "rope_interleave": True},
    like=_like,
)
