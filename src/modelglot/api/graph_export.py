"""Models whose graph is in their file, or named by the user, as ONNX graphs that run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from modelglot.api import graph_frameworks
from modelglot.api.finishing import plan_model
from modelglot.api.graph_check import GraphCheck, saved
from modelglot.api.target import Target, resolve_target
from modelglot.core.errors import UnsupportedError
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.engine.plan import Plan
from modelglot.engine.stream import read
from modelglot.graphs import process
from modelglot.graphs.checking import Array, random_inputs
from modelglot.graphs.inputs import parse_inputs
from modelglot.graphs.wishes import Wishes
from modelglot.graphs.workers.job import load
from modelglot.sources.opening import open_files

_NAME = "model.onnx"
_METHOD = "torchscript:method"  # a setting: another method than `forward`
_CONFIG = "keras:model_config"  # without it a file has weights only


def plan_graph(
    original: Model,
    source: str,
    target: str,
    to: str | None,
    wishes: Wishes,
    *,
    settings: dict[str, str] | None,
    allow: Iterable[str],
    limits: Limits | None,
    changes: Mapping[str, object],
) -> tuple[Plan, Target] | None:
    """The plan of an export; None where the source has no graph that is exported.

    ``changes`` are choices by name that change tensors, which a graph does not allow.
    """
    make = _exporter(original, target, to, wishes)
    if make is None:
        if wishes.inputs or wishes.entry:
            raise UnsupportedError(
                "`--input` and `--model` are for graphs on their way to ONNX",
                hint="name a target such as `model.onnx`; of weights without a graph, name the model with `--model`",
            )
        return None
    made = sorted(name for name, value in changes.items() if value)
    if made:
        raise UnsupportedError(
            f"a graph is exported as it is: {', '.join(f'`--{name}`' for name in made)} would change its tensors alone",
            hint="export first; or `--plain` for the tensors without the graph",
        )
    place = resolve_target(target, to, original.format, None, settings)
    if place.options.name is None:  # a folder, which gets one file
        place = replace(place, options=replace(place.options, name=_NAME, folder=True))
    return make(original, source, place, wishes, allow, limits)


def _exporter(original: Model, target: str, to: str | None, wishes: Wishes) -> Exporter | None:
    if wishes.entry is not None:
        return graph_frameworks.pytorch
    weights_only = original.format == "keras-h5" and _CONFIG not in original.metadata
    return None if weights_only else _EXPORTERS.get(original.format)


def _torchscript(
    original: Model, source: str, place: Target, wishes: Wishes, allow: Iterable[str], limits: Limits | None
) -> tuple[Plan, Target]:
    from modelglot.graphs.torchscript.export import export

    files, method = open_files(source), place.options.settings.get(_METHOD, "forward")
    try:
        refs = files.refs
        made = export(
            files, parse_inputs(wishes.inputs), limits or Limits(),
            lambda t: read(t, lambda number: files.open(refs()[number].name)), method,
        )  # fmt: skip
    finally:
        files.close()
    left = None if wishes.allow_code else "PyTorch would run the code of the file; `--allow-code` allows it"
    inputs: dict[str, Array] = {}
    try:
        inputs = random_inputs(made.inputs)
    except UnsupportedError as error:  # a type that numpy lacks
        left = error.what

    def wanted(folder: str) -> list[Array]:
        job = {
            "model": os.path.abspath(source), "method": method, "inputs": saved(folder, inputs),
            "fixed": {name: fixed.value for name, fixed in made.fixed.items()}, "states": [n for n, _ in made.states],
        }  # fmt: skip
        result = process.call("torchscript", job, folder, extra="torch", python=wishes.python, said="PyTorch")
        return list(load(folder, result["outputs"]).values())

    check = GraphCheck(place.options.name or "", "PyTorch", inputs, wanted, left)
    model = Model(original.format, made.files, made.tensors, notes=(*_kept(original), *made.notes))
    place = replace(
        place, options=replace(place.options, frame=made.frame), check=check if wishes.check is not False else None
    )
    return plan_model(model, place, allow, ["read torchscript", "follow its code"], ()), place


def _kept(original: Model) -> tuple[Note, ...]:
    return tuple(n for n in original.notes if n.level == "warning")


Exporter = Callable[[Model, str, Target, Wishes, Iterable[str], "Limits | None"], tuple[Plan, Target]]
_EXPORTERS: dict[str, Exporter] = {
    "torchscript": _torchscript,
    **dict.fromkeys(graph_frameworks.KINDS, graph_frameworks.tensorflow),
}
