"""convert(): read, choose, lay out, move, prove."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from modelglot.api.framing import check_template, framed, has_frames, type_losses
from modelglot.api.language import from_folder, is_folder_of_transformers, is_language_gguf, lora_as, to_folder
from modelglot.api.lightning import to_lightning
from modelglot.api.methods import decoded
from modelglot.api.original import FILE, from_meta, is_original, to_meta
from modelglot.api.reading import PathLike, read_as, read_model
from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.format import Format
from modelglot.core.layout import Options
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Loss, Note
from modelglot.core.tree import Inert, Node
from modelglot.engine.digest import tensor_digests
from modelglot.engine.execute import Progress, Receipt, execute
from modelglot.engine.plan import Plan, plan
from modelglot.engine.pool import Pool, SourcePool
from modelglot.families.ggml import is_llama
from modelglot.families.ggml import to_gguf as ggml_to_gguf
from modelglot.formats import registry
from modelglot.passes.cast import cast, parse_rounding, parse_rules
from modelglot.passes.component import choose
from modelglot.passes.into import fill
from modelglot.passes.layout import kept_note, parse_axes
from modelglot.passes.layout import layout as to_layout
from modelglot.passes.quantize import quantize as quantize_pass
from modelglot.passes.recipes.choose import Choices, recipe_name
from modelglot.passes.select import rename, select
from modelglot.passes.text_metadata import to_text, with_framework, wrap_blocks

_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """Where and as what: ``path`` is a folder when ``options.name`` is None."""

    format: Format
    path: str
    options: Options


def to_bytes(size: int | str | None) -> int | None:
    """``5GB`` is 5 * 10**9, ``5GiB`` is 5 * 2**30."""
    if size is None or isinstance(size, int):
        return size
    fits = _SIZE.match(size)
    if not fits or float(fits[1]) <= 0:
        raise UnsupportedError(f"{printable(size, code=True)} is not a size", hint="write `5GB`, `500MB` or `2GiB`")
    step = 1024 if fits[3] else 1000
    return int(float(fits[1]) * step ** " KMGT".index(fits[2].upper() or " "))


def resolve_target(
    path: str, to: str | None, source_format: str, shard: int | None = None, settings: dict[str, str] | None = None
) -> Target:
    """The format from ``to``, or from the suffix, or (for a folder) the source's own; file or folder from the path."""
    by_suffix = _by_suffix(path)
    folder = path.endswith(("/", os.sep)) or os.path.isdir(path)
    if to is not None:
        format = registry.get(to)
        folder = folder or (by_suffix is not format and not path.endswith(format.info.suffixes))
    elif folder:
        format = registry.get(source_format)
    elif by_suffix is None:
        raise UnsupportedError(
            "the target's name does not tell a format",
            path=path,
            hint="add `--to FORMAT`, or a suffix such as `.safetensors`",
        )
    else:
        format = by_suffix
    name = None if folder else os.path.basename(path)
    return Target(format, path, Options(shard, name, settings or {}))


