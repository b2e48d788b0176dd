"""pack(): a folder that a runtime takes as it is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import import_module
from typing import Any

from modelglot.api.converting import make_plan
from modelglot.api.finishing import finish, plan_model
from modelglot.api.language import from_folder, is_folder_of_transformers
from modelglot.api.methods import decoded
from modelglot.api.reading import PathLike, read_model
from modelglot.api.target import Target, resolve_target
from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.layout import Layout
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Loss, Note
from modelglot.engine.execute import Receipt
from modelglot.engine.executors.interface import Executor
from modelglot.engine.plan import Plan
from modelglot.engine.run import Progress
from modelglot.passes.quantize import quantize as quantize_pass
from modelglot.passes.recipes.choose import Choices, recipe_name
from modelglot.targets import llama_cpp
from modelglot.targets.package import Package

TARGETS = {"ollama": "pack_ollama", "llama.cpp": "pack_llama_cpp", "llm-farm": "pack_llm_farm", "transformers": ""}
_ENDS = re.compile(r"(-\d{5}-of-\d{5})?\.(gguf|safetensors|bin)$")


def make_pack_plan(
    target: str,
    source: PathLike,
    out: PathLike,
    *,
    quantize: str | None = None,
    format: str | None = None,
    allow_loss: Iterable[str] = (),
    limits: Limits | None = None,
) -> tuple[Plan, Target]:
    """What `pack` with these arguments would do. Nothing is written; the note `next` says what to do with it."""
    if target not in TARGETS:
        shown = printable(target, code=True)
        raise UnsupportedError(f"there is no package for {shown}", hint=f"known ones: {', '.join(TARGETS)}")
    folder = os.path.join(os.fspath(out), "")
    if target == "transformers":
        if quantize is not None:
            raise UnsupportedError("a folder for transformers is not quantized to GGUF types", hint="leave it out")
        return make_plan(source, folder, to="safetensors", format=format, allow_loss=allow_loss, limits=limits)
    path = os.fspath(source)
    model, route, lost = _as_gguf(read_model(path, format=format, limits=limits), path, quantize, limits)
    _refuse(model, target, path)
    name = _name(path, quantize)
    package: Package = import_module(f"modelglot.targets.{TARGETS[target]}").pack(model, name)
    place = resolve_target(folder, "gguf", "gguf")
    after = Note("next", package.next.format(out=folder.rstrip(os.sep)))
    whole = replace(model, sides=package.sides, notes=(*model.notes, *package.notes, after))
    made = plan_model(whole, place, allow_loss, [*route, f"pack for {target}"], lost)
    files = (f._replace(name=name) if f.slots else f for f in made.layout.files)
    return replace(made, layout=Layout(tuple(files))), place


def _as_gguf(
    model: Model, path: str, quantize: str | None, limits: Limits | None
) -> tuple[Model, list[str], list[Loss]]:
    route, lost = [f"read {model.format}"], list[Loss]()
    if is_folder_of_transformers(model, path, limits):
        model, _, lost = from_folder(model, path, [], {}, limits)
        route.append(f"translate {model.dialect} to llama.cpp's names and values")
    elif model.format != "gguf":
        raise UnsupportedError(
            f"neither a GGUF file nor a folder of transformers: {model.format}",
            path=path,
            hint="give the folder with config.json",
        )
    if quantize is not None:
        model = quantize_pass(decoded(model), Choices(recipe_name(quantize)))
        route.append(f"quantize to {recipe_name(quantize)}")
    return model, route, lost


def _refuse(model: Model, target: str, path: str) -> None:
    """A package that cannot run is no package."""
    found = [o for o in llama_cpp.gguf(model) if o.level == "blocker"]
    if found:
        raise UnsupportedError(
            f"{target} will not load it: {found[0].what}",
            path=path,
            detail="\n  ".join(o.what for o in found[1:6]) or None,
            hint=found[0].hint or f"`modelglot check --for {target}` lists what stands in the way",
        )


def _name(path: str, quantize: str | None) -> str:
    stem = _ENDS.sub("", os.path.basename(os.path.abspath(path)))
    return f"{stem}-{recipe_name(quantize)}.gguf" if quantize else f"{stem}.gguf"


def pack(
    target: str,
    source: PathLike,
    out: PathLike,
    *,
    force: bool = False,
    resume: bool = False,
    threads: int | None = None,
    verify: bool = True,
    on_event: Callable[[Progress], None] | None = None,
    executor: Executor | None = None,
    **choices: Any,
) -> Receipt:
    """Make the folder ``out`` for the runtime ``target`` (ollama, llama.cpp, llm-farm, transformers).

    ``source`` is a GGUF file or a Hugging Face folder; ``choices`` are the keyword arguments of `make_pack_plan`.
    Atomic and read back, as `convert` is. Raises its errors, and UnsupportedError for what would not load.
    """
    made, place = make_pack_plan(target, source, out, **choices)
    return finish(
        made, place, force=force, resume=resume, threads=threads, verify=verify, on_event=on_event, executor=executor
    )
