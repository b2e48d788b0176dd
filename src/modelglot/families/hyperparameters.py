"""config.json and GGUF's metadata: the keys that all architectures share, and both ways through a family's table."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from modelglot.core.errors import InvalidFileError, printable
from modelglot.core.metadata import Entry
from modelglot.families import rope
from modelglot.families.family import Config, Family, Key

FILE_TYPE = "general.file_type"

_GATING = {"softmax": 1, "sigmoid": 2}
_GATING_NAMES = ("score_function", "scoring_func", "score_func", "moe_router_activation_func")
_CONTEXT = ("max_position_embeddings", "n_ctx", "n_positions", "max_length", "max_sequence_length", "seq_length")

BLOCKS = Key("block_count", "u32", ("num_hidden_layers", "n_layer", "n_layers", "num_layers"))
CONTEXT = Key("context_length", "u32", _CONTEXT)
WIDTH = Key("embedding_length", "u32", ("hidden_size", "n_embd", "dim"))
FEED_FORWARD = Key("feed_forward_length", "u32", ("intermediate_size", "n_inner", "hidden_dim"))
HEADS = Key("attention.head_count", "u32", ("num_attention_heads", "n_head", "n_heads"))
KV_HEADS = Key("attention.head_count_kv", "u32", ("num_key_value_heads", "n_kv_heads"))
RMS_EPS = Key("attention.layer_norm_rms_epsilon", "f32", ("rms_norm_eps", "norm_eps"))
NORM_EPS = Key("attention.layer_norm_epsilon", "f32", ("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"))
KEY_LENGTH = Key("attention.key_length", "u32", ("head_dim",))
VALUE_LENGTH = Key("attention.value_length", "u32", ("head_dim",), restore=None)
TYPE = Key(f"/{FILE_TYPE}", "u32")
VOCAB = Key("vocab_size", "u32", ("vocab_size",))
ROPE_DIMENSIONS = Key(
    "rope.dimension_count", "u32", (), lambda c: c.first("head_dim") or c["hidden_size"] // c["num_attention_heads"]
)
EXPERT_WIDTH = Key("expert_feed_forward_length", "u32", ("moe_intermediate_size",))
WINDOW = Key("attention.sliding_window", "u32", ("sliding_window",))

# In the order in which llama.cpp's converter writes them.
COMMON = (
    BLOCKS,
    CONTEXT,
    WIDTH,
    FEED_FORWARD,
    HEADS,
    KV_HEADS,
    Key("attention.causal", "bool", ("is_causal",), lambda c: False if c.get("is_causal") is False else None),
    *rope.KEYS,
    RMS_EPS,
    NORM_EPS,
    Key("expert_count", "u32", ("num_local_experts", "num_experts", "n_routed_experts")),
    Key("expert_used_count", "u32", ("num_experts_per_tok", "num_experts_per_token", "top_k_experts")),
    Key("expert_group_count", "u32", ("n_group",)),
    Key("expert_group_used_count", "u32", ("topk_group",)),
    Key("expert_gating_func", "u32", _GATING_NAMES, lambda c: _GATING.get(c.first(*_GATING_NAMES) or ""), None),
    KEY_LENGTH,
    VALUE_LENGTH,
    TYPE,
)


def without(*names: str) -> tuple[Key, ...]:
    """`COMMON` without the keys that an architecture's files do not have."""
    return tuple(key for key in COMMON if key.gguf not in names)


def named(keys: tuple[Key, ...], **names: str) -> tuple[Key, ...]:
    """The keys with another name in config.json: ``block_count="n_layer"``; dots are written as two underscores."""
    wanted = {gguf.replace("__", "."): hf for gguf, hf in names.items()}
    return tuple(k._replace(hf=(wanted[k.gguf], *k.hf)) if k.gguf in wanted else k for k in keys)


def to_metadata(family: Family, config: Config, file_type: int) -> dict[str, Entry]:
    """Entries of the family's keys, in their order. Raises InvalidFileError for values of the wrong kind."""
    made: dict[str, Entry] = {}
    for key in family.keys:
        value = file_type if key is TYPE else key.make(config) if key.make else config.first(*key.hf)
        if value is not None:
            name = key.gguf[1:] if key.gguf.startswith("/") else f"{family.arch}.{key.gguf}"
            made[name] = Entry(_checked(value, key), _type(value, key.type))
    return made


def _type(value: Any, kind: str) -> str:
    return f"array[{'i32' if kind == 'u32' else kind}]" if isinstance(value, (list, tuple)) else kind


def _checked(value: Any, key: Key) -> Any:
    """The value as the key's type; a configuration that says `"8"` or 8.5 layers is refused."""
    if isinstance(value, (list, tuple)):
        return [_checked(v, key) for v in value]
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    fits = {
        "u32": whole and 0 <= value < 1 << 32,
        "i32": whole,
        "f32": isinstance(value, (int, float)) and not isinstance(value, bool),
        "bool": isinstance(value, bool),
        "str": isinstance(value, str),
    }[key.type]
    if not fits:
        shown = printable(repr(value), limit=60)
        raise InvalidFileError(f"`{key.hf[0] if key.hf else key.gguf}` is {shown} in config.json, not a {key.type}")
    return float(value) if key.type == "f32" else int(value) if key.type in ("u32", "i32") else value


def to_config(family: Family, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What the metadata says, as config.json has it."""
    made: dict[str, Any] = {}
    for key in family.keys:
        value = metadata.get(f"{family.arch}.{key.gguf}")
        if value is None or key.restore is None or not key.hf:
            continue
        restored = key.restore(list(value) if key.type != "str" and hasattr(value, "__len__") else value)
        if restored is not None:
            made[key.hf[0]] = shortest(restored) if isinstance(restored, float) else restored
    made.update(rope.to_config(family.arch, metadata))
    return made


def shortest(value: float) -> float:
    """The shortest decimal that is this float32: 1e-05, where the nearest float64 is 9.999999747378752e-06."""
    for digits in range(1, 10):
        short = float(f"{value:.{digits}g}")
        if struct.pack("<f", short) == struct.pack("<f", value):
            return short
    return value
