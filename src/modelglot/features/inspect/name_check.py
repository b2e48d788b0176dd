"""A file's name held against the file: quantization, size, step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelglot.core.encoding import Blocks, Opaque, Packed
from modelglot.core.errors import printable
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tree import Node
from modelglot.features.inspect.quantizations import QUANTIZATIONS
from modelglot.passes.recipes.file_types import file_type_name

if TYPE_CHECKING:
    from modelglot.features.inspect.names import NameFacts

_TOLERANCE = 0.25
_SMALL = 4096  # tensors below this many elements are norms and biases, which stay in full precision


def check_name(facts: NameFacts, model: Model) -> list[Note]:
    """What the name says and the file does not, or the file's metadata and its tensors do not agree on."""
    return [*_check_quantization(facts, model), *_check_size(facts, model), *_check_place(facts, model)]


def _check_quantization(facts: NameFacts, model: Model) -> Iterator[Note]:
    stated = file_type_name(model.metadata.get("general.file_type")) if model.format == "gguf" else None
    common = _dominant(model)
    label = facts.quantization
    known = facts.explanation
    own_mix = any(x in facts.labels for x in ("UD", "XL", "L"))
    compared = known is not None and known.kind in ("recipe", "plain") and not own_mix
    if stated and label and known and compared and not stated.startswith(label):
        same = QUANTIZATIONS.get(stated)
        if same is None or known.base is None or same.base != known.base:
            yield Note("name-quantization", f"the name says {label}, but `general.file_type` says {stated}", "warning")
        else:
            yield Note(
                "name-quantization",
                f"the name says {label}, `general.file_type` says {stated}: another mix of the same base",
            )
    if common is None:
        return
    found, share = common
    base = known.base if known and compared else None
    if base and found != base and _share(model, base) < 0.25:
        yield Note("name-quantization", f"the name says {label}, but {share:.0%} of the weights are {found}", "warning")
    recipe = QUANTIZATIONS.get(stated) if stated else None
    if recipe and recipe.base and found != recipe.base and _share(model, recipe.base) < 0.1 and not own_mix:
        yield Note(
            "file-type", f"`general.file_type` says {stated}, but {share:.0%} of the weights are {found}", "warning"
        )


def _shares(model: Model) -> dict[str, int]:
    """Elements by type, without the small tensors."""
    counts: dict[str, int] = {}
    for tensor in model.tensors.values():
        if tensor.numel >= _SMALL and not isinstance(tensor.encoding, Opaque):
            counts[tensor.type_name] = counts.get(tensor.type_name, 0) + tensor.numel
    return counts


def _dominant(model: Model) -> tuple[str, float] | None:
    """The type of most weights and its share."""
    counts = _shares(model)
    if not counts:
        return None
    name = max(counts, key=lambda n: counts[n])
    return name, counts[name] / sum(counts.values())


def _share(model: Model, name: str) -> float:
    counts = _shares(model)
    return counts.get(name, 0) / max(1, sum(counts.values()))


def _check_size(facts: NameFacts, model: Model) -> Iterator[Note]:
    label = model.metadata.get("general.size_label")
    if isinstance(label, str) and facts.size_label and not _same_label(label, facts.size_label):
        yield Note(
            "name-size",
            f"the name says {facts.size_label}, but `general.size_label` says {printable(label, code=True)}",
            "warning",
        )
    partial = any(n.code in ("missing-shard", "split-alone") for n in model.notes)
    shown_alone = facts.shard is not None and facts.shard[1] != 1 and len(model.files) < 2
    if facts.parameters is None or facts.what or not model.tensors or partial or shown_alone or not _countable(model):
        return
    actual = model.parameters
    off = actual / facts.parameters
    if abs(off - 1) > _TOLERANCE:
        level = "info" if 0.5 < off < 2 else "warning"
        yield Note("name-size", f"the name says {facts.size_label}, the file has {_human(actual)} parameters", level)


def _same_label(one: str, other: str) -> bool:
    return one.replace("-", "").lower() == other.replace("-", "").lower()


def _countable(model: Model) -> bool:
    """Whether elements are parameters: not where several are packed in an integer, or an optimizer is stored too."""
    if model.tree is not None:
        return False
    return all(
        isinstance(t.encoding, (Blocks, Packed)) or t.dtype.kind == "float" or t.numel < _SMALL
        for t in model.tensors.values()
    )


def _human(count: int) -> str:
    for unit, size in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)


def _check_place(facts: NameFacts, model: Model) -> Iterator[Note]:
    """Epoch and step of a checkpoint against those inside."""
    if not isinstance(model.tree, Node) or not model.tree.is_mapping:
        return
    for what, said, keys in (("epoch", facts.epoch, ("epoch",)), ("step", facts.step, ("global_step", "step"))):
        inside = next((v for k in keys if type(v := model.tree.get(k)) is int), None)
        if said is not None and inside is not None and abs(inside - said) > 1:
            yield Note("name-step", f"the name says {what} {said:,}, the file says {inside:,}", "warning")