def _by_suffix(path: str) -> Format | None:
    for format in registry.all_formats():
        if "write" in format.info.can and path.lower().endswith(format.info.suffixes):
            return format
    return None


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
    allow_loss: Iterable[str] = (),
    limits: Limits | None = None,
) -> tuple[Plan, Target]:
    """What `convert` with these arguments would do. Nothing is written.

    Language models are translated between Hugging Face folders and GGUF, unless ``plain``. ``quantize`` names one of
    llama.cpp's recipes; `make_quantize_plan` has all options of it. ``lora_format`` renames a LoRA. ``dialect``
    ``original`` writes a llama in Meta's own layout; folders that have it are translated like Hugging Face's;
    ``lightning`` a checkpoint that a LightningModule loads. ``layout`` (torch, tf, keras) turns kernels, ``axes`` says
    what theirs are.
    ``template`` is a file of the target's format whose weights are replaced and everything else kept.
    """
    lightning, dialect = dialect == "lightning", None if dialect == "lightning" else dialect
    original = model = read_model(os.fspath(source), format=format, limits=limits)
    frame = read_model(os.fspath(template), limits=limits) if template is not None else None
    to = frame.format if frame and to is None and _by_suffix(os.fspath(target)) is None else to
    wanted = os.path.join(target, "") if dialect else os.fspath(target)
    into = None if plain else _translation(model, os.fspath(source), wanted, to, limits)
    kind = "safetensors" if into == "folder" else model.format
    place = resolve_target(wanted, to, kind, to_bytes(max_shard_size), settings)
    place = _in_dialect(place, dialect, to, plain) if dialect else place
    route = [f"read {model.format}"]
    if (into or dialect) and is_original(model):
        model = from_meta(model, os.fspath(source), limits)
    extra: list[Loss] = []
    can = place.format.info.can
    flat = lightning or "tree" not in can or (place.options.max_shard_size is not None and "tree-shards" not in can)
    apart = isinstance(model.tree, Node) and model.tree.kind == "parts"
    if apart and not component and model.format == place.format.info.name:
        model = replace(model, tree=None)  # the same format has a place for all of them
    elif component or flat or apart or isinstance(model.tree, Inert):
        model, extra, said = choose(model, component)
        route += [said] if said else []
    count = len(model.tensors)
    model = select(model, include, exclude)
    if len(model.tensors) != count:
        route.append(f"kept {len(model.tensors):,} of {count:,} tensors")
    told = parse_axes(axes)
    if layout is not None:
        model, undecided = to_layout(model, layout, told)
        extra = [*extra, *undecided]
        route.append(f"turn to {layout}'s axes")
    elif (kept := kept_note(model.tensors, place.format.info.framework)) is not None:
        model = replace(model, notes=(*model.notes, Note("layout-kept", kept)))
    rules = list(rename_rules)
    if rules:
        model = rename(model, rules)
        route.append(f"renamed by {len(rules)} rule{'s' * (len(rules) > 1)}")
    if lora_format is not None:
        model = lora_as(model, os.fspath(source), lora_format, limits)
        route.append(f"LoRA in {lora_format}'s names")
    casts, seed = parse_rules(dtype), parse_rounding(rounding)
    if into == "gguf" and is_llama(model):
        model = ggml_to_gguf(model, os.path.basename(os.fspath(source)), settings or {})
    elif into == "gguf":
        model, casts, lost = from_folder(model, os.fspath(source), casts, settings or {}, limits)
        extra = [*extra, *lost]
    elif into == "folder" and is_language_gguf(model):
        model = to_folder(model, casts)
    route += [f"translate {model.dialect} to {_DIALECTS[into]}"] if into else []
    if dialect:
        model, lost = to_meta(decoded(model), os.fspath(source), limits)
        extra = [*extra, *lost]
        route.append("Meta's names and values")
    if casts:
        count = len(model.tensors)
        model = decoded(model)
        route += ["decode quantized weights"] if len(model.tensors) != count else []
        model = cast(model, casts, seed)
        route.append("cast to " + ", ".join(n if g == "*" else f"{n} ({g})" for g, n in casts))
        route[-1] += "" if rounding == "nearest" else f", rounding {rounding}"
    if lightning:
        model = to_lightning(model, place.format, settings or {})
        route.append("a Lightning checkpoint")
    if quantize is not None:
        model = quantize_pass(decoded(model), Choices(recipe_name(quantize)))
        route.append(f"quantize to {recipe_name(quantize)}")
    if frame is not None:
        check_template(place.format, frame)
        model, lost = fill(frame, model)
        extra = [*extra, *lost]
        route.append(f"put into {os.path.basename(os.fspath(template or ''))}")
    elif has_frames(place.format, original) and set(model.tensors) == set(original.tensors):
        frame = original
        extra = [*extra, *type_losses(original, model)]
    if frame is not None:
        options = framed(place.format, place.options, os.fspath(template or source), limits)
        place = replace(place, options=options)
    made = plan_model(model, place, allow_loss, route, extra)
    return made, place


_DIALECTS = {"gguf": "llama.cpp's names and values", "folder": "a Hugging Face folder"}


