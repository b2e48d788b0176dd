"""inspect: one typed report on a model from its description alone; no tensor byte is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modelglot.core.cost import Cost
from modelglot.core.graph import Graph
from modelglot.core.lazy import lazy
from modelglot.core.metadata import Metadata, is_array
from modelglot.core.model import Model, ties
from modelglot.core.notes import Note
from modelglot.core.tensor import Derived, Missing, Stored, Tensor
from modelglot.core.tree import Inert, walk
from modelglot.features.inspect.tree import Branch, build

CUT = 200  # characters of a metadata value, elements of an array


@dataclass(frozen=True, slots=True)
class TypeTotal:
    """All tensors of one dtype or block encoding."""

    type: str
    tensors: int
    parameters: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Part:
    """A component of a checkpoint as `inspect` shows it."""

    role: str
    path: str
    tensors: int
    nbytes: int


@dataclass(frozen=True)
class InspectReport:
    path: str
    model: Model
    title: str
    why: str
    types: tuple[TypeTotal, ...]
    ties: tuple[tuple[str, ...], ...]
    parts: tuple[Part, ...]
    training: Mapping[str, Any]
    objects: Mapping[str, int]
    calls: tuple[str, ...]
    notes: tuple[Note, ...]
    name: Mapping[str, Any]
    collapse: bool = True
    family: str | None = None
    cost: Cost | None = None

    @lazy
    def tree(self) -> Branch:
        """Made when it is asked for: with 100,000 tensors it takes longer than all else, and few need it."""
        return build(self.model.tensors, collapse=self.collapse)

    def document(self) -> dict[str, Any]:
        """Plain data for ``--json``; `schema` names its shape. Metadata arrays longer than a few values are cut."""
        model = self.model
        return {
            "schema": "modelglot.inspect/1",
            "path": self.path,
            "format": {"name": model.format, "title": self.title, "dialect": model.dialect, "why": self.why},
            "files": [{"name": f.name, "size": f.size, "role": f.role} for f in model.files],
            "sides": [{"name": s.name, "size": s.size, "what": s.what} for s in model.sides],
            "totals": {"tensors": len(model.tensors), "parameters": model.parameters, "bytes": model.nbytes},
            "types": [{"type": t.type, "tensors": t.tensors, "parameters": t.parameters, "bytes": t.nbytes}
                      for t in self.types],
            "name": dict(self.name),
            "family": self.family,
            "ties": [list(names) for names in self.ties],
            "components": [{"role": p.role, "path": p.path, "tensors": p.tensors, "bytes": p.nbytes}
                           for p in self.parts],
            "training_state": {k: plain(v) for k, v in self.training.items()},
            "objects": dict(self.objects),
            "calls": list(self.calls),
            "metadata": {k: {"type": e.type, "value": plain(e.value)} for k, e in model.metadata.entries()},
            "notes": [{"code": n.code, "level": n.level, "text": n.text} for n in self.notes],
            "graph": _graph(model.graph),
            "cost": self.cost.document() if self.cost else None,
            "tensors": [_tensor(t) for t in model.tensors.values()],
        }  # fmt: skip


def examine(
    model: Model,
    path: str,
    title: str,
    why: str,
    parts: Iterable[Part],
    training: Mapping[str, Any],
    name: Mapping[str, Any],
    notes: Iterable[Note] = (),
    *,
    collapse: bool = True,
    family: str | None = None,
    cost: Cost | None = None,
) -> InspectReport:
    """The report on ``model``; what passes and the file's name know is handed in."""
    return InspectReport(
        path,
        model,
        title,
        why,
        type_totals(model.tensors),
        tuple(ties(model.tensors)),
        tuple(parts),
        training,
        *_objects(model.tree),
        (*model.notes, *notes),
        name,
        collapse,
        family,
        cost,
    )


def type_totals(tensors: Mapping[str, Tensor]) -> tuple[TypeTotal, ...]:
    """One row a type, most bytes first."""
    found: dict[str, list[int]] = {}
    for tensor in tensors.values():
        row = found.setdefault(tensor.type_name, [0, 0, 0])
        row[0] += 1
        row[1] += tensor.numel
        row[2] += tensor.nbytes
    rows = (TypeTotal(kind, *row) for kind, row in found.items())
    return tuple(sorted(rows, key=lambda t: (-t.nbytes, t.type)))


def _objects(tree: Any) -> tuple[dict[str, int], tuple[str, ...]]:
    """Globals that the file names and nobody imported, by how often; and those that a loader would have called."""
    found: dict[str, int] = {}
    calls: set[str] = set()
    if tree is not None:
        for _, value in walk(tree):
            if isinstance(value, Inert):
                found[value.global_] = found.get(value.global_, 0) + 1
                if value.role == "called":
                    calls.add(value.global_)
    return dict(sorted(found.items())), tuple(sorted(calls))


def plain(value: Any) -> Any:
    """A metadata value as JSON takes it; long arrays as their beginning and their length."""
    if is_array(value):
        head = [plain(value[i]) for i in range(min(len(value), 8))]
        return head if len(value) <= 8 else {"length": len(value), "first": head}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, bytes):
        return {"bytes": len(value), "first": value[:32].hex()}
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float) and value - value != 0:
        return str(value)
    return value if isinstance(value, (int, float, bool, type(None))) else str(value)


def _tensor(tensor: Tensor) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": tensor.name,
        "type": tensor.type_name,
        "shape": list(tensor.shape),
        "bytes": tensor.nbytes,
    }
    data = tensor.data
    if isinstance(data, Stored) and data.extents:
        row |= {"file": data.extents[0].file, "offset": data.extents[0].offset}
        if data.strides is not None:
            row["strides"] = list(data.strides)
        if data.extents[0].codec != "raw":
            row |= {"codec": data.extents[0].codec, "skip": data.skip}
    elif isinstance(data, Missing):
        row["missing"] = data.why
    elif isinstance(data, Derived):
        row["derived"] = data.kernel
    return row


def _graph(graph: Graph | None) -> dict[str, Any] | None:
    if graph is None:
        return None
    ports = [
        {"name": s.name, "inputs": [p._asdict() for p in s.inputs], "outputs": [p._asdict() for p in s.outputs]}
        for s in graph.signatures
    ]
    return {
        "dialect": graph.dialect,
        "nodes": graph.nodes,
        "operators": dict(graph.operators),
        "functions": list(graph.functions),
        "signatures": ports,
    }


def short(metadata: Metadata, key: str, *, cut: int = CUT) -> str:
    """A metadata value on one line."""
    value = metadata[key]
    if is_array(value):
        head = ", ".join(str(plain(value[i])) for i in range(min(4, len(value))))
        return f"[{head}]" if len(value) <= 4 else f"[{head}, ...] ({len(value):,} values)"
    text = json.dumps(plain(value), ensure_ascii=False) if isinstance(value, dict) else str(plain(value))
    text = " ".join(text.split())
    return text if len(text) <= cut else f"{text[:cut]}... ({len(text):,} characters)"
