"""The steps of a conversion before it is laid out: each changes the model of a draft and says so in its route."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from modelglot.api.framing import check_template, framed, has_frames, type_losses
from modelglot.api.language import (
    from_folder,
    is_folder_of_transformers,
    is_language_gguf,
    lora_as,
    matrices,
    to_folder,
)
from modelglot.api.methods import decoded
from modelglot.api.original import is_original, to_meta
from modelglot.api.target import Target, by_suffix, target_kind
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Loss, Note
from modelglot.core.tree import Inert, Node
from modelglot.families.ggml import is_llama
from modelglot.families.ggml import to_gguf as ggml_to_gguf
from modelglot.passes.cast import cast, parse_rounding, parse_rules
from modelglot.passes.component import choose
from modelglot.passes.into import fill
from modelglot.passes.layout import kept_note, parse_axes
from modelglot.passes.layout import layout as to_layout
from modelglot.passes.select import rename, select

_DIALECTS = {"gguf": "llama.cpp's names and values", "folder": "a Hugging Face folder"}


@dataclass(slots=True)
class Draft:
    """The model so far, what was done to it, and what it lost on the way."""

    model: Model
    source: str
    settings: dict[str, str]
    limits: Limits | None
    route: list[str] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)


def take_component(draft: Draft, place: Target, name: str | None, *, flat: bool) -> None:
    """The part that was asked for; the model itself where the target has no place for the rest."""
    model, can = draft.model, place.format.info.can
    flat = flat or "tree" not in can or (place.options.max_shard_size is not None and "tree-shards" not in can)
    apart = isinstance(model.tree, Node) and model.tree.kind == "parts"
    if apart and not name and model.format == place.format.info.name:
        draft.model = replace(model, tree=None)  # the same format has a place for all of them
    elif name or flat or apart or isinstance(model.tree, Inert):
        draft.model, lost, said = choose(model, name)
        draft.losses += lost
        draft.route += [said] if said else []


def take_tensors(draft: Draft, include: Iterable[str], exclude: Iterable[str]) -> None:
    count = len(draft.model.tensors)
    draft.model = select(draft.model, include, exclude)
    if len(draft.model.tensors) != count:
        draft.route.append(f"kept {len(draft.model.tensors):,} of {count:,} tensors")


def turn_axes(draft: Draft, place: Target, layout: str | None, axes: Iterable[str]) -> None:
    """The axes and gates of another framework; without a wish, a note that they are as they were."""
    told = parse_axes(axes)
    if layout is not None:
        draft.model, undecided = to_layout(draft.model, layout, told)
        draft.losses += undecided
        draft.route.append(f"turn to {layout}'s axes")
    elif (kept := kept_note(draft.model.tensors, place.format.info.framework)) is not None:
        draft.model = replace(draft.model, notes=(*draft.model.notes, Note("layout-kept", kept)))


def take_names(draft: Draft, rules: list[tuple[str, str]], lora_format: str | None) -> None:
    if rules:
        draft.model = rename(draft.model, rules)
        draft.route.append(f"renamed by {len(rules)} rule{'s' * (len(rules) > 1)}")
    if lora_format is not None:
        draft.model = lora_as(draft.model, draft.source, lora_format, draft.limits)
        draft.route.append(f"LoRA in {lora_format}'s names")


def translation(model: Model, source: str, target: str, to: str | None, limits: Limits | None) -> str | None:
    """``gguf`` for a model folder on its way there, ``folder`` for a GGUF model or Meta's folder on its way to Hugging
    Face's, ``graph`` for a language model on its way to ONNX, else None."""
    kind = target_kind(target, to)
    if kind == "onnx":
        return "graph" if is_language_gguf(model) or is_folder_of_transformers(model, source, limits) else None
    if is_language_gguf(model) or is_original(model):
        is_folder = target.endswith(("/", os.sep)) or os.path.isdir(target) or (to and by_suffix(target) is None)
        if is_folder and to in (None, "safetensors"):
            return "folder"
        if is_language_gguf(model):
            return None
    if kind != "gguf":
        return None
    known = is_original(model) or is_llama(model) or is_folder_of_transformers(model, source, limits)
    return "gguf" if known else None


def translate_and_cast(draft: Draft, into: str | None, dialect: str | None, dtype: Iterable[str], how: str) -> None:
    """A language model in the names of its target, and dtypes: both, since a translation has its own for some."""
    casts, seed = parse_rules(dtype), parse_rounding(how)
    lost: list[Loss] = []
    model = draft.model
    if into == "gguf" and is_llama(model):
        model = ggml_to_gguf(model, os.path.basename(draft.source), draft.settings)
    elif into == "graph" and is_language_gguf(model):
        model, casts = matrices(model, casts)
    elif into in ("gguf", "graph"):
        model, casts, lost = from_folder(model, draft.source, casts, draft.settings, draft.limits)
        lost = [loss for loss in lost if into == "gguf" or loss.kind == "tensors"]  # a graph says the rest itself
    elif into == "folder" and is_language_gguf(model):
        model = to_folder(model, casts)
    draft.losses += lost
    draft.route += [f"translate {model.dialect} to {_DIALECTS[into]}"] if into in _DIALECTS else []
    if dialect:
        model, lost = to_meta(decoded(model), draft.source, draft.limits)
        draft.losses += lost
        draft.route.append("Meta's names and values")
    if casts:
        count = len(model.tensors)
        model = decoded(model)
        draft.route += ["decode quantized weights"] if len(model.tensors) != count else []
        model = cast(model, casts, seed)
        done = "cast to " + ", ".join(n if g == "*" else f"{n} ({g})" for g, n in casts)
        draft.route.append(done if how == "nearest" else f"{done}, rounding {how}")
    draft.model = model


def put_into(draft: Draft, place: Target, original: Model, template: str | None, frame: Model | None) -> Target:
    """The rest of a file of the target's format around the weights: of the template, or of the source itself."""
    if frame is not None:
        check_template(place.format, frame)
        draft.model, lost = fill(frame, draft.model)
        draft.losses += lost
        draft.route.append(f"put into {os.path.basename(template or '')}")
    elif _is_whole(draft) and has_frames(place.format, original) and set(draft.model.tensors) == set(original.tensors):
        draft.losses += type_losses(original, draft.model)
    else:
        return place
    return replace(place, options=framed(place.format, place.options, template or draft.source, draft.limits))


def _is_whole(draft: Draft) -> bool:
    """False where something of the source was lost: its graph needs that."""
    return not any(loss.kind == "missing" for loss in draft.losses)
