"""What a graph needs to know of a model beside its tensors, from the keys of its ``config.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelglot.core.errors import InvalidFileError, UnsupportedError, printable
from modelglot.families import rope
from modelglot.families.family import Config


@dataclass(frozen=True, slots=True)
class Traits:
    """How an architecture, by its GGUF name, differs. ``interleaved``: rotary dimensions are neighbours."""

    activation: str = "silu"  # silu | gelu_tanh | gelu
    interleaved: bool = False
    layer_norm: bool = False  # instead of the root of mean squares
    rotary: bool = True
    local_only: bool = False  # rotary positions only in layers with a window
    rotary_share: float = 1.0  # of a head, where the configuration does not say
    gated: bool = True  # a feed-forward without a gate of its own has it in the same matrix
    scaled_embedding: bool = False  # by the root of its width
    full_every: int = 0  # with a window: every n-th layer sees the whole text; 0: none does
    own_rotary: bool = False  # layers with a window have a base of rotary positions of their own


TRAITS: dict[str, Traits] = {
    "llama": Traits(interleaved=True),
    "qwen2": Traits(),
    "qwen2moe": Traits(),
    "qwen3": Traits(),
    "qwen3moe": Traits(),
    "phi3": Traits(),
    "gemma2": Traits("gelu_tanh", scaled_embedding=True, full_every=2),
    "gemma3": Traits("gelu_tanh", scaled_embedding=True, full_every=6, own_rotary=True),
    "granite": Traits(interleaved=True),
    "olmo2": Traits(),
    "starcoder2": Traits("gelu_tanh", layer_norm=True, gated=False),
    "stablelm": Traits(layer_norm=True, rotary_share=0.25),
    "chatglm": Traits(interleaved=True, rotary_share=0.5),
    "glm4": Traits(interleaved=True, rotary_share=0.5),
    "command-r": Traits(interleaved=True, layer_norm=True),
    "cohere2": Traits(interleaved=True, layer_norm=True, full_every=4, local_only=True),
    "gpt2": Traits("gelu_tanh", layer_norm=True, rotary=False, gated=False),
    "bert": Traits("gelu", layer_norm=True, rotary=False, gated=False),
}


@dataclass(frozen=True, slots=True)
class Rotary:
    """``frequencies``: radians a position, one a pair of dimensions; ``long``: those of texts over ``original``."""

    frequencies: tuple[float, ...]
    factor: float = 1.0  # of cosine and sine
    long: tuple[float, ...] = ()
    original: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    arch: str
    traits: Traits
    layers: int
    width: int
    heads: int
    kv_heads: int
    head: int  # numbers of a head
    context: int
    vocabulary: int
    epsilon: float
    scale: float  # of attention scores
    window: int = 0
    attention_cap: float = 0.0
    logit_cap: float = 0.0
    experts: int = 0
    used_experts: int = 0
    whole_softmax: bool = False  # over all experts, the chosen ones are not brought to a sum of 1
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    logit_scale: float = 1.0
    rotary: Rotary | None = None
    local: Rotary | None = None  # of layers with a window, where it differs

    def windowed(self, layer: int) -> int:
        """The window of a layer in tokens, 0 where it sees everything."""
        every = self.traits.full_every
        full = self.window >= self.context or (every and not (layer + 1) % every)
        return 0 if full else self.window


def shape_of(arch: str, config: Config, factors: Mapping[str, list[float]]) -> Shape:
    """``factors``: values of ``rope_*`` tensors.

    Raises UnsupportedError for an architecture without a graph, InvalidFileError for a configuration that does not fit.
    """
    if arch not in TRAITS:
        known = ", ".join(TRAITS)
        raise UnsupportedError(
            f"no ONNX graph is known for {printable(arch, code=True)} models", hint=f"there are graphs for {known}"
        )
    try:
        return _shape(arch, config, factors)
    except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InvalidFileError(f"the model's configuration does not describe a graph: {printable(said)}") from None


def _shape(arch: str, config: Config, factors: Mapping[str, list[float]]) -> Shape:
    traits = TRAITS[arch]
    width, heads = _count(config, "hidden_size", "n_embd"), _count(config, "num_attention_heads", "n_head")
    head = _count(config, "head_dim", most=1 << 14) if config.first("head_dim") else width // heads
    scalar = config.first("query_pre_attn_scalar")
    window = config.first("sliding_window") if config.get("use_sliding_window") is not False else 0
    return Shape(
        arch,
        traits,
        _count(config, "num_hidden_layers", "n_layer", most=1 << 12),
        width,
        heads,
        _count(config, "num_key_value_heads", "num_attention_heads", "n_head"),
        head,
        _count(config, "max_position_embeddings", "n_positions"),
        _count(config, "vocab_size"),
        float(config.first("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")),
        float(config.get("attention_multiplier") or 1.0 / math.sqrt(scalar or head)),
        int(window or 0),
        float(config.first("attn_logit_softcapping") or 0),
        float(config.first("final_logit_softcapping") or 0),
        int(config.first("num_local_experts", "num_experts") or 0),
        int(config.first("num_experts_per_tok") or 0),
        arch == "qwen2moe" and not config.get("norm_topk_prob"),
        float(config.get("embedding_multiplier") or (math.sqrt(width) if traits.scaled_embedding else 1.0)),
        float(config.get("residual_multiplier") or 1.0),
        float(config.get("logit_scale") or 1.0 / float(config.get("logits_scaling") or 1.0)),
        _rotary(config, head, traits.rotary_share, factors) if traits.rotary else None,
        _local(config, head) if traits.own_rotary else None,
    )


def _count(config: Config, *names: str, most: int = 1 << 30) -> int:
    """A whole number from 1 on; a graph is as large as these say."""
    value = config.first(*names)
    if type(value) is not int or not 0 < value <= most:
        raise ValueError(f"`{names[0]}` is {value!r}")
    return value


def _rotary(config: Config, head: int, share: float, factors: Mapping[str, list[float]]) -> Rotary:
    given = rope.parameters(config)
    size = int(head * float(given.get("partial_rotary_factor") or share))
    plain = rope.frequencies(float(given.get("rope_theta", 10000.0)), size)
    kind = str(given.get("rope_type") or "default").lower()
    by = factors.get("rope_freqs.weight") or (rope.llama3_factors(config) if kind == "llama3" else [])
    if by:
        return Rotary(tuple(f / d for f, d in zip(plain, by, strict=True)))
    if kind == "linear":
        return Rotary(tuple(f / float(given["factor"]) for f in plain))
    if kind == "yarn":
        return _yarn(given, plain, size)
    if kind in ("longrope", "su"):
        return _long(config, given, plain)
    if kind not in ("default", "llama3"):
        raise UnsupportedError(f"no graph for rotary positions of the kind {printable(kind, code=True)}")
    return Rotary(tuple(plain))


def _local(config: Config, head: int) -> Rotary:
    return Rotary(tuple(rope.frequencies(float(rope.local_theta(config) or 10000.0), head)))


def _long(config: Config, given: Mapping[str, Any], plain: list[float]) -> Rotary:
    original = int(given["original_max_position_embeddings"])
    stretch = int(config["max_position_embeddings"]) / original
    factor = 1.0 if stretch <= 1 else math.sqrt(1 + math.log(stretch) / math.log(original))
    factor = float(given.get("attention_factor") or factor)
    short, long = ([f / float(d) for f, d in zip(plain, given[f"{k}_factor"], strict=True)] for k in ("short", "long"))
    return Rotary(tuple(short), factor, tuple(long), original)


def _yarn(given: Mapping[str, Any], plain: list[float], size: int) -> Rotary:
    """YaRN (arXiv 2309.00071): low frequencies are divided by the factor, high ones kept, those between mixed."""
    factor, base = float(given["factor"]), float(given.get("rope_theta", 10000.0))
    original = int(given["original_max_position_embeddings"])

    def turns(number: float) -> float:
        return size * math.log(original / (number * 2 * math.pi)) / (2 * math.log(base))

    low = max(math.floor(turns(float(given.get("beta_fast") or 32))), 0)
    high = min(math.ceil(turns(float(given.get("beta_slow") or 1))), size - 1)
    spread = (high - low) or 0.001
    made = []
    for number, frequency in enumerate(plain):
        kept = 1 - min(max((number - low) / spread, 0.0), 1.0)
        made.append(frequency / factor * (1 - kept) + frequency * kept)
    scale = float(given.get("attention_factor") or (0.1 * math.log(factor) + 1 if factor > 1 else 1.0))
    return Rotary(tuple(made), scale)
