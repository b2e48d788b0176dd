"""LoRA files between the names of kohya, diffusers and peft: the same pairs, and what they are multiplied with.

A pair changes a weight by ``alpha / rank * up @ down``. kohya keeps alpha as a tensor beside each pair, the others in
their settings (``lora_adapter_metadata`` in the header, or adapter_config.json), where nothing means alpha = rank.
"""

from __future__ import annotations

import json
import re
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from modelglot.core.dtype import DTYPES
from modelglot.core.errors import DamagedFileError, UnsupportedError, printable
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model
from modelglot.core.tensor import Inline, Tensor
from modelglot.families.lora_names import unflattened
from modelglot.families.recognise import lora_dialect

DIALECTS = ("kohya", "diffusers", "peft")
HEADER = "lora_adapter_metadata"

_KOHYA = {"lora_unet_": "unet", "lora_te1_": "text_encoder", "lora_te2_": "text_encoder_2", "lora_te_": "text_encoder",
          "lora_transformer_": "transformer"}  # fmt: skip
_ENDS = {
    "kohya": {"down": ".lora_down.weight", "up": ".lora_up.weight", "alpha": ".alpha", "dora": ".dora_scale"},
    "diffusers": {"down": ".lora.down.weight", "up": ".lora.up.weight", "dora": ".lora_magnitude_vector"},
    "peft": {"down": ".lora_A.weight", "up": ".lora_B.weight", "dora": ".lora_magnitude_vector"},
}
_OTHER_ENDS = {  # older spellings, which are read
    ".lora_A.default.weight": ("", "down"), ".lora_B.default.weight": ("", "up"),
    ".lora_linear_layer.down.weight": ("", "down"), ".lora_linear_layer.up.weight": ("", "up"),
    ".lora_magnitude_vector.weight": ("", "dora"),
}  # fmt: skip
_PROCESSOR = re.compile(r"\.processor\.(to_[qkv]|to_out)_lora\.(down|up)\.weight$")
_PEFT_ROOT = "base_model.model."


class Pair(NamedTuple):
    """Which module of which component a tensor belongs to, and what it is there: down, up, alpha or dora."""

    component: str
    path: str
    role: str


def converted(model: Model, dialect: str, number: Callable[[Tensor], float], settings: Mapping[str, Any]) -> Model:
    """The model in another dialect. ``number`` reads a tensor of one value; ``settings`` are adapter_config.json's.

    Raises UnsupportedError for files that are no LoRA of a known dialect, DamagedFileError for half a pair.
    """
    given = lora_dialect(model.tensors)
    if given not in DIALECTS:
        what = f"a LoRA in {given} names" if given else "no LoRA"
        raise UnsupportedError(f"{what}: `--lora-format` converts between {', '.join(DIALECTS)}")
    parts = {name: parse(name) for name in model.tensors}
    for name, part in parts.items():
        if part is None:
            raise UnsupportedError("no part of a LoRA pair that is known here", tensor=name)
    found = {part: model.tensors[name] for name, part in parts.items() if part is not None}
    ranks = _ranks(found)
    alphas = _alphas(found, ranks, number, {**_header(model.metadata), **settings})
    tensors = {name_of(p, dialect, found): t for p, t in found.items() if p.role != "alpha"}
    metadata = {k: e for k, e in model.metadata.entries() if k != HEADER}
    if dialect == "kohya":
        for (component, path), alpha in alphas.items():
            name = name_of(Pair(component, path, "alpha"), dialect, found)
            tensors[name] = Tensor(name, DTYPES["f32"], (), Inline(struct.pack("<f", alpha)))
    elif any(alphas[key] != rank for key, rank in ranks.items()):
        metadata[HEADER] = _entry(json.dumps(_config(ranks, alphas), sort_keys=True))
    named = {name: replace(tensor, name=name) for name, tensor in tensors.items()}
    return replace(model, tensors=named, metadata=Metadata(metadata), tree=None)


