"""Rotary positions: base, scaling and factors, in config.json (two generations of it) and in GGUF's metadata."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

from modelglot.families.family import Config, Key

_THETA = ("rope_theta", "rotary_emb_base")
_LOCAL_THETA = ("rope_local_base_freq", "local_rope_theta")
_TYPES = {"linear": "linear", "yarn": "yarn", "su": "longrope", "longrope": "longrope"}


def parameters(config: Config) -> dict[str, Any]:
    """What transformers 4 keeps in ``rope_theta`` and ``rope_scaling`` and 5 in ``rope_parameters``, as one."""
    given = config.first("rope_parameters", "rope_scaling") or {}
    given = dict(given.get("full_attention") or given)
    given.setdefault("rope_theta", config.first(*_THETA))
    given.setdefault("rope_type", given.get("type"))
    given.setdefault("partial_rotary_factor", config.first("partial_rotary_factor", "rotary_pct", "rope_pct"))
    given.setdefault("original_max_position_embeddings", config.first("original_max_position_embeddings"))
    return {key: value for key, value in given.items() if value is not None}


def local_theta(config: Config) -> Any:
    """The base of layers that see a window only."""
    given = config.first("rope_parameters") or {}
    local = given.get("sliding_attention") or {}
    return local.get("rope_theta") or config.first(*_LOCAL_THETA)


def _scaled(name: str, *kinds: str) -> Any:
    """A parameter, where the scaling is of one of these kinds and has a factor."""

    def value(config: Config) -> Any:
        given = parameters(config)
        kind = _TYPES.get(given.get("rope_type", ""))
        if kind not in kinds or (kind != "longrope" and given.get("factor") is None):
            return None
        return kind if name == "type" else given.get(name)

    return value


def _attention_factor(config: Config) -> Any:
    given = parameters(config)
    return _scaled("attention_factor", "yarn")(config) or (
        given.get("attn_factor") if _scaled("type", "yarn")(config) else None
    )


KEYS = (
    Key("rope.scaling.type", "str", (), _scaled("type", "linear", "yarn", "longrope")),
    Key("rope.scaling.factor", "f32", (), _scaled("factor", "linear", "yarn")),
    Key("rope.scaling.original_context_length", "u32", (), _scaled("original_max_position_embeddings", "yarn")),
    Key("rope.scaling.yarn_ext_factor", "f32", (), _scaled("extrapolation_factor", "yarn")),
    Key("rope.scaling.yarn_attn_factor", "f32", (), _attention_factor),
    Key("rope.scaling.yarn_beta_fast", "f32", (), _scaled("beta_fast", "yarn")),
    Key("rope.scaling.yarn_beta_slow", "f32", (), _scaled("beta_slow", "yarn")),
    Key("rope.freq_base", "f32", ("rope_theta",), lambda c: parameters(c).get("rope_theta")),
    Key("rope.freq_base_swa", "f32", ("rope_local_base_freq",), local_theta),
)


def to_config(arch: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """``rope_scaling`` as transformers 4 and 5 both read it; llama 3's comes from its factors, see `llama3_scaling`."""
    from modelglot.families.hyperparameters import shortest

    def get(name: str) -> Any:
        value = metadata.get(f"{arch}.rope.scaling.{name}")
        return shortest(value) if isinstance(value, float) else value

    kind = get("type")
    if kind not in ("linear", "yarn"):
        return {}
    names = {
        "factor": "factor",
        "original_max_position_embeddings": "original_context_length",
        "attention_factor": "yarn_attn_factor",
        "beta_fast": "yarn_beta_fast",
        "beta_slow": "yarn_beta_slow",
    }
    found = {key: get(name) for key, name in names.items() if get(name) is not None}
    return {"rope_scaling": {"rope_type": kind, **found}}


def llama3_factors(config: Config) -> list[float]:
    """What llama.cpp divides each frequency by, one a pair of dimensions, where the scaling is llama 3's; else empty.

    Low frequencies are divided by ``factor``, high ones are kept, between the two wave lengths it is interpolated.
    """
    given = parameters(config)
    if str(given.get("rope_type", "")).lower() != "llama3":
        return []
    size = config.first("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    base, factor = float(given.get("rope_theta", 10000.0)), float(given.get("factor", 8.0))
    low, high = float(given.get("low_freq_factor", 1.0)), float(given.get("high_freq_factor", 4.0))
    context = int(given.get("original_max_position_embeddings", 8192))
    made = []
    for frequency in frequencies(base, size):
        length = _f32(_f32(1 / frequency) * _f32(2 * math.pi))
        if length < context / high:
            made.append(1.0)
        elif length > context / low:
            made.append(factor)
        else:
            smooth = _f32(_f32(_f32(_f32(1 / length) * context) - low) / (high - low))
            made.append(_f32(1 / _f32(_f32(_f32(1 - smooth) / factor) + smooth)))
    return made


def frequencies(base: float, size: int) -> list[float]:
    """1 / base^(2i/size), rounded to float32 at each step."""
    return [_f32(1 / _f32(base ** _f32(2 * i / size))) for i in range(size // 2)]


def _f32(value: float) -> float:
    """Rounded to float32: the reference computes in it, and divides by multiplying with the reciprocal."""
    found: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return found


def llama3_scaling(factors: list[float], base: float, size: int) -> dict[str, Any]:
    """``rope_scaling`` back from the factors; ``size`` is of a head.

    Context and bounds only matter in relation to one another, so the lower bound can be taken as 1: two interpolated
    factors give the others, one gives the context with the upper bound 4 that published models have.
    """
    largest = max(factors, default=1.0)
    between = [
        (f / (2 * math.pi), (1 / by - 1 / largest) / (1 - 1 / largest))  # 1 / wave length, how much is kept
        for f, by in zip(frequencies(base, size), factors, strict=True)
        if 1.0 < by < largest
    ]
    high, context = 4.0, 8192.0
    if len(between) > 1:
        (x, a), (y, b) = between[0], between[-1]
        slope = (x - y) / (a - b)
        context = 1 / (x - slope * a)
        high = slope * context + 1
    elif between:
        context = (1 + 3 * between[0][1]) / between[0][0]
    return {
        "rope_type": "llama3",
        "factor": largest,
        "low_freq_factor": 1.0,
        "high_freq_factor": round(high, 3),
        "original_max_position_embeddings": round(context),
    }
