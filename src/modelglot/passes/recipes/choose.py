"""The type of each tensor under a recipe, as llama-quantize decides it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from modelglot.core.encoding import BLOCKS
from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.metadata import Metadata, is_array
from modelglot.core.tensor import Tensor
from modelglot.passes.recipes import mixtures as mix

_LAYER = re.compile(r"^blk\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Choices:
    """``recipe`` is a key of `mixtures.BASES`. ``overrides`` are (glob, type), the first that fits decides.

    ``pure``: the base type everywhere. ``keep_output``: `output.weight` stays as it is.
    """

    recipe: str
    pure: bool = False
    keep_output: bool = False
    output_type: str | None = None
    embedding_type: str | None = None
    overrides: tuple[tuple[str, str], ...] = ()
    imatrix: bool = False


def recipe_name(text: str) -> str:
    """``q4_k_m`` as ``Q4_K_M``. Raises UnsupportedError naming the known ones."""
    name = mix.ALIASES.get(text.upper(), text.upper())
    if name not in mix.BASES:
        known = ", ".join(n.lower() for n in mix.BASES)
        raise UnsupportedError(f"there is no quantization {printable(text, code=True)}", hint=f"one of {known}")
    return name


@dataclass(slots=True)
class Chooser:
    """Asked once for every tensor, in llama.cpp's order: rules count what they have seen."""

    choices: Choices
    metadata: Metadata
    names: frozenset[str]
    _seen: dict[str, int] = field(default_factory=dict)

    def ordered(self, names: list[str]) -> list[str]:
        """By layer, those without one first, then by name: the order in which llama.cpp writes and counts."""
        return sorted(names, key=lambda n: (int(m[1]) if (m := _LAYER.match(n)) else -1, n))

    def type_for(self, tensor: Tensor) -> str | None:
        """The block type or dtype to write; None for a tensor that stays as it is."""
        if not self._may_change(tensor):
            return None
        choices, role, name = self.choices, _role(tensor.name), tensor.name
        override = next((kind for glob, kind in choices.overrides if fnmatchcase(name, glob)), None)
        if choices.embedding_type and role == "embedding" and not (override and name.startswith("per_layer")):
            return choices.embedding_type
        if choices.output_type and role == "output":
            return choices.output_type
        base = mix.BASES[choices.recipe]
        if base not in BLOCKS:
            return base
        if override is None and not choices.pure:
            base = self._mixed(base, tensor, role)
        return _fitting(override or base, tensor.shape[-1])

    def _may_change(self, tensor: Tensor) -> bool:
        name = tensor.name
        return (
            _dimensions(tensor.shape) >= 2
            and name.endswith("weight")
            and name not in mix.KEPT_WHOLE
            and not any(part in name for part in mix.KEPT)
            and not (self.choices.keep_output and name == "output.weight")
        )

    def _mixed(self, base: str, tensor: Tensor, role: str) -> str:
        recipe = self.choices.recipe
        tied = "output.weight" not in self.names
        if role == "output" or (tied and role == "embedding"):
            return self.choices.output_type or self._output(base, recipe, tensor.shape[-1])
        if recipe == "MXFP4_MOE":
            return "mxfp4" if len(tensor.shape) > 2 and tensor.shape[-3] > 1 else "q8_0"
        if role == "embedding":
            return mix.EMBEDDING.get(recipe, base)
        if recipe in mix.TINY:
            return self._tiny(base, role, recipe)
        rules = {"value": self._value, "key": self._key, "down": self._down, "attention_output": self._attention_output}
        if role in rules:
            return rules[role](base, recipe, tensor.name)
        if role in ("gate", "up"):
            return self._rule(mix.GATE_UP, recipe, self._place(role, tensor.name)) or base
        return (self._rule(mix.KEY, recipe, self._place(None, tensor.name)) or base) if role == "query" else base

    def _output(self, base: str, recipe: str, columns: int) -> str:
        if recipe == "MXFP4_MOE" or self._arch == "falcon" or columns % BLOCKS[base].elements:
            return "q8_0"
        if recipe in mix.OUTPUT_Q5:
            return "q5_k"
        return base if base == "q8_0" else "q6_k"

    def _tiny(self, base: str, role: str, recipe: str) -> str:
        larger = recipe in ("IQ2_S", "IQ2_M")
        if role == "value":
            self._count("value")
            if self._gqa >= 4 or self._experts >= 4:
                return "q4_k"
            return "iq3_s" if larger else "q2_k"
        if role == "key" and self._experts == 8:
            return "q4_k"
        if role == "down":
            first = self._count("down") < self._layers // 8
            return ("iq3_s" if larger else "q2_k") if first else base
        if role == "attention_output":
            if self._experts == 8:
                return "q5_k"
            return "iq2_xxs" if recipe in ("IQ1_S", "IQ1_M") else "iq3_s" if larger else base
        return base

    def _value(self, base: str, recipe: str, name: str) -> str:
        index = self._count("value")
        count = sum(_role(n) == "value" for n in self.names)
        kind = self._rule(mix.VALUE, recipe, self._at(index, count)) or base
        if self._big and kind in ("q3_k", "q4_k"):
            kind = "q5_k"
        return "q8_0" if self._experts == 8 else kind

    def _key(self, base: str, recipe: str, name: str) -> str:
        return "q8_0" if self._experts == 8 else self._rule(mix.KEY, recipe, self._place(None, name)) or base

    def _down(self, base: str, recipe: str, name: str) -> str:
        return self._rule(mix.DOWN, recipe, self._place("down", name)) or base

    def _attention_output(self, base: str, recipe: str, name: str) -> str:
        if self._arch == "falcon":
            return "q4_k" if recipe == "Q3_K_L" else base
        if self._experts == 8:
            return "q5_k" if recipe in mix.ATTENTION_OUTPUT_OF_8_EXPERTS else base
        return mix.ATTENTION_OUTPUT.get(recipe, base)

    @staticmethod
    def _rule(rules: Mapping[str, mix.Rule], recipe: str, place: mix.Place) -> str | None:
        return rules[recipe](place) if recipe in rules else None

    def _place(self, counter: str | None, name: str) -> mix.Place:
        """In mixtures of experts the layer is read from the name, since experts do not come in order."""
        index = self._count(counter) if counter else 0
        layer = _LAYER.match(name)
        if self._experts > 1 and layer:
            index = int(layer[1])
        return self._at(index, self._layers)

    def _at(self, index: int, count: int) -> mix.Place:
        return mix.Place(index, count, self._gqa, self._experts, self._arch, self.choices.imatrix, self._big)

    def _count(self, what: str) -> int:
        self._seen[what] = self._seen.get(what, 0) + 1
        return self._seen[what] - 1

    @property
    def _arch(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    def _number(self, key: str, default: int) -> int:
        value = self.metadata.get(f"{self._arch}.{key}", default)
        first = value[0] if is_array(value) and len(value) else value
        return first if isinstance(first, int) else default

    @property
    def _experts(self) -> int:
        return max(1, self._number("expert_count", 0)) if self._number("expert_count", 0) else 0

    @property
    def _layers(self) -> int:
        return self._number("block_count", 0)

    @property
    def _gqa(self) -> int:
        heads, shared = self._number("attention.head_count", 0), self._number("attention.head_count_kv", 0)
        return heads // shared if shared else 1 if heads else 0

    @property
    def _big(self) -> bool:
        """llama.cpp's class 70B, which it tells by 80 layers with shared key-value heads (llama) or 80 (qwen2)."""
        return self._layers == 80 and (self._arch == "qwen2" or (self._arch == "llama" and self._gqa > 1))


def _role(name: str) -> str:
    """What a tensor does, from its GGUF name."""
    if name == "output.weight":
        return "output"
    if name in ("token_embd.weight", "per_layer_token_embd.weight"):
        return "embedding"
    for part, role in _PARTS:
        if part in name:
            return role
    return "other"


_PARTS = (
    ("attn_qkv.weight", "value"), ("attn_kv_b.weight", "value"), ("attn_v.weight", "value"), ("attn_k.weight", "key"),
    ("attn_q.weight", "query"), ("attn_output.weight", "attention_output"), ("ffn_up", "up"), ("ffn_gate", "gate"),
    ("ffn_down", "down"),
)  # fmt: skip


def _dimensions(shape: tuple[int, ...]) -> int:
    """As ggml counts them: leading axes of size 1 do not."""
    leading = next((i for i, n in enumerate(shape) if n != 1), len(shape))
    return len(shape) - leading


def _fitting(kind: str, columns: int) -> str:
    """``kind``, or what replaces it where its blocks do not divide a row."""
    if kind not in BLOCKS or columns % BLOCKS[kind].elements == 0:
        return kind
    kind = mix.FALLBACK.get(kind, kind)
    return kind if columns % BLOCKS[kind].elements == 0 else "f16"
