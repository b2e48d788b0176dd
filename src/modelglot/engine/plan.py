"""plan(): what will be read and written where, as data, before a byte is moved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from modelglot.core.collector import paused
from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import Opaque
from modelglot.core.errors import LossError, UnsupportedError, printable
from modelglot.core.format import Format
from modelglot.core.layout import Layout, Options, OutFile
from modelglot.core.metadata import Metadata
from modelglot.core.model import FileRef, Model, SideFile
from modelglot.core.notes import Loss, Note
from modelglot.core.tensor import Derived, Inline, Missing, Stored, Tensor
from modelglot.core.tree import plain_loss
from modelglot.core.urls import public


@dataclass(frozen=True, slots=True)
class Step:
    """Write ``tensor`` at ``offset`` of output ``file``. Idempotent: order, repetition and place do not matter."""

    tensor: Tensor
    file: int
    offset: int
    length: int

    @property
    def op(self) -> str:
        """copy (equal bytes), gather (strided), apply (a kernel, byte order, inflating) or fill (held in memory)."""
        data = self.tensor.data
        if isinstance(data, Inline):
            return "fill"
        if isinstance(data, Stored) and data.byteorder == "little" and data.extents[0].codec == "raw":
            return "copy" if data.strides is None else "gather"
        return "apply"


@dataclass(frozen=True, slots=True)
class Plan:
    """``steps`` move tensors, ``layout`` has the literal bytes and fix-ups; ``losses`` were accepted or do not stop."""

    format: str
    sources: tuple[FileRef, ...]
    layout: Layout
    steps: tuple[Step, ...]
    copies: tuple[Step, ...] = ()  # side files, carried whole
    losses: tuple[Loss, ...] = ()
    notes: tuple[Note, ...] = ()
    route: tuple[str, ...] = ()  # what was done to the model on the way, in words
    folder: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of the output files."""
        return sum(f.size for f in self.layout.files)

    def document(self) -> dict[str, Any]:
        """The plan as plain data; `schema` names its shape."""
        return {
            "schema": "modelglot.plan/1",
            "format": self.format,
            "route": list(self.route),
            "sources": [{"path": public(s.path), "size": s.size} for s in self.sources],
            "files": [{"name": f.name, "size": f.size} for f in self.layout.files],
            "bytes": self.nbytes,
            "losses": [{"kind": x.kind, "what": x.what, "hint": x.hint, "stops": x.stops} for x in self.losses],
            "notes": [{"code": n.code, "text": n.text, "level": n.level} for n in self.notes],
            "steps": list(_documents((*self.steps, *self.copies))),
        }


def plan(
    model: Model,
    target: Format,
    options: Options,
    *,
    allow: Iterable[str] = (),
    route: Iterable[str] = (),
    losses: Iterable[Loss] = (),
) -> Plan:
    """Lay ``model`` out as ``target`` and list the steps. Pure. ``losses`` are those of the way to this model.

    Raises LossError for losses that stop and are not in ``allow`` (kinds, or ``all``), UnsupportedError where the
    format has no writer.
    """
    if "write" not in target.info.can:
        raise UnsupportedError(
            f"modelglot reads {target.info.title} but does not write it",
            hint="`modelglot formats` lists what can be written",
        )
    with paused():
        return _plan(model, target, options, tuple(allow), route, losses)


def _plan(
    model: Model, target: Format, options: Options, allow: tuple[str, ...], route: Iterable[str], more: Iterable[Loss]
) -> Plan:
    graph = list(_graph_left(model, target, options))
    model = _without_about(model) if graph and not _holds_metadata(target) else model
    losses = [*more, *missing(model), *_unholdable(model, target), *target.losses(model), *graph]
    if "tree" not in target.info.can:
        losses += plain_loss(model.tree, stops=True)
    losses = list(dict.fromkeys(losses))
    refused = [x for x in losses if x.stops and x.kind not in allow and "all" not in allow]
    if refused:
        raise LossError(
            f"{target.info.title} cannot hold everything: {refused[0].what}",
            detail="\n  ".join(x.what for x in refused[1:6]) or None,
            hint="; ".join(dict.fromkeys(filter(None, (x.hint for x in refused[:3]))))
            or f"`--allow-loss {','.join(sorted({x.kind for x in refused}))}` goes on without",
        )
    layout = target.layout(_holdable(model, target), options)
    folder = options.folder or options.name is None or len(layout.files) > 1
    steps, copies = list(_steps(model, layout)), list[Step]()
    whole = [side for side in model.sides if _is_file(side, model)]
    if folder:
        layout, steps, copies = _with_sides(whole, layout, steps)
    losses += _left_sides(model, [] if folder else whole)
    return Plan(
        target.info.name,
        model.files,
        layout,
        tuple(steps),
        tuple(copies),
        tuple(losses),
        model.notes,
        tuple(route),
        folder,
    )


def _steps(model: Model, layout: Layout) -> Iterator[Step]:
    for number, file in enumerate(layout.files):
        for slot in file.slots:
            yield Step(model.tensors[slot.tensor], number, slot.offset, slot.length)