def _translation(model: Model, source: str, target: str, to: str | None, limits: Limits | None) -> str | None:
    """``gguf`` for a model folder on its way there, ``folder`` for a GGUF model or Meta's folder on its way to Hugging
    Face's, else None."""
    if is_language_gguf(model) or is_original(model):
        is_folder = target.endswith(("/", os.sep)) or os.path.isdir(target) or (to and _by_suffix(target) is None)
        if is_folder and to in (None, "safetensors"):
            return "folder"
        if is_language_gguf(model):
            return None
    format = registry.get(to) if to else _by_suffix(target)
    if format is None or format.info.name != "gguf":
        return None
    known = is_original(model) or is_llama(model) or is_folder_of_transformers(model, source, limits)
    return "gguf" if known else None


def _in_dialect(place: Target, dialect: str, to: str | None, plain: bool) -> Target:
    """A folder with one file of the name that Meta's layout has."""
    shards = place.options.max_shard_size
    whole = to in (None, "torch-zip") and not plain and shards is None
    if dialect != "original" or not whole or _by_suffix(place.path.rstrip("/")):
        raise UnsupportedError(
            "`--dialect original` is one PyTorch file in a folder, translated",
            hint="give a folder as the target, without `--to`, `--plain` and `--max-shard-size`",
        )
    return Target(registry.get("torch-zip"), place.path, replace(place.options, name=FILE, folder=True))


def plan_model(model: Model, place: Target, allow: Iterable[str], route: list[str], extra: Iterable[Loss]) -> Plan:
    """Fit the model to what the target can hold, then lay it out."""
    text = "text-metadata" in place.format.info.can
    framework = registry.get(model.format).info.framework if model.files else None
    model = replace(model, metadata=with_framework(model.metadata, framework, keep=text))
    if text:
        model = wrap_blocks(replace(model, metadata=to_text(model.metadata)))
    route = [*route, f"write {place.format.info.name}"]
    return plan(model, place.format, place.options, allow=tuple(allow), route=route, losses=extra)


def convert(
    source: PathLike,
    target: PathLike,
    *,
    force: bool = False,
    resume: bool = False,
    threads: int | None = None,
    verify: bool = True,
    on_event: Callable[[Progress], None] | None = None,
    **choices: Any,
) -> Receipt:
    """Convert a file or folder. ``choices`` are the keyword arguments of `make_plan`.

    The result is read back by the target's own reader and compared, tensor by tensor, before it is published under
    its name. Raises the errors of `open`, and LossError, TargetExistsError, CannotWriteError, PlanError.
    """
    made, place = make_plan(source, target, **choices)
    return finish(made, place, force=force, resume=resume, threads=threads, verify=verify, on_event=on_event)


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
) -> Receipt:
    """Execute a plan at its place."""
    path = place.path
    named = place.options.name is not None and not place.options.folder
    if made.folder and named:  # one name was given and several files came of it
        path = os.path.dirname(path) or "."
    check = _reader(place.format, made, threads) if verify else None
    return execute(
        made, path, force=force, resume=resume, threads=threads, verify=check, on_event=on_event, sources=sources
    )


def run(model: Model, place: Target, *, force: bool, allow: Iterable[str], sources: Pool) -> Receipt:
    """Write a model whose bytes come from ``sources``."""
    return finish(plan_model(model, place, allow, ["read memory"], ()), place, force=force, sources=sources)


def _reader(format: Format, made: Plan, threads: int | None) -> Callable[[str, list[str]], dict[str, str]]:
    """Reads the written files with the format's own reader; digests by the names that were written."""

    def check(folder: str, names: list[str]) -> dict[str, str]:
        weights = [f.name for f in made.layout.files if f.slots or f.pieces]
        if not weights:
            return {}
        main = weights[0] if len(weights) == 1 else weights[-1]
        model = read_as(format, os.path.join(folder, main), Limits())
        model = wrap_blocks(model) if _wrapped(made) else model
        pool = SourcePool(model.files)
        try:
            return tensor_digests(model.tensors.values(), pool, threads=threads or 2)
        finally:
            pool.close()

    return check


def _wrapped(made: Plan) -> bool:
    return any(n.code == "raw-blocks" for n in made.notes)
