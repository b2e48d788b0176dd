"""A model and a place: lay out, move, prove."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace

from modelglot.api.reading import read_as
from modelglot.api.target import Target
from modelglot.core.errors import PlanError
from modelglot.core.format import Format
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.core.tensor import Stored
from modelglot.engine.digest import tensor_digests
from modelglot.engine.execute import Receipt, execute
from modelglot.engine.executors.interface import Executor
from modelglot.engine.executors.threads import Threads
from modelglot.engine.plan import Plan, plan
from modelglot.engine.pool import Pool, SourcePool
from modelglot.engine.run import Progress
from modelglot.formats import registry
from modelglot.passes.text_metadata import to_text, with_framework, wrap_blocks


def plan_model(model: Model, place: Target, allow: Iterable[str], route: list[str], extra: Iterable[Loss]) -> Plan:
    """Fit the model to what the target can hold, then lay it out."""
    text = "text-metadata" in place.format.info.can
    framework = registry.get(model.format).info.framework if model.files else None
    model = replace(model, metadata=with_framework(model.metadata, framework, keep=text))
    if text:
        model = wrap_blocks(replace(model, metadata=to_text(model.metadata)))
    route = [*route, f"write {place.format.info.name}"]
    return plan(model, place.format, place.options, allow=tuple(allow), route=route, losses=extra)


def finish(
    made: Plan,
    place: Target,
    *,
    force: bool = False,
    resume: bool = False,
    threads: int | None = None,
    verify: bool = True,
    on_event: Callable[[Progress], None] | None = None,
    sources: Pool | None = None,
    executor: Executor | None = None,
) -> Receipt:
    """Execute a plan at its place, in ``threads`` of this process or on ``executor``."""
    path = place.path
    named = place.options.name is not None and not place.options.folder
    if made.folder and named:  # one name was given and several files came of it
        path = os.path.dirname(path) or "."
    executor = executor or (Threads(threads) if threads else None)
    check = _reader(place.format, made, executor) if verify or place.check else None
    outline = _outline(place.format, made) if verify and not place.check else None
    check = place.check.after(check) if place.check and check else check
    return execute(
        made, path, force=force, resume=resume, executor=executor, verify=check, outline=outline, on_event=on_event,
        sources=sources,
    )  # fmt: skip


def run(model: Model, place: Target, *, force: bool, allow: Iterable[str], sources: Pool) -> Receipt:
    """Write a model whose bytes come from ``sources``."""
    return finish(plan_model(model, place, allow, ["read memory"], ()), place, force=force, sources=sources)


def _reader(format: Format, made: Plan, executor: Executor | None) -> Callable[[str, list[str]], dict[str, str]]:
    """Reads the written files with the format's own reader; digests by the names that were written."""

    def check(folder: str, names: list[str]) -> dict[str, str]:
        model = _read(format, made, folder)
        if model is None:
            return {}
        pool = SourcePool(model.files)
        try:
            return tensor_digests(model.tensors.values(), pool, executor=executor, files=model.files)
        finally:
            pool.close()

    return check


def _outline(format: Format, made: Plan) -> Callable[[str, list[str]], None]:
    """Holds what the reader finds in files without data against the plan: every tensor at its place, of its type."""

    def check(folder: str, names: list[str]) -> None:
        model = _read(format, made, folder)
        if model is None:
            return
        for step in made.steps:
            found, want = model.tensors.get(step.tensor.name), step.tensor
            if found is None or (found.type_name, found.nbytes) != (want.type_name, step.length):
                raise PlanError("the files would not hold what was planned", tensor=want.name)
            data = found.data
            places = [(model.files[e.file].name, e.offset) for e in data.extents] if isinstance(data, Stored) else []
            if step.length and places[:1] != [(names[step.file], step.offset)]:
                raise PlanError("the files would have it at another place than planned", tensor=want.name)

    return check


def _read(format: Format, made: Plan, folder: str) -> Model | None:
    """What was written, by the format's own reader; None where there is nothing but side files."""
    weights = [f.name for f in made.layout.files if f.slots or f.pieces]
    if not weights:
        return None
    main = weights[0] if len(weights) == 1 else weights[-1]
    model = read_as(format, os.path.join(folder, main), Limits())
    return wrap_blocks(model) if _wrapped(made) else model


def _wrapped(made: Plan) -> bool:
    return any(n.code == "raw-blocks" for n in made.notes)