def missing(model: Model) -> Iterator[Loss]:
    """Tensors without bytes: nothing can be written for them."""
    gone = [t for t in model.tensors.values() if isinstance(t.data, Missing)]
    for tensor in gone[:1]:
        more = f" and {len(gone) - 1:,} more" if len(gone) > 1 else ""
        yield Loss(
            "missing",
            f"{printable(tensor.name, code=True)}{more}: {tensor.data.why}",  # type: ignore[union-attr]
            "get the whole file; `modelglot inspect` shows what is there",
        )


def _unholdable(model: Model, target: Format) -> Iterator[Loss]:
    """Tensors whose dtype or blocks the target has no name for, one loss a type."""
    by_type: dict[str, list[str]] = {}
    for tensor in model.tensors.values():
        if not _has_place(tensor, target) and not isinstance(tensor.data, Missing):
            by_type.setdefault(tensor.type_name, []).append(tensor.name)
    for kind, names in by_type.items():
        yield Loss(
            "dtype",
            f"no `{kind}` in {target.info.title}: {len(names):,} tensors, such as {printable(names[0], code=True)}",
            "`--dtype` casts floats on the way",
        )


def _holdable(model: Model, target: Format) -> Model:
    """Without the tensors that the target has no place for: that loss was accepted."""
    kept = {n: t for n, t in model.tensors.items() if _has_place(t, target) or isinstance(t.data, Missing)}
    return model if len(kept) == len(model.tensors) else replace(model, tensors=kept)


def _has_place(tensor: Tensor, target: Format) -> bool:
    """Where a target takes bytes that nobody interprets, its writer knows which."""
    if isinstance(tensor.encoding, Opaque) and "opaque" in target.info.dtypes:
        return True
    return tensor.type_name in target.info.dtypes


def _graph_left(model: Model, target: Format, options: Options) -> Iterator[Loss]:
    """The computation that a file holds beside its weights; a target that could keep it does not lose it in passing."""
    goes = model.graph is not None and model.graph.in_metadata and _holds_metadata(target)
    if model.graph is not None and not goes and options.frame is None:
        own = target.info.name == model.format and "into" in target.info.can
        nodes = f"{model.graph.nodes:,} node{'s' * (model.graph.nodes != 1)}"
        what = f"the graph ({model.graph.dialect}, {nodes}): only the weights are written"
        yield Loss("graph", what, "keep all tensors and their names" if own else None, stops=own)


def _holds_metadata(target: Format) -> bool:
    return bool(target.info.can & {"metadata", "text-metadata"})


def _without_about(model: Model) -> Model:
    """Without the metadata that only describes the graph, which stays behind."""
    about = model.graph.about if model.graph else frozenset()
    return replace(model, metadata=Metadata({k: e for k, e in model.metadata.entries() if k not in about}))


def _is_file(side: SideFile, model: Model) -> bool:
    """True for a file of the source's folder. Members of an archive are not carried: their names are not ours."""
    extent = side.extent
    if extent is None:
        return True
    ref = model.files[extent.file]
    return ref.name == side.name and extent == (extent.file, 0, ref.size, "raw")


def _left_sides(model: Model, whole: list[SideFile]) -> Iterator[Loss]:
    inside = [side for side in model.sides if not _is_file(side, model)]
    for sides, what, hint in (
        (whole, "files beside the weights", "give a folder as the target to keep them"),
        (inside, "files inside the source that are not weights", None),
    ):
        if sides:
            more = f" and {len(sides) - 4:,} more" if len(sides) > 4 else ""
            names = ", ".join(printable(s.name, code=True) for s in sides[:4]) + more
            yield Loss("side-files", f"{what} stay behind: {names}", hint, stops=False)


def _with_sides(sides: Iterable[SideFile], layout: Layout, steps: list[Step]) -> tuple[Layout, list[Step], list[Step]]:
    """Whole side files copied into the target folder before the weights, so that an index still comes last."""
    taken = {f.name for f in layout.files}
    carried = [s for s in sides if s.name not in taken]
    files = [OutFile(s.name, s.size, ()) for s in carried]
    copies = [
        Step(
            Tensor(s.name, DTYPES["opaque"], (s.size,), Stored((s.extent,)) if s.extent else Inline(s.data)),
            n,
            0,
            s.size,
        )
        for n, s in enumerate(carried)
    ]
    moved = [Step(s.tensor, s.file + len(files), s.offset, s.length) for s in steps]
    return Layout((*files, *layout.files)), moved, copies


def _documents(steps: Iterable[Step]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield {
            "op": step.op,
            "tensor": step.tensor.name,
            "from": _where(step.tensor),
            "file": step.file,
            "offset": step.offset,
            "length": step.length,
        }


def _where(tensor: Tensor) -> Any:
    data = tensor.data
    if isinstance(data, Stored):
        place: dict[str, Any] = {"extents": [[e.file, e.offset, e.length, e.codec] for e in data.extents]}
        if data.strides is not None:
            place["strides"] = list(data.strides)
        if data.byteorder != "little":
            place["byteorder"] = data.byteorder
        return {**place, "skip": data.skip} if data.skip else place
    if isinstance(data, Derived):
        return {"kernel": data.kernel, "params": dict(data.params), "inputs": [_where(t) for t in data.inputs]}
    return {"inline": data.data.hex()} if isinstance(data, Inline) else {"missing": data.why}
