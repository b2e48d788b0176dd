"""A GGUF language model as the folder that transformers loads: weights, config.json, tokenizer files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model, SideFile
from modelglot.core.notes import Note
from modelglot.core.tensor import Tensor
from modelglot.families import hyperparameters, registry
from modelglot.families.family import Config, Family
from modelglot.families.names import Names
from modelglot.families.tokenizer import to_folder

Values = Callable[[Tensor], list[float]]


def to_hugging_face(model: Model, values: Values) -> Model:
    """The model under Hugging Face's names with its other files as sides.

    ``values`` reads a small tensor: rope factors become part of config.json. Raises UnsupportedError for an unknown
    family and for tensors that it does not have.
    """
    family = registry.by_metadata(model.metadata)
    made = _config(family, model, values)
    config = Config(made, family.defaults)
    derived = _derived(family, model)
    tensors, unknown = Names(family.rules, "gguf").convert(
        [t for n, t in model.tensors.items() if n not in derived], config
    )
    if unknown:
        shown = ", ".join(printable(n, code=True) for n in unknown[:3]) + (" ..." if len(unknown) > 3 else "")
        raise UnsupportedError(
            f"{len(unknown):,} tensors have no place in a {family.name} model: {shown}",
            hint="leave them out with `--exclude`, or carry everything untranslated with `--plain`",
        )
    files = to_folder.files(model.metadata, made.get("max_position_embeddings"))
    sides = [SideFile("config.json", None, "architecture and hyper-parameters", _json(made))]
    sides += [SideFile(name, None, "tokenizer", data) for name, data in files.items()]
    sides.append(SideFile("generation_config.json", None, "default sampling settings", _json(_generation(made, model))))
    notes = (*model.notes, Note("family", f"a {family.name} model"))
    return replace(
        model,
        tensors=tensors,
        metadata=Metadata({"format": "pt"}),
        sides=tuple(sides),
        notes=notes,
        dialect=family.name,
        tree=None,
    )


def _derived(family: Family, model: Model) -> set[str]:
    return {name for name in family.derived if name in model.tensors}


def _config(family: Family, model: Model, values: Values) -> dict[str, Any]:
    """config.json, without what the metadata does not tell and transformers assumes."""
    made: dict[str, Any] = {"architectures": [family.models[0]], "model_type": family.model_type}
    made |= hyperparameters.to_config(family, model.metadata)
    made |= {f"/{name}": values(model.tensors[name]) for name in sorted(_derived(family, model))}
    made |= {key: value for key, value in family.fixed.items() if key not in made}
    embedding = model.tensors.get("token_embd.weight")
    if embedding is not None:
        made["vocab_size"] = embedding.shape[0]
        made["tie_word_embeddings"] = "output.weight" not in model.tensors
    made |= to_folder.special_ids(model.metadata)
    made["torch_dtype"] = _dtype(model)
    if family.finish:
        family.finish(made, model)
    return {key: value for key, value in made.items() if not key.startswith("/")}


def _dtype(model: Model) -> str:
    """What most bytes of the matrices are; quantized ones decode to float32."""
    names = {"f16": "float16", "bf16": "bfloat16"}
    sizes: dict[str, int] = {}
    for tensor in model.tensors.values():
        if len(tensor.shape) > 1:
            kind = names.get(tensor.type_name, "float32")
            sizes[kind] = sizes.get(kind, 0) + tensor.nbytes
    return max(sizes, key=lambda k: sizes[k]) if sizes else "float32"


def _generation(made: dict[str, Any], model: Model) -> dict[str, Any]:
    """generation_config.json: ends of text, and the sampling settings that newer files carry."""
    found: dict[str, Any] = {key: made[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id") if key in made}
    eot = model.metadata.get("tokenizer.ggml.eot_token_id")
    if isinstance(eot, int) and eot != found.get("eos_token_id"):
        found["eos_token_id"] = [found["eos_token_id"], eot] if "eos_token_id" in found else eot
    sampling = {"temp": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p",
                "penalty_repeat": "repetition_penalty"}  # fmt: skip
    for name, key in sampling.items():
        value = model.metadata.get(f"general.sampling.{name}")
        if value is not None:
            found[key] = hyperparameters.shortest(value) if isinstance(value, float) else value
            found["do_sample"] = True
    return found


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()
