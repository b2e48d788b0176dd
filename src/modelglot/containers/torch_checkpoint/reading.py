"""From a pickle stream with tensors to a `Model`: run the machine, name the tensors, say what was noticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelglot.containers.pickle import arrays, plain, torch_tensors
from modelglot.containers.pickle.machine import Machine
from modelglot.containers.pickle.naming import Named, module_body, name_tensors
from modelglot.containers.pickle.torch_shortcut import FUNCTION, Shortcut
from modelglot.containers.pickle.torch_storage import Storages
from modelglot.containers.pickle.window import Place, Window
from modelglot.core.errors import located, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.model import Model, SideFile
from modelglot.core.notes import Note
from modelglot.core.tensor import Missing, Tensor
from modelglot.core.tree import Inert, Node, TensorRef


@dataclass(slots=True)
class Parts:
    """What a reader of one container found, before it is a `Model`."""

    named: Named
    notes: list[Note] = field(default_factory=list)
    sides: list[SideFile] = field(default_factory=list)


def machine(
    window: Window, limits: Limits, place: Place | None, persistent: Callable[[Any], Any] | None = None
) -> Machine:
    """A machine that knows Python's containers, NumPy's arrays and PyTorch's tensors."""
    table = {**plain.handlers(), **arrays.handlers(place), **torch_tensors.handlers()}
    shortcut = (FUNCTION, Shortcut(persistent)) if isinstance(persistent, Storages) else None
    return Machine(window, limits, table, persistent, shortcut)


def named_value(value: Any, window: Window, limits: Limits, member: str | None, prefix: str = "") -> Named:
    """`name_tensors`, with the member in errors."""
    with located(member=member):
        return name_tensors(value, window, limits, prefix)


def model(files: FileSet, format_name: str, parts: Parts, dialect: str | None = None) -> Model:
    """The model; its dialect says what kind of checkpoint the tree is."""
    named = parts.named
    notes = [*parts.notes, *named.notes, *_tensor_notes(named.tensors)]
    tree = named.tree
    return Model(
        format_name,
        files.refs(),
        named.tensors,
        dialect or _dialect(tree),
        tree=tree,
        sides=tuple(parts.sides),
        notes=tuple(dict.fromkeys(notes)),
    )


def _dialect(tree: Any) -> str | None:
    if isinstance(tree, Inert):
        return "whole-module" if module_body(tree) is not None else "object"
    if isinstance(tree, TensorRef):
        return "tensor"
    if not isinstance(tree, Node):
        return None
    if tree.is_mapping:
        if tree.get("pytorch-lightning_version") is not None:
            return "lightning"
        if all(isinstance(value, TensorRef) for _, value in tree.items):
            return "state-dict"
        return "checkpoint"
    return None


def _tensor_notes(tensors: dict[str, Tensor]) -> list[Note]:
    """One note for each kind of tensor that is more than its numbers."""
    found: dict[str, list[str]] = {}
    for name, tensor in tensors.items():
        if isinstance(tensor.data, Missing):
            found.setdefault("meta", []).append(name)
        if tensor.extra:
            for mark in ("torch:quantizer", "torch:conj", "torch:neg"):
                if mark in tensor.extra:
                    found.setdefault(mark, []).append(name)
    return [
        Note(code, _names(names) + text, level)
        for mark, (code, text, level) in _NOTES.items()
        if (names := found.get(mark))
    ]


_NOTES = {
    "torch:quantizer": ("quantized", "quantized by PyTorch: the integers are shown; scale and zero point are `extra`, "
                        "or in `.scales` and `.zero_points`", "info"),
    "torch:conj": ("conjugated", "stored as the complex conjugate of what PyTorch would show", "warning"),
    "torch:neg": ("negated", "stored as the negative of what PyTorch would show", "warning"),
    "meta": ("meta-tensor", "saved without data (PyTorch's meta device)", "warning"),
}  # fmt: skip


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(printable(n, code=True) for n in names[:3])
    return f"{shown}: " if len(names) <= 3 else f"{shown} and {len(names) - 3:,} more tensors: "
