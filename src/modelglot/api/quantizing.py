"""quantize(): any source, llama.cpp's recipes, the engine's kernels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from modelglot.api.finishing import finish, plan_model
from modelglot.api.importance import load_imatrix
from modelglot.api.language import from_folder, is_folder_of_transformers
from modelglot.api.language_graph import unfolded
from modelglot.api.methods import decoded
from modelglot.api.original import from_meta, is_original
from modelglot.api.reading import PathLike, read_model
from modelglot.api.target import Target, resolve_target, to_bytes
from modelglot.core.encoding import BLOCKS
from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.tensor import Stored
from modelglot.engine.execute import Receipt
from modelglot.engine.executors.interface import Executor
from modelglot.engine.plan import Plan
from modelglot.engine.run import Progress
from modelglot.passes.component import choose
from modelglot.passes.quantize import quantize as quantize_pass
from modelglot.passes.recipes.choose import Choices, recipe_name


def make_quantize_plan(
    source: PathLike,
    target: PathLike,
    type: str,
    *,
    pure: bool = False,
    overrides: Iterable[tuple[str, str]] = (),
    output_type: str | None = None,
    embedding_type: str | None = None,
    keep_output: bool = False,
    requantize: bool = False,
    imatrix: PathLike | None = None,
    keep_split: bool = False,
    component: str | None = None,
    to: str | None = None,
    format: str | None = None,
    max_shard_size: int | str | None = None,
    allow_loss: Iterable[str] = (),
    limits: Limits | None = None,
) -> tuple[Plan, Target]:
    """What `quantize` with these arguments would do. Nothing is written."""
    model = read_model(os.fspath(source), format=format, limits=limits)
    place = resolve_target(os.fspath(target), to, "gguf", to_bytes(max_shard_size))
    model = unfolded(model, os.fspath(target), to or place.format.info.name)
    if place.format.info.name == "gguf" and is_original(model):
        model = from_meta(model, os.fspath(source), limits)
    model, extra, said = choose(model, component)
    translated = place.format.info.name == "gguf" and is_folder_of_transformers(model, os.fspath(source), limits)
    if translated:
        model, _, lost = from_folder(model, os.fspath(source), [], {}, limits)
        extra = [*extra, *lost]
    if keep_split:
        place = replace(place, options=replace(place.options, groups=_as_stored(model)))
    weights = load_imatrix(imatrix) if imatrix is not None else None
    recipe = recipe_name(type)
    choices = Choices(
        recipe,
        pure=pure,
        keep_output=keep_output,
        output_type=_type(output_type),
        embedding_type=_type(embedding_type),
        overrides=tuple((glob, _type(kind) or "") for glob, kind in overrides),
        imatrix=weights is not None,
    )
    route = [f"read {model.format}", *([said] if said else [])]
    route += [f"translate {model.dialect} to llama.cpp's names and values"] if translated else []
    model = quantize_pass(decoded(model), choices, imatrix=weights, requantize=requantize, stored_order=keep_split)
    with_weights = f" with {len(weights):,} importance vectors" if weights else ""
    route.append(f"quantize to {recipe}{with_weights}")
    return plan_model(model, place, allow_loss, route, extra), place


def quantize(
    source: PathLike,
    target: PathLike,
    type: str,
    *,
    force: bool = False,
    resume: bool = False,
    threads: int | None = None,
    verify: bool = True,
    on_event: Callable[[Progress], None] | None = None,
    executor: Executor | None = None,
    **choices: Any,
) -> Receipt:
    """Quantize a model to a recipe such as ``q4_k_m``; ``choices`` are the keyword arguments of `make_quantize_plan`.

    Blocks equal those of llama.cpp's ``llama-quantize``. Raises the errors of `convert`, and UnsupportedError for
    tensors that are quantized already and for types that need an importance matrix.
    """
    made, place = make_quantize_plan(source, target, type, **choices)
    return finish(
        made, place, force=force, resume=resume, threads=threads, verify=verify, on_event=on_event, executor=executor
    )


def _as_stored(model: Model) -> tuple[tuple[str, ...], ...]:
    """Names by the file they lie in; nothing where there is one file."""
    files: dict[int, list[str]] = {}
    for name, tensor in model.tensors.items():
        number = tensor.data.extents[0].file if isinstance(tensor.data, Stored) and tensor.data.extents else 0
        files.setdefault(number, []).append(name)
    return tuple(tuple(names) for _, names in sorted(files.items())) if len(files) > 1 else ()


def _type(name: str | None) -> str | None:
    """A block type or a float dtype, in lower case."""
    if name is None:
        return None
    kind = name.lower()
    if kind not in BLOCKS and kind not in ("f32", "f16", "bf16"):
        known = ", ".join(["f32", "f16", "bf16", *BLOCKS])
        raise UnsupportedError(f"there is no tensor type {printable(name, code=True)}", hint=f"one of {known}")
    return kind
