"""llama.cpp's files before GGUF as GGUF: Meta's names, the same values, and what seven numbers say as metadata.

The result is what llama.cpp's own converter of these files writes. What they never said is assumed as it does, and
said: `context_length` and `rms_epsilon` among the settings overrule it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelglot.core.errors import InvalidFileError, UnsupportedError, printable
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Tensor
from modelglot.families import llama, original

SETTINGS = {"ggml:context_length": "2048", "ggml:rms_epsilon": "5e-6"}
_UNKNOWN, _NORMAL, _CONTROL, _BYTE = 2, 1, 3, 6  # token types
_FILE_TYPES = (
    {0: "ALL_F32", 1: "MOSTLY_F16", 2: "MOSTLY_Q4_0", 3: "MOSTLY_Q4_1", 4: "MOSTLY_Q4_1_SOME_F16", 7: "MOSTLY_Q8_0",
     8: "MOSTLY_Q5_0", 9: "MOSTLY_Q5_1", 10: "MOSTLY_Q2_K", 11: "MOSTLY_Q3_K_S", 12: "MOSTLY_Q3_K_M",
     13: "MOSTLY_Q3_K_L", 14: "MOSTLY_Q4_K_S", 15: "MOSTLY_Q4_K_M", 16: "MOSTLY_Q5_K_S", 17: "MOSTLY_Q5_K_M",
     18: "MOSTLY_Q6_K"}
)  # fmt: skip


def is_llama(model: Model) -> bool:
    """True for a llama.cpp file with tensors, not one of whisper.cpp."""
    return model.format == "ggml" and (model.dialect or "").startswith("llama") and bool(model.tensors)


def to_gguf(model: Model, name: str, settings: Mapping[str, str]) -> Model:
    """The GGUF model. Raises UnsupportedError for tensors that are no llama's, InvalidFileError for odd sizes."""
    numbers = {key.removeprefix("llama."): value for key, value in model.metadata.items() if key.startswith("llama.")}
    names = _names()
    tensors: dict[str, Tensor] = {}
    for tensor in model.tensors.values():
        found = _renamed(tensor.name, names)
        if found is None:
            raise UnsupportedError(
                f"{printable(tensor.name, code=True)} has no place in a llama model",
                hint="`--plain` carries everything untranslated",
            )
        tensors[found] = replace(tensor, name=found)
    entries = _hyperparameters(numbers, tensors, {**SETTINGS, **settings}, model.dialect or "", name)
    entries |= _vocabulary(model.metadata)
    text = "the file does not say its context length and epsilon; for llama 2 add "
    note = Note("assumed", f"{text}`--set ggml:context_length=4096 --set ggml:rms_epsilon=1e-5`")
    return replace(model, tensors=tensors, metadata=Metadata(entries), dialect="llama", notes=(*model.notes, note))


def _names() -> dict[str, str]:
    """Meta's templates -> GGUF's, by way of Hugging Face's, which both tables have."""
    rules = (*llama.LAYERS, *llama.FEED_FORWARD, *llama.PLAIN_QK)
    gguf = {rule.hf[0]: rule.gguf[0] for rule in rules}
    return {rule.gguf[0]: gguf[rule.hf[0]] for rule in original.RULES}


def _renamed(name: str, names: Mapping[str, str]) -> str | None:
    stem, _, suffix = name.rpartition(".")
    layer = re.search(r"^layers\.(\d+)\.", stem)
    found = names.get(stem.replace(f"layers.{layer[1]}.", "layers.{i}.") if layer else stem)
    if found is None or suffix not in ("weight", "bias"):
        return None
    return f"{found.replace('{i}', layer[1] if layer else '')}.{suffix}"


def _hyperparameters(
    numbers: Mapping[str, int], tensors: Mapping[str, Tensor], settings: Mapping[str, str], dialect: str, name: str
) -> dict[str, Entry | str]:
    head = numbers["n_embd"] // numbers["n_head"]
    forward, key = _rows(tensors, "blk.0.ffn_gate.weight"), _rows(tensors, "blk.0.attn_k.weight")
    if key % head:
        raise InvalidFileError(f"{key:,} rows of keys are no whole heads of {head:,}", tensor="blk.0.attn_k.weight")
    family = dialect.partition(", ")[2].split()
    version = f"{family[0].upper()}v{family[1] if len(family) > 1 else 1}"
    kind = _FILE_TYPES.get(numbers["ftype"], str(numbers["ftype"]))
    found: dict[str, Any] = {
        "context_length": _number(settings, "ggml:context_length", int), "embedding_length": numbers["n_embd"],
        "block_count": numbers["n_layer"], "feed_forward_length": forward, "rope.dimension_count": head,
        "attention.head_count": numbers["n_head"], "attention.head_count_kv": key // head,
    }  # fmt: skip
    epsilon = _number(settings, "ggml:rms_epsilon", float)
    return {
        "general.architecture": "llama",
        "general.name": name,
        "general.description": f"converted from legacy {version} {kind} format",
        "general.file_type": Entry(numbers["ftype"], "u32"),
        **{f"llama.{key}": Entry(value, "u32") for key, value in found.items()},
        "llama.attention.layer_norm_rms_epsilon": Entry(epsilon, "f32"),
    }


def _number(settings: Mapping[str, str], key: str, kind: type) -> Any:
    try:
        return kind(settings[key])
    except ValueError:
        raise UnsupportedError(f"`{key}` is a number, not {printable(settings[key], code=True)}") from None


def _rows(tensors: Mapping[str, Tensor], name: str) -> int:
    tensor = tensors.get(name)
    if tensor is None or len(tensor.shape) != 2:
        raise InvalidFileError(f"{name} is missing, or no matrix")
    return tensor.shape[0]


def _vocabulary(metadata: Metadata) -> dict[str, Entry | str]:
    """Tokens as SentencePiece writes them; these files have them decoded, and the first three without their names."""
    raw = list(metadata["tokens"])
    scores = list(metadata.get("scores") or [0.0] * len(raw))
    special = {0: ("<unk>", _UNKNOWN), 1: ("<s>", _CONTROL), 2: ("</s>", _CONTROL)}
    pairs = [special.get(number) or _token(number, text) for number, text in enumerate(raw)]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": Entry([text for text, _ in pairs], "array[str]"),
        "tokenizer.ggml.scores": Entry(scores, "array[f32]"),
        "tokenizer.ggml.token_type": Entry([kind for _, kind in pairs], "array[i32]"),
        "tokenizer.ggml.unknown_token_id": Entry(0, "u32"),
        "tokenizer.ggml.bos_token_id": Entry(1, "u32"),
        "tokenizer.ggml.eos_token_id": Entry(2, "u32"),
    }


def _token(number: int, text: str) -> tuple[str, int]:
    raw = text.encode("utf-8", "surrogateescape")
    if not raw:
        return text, _CONTROL
    if number <= 258 and len(raw) == 1:
        return f"<0x{raw[0]:02X}>", _BYTE
    return text.replace(" ", "\u2581"), _NORMAL