def parse(name: str) -> Pair | None:
    """The module and role of a tensor's name, in any dialect."""
    for prefix, component in _KOHYA.items():
        if name.startswith(prefix):
            stem, dot, end = name.partition(".")
            role = next((r for r, e in _ENDS["kohya"].items() if e == dot + end), None)
            return Pair(component, unflattened(stem.removeprefix(prefix)), role) if role else None
    fits = _PROCESSOR.search(name)
    if fits:
        module = "to_out.0" if fits[1] == "to_out" else fits[1]
        return _placed(f"{name[: fits.start()]}.{module}", fits[2])
    for ends in (_ENDS["diffusers"], _ENDS["peft"], {r: e for e, (_, r) in _OTHER_ENDS.items()}):
        for role, end in ends.items():
            if name.endswith(end):
                return _placed(name.removesuffix(end), role)
    for end, (_, role) in _OTHER_ENDS.items():
        if name.endswith(end):
            return _placed(name.removesuffix(end), role)
    return None


def _placed(stem: str, role: str) -> Pair:
    if stem.startswith(_PEFT_ROOT):
        return Pair("model", stem.removeprefix(_PEFT_ROOT), role)
    component, _, path = stem.partition(".")
    return Pair(component, path, role)


def name_of(part: Pair, dialect: str, found: Mapping[Pair, Tensor]) -> str:
    """The tensor's name in a dialect."""
    end = _ENDS[dialect][part.role]
    if dialect != "kohya":
        root = _PEFT_ROOT if part.component == "model" else f"{part.component}."
        return f"{root}{part.path}{end}"
    two = any(p.component == "text_encoder_2" for p in found)
    prefixes = {"unet": "lora_unet", "text_encoder": "lora_te1" if two else "lora_te", "text_encoder_2": "lora_te2",
                "transformer": "lora_transformer"}  # fmt: skip
    prefix = prefixes.get(part.component)
    if prefix is None:
        raise UnsupportedError(f"kohya's names have no component {printable(part.component, code=True)}")
    return f"{prefix}_{part.path.replace('.', '_')}{end}"


def _ranks(found: Mapping[Pair, Tensor]) -> dict[tuple[str, str], int]:
    """Rank of each pair: rows of its down part, which are the columns of its up part."""
    ranks = {}
    for part, tensor in found.items():
        if part.role != "down":
            continue
        up = found.get(part._replace(role="up"))
        if up is None or not tensor.shape or len(up.shape) < 2 or up.shape[1] != tensor.shape[0]:
            what = "has no up part" if up is None else f"has rank {tensor.shape[:1]} and an up part of {list(up.shape)}"
            raise DamagedFileError(f"the pair {what}", tensor=tensor.name)
        ranks[part.component, part.path] = tensor.shape[0]
    for part, tensor in found.items():
        if part.role == "up" and (part.component, part.path) not in ranks:
            raise DamagedFileError("the pair has no down part", tensor=tensor.name)
    return ranks


def _alphas(
    found: Mapping[Pair, Tensor],
    ranks: Mapping[tuple[str, str], int],
    number: Callable[[Tensor], float],
    settings: Mapping[str, Any],
) -> dict[tuple[str, str], float]:
    made: dict[tuple[str, str], float] = {}
    for (component, path), rank in ranks.items():
        tensor = found.get(Pair(component, path, "alpha"))
        own = settings.get(f"{component}.alpha_pattern", settings.get("alpha_pattern")) or {}
        general = settings.get(f"{component}.lora_alpha", settings.get("lora_alpha"))
        made[component, path] = number(tensor) if tensor is not None else float(own.get(path, general or rank))
    return made


def _header(metadata: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads(str(metadata.get(HEADER, "{}")))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _config(ranks: Mapping[tuple[str, str], int], alphas: Mapping[tuple[str, str], float]) -> dict[str, Any]:
    """peft's LoraConfig of each component, its keys after the component's name: what most pairs have, and the rest."""
    made: dict[str, Any] = {}
    for component in dict.fromkeys(c for c, _ in ranks):
        own_ranks = {p: r for (c, p), r in ranks.items() if c == component}
        own = {p: a for (c, p), a in alphas.items() if c == component}
        rank, alpha = (Counter(values.values()).most_common(1)[0][0] for values in (own_ranks, own))
        made |= {
            f"{component}.r": rank,
            f"{component}.lora_alpha": alpha,
            f"{component}.rank_pattern": {p: r for p, r in own_ranks.items() if r != rank},
            f"{component}.alpha_pattern": {p: a for p, a in own.items() if a != alpha},
            f"{component}.target_modules": sorted(own),
        }
    return made


def _entry(text: str) -> Any:
    from modelglot.core.metadata import Entry

    return Entry(text, "str")
