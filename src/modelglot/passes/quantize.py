"""Ask for quantized blocks, by one of llama.cpp's recipes; the engine's kernels make them while the bytes move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from modelglot.core.derive import as_dtype, dequantize
from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import BLOCKS, Blocks, Plain
from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Derived, Missing, Tensor
from modelglot.passes.recipes.choose import Choices, Chooser
from modelglot.passes.recipes.file_types import FILE_TYPES
from modelglot.passes.recipes.mixtures import NEEDS_IMATRIX

_FLOATS = ("f32", "f16", "bf16")
_VERSION = 2  # general.quantization_version: of the block formats, as ggml counts them


def quantize(
    model: Model,
    choices: Choices,
    *,
    imatrix: Mapping[str, bytes] | None = None,
    requantize: bool = False,
    stored_order: bool = False,
) -> Model:
    """The model with the types of a recipe, tensors in llama.cpp's order, and the recipe in its metadata.

    ``imatrix`` maps tensor names to float32 weights, one for each column (and expert). ``stored_order`` keeps the
    order of the source instead, as llama.cpp does where shards are kept. Raises UnsupportedError for
    tensors that are quantized already (unless ``requantize``), and for types that need an importance matrix.
    """
    chooser = Chooser(choices, model.metadata, frozenset(model.tensors))
    tensors: dict[str, Tensor] = {}
    names = list(model.tensors)
    for name in names if stored_order else chooser.ordered(names):
        tensor = model.tensors[name]
        kind = chooser.type_for(tensor)
        tensors[name] = tensor if kind is None else _made(tensor, kind, (imatrix or {}).get(name), choices, requantize)
    number = next(n for n, name in FILE_TYPES.items() if name == choices.recipe)
    own = ("general.quantization_version", "general.file_type")  # at the end, where llama-quantize puts them
    entries = {key: entry for key, entry in model.metadata.entries() if key not in own}
    entries["general.quantization_version"] = Entry(_VERSION, "u32")
    entries["general.file_type"] = Entry(number, "u32")
    notes = model.notes
    if "general.architecture" not in model.metadata:
        text = "no `general.architecture`: tensor roles are unknown, so every matrix gets the base type"
        notes = (*notes, Note("no-roles", text, "warning"))
    return replace(model, tensors=tensors, metadata=Metadata(entries), notes=notes, tree=None)


def _made(tensor: Tensor, kind: str, weights: bytes | None, choices: Choices, requantize: bool) -> Tensor:
    if tensor.type_name == kind or isinstance(tensor.data, Missing):
        return tensor
    name = printable(tensor.name, code=True)
    if isinstance(tensor.encoding, Blocks):
        if not requantize:
            raise UnsupportedError(
                f"is `{tensor.type_name}` already, and quantizing twice loses more than once",
                tensor=tensor.name,
                hint="start from the float model, or say `--allow-requantize`",
            )
        tensor = dequantize(tensor, "f32")
    if not isinstance(tensor.encoding, Plain) or tensor.dtype.name not in (*_FLOATS, "f64"):
        return tensor
    if kind in DTYPES:
        return as_dtype(tensor, kind)
    if weights is None and _needs_weights(kind, choices, tensor.name):
        raise UnsupportedError(f"{name} as `{kind}` needs an importance matrix", hint="give one with `--imatrix FILE`")
    if tensor.dtype.name == "f64":
        tensor = as_dtype(tensor, "f32")
    params: dict[str, object] = {"from": tensor.dtype.name, "to": kind}
    if weights is not None:
        params |= {"imatrix": weights, "row": tensor.shape[-1]}
    data = Derived("quantize", (tensor,), params)
    return replace(tensor, dtype=DTYPES["f32"], encoding=BLOCKS[kind], data=data)


def _needs_weights(kind: str, choices: Choices, name: str) -> bool:
    if name in ("output.weight", "token_embd.weight", "per_layer_token_embd.weight"):
        return False
    return kind in NEEDS_IMATRIX or (kind == "q2_k" and choices.recipe == "Q2_K_S")
