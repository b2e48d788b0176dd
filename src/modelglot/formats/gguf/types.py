"""The numbers GGUF uses for value types and tensor types. Source: docs/gguf.md and ggml.h of ggml, figures only."""

from __future__ import annotations

from modelglot.containers.ggml_types import BLOCK_TYPES, PLAIN_TYPES
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

TYPE_NUMBERS = {name: number for number, name in {**PLAIN_TYPES, **BLOCK_TYPES}.items()}

# ggml keeps two 16-bit scales in a q8_1 block; the `gguf` package still counts two 32-bit ones.
Q8_1_WIDE = Blocks("q8_1", BLOCKS["q8_1"].elements, 40, ((0, 4), (4, 4)))
