"""Language models between Hugging Face folders and GGUF: when a conversion is one, and how."""

from __future__ import annotations

import struct
from dataclasses import replace

from modelglot.api.folders import folder_of
from modelglot.api.methods import decoded
from modelglot.core.derive import as_dtype, as_floats
from modelglot.core.encoding import Blocks
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.core.tensor import Tensor
from modelglot.engine.pool import SourcePool
from modelglot.engine.stream import read
from modelglot.families import lora
from modelglot.families.to_gguf import losses, to_gguf
from modelglot.families.to_hugging_face import to_hugging_face
from modelglot.passes.cast import Rule

_FLOATS = ("f32", "f16", "bf16")


def is_folder_of_transformers(model: Model, source: str, limits: Limits | None = None) -> bool:
    """True for weights beside a ``config.json`` that names an architecture."""
    if model.format == "gguf" or not any(s.name == "config.json" for s in model.sides):
        return False
    config = folder_of(model, source, limits or Limits()).config
    return bool(config.get("architectures") or config.get("model_type"))


def is_language_gguf(model: Model) -> bool:
    """True for a GGUF file that says its architecture and has a tokenizer or layers: not a mere container."""
    arch = model.metadata.get("general.architecture")
    return model.format == "gguf" and f"{arch}.block_count" in model.metadata


def from_folder(
    model: Model, source: str, rules: list[Rule], settings: dict[str, str], limits: Limits | None
) -> tuple[Model, list[Rule], list[Loss]]:
    """A Hugging Face folder as a GGUF model, the casts that are left to do, and what GGUF has no place for.

    A bare dtype among ``rules`` is for the matrices: vectors stay in float32, as runtimes want them.
    """
    every = [dtype for glob, dtype in rules if glob == "*" and dtype in _FLOATS]
    folder = folder_of(model, source, limits or Limits())
    made = to_gguf(decoded(model), folder, dtype=every[0] if every else None, settings=settings)
    return made, [rule for rule in rules if not every or rule != ("*", every[0])], losses(model, folder)


def matrices(model: Model, rules: list[Rule]) -> tuple[Model, list[Rule]]:
    """A bare dtype among the rules is for the matrices: vectors stay in float32, in which the graph computes."""
    every = [dtype for glob, dtype in rules if glob == "*"]
    if not every:
        return model, rules
    tensors = {n: as_floats(t, every[-1]) if _is_matrix(t) else t for n, t in model.tensors.items()}
    return replace(model, tensors=tensors), [rule for rule in rules if rule[0] != "*"]


def _is_matrix(tensor: Tensor) -> bool:
    return len(tensor.shape) > 1 and tensor.dtype.kind == "float"


def to_folder(model: Model, rules: list[Rule]) -> Model:
    """A GGUF model as a Hugging Face folder. Quantized blocks become float32 where no rule says otherwise.

    Vectors that GGUF keeps in float32 are written in the dtype of the matrices where that holds each of their values:
    what was float16 or bfloat16 all over is so again.
    """
    pool = SourcePool(model.files)
    try:
        made = to_hugging_face(model, lambda tensor: _floats(tensor, pool))
        wide = {n: as_floats(t, "f32") if isinstance(t.encoding, Blocks) else t for n, t in made.tensors.items()}
        made = replace(made, tensors=wide)
        return made if rules else _narrowed(made, pool)
    finally:
        pool.close()


def _floats(tensor: Tensor, pool: SourcePool) -> list[float]:
    return list(struct.unpack(f"<{tensor.numel}f", read(as_floats(tensor, "f32"), pool)))


def _narrowed(model: Model, pool: SourcePool) -> Model:
    kinds = {t.dtype.name for t in model.tensors.values() if len(t.shape) > 1 and t.dtype.kind == "float"}
    kind = next(iter(kinds - {"f32"}), None)
    if kind not in ("f16", "bf16"):
        return model
    small = {n: t for n, t in model.tensors.items() if t.dtype.name == "f32" and t.nbytes <= 1 << 22}
    exact = {n: as_dtype(t, kind) for n, t in small.items() if _holds(t, kind, pool)}
    return replace(model, tensors={n: exact.get(n, t) for n, t in model.tensors.items()})


def _holds(tensor: Tensor, kind: str, pool: SourcePool) -> bool:
    """True where every value survives the way to ``kind`` and back."""
    return read(as_dtype(as_dtype(tensor, kind), "f32"), pool) == read(tensor, pool)


def lora_as(model: Model, source: str, dialect: str, limits: Limits | None) -> Model:
    """A LoRA in the names of ``dialect``; what pairs are multiplied with comes along."""
    settings = folder_of(model, source, limits or Limits()).json("adapter_config.json")
    pool = SourcePool(model.files)
    try:
        return lora.converted(model, dialect, lambda tensor: _floats(tensor, pool)[0], settings)
    finally:
        pool.close()
