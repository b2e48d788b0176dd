"""``general.*``: who made the model, from its card, its configuration and the folder's name.

The heuristics are those of the ``gguf`` package (the `llm` extra), so the keys are the ones llama.cpp's converter
writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from math import prod
from pathlib import PurePath
from typing import Any

from modelglot.core.errors import MissingExtraError
from modelglot.core.metadata import Entry
from modelglot.core.tensor import Tensor


def entries(
    arch: str,
    folder: str,
    config: Mapping[str, Any],
    generation: Mapping[str, Any],
    card: str | None,
    tensors: Iterable[Tensor],
) -> dict[str, Entry]:
    """``general.architecture`` to ``general.languages``. ``card`` is the text of README.md; ``tensors`` are GGUF's."""
    gguf = _gguf()
    total, shared, experts, count = _parameters(tensors)
    found = gguf.Metadata.apply_metadata_heuristic(
        gguf.Metadata(), _front_matter(card), dict(config), PurePath(folder), total
    )
    for key, name in _SAMPLING.items():
        value = generation.get(key)
        if value is not None:
            setattr(found, f"sampling_{name}", value)
    found.name = found.name or folder
    if found.size_label is None and total:
        found.size_label = gguf.size_label(total, shared, experts, count)
    writer = gguf.GGUFWriter(path=None, arch=arch)
    writer.add_type("model")
    found.set_gguf_meta_model(writer)
    return {key: _entry(value) for part in writer.kv_data for key, value in part.items()}


_SAMPLING = {
    "sequence": "sequence", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p", "temperature": "temp",
    "xtc_probability": "xtc_probability", "xtc_threshold": "xtc_threshold", "penalty_last_n": "penalty_last_n",
    "repetition_penalty": "penalty_repeat", "penalty_repeat": "penalty_repeat", "mirostat": "mirostat",
    "mirostat_tau": "mirostat_tau", "mirostat_eta": "mirostat_eta",
}  # fmt: skip


def _gguf() -> Any:
    try:
        return import_module("gguf")
    except ImportError:
        raise MissingExtraError("`gguf` is not installed", hint="pip install 'modelglot[llm]'") from None


_TYPES = {0: "u8", 1: "i8", 2: "u16", 3: "i16", 4: "u32", 5: "i32", 6: "f32", 7: "bool", 8: "str", 10: "u64",
          11: "i64", 12: "f64"}  # fmt: skip


def _entry(value: Any) -> Entry:
    if int(value.type) == 9:
        return Entry(list(value.value), "array[str]" if all(isinstance(v, str) for v in value.value) else "array")
    return Entry(value.value, _TYPES[int(value.type)])


def _front_matter(card: str | None) -> dict[str, Any]:
    """The YAML block at the head of a model card; nothing where it does not parse."""
    if card is None or not card.startswith("---"):
        return {}
    lines = card.splitlines()[1:]
    if "---" not in lines:
        return {}
    text = "\n".join(lines[: lines.index("---")]).replace("\t", "  ") + "\n"
    yaml = import_module("yaml")
    try:
        found = yaml.safe_load(text.replace("- no\n", '- "no"\n'))  # the language code, which YAML takes for false
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _parameters(tensors: Iterable[Tensor]) -> tuple[int, int, int, int]:
    """All, those of no expert, those of one expert, and how many experts a layer has on average."""
    total = shared = expert = experts = stacks = 0
    for tensor in tensors:
        count = prod(tensor.shape)
        total += count
        if "_exps." in tensor.name and len(tensor.shape) >= 3:
            number = tensor.shape[1 if ".bias" in tensor.name else 0]
            expert, experts, stacks = expert + count // number, experts + number, stacks + 1
        else:
            shared += count
    return total, shared, expert, experts // stacks if stacks else 0
