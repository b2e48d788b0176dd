"""What the labels of quantized models mean: ggml's block types, llama.cpp's recipes for whole files, others' labels.

A block type (`q4_k`) is how one tensor is stored; its bits a weight are exact. A recipe (`Q4_K_M`) is which type each
tensor of a file gets: a base type, and more bits where they matter most. K stands for super-blocks of 256 weights; S, M
and L say how much of the file gets more bits. Sources: ggml-common.h, llama-quant.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import BLOCKS


@dataclass(frozen=True, slots=True)
class Quantization:
    """``kind``: type, recipe, plain or method. ``base`` is the block type or dtype of most weights, None if unknown.

    ``bits_per_weight`` is that of the base. ``sentence`` says what it is, without the label.
    """

    label: str
    kind: str
    base: str | None
    bits_per_weight: float | None
    sentence: str


def _blocks(name: str) -> str:
    block = BLOCKS[name]
    return f"blocks of {block.elements}, {block.bits_per_weight:g} bits a weight"


_TYPES = {
    "q1_0": "signs with one 16-bit scale", "q2_0": "2-bit numbers with one 16-bit scale",
    "q4_0": "4-bit numbers with one 16-bit scale", "q4_1": "4-bit numbers with a 16-bit scale and minimum",
    "q5_0": "5-bit numbers with one 16-bit scale", "q5_1": "5-bit numbers with a 16-bit scale and minimum",
    "q8_0": "8-bit numbers with one 16-bit scale",
    "q8_1": "8-bit numbers with a scale and sum, only used while computing",
    "q2_k": "2-bit numbers, 4-bit scales and minima for every 16", "q3_k": "3-bit numbers, 6-bit scales for every 16",
    "q4_k": "4-bit numbers, 6-bit scales and minima for every 32",
    "q5_k": "5-bit numbers, 6-bit scales and minima for every 32", "q6_k": "6-bit numbers, 8-bit scales for every 16",
    "q8_k": "8-bit numbers with a 32-bit scale, only used while computing",
    "iq1_s": "groups of 8 weights from a table of 2,048",
    "iq1_m": "groups of 8 weights from a table of 2,048, scales for every 16",
    "iq2_xxs": "groups of 8 weights from a table of 256", "iq2_xs": "groups of 8 weights from a table of 512",
    "iq2_s": "groups of 8 weights from a table of 1,024", "iq3_xxs": "groups of 4 weights from a table of 256",
    "iq3_s": "groups of 4 weights from a table of 512", "iq4_nl": "4-bit indexes into 16 uneven steps",
    "iq4_xs": "4-bit indexes into 16 uneven steps, 6-bit scales for every 32",
    "tq1_0": "weights of -1, 0 or 1, five in a byte",
    "tq2_0": "weights of -1, 0 or 1 in 2 bits", "mxfp4": "4-bit floats (e2m1) with one 8-bit exponent",
    "nvfp4": "4-bit floats (e2m1) with an 8-bit float scale for every 16",
}  # fmt: skip
_MORE = "output in q6_k"
_RECIPES = {
    # label: (base, which tensors get another type)
    "Q2_K": ("q2_k", "attention values and ffn_down in q3_k or q4_k, " + _MORE),
    "Q2_K_S": ("q2_k", "ffn_down of the first layers in q4_k, " + _MORE),
    "Q3_K_S": ("q3_k", _MORE),
    "Q3_K_M": ("q3_k", "attention values, attention output and ffn_down in q4_k or q5_k, " + _MORE),
    "Q3_K_L": ("q3_k", "attention values, attention output and ffn_down in q5_k, " + _MORE),
    "Q4_K_S": ("q4_k", "attention values and ffn_down of the first layers in q5_k, " + _MORE),
    "Q4_K_M": ("q4_k", "half of the attention values and ffn_down in q6_k, " + _MORE),
    "Q5_K_S": ("q5_k", _MORE),
    "Q5_K_M": ("q5_k", "half of the attention values and ffn_down in q6_k, " + _MORE),
    "IQ1_S": ("iq1_s", "attention output and ffn_down of the first layers in iq2_xxs, output in q5_k"),
    "IQ1_M": ("iq1_m", "attention output and ffn_down of the first layers in iq2_xxs, output in q5_k"),
    "IQ2_XXS": ("iq2_xxs", "attention values and ffn_down of the first layers in q2_k or more, output in q5_k"),
    "IQ2_XS": ("iq2_xs", "attention values and ffn_down of the first layers in q2_k or more, output in q5_k"),
    "IQ2_S": ("iq2_xs", "attention values in q4_k or iq3_s, ffn_down of the first layers in iq3_s, output in q5_k"),
    "IQ2_M": ("iq2_s", "attention values in q4_k or iq3_s, ffn_down of the first layers in iq3_s, output in q5_k"),
    "IQ3_XXS": ("iq3_xxs", "attention values, attention output and ffn_down in more, output in q6_k"),
    "IQ3_XS": ("iq3_s", "attention queries and keys in iq3_xxs, " + _MORE),
    "IQ3_S": ("iq3_s", "attention values in q4_k, " + _MORE),
    "IQ3_M": ("iq3_s", "attention values, attention output and ffn_down in q4_k or more, " + _MORE),
    "MXFP4_MOE": ("mxfp4", "only the experts; everything else in q8_0"),
}  # fmt: skip
_SIMPLE = (
    "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q6_K", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0", "NVFP4", "MXFP4", "Q1_0",
    "Q2_0",
)  # fmt: skip
_ALIASES = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}  # llama-quantize takes these for the mixes
_PLAIN = {"F64": "f64", "F32": "f32", "FP32": "f32", "F16": "f16", "FP16": "f16", "BF16": "bf16"}
_REMOVED = {
    "Q4_0_4_4": "q4_0 with its blocks rearranged for ARM", "Q4_0_4_8": "q4_0 with its blocks rearranged for ARM",
    "Q4_0_8_8": "q4_0 with its blocks rearranged for ARM", "Q4_2": "a type of early 2023",
    "Q4_3": "a type of early 2023",
}  # fmt: skip
_METHODS = {
    "GPTQ": "integers fitted layer by layer on sample text, with scales in groups",
    "AWQ": "integers with scales chosen by what activations need", "EXL2": "ExLlamaV2's mix of 2 to 8 bits",
    "EXL3": "ExLlamaV3's trellis codes", "NF4": "4-bit steps of a normal distribution (bitsandbytes)",
    "BNB-4BIT": "4-bit steps of a normal distribution (bitsandbytes)", "FP8": "8-bit floats with scales",
    "INT8": "8-bit integers with scales", "INT4": "4-bit integers with scales",
    "W4A16": "4-bit weights, 16-bit activations", "W8A8": "8-bit weights and activations",
    "W8A16": "8-bit weights, 16-bit activations", "HQQ": "half-quadratic quantization",
    "AQLM": "sums of entries of learned tables", "QAT": "trained while quantized",
    "2BIT": "2-bit integers with scales in groups", "3BIT": "3-bit integers with scales in groups",
    "4BIT": "4-bit integers with scales in groups", "5BIT": "5-bit integers with scales in groups",
    "6BIT": "6-bit integers with scales in groups", "8BIT": "8-bit integers with scales in groups",
}  # fmt: skip


def _table() -> dict[str, Quantization]:
    made: dict[str, Quantization] = {}
    for name, text in _TYPES.items():
        sentence = f"{text}, in {_blocks(name)}"
        made[name] = Quantization(name, "type", name, BLOCKS[name].bits_per_weight, sentence)
    for label in _SIMPLE:
        base = label.lower()
        extra = "output in q6_k or q8_0" if label in ("Q4_0", "Q4_1", "Q5_0", "Q5_1") else ""
        made[label] = Quantization(
            label, "recipe", base, BLOCKS[base].bits_per_weight, made[base].sentence + (f"; {extra}" if extra else "")
        )
    for label, (base, more) in _RECIPES.items():
        made[label] = Quantization(
            label, "recipe", base, BLOCKS[base].bits_per_weight, f"a mix: {base} ({made[base].sentence}); {more}"
        )
    for label, name in _PLAIN.items():
        bits = DTYPES[name].bits
        made[label] = Quantization(label, "plain", name, bits, f"{bits}-bit floats, not quantized")
    for label, text in _REMOVED.items():
        made[label] = Quantization(label, "recipe", None, None, f"{text}; llama.cpp does not load it any more")
    for label, text in _METHODS.items():
        made[label] = Quantization(label, "method", None, None, text)
    for bits in range(2, 9):
        vague = f"about {bits} bits a weight; the name does not say which type"
        made[f"Q{bits}"] = Quantization(f"Q{bits}", "method", None, None, vague)
    for label, recipe in _ALIASES.items():
        made[label] = replace(made[recipe], label=label)
    return made


QUANTIZATIONS: dict[str, Quantization] = _table()
LABELS = {
    "UD": "Unsloth's own mix (UD-), which is no recipe of llama.cpp",
    "XL": "a publisher's mix with more bits in embeddings and output (_XL), which is no recipe of llama.cpp",
    "L": "a publisher's mix with embeddings and output in q8_0 (_L), which is no recipe of llama.cpp",
    "i1": "made with an importance matrix (i1-)", "imat": "made with an importance matrix (imat)",
}  # fmt: skip
