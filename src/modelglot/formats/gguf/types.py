"""The numbers GGUF uses for value types and tensor types. Source: docs/gguf.md and ggml.h of ggml, figures only."""

from __future__ import annotations

from modelglot.core.encoding import BLOCKS, Blocks

DEFAULT_ALIGNMENT = 32
MAX_ALIGNMENT = 1 << 20
MAX_DIMS = 4
MAX_KEY = 65535
USUAL_NAME = 64  # llama.cpp takes names of fewer bytes than this
MAX_NAME = 128  # what builds for diffusion models take

STR, ARRAY, BOOL = 8, 9, 7
# number -> (our name, struct code); strings and arrays have no fixed width
SCALARS: dict[int, tuple[str, str]] = {
    0: ("u8", "B"), 1: ("i8", "b"), 2: ("u16", "H"), 3: ("i16", "h"), 4: ("u32", "I"), 5: ("i32", "i"),
    6: ("f32", "f"), 7: ("bool", "?"), 10: ("u64", "Q"), 11: ("i64", "q"), 12: ("f64", "d"),
}  # fmt: skip
WIDTHS = {"B": 1, "b": 1, "?": 1, "H": 2, "h": 2, "I": 4, "i": 4, "f": 4, "Q": 8, "q": 8, "d": 8}
VALUE_NAMES = {**{number: name for number, (name, _) in SCALARS.items()}, STR: "str", ARRAY: "array"}
VALUE_NUMBERS = {name: number for number, name in VALUE_NAMES.items()}

PLAIN_TYPES = {0: "f32", 1: "f16", 24: "i8", 25: "i16", 26: "i32", 27: "i64", 28: "f64", 30: "bf16"}
BLOCK_TYPES = {
    2: "q4_0", 3: "q4_1", 6: "q5_0", 7: "q5_1", 8: "q8_0", 9: "q8_1", 10: "q2_k", 11: "q3_k", 12: "q4_k", 13: "q5_k",
    14: "q6_k", 15: "q8_k", 16: "iq2_xxs", 17: "iq2_xs", 18: "iq3_xxs", 19: "iq1_s", 20: "iq4_nl", 21: "iq3_s",
    22: "iq2_s", 23: "iq4_xs", 29: "iq1_m", 34: "tq1_0", 35: "tq2_0", 39: "mxfp4", 40: "nvfp4", 41: "q1_0", 42: "q2_0",
}  # fmt: skip
REMOVED_TYPES = {
    4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8",
    38: "IQ4_NL_8_8",
}  # fmt: skip
TYPE_NUMBERS = {name: number for number, name in {**PLAIN_TYPES, **BLOCK_TYPES}.items()}

# ggml keeps two 16-bit scales in a q8_1 block; the `gguf` package still counts two 32-bit ones.
Q8_1_WIDE = Blocks("q8_1", BLOCKS["q8_1"].elements, 40, ((0, 4), (4, 4)))
