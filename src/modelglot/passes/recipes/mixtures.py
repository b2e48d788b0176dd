"""Which tensors of a recipe get other types than its base, and when.

A rule answers with a block type, or None for "as it would be otherwise". Rules are asked per role, because what a
tensor does in the network decides how much its precision matters: values and down-projections more than the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

BASES: dict[str, str] = {
    "F32": "f32", "F16": "f16", "BF16": "bf16", "Q4_0": "q4_0", "Q4_1": "q4_1", "Q5_0": "q5_0", "Q5_1": "q5_1",
    "Q8_0": "q8_0", "Q2_K": "q2_k", "Q2_K_S": "q2_k", "Q3_K_S": "q3_k", "Q3_K_M": "q3_k", "Q3_K_L": "q3_k",
    "Q4_K_S": "q4_k", "Q4_K_M": "q4_k", "Q5_K_S": "q5_k", "Q5_K_M": "q5_k", "Q6_K": "q6_k", "IQ1_S": "iq1_s",
    "IQ1_M": "iq1_m", "IQ2_XXS": "iq2_xxs", "IQ2_XS": "iq2_xs", "IQ2_S": "iq2_xs", "IQ2_M": "iq2_s",
    "IQ3_XXS": "iq3_xxs", "IQ3_XS": "iq3_s", "IQ3_S": "iq3_s", "IQ3_M": "iq3_s", "IQ4_NL": "iq4_nl",
    "IQ4_XS": "iq4_xs", "TQ1_0": "tq1_0", "TQ2_0": "tq2_0", "MXFP4_MOE": "mxfp4",
}  # fmt: skip
ALIASES = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "MXFP4": "MXFP4_MOE"}

# The two-bit and one-bit recipes share one set of rules.
TINY = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M")


@dataclass(frozen=True, slots=True)
class Place:
    """What a rule may ask about the tensor at hand.

    ``index`` counts tensors of its role (or is the layer, in mixtures of experts), ``count`` is how many there are;
    ``gqa`` is attention heads per key-value head; ``big`` is llama.cpp's 70B class.
    """

    index: int
    count: int
    gqa: int
    experts: int
    arch: str
    imatrix: bool
    big: bool

    @property
    def first_eighth(self) -> bool:
        return self.index < self.count // 8

    @property
    def more_bits(self) -> bool:
        """The first and last eighth of the layers, and every third between."""
        eighth = self.count // 8
        return self.first_eighth or self.index >= 7 * self.count // 8 or (self.index - eighth) % 3 == 2

    @property
    def middle(self) -> bool:
        return not self.first_eighth and self.index < 7 * self.count // 8


Rule = Callable[[Place], str | None]


def _always(kind: str) -> Rule:
    return lambda place: kind


def _if_gqa(kind: str, otherwise: str | None = None) -> Rule:
    return lambda place: kind if place.gqa >= 4 else otherwise


VALUE: dict[str, Rule] = {
    "Q2_K": _if_gqa("q4_k", "q3_k"),
    "Q2_K_S": _if_gqa("q4_k"),
    "IQ3_XXS": lambda p: "q4_k" if p.gqa >= 4 else "iq3_xxs" if p.imatrix else "iq3_s",
    "IQ3_XS": _if_gqa("q4_k"),
    "IQ3_S": _if_gqa("q4_k"),
    "IQ3_M": _always("q4_k"),
    "Q3_K_M": lambda p: "q5_k" if p.index < 2 else "q4_k",
    "Q3_K_L": _always("q5_k"),
    "IQ4_NL": _if_gqa("q5_k"),
    "IQ4_XS": _if_gqa("q5_k"),
    "Q4_K_M": lambda p: "q6_k" if p.more_bits else None,
    "Q5_K_M": lambda p: "q6_k" if p.more_bits else None,
    "Q4_K_S": lambda p: "q5_k" if p.index < 4 else None,
}
KEY: dict[str, Rule] = {"IQ3_XS": _always("iq3_xxs"), "IQ3_XXS": _always("iq2_s")}


def _down_q3_k_m(p: Place) -> str | None:
    if p.index < p.count // 16:
        return "q5_k"
    return "q4_k" if p.arch != "falcon" or p.more_bits else "q3_k"


def _down_q4_k_m(p: Place) -> str | None:
    if p.arch != "falcon":
        return "q6_k" if p.more_bits else None
    return "q6_k" if p.index < p.count // 16 else "q5_k" if p.more_bits else "q4_k"


DOWN: dict[str, Rule] = {
    "Q2_K": _always("q3_k"),
    "Q2_K_S": lambda p: "q4_k" if p.first_eighth else None,
    "IQ3_XXS": lambda p: None if p.imatrix else "q4_k" if p.first_eighth else "q3_k",
    "Q3_K_M": _down_q3_k_m,
    "IQ3_M": lambda p: "q4_k" if p.first_eighth or (p.experts == 8 and p.more_bits) else None,
    "Q3_K_L": lambda p: "q4_k" if p.arch == "falcon" else "q5_k",
    "Q4_K_M": _down_q4_k_m,
    "IQ4_NL": lambda p: "q5_k" if p.first_eighth and not p.imatrix else None,
    "IQ4_XS": lambda p: "q5_k" if p.first_eighth and not p.imatrix else None,
    "Q5_K_M": lambda p: "q6_k" if p.more_bits else None,
    "Q4_K_S": lambda p: "q5_k" if p.first_eighth and p.arch != "falcon" else None,
    "Q4_0": lambda p: "q4_1" if p.first_eighth and p.imatrix else None,
    "Q5_0": lambda p: "q5_1" if p.first_eighth and p.imatrix else None,
}
GATE_UP: dict[str, Rule] = {"IQ3_XS": lambda p: "iq3_xxs" if p.middle else None}
ATTENTION_OUTPUT: dict[str, str] = {"Q2_K": "q3_k", "IQ3_XXS": "iq3_s", "Q3_K_M": "q4_k", "Q3_K_L": "q5_k",
                                    "IQ3_M": "q4_k"}  # fmt: skip
ATTENTION_OUTPUT_OF_8_EXPERTS = frozenset({
    "Q2_K", "IQ3_XS", "IQ3_XXS", "Q3_K_S", "Q3_K_M", "IQ4_NL", "Q4_K_S", "Q4_K_M", "IQ3_S", "IQ3_M", "IQ4_XS",
})  # fmt: skip
EMBEDDING: dict[str, str] = {
    "IQ2_XXS": "q2_k", "IQ2_XS": "q2_k", "IQ1_S": "q2_k", "IQ1_M": "q2_k", "IQ2_S": "iq3_s", "IQ2_M": "iq3_s",
    "IQ3_XXS": "iq3_s", "TQ1_0": "q4_k", "TQ2_0": "q4_k",
}  # fmt: skip
OUTPUT_Q5 = frozenset({"IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ2_S", "IQ2_M", "IQ1_M"})

# Rows that a block does not divide get a type with blocks of 32, and f16 where even those do not fit.
FALLBACK: dict[str, str] = {
    **dict.fromkeys(("iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s", "iq4_xs"), "iq4_nl"),
    **dict.fromkeys(("q2_k", "q3_k", "tq1_0", "tq2_0"), "q4_0"),
    "q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0",
}  # fmt: skip
NEEDS_IMATRIX = frozenset({"iq3_xxs", "iq2_xxs", "iq2_xs", "iq2_s", "iq1_m", "iq1_s"})

# Parts of names of small or sensitive tensors that llama.cpp leaves alone.
KEPT = (
    "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "altup", "laurel", "per_layer_model_proj",
    "ssm_conv1d", "shortconv.conv.weight", "indexer.k_proj.weight", "indexer.q_proj.weight", "time_mix_first.weight",
    "time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight",
    "time_mix_v2.weight", "time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight",
    "time_mix_g2.weight", "time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight",
    "attn_rel_b.weight", ".position_embd", "sam.pos_embd", "sam.neck.", "sam.net_", ".rel_pos", ".patch_embd",
    ".patch_merger", "a.rvq.codebook", "mm.a.code_embd",
)  # fmt: skip
KEPT_WHOLE = frozenset({"position_embd.weight", "token_types.weight"})
