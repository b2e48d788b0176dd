"""convert(): read, choose, lay out, move, prove."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from modelglot.api import drafting
from modelglot.api.finishing import finish, plan_model
from modelglot.api.graphs import graph_target, in_container, plan_program
from modelglot.api.language_graph import put_graph, unfolded
from modelglot.api.lightning import to_lightning
from modelglot.api.methods import decoded
from modelglot.api.onnx_family import by_family, check_layers
from modelglot.api.original import FILE, from_meta, is_original
from modelglot.api.reading import PathLike, read_model
from modelglot.api.salvaging import salvage as rescue
from modelglot.api.target import Target, by_suffix, resolve_target, target_kind, to_bytes
from modelglot.core.errors import UnsupportedError
from modelglot.core.limits import Limits
from modelglot.engine.execute import Receipt
from modelglot.engine.executors.interface import Executor
from modelglot.engine.plan import Plan
from modelglot.engine.run import Progress
from modelglot.formats import registry
from modelglot.graphs.wishes import Wishes
from modelglot.passes.quantize import quantize as quantize_pass
from modelglot.passes.recipes.choose import Choices, recipe_name


def make_plan(
    source: PathLike,
    target: PathLike,
    *,
    to: str | None = None,
    format: str | None = None,
    dtype: Iterable[str] = (),
    rounding: str = "nearest",
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    rename_rules: Iterable[tuple[str, str]] = (),
    component: str | None = None,
    plain: bool = False,
    layout: str | None = None,
    axes: Iterable[str] = (),
    quantize: str | None = None,
    lora_format: str | None = None,
    dialect: str | None = None,
    max_shard_size: int | str | None = None,
    settings: dict[str, str] | None = None,
    template: PathLike | None = None,
    container: bool = False,
    allow_loss: Iterable[str] = (),
    limits: Limits | None = None,
    wishes: Wishes | None = None,
    salvage: bool = False,
) -> tuple[Plan, Target]:
    """What `convert` with these arguments would do. Nothing is written.

    Language models are translated between Hugging Face folders and GGUF, unless ``plain``. ``quantize`` names one of
    llama.cpp's recipes; `make_quantize_plan` has all options of it. ``lora_format`` renames a LoRA. ``dialect``
    ``original`` writes a llama in Meta's own layout; folders that have it are translated like Hugging Face's;
    ``lightning`` a checkpoint that a LightningModule loads. ``layout`` (torch, tf, keras) turns kernels, ``axes`` says
    what theirs are.
    ``to`` also takes the graph targets of `modelglot.api.graphs`: ``pytorch`` writes the graph as source, with its
    weights beside. ``container``: the tensors of an ONNX graph may become a GGUF that no runtime runs. ``template`` is
    a file of the target's format whose weights are replaced and everything else kept.
    ``salvage`` takes what is whole of a damaged source.
    ``wishes`` are of graphs on their way to ONNX: inputs, what may be run, whether the result is compared.
    """
    origin, aim = os.fspath(source), os.fspath(target)
    beside = os.fspath(template) if template is not None else None
    lightning, dialect = dialect == "lightning", None if dialect == "lightning" else dialect
    rescued = rescue(origin, format, limits) if salvage else (read_model(origin, format=format, limits=limits), [])
    original, lost = rescued
    if (program := graph_target(aim, to)) is not None:
        given = {"dtype": dtype, "include": include, "exclude": exclude, "rename": rename_rules, "component": component,
                 "layout": layout, "axes": axes, "quantize": quantize, "lora-format": lora_format, "dialect": dialect,
                 "max-shard-size": max_shard_size, "into": template}  # fmt: skip
        return plan_program(
            program, original, origin, aim, settings or {}, allow_loss, limits, given, wishes or Wishes()
        )
    original = original if plain else unfolded(original, aim, to)
    if template is None and not plain and target_kind(aim, to) == "onnx":
        from modelglot.api.graph_export import plan_graph  # brings numpy, which copies do without

        changes = {"dtype": dtype, "include": include, "exclude": exclude, "rename": rename_rules, "layout": layout,
                   "component": component, "quantize": quantize, "dialect": dialect}  # fmt: skip
        graph = plan_graph(original, origin, aim, to, wishes or Wishes(), settings=settings, allow=allow_loss,
                           limits=limits, changes=changes)  # fmt: skip
        if graph is not None:
            return graph
    frame = read_model(beside, limits=limits) if beside is not None else None
    to = frame.format if frame and to is None and by_suffix(aim) is None else to
    aim = os.path.join(aim, "") if dialect else aim
    into = None if plain else drafting.translation(original, origin, aim, to, limits)
    kind = "safetensors" if into == "folder" else original.format
    place = resolve_target(aim, to, kind, to_bytes(max_shard_size), settings)
    place = _in_dialect(place, dialect, to, plain) if dialect else place

    recognised = by_family(original, origin, limits) if into == "gguf" and not container else None
    original = recognised or original
    original = in_container(original, place, container)
    draft = drafting.Draft(original, origin, settings or {}, limits, [f"read {original.format}"], lost)
    if (into or dialect) and is_original(original):
        draft.model = from_meta(original, origin, limits)
    drafting.take_component(draft, place, component, flat=lightning)
    drafting.take_tensors(draft, include, exclude)
    drafting.turn_axes(draft, place, layout, axes)
    drafting.take_names(draft, list(rename_rules), lora_format)
    drafting.translate_and_cast(draft, into, dialect, dtype, rounding)
    if recognised is not None:
        check_layers(draft.model)
    if lightning:
        draft.model = to_lightning(draft.model, place.format, draft.settings)
        draft.route.append("a Lightning checkpoint")
    if quantize is not None:
        draft.model = quantize_pass(decoded(draft.model), Choices(recipe_name(quantize)))
        draft.route.append(f"quantize to {recipe_name(quantize)}")
    place = put_graph(draft, place, original) if into == "graph" else place
    place = drafting.put_into(draft, place, original, beside, frame)
    return plan_model(draft.model, place, allow_loss, draft.route, draft.losses), place


def _in_dialect(place: Target, dialect: str, to: str | None, plain: bool) -> Target:
    """A folder with one file of the name that Meta's layout has."""
    shards = place.options.max_shard_size
    whole = to in (None, "torch-zip") and not plain and shards is None
    if dialect != "original" or not whole or by_suffix(place.path.rstrip("/")):
        raise UnsupportedError(
            "`--dialect original` is one PyTorch file in a folder, translated",
            hint="give a folder as the target, without `--to`, `--plain` and `--max-shard-size`",
        )
    return Target(registry.get("torch-zip"), place.path, replace(place.options, name=FILE, folder=True))


def convert(
    source: PathLike,
    target: PathLike,
    *,
    force: bool = False,
    resume: bool = False,
    threads: int | None = None,
    verify: bool = True,
    on_event: Callable[[Progress], None] | None = None,
    executor: Executor | None = None,
    **choices: Any,
) -> Receipt:
    """Convert a file or folder. ``choices`` are the keyword arguments of `make_plan`.

    The result is read back by the target's own reader and compared, tensor by tensor, before it is published under
    its name. Raises the errors of `open`, and LossError, TargetExistsError, CannotWriteError, PlanError.
    """
    made, place = make_plan(source, target, **choices)
    return finish(
        made, place, force=force, resume=resume, threads=threads, verify=verify, on_event=on_event, executor=executor
    )
