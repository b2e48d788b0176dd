"""inspect(): everything that can be said of a file without reading its tensors."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace

from modelglot.api import ollama_store
from modelglot.api.folders import config_of
from modelglot.api.methods import method_notes
from modelglot.api.reading import PathLike, detect, existing, read_as, read_model
from modelglot.core.cost import Cost
from modelglot.core.errors import located
from modelglot.core.format import Format
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.urls import public
from modelglot.families.recognise import recognise
from modelglot.features.inspect.names import check_name, parse_name
from modelglot.features.inspect.report import InspectReport, Part, examine
from modelglot.formats import registry
from modelglot.passes.component import components, training_state
from modelglot.passes.select import matches
from modelglot.sources.opening import base_name, open_files
from modelglot.sources.remote.known import listed


def inspect(
    path: PathLike,
    *,
    match: Iterable[str] = (),
    collapse: bool = True,
    format: str | None = None,
    limits: Limits | None = None,
    count_cost: bool = False,
    inputs: Iterable[str] = (),
) -> InspectReport:
    """The report on a file or folder. ``match`` keeps the tensors that fit a glob; ``collapse=False`` gives the
    tree one line a tensor; ``count_cost`` counts the operations of its graph, for ``inputs`` of sizes such as
    ``x=f32[1,3,224,224]``. Raises the errors of `open`, and those of `cost`."""
    text = os.fspath(path)
    stored = ollama_store.find(text, limits) if format is None else None
    text = text if stored is not None else existing(text)
    with located(path=text), listed(text):
        if stored is not None:
            model = read_model(text, limits=limits)
            chosen, why = registry.get(model.format), "the model layer of an Ollama manifest"
        else:
            files = open_files(text)
            if format:
                chosen, why = registry.get(format), "as told"
            else:
                chosen, found = detect(text, files)
                why = found.why
            model = read_as(chosen, text, limits or Limits(), files)
        report = describe(model, text, chosen, why, match=match, collapse=collapse, limits=limits)
    return replace(report, cost=_cost(model, text, inputs, limits)) if count_cost else report


def describe(
    model: Model,
    path: str,
    format: Format,
    why: str,
    *,
    match: Iterable[str] = (),
    collapse: bool = True,
    limits: Limits | None = None,
) -> InspectReport:
    """The report on a model that was read from ``path``."""
    facts = parse_name(base_name(path))
    notes = [*check_name(facts, model), *method_notes(model)]
    parts = [
        Part(c.role, c.path, len(c.names), sum(model.tensors[n].nbytes for n in c.names.values()))
        for c in components(model)
    ]
    training = training_state(model.tree) if any(p.path for p in parts) else {}
    return examine(
        _matching(model, match),
        public(path),
        format.info.title,
        why,
        parts,
        training,
        facts.document(),
        notes,
        collapse=collapse,
        family=recognise(model.tensors, model.metadata, config_of(model, path, limits or Limits())),
    )


def _cost(model: Model, path: str, inputs: Iterable[str], limits: Limits | None) -> Cost:
    """Counting needs numpy and a library for graphs, which a look at a file does without."""
    from modelglot.api.costing import cost

    return cost(model, path, inputs, limits)


def _matching(model: Model, globs: Iterable[str]) -> Model:
    wanted = tuple(globs)
    if not wanted:
        return model
    return replace(model, tensors={n: t for n, t in model.tensors.items() if matches(n, wanted)})
