"""A Hugging Face language model as the model a GGUF file holds."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

from modelglot.containers import strict_json
from modelglot.core.derive import as_dtype
from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import Plain
from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Loss, Note
from modelglot.core.tensor import Derived, Inline, Tensor
from modelglot.families import general, hyperparameters, registry
from modelglot.families.family import Config, Family
from modelglot.families.names import Names
from modelglot.families.tokenizer import from_folder
from modelglot.families.tokenizer.folder import Folder

_FILE_TYPES = {"f32": 0, "f16": 1, "bf16": 32}
_MXFP4_MOE = 38
_QUANTIZATION_VERSION = 2

# Matrices that llama.cpp wants in float32 all the same.
_ALWAYS_F32 = ("*.ffn_gate_inp.weight", "*.ffn_gate_inp_shexp.weight", "position_embd.weight", "token_types.weight",
               "*.ssm_conv1d.weight", "*_norm.weight")  # fmt: skip


def to_gguf(model: Model, folder: Folder, *, dtype: str | None = None, settings: dict[str, str] | None = None) -> Model:
    """Names, values, hyper-parameters and tokenizer as llama.cpp's converter writes them.

    ``dtype`` (f32, f16 or bf16) is for the matrices; without it each keeps its own. Vectors become float32, which
    holds them exactly. Raises UnsupportedError for an unknown family, InvalidFileError where files contradict.
    """
    family = registry.by_config(folder.config)
    config = Config(folder.config | _pooling(folder), family.defaults)
    sources = [t for t in _packed(model, family) if not _left(t.name, family, config)]
    tensors, unknown = Names(family.rules, "hf").convert(sources, config)
    if unknown:
        shown = ", ".join(printable(n, code=True) for n in unknown[:3]) + (" ..." if len(unknown) > 3 else "")
        raise UnsupportedError(
            f"{len(unknown):,} tensors have no place in a {family.name} model: {shown}",
            hint="leave them out with `--exclude`, or carry everything untranslated with `--plain`",
        )
    tensors = _untied(tensors, config)
    tensors |= {n: _floats(n, v) for n, v in (family.extra(config) if family.extra else {}).items()}
    tensors = {name: _stored(tensor, dtype) for name, tensor in tensors.items()}
    entries = general.entries(
        family.arch,
        folder.title,
        folder.config,
        folder.json("generation_config.json"),
        folder.text("README.md"),
        tensors.values(),
    )
    entries |= hyperparameters.to_metadata(family, config, _file_type(tensors.values()))
    entries["general.quantization_version"] = Entry(_QUANTIZATION_VERSION, "u32")
    entries |= from_folder.entries(folder, family, config, settings or {})
    entries |= family.entries(config) if family.entries else {}
    notes = (*model.notes, Note("family", f"a {family.name} model"))
    return replace(
        model, tensors=tensors, metadata=Metadata(entries), tree=None, sides=(), notes=notes, dialect=family.name
    )


def losses(model: Model, folder: Folder) -> list[Loss]:
    """What the folder has and GGUF, or llama.cpp, has no place for: reported, never in the way."""
    family = registry.by_config(folder.config)
    config = Config(folder.config, family.defaults)
    by_reason: dict[str, list[str]] = {}
    for tensor in _prefixed(model, family) if family.dropped else ():
        why = family.dropped(tensor.name, config) if family.dropped else None
        if why:
            by_reason.setdefault(why, []).append(tensor.name)
    found = list(family.losses(config)) if family.losses else []
    for why, names in by_reason.items():
        text = f"{len(names):,} tensors stay behind, such as {printable(names[0], code=True)}: {why}"
        found.append(Loss("tensors", text, stops=False))
    return found


def _left(name: str, family: Family, config: Config) -> bool:
    if any(fnmatchcase(name, pattern) for pattern in family.ignore):
        return True
    return family.dropped is not None and family.dropped(name, config) is not None


_POOLING = ("mean", "cls", "lasttoken")


def _pooling(folder: Folder) -> dict[str, str]:
    """How sentence-transformers makes one vector of many, from the module it lists for that."""
    raw = folder.read("modules.json")
    modules = strict_json.loads(raw, what="modules.json") if raw is not None else []
    for module in modules if isinstance(modules, list) else ():
        if str(module.get("type", "")).endswith("Pooling"):
            found = folder.json(f"{module.get('path')}/config.json")
            for name in _POOLING:
                short = f"pooling_mode_{name}" + ("" if name == "lasttoken" else "_token" + "s" * (name == "mean"))
                if found.get(short) or found.get("pooling_mode") == name:
                    return {"/pooling": name}
    return {}


def _packed(model: Model, family: Family) -> Iterable[Tensor]:
    """The tensors, with the codes instead of decoded weights where GGUF holds codes of that kind."""
    for tensor in _prefixed(model, family):
        if isinstance(tensor.data, Derived) and tensor.data.kernel in family.packed:
            yield from tensor.data.inputs
        else:
            yield tensor


def _prefixed(model: Model, family: Family) -> Iterable[Tensor]:
    """Models saved without their head have names without the leading ``model.``, those with one may have it more."""
    known, prefix = Names(family.rules, "hf"), family.prefix
    if any(known.knows(n) for n in model.tensors):
        return model.tensors.values()
    if any(known.knows(f"{prefix}{n}") for n in model.tensors):
        return [replace(t, name=f"{prefix}{t.name}") for t in model.tensors.values()]
    return [replace(t, name=t.name.removeprefix(prefix)) for t in model.tensors.values()]


def _untied(tensors: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Without the output matrix where it is the embedding: GGUF says that by leaving it out."""
    output, embedding = tensors.get("output.weight"), tensors.get("token_embd.weight")
    if output is not None and embedding is not None and config.get("tie_word_embeddings") and _same(output, embedding):
        return {n: t for n, t in tensors.items() if n != "output.weight"}
    return tensors


def _same(a: Tensor, b: Tensor) -> bool:
    return a.data == b.data and a.shape == b.shape


def _floats(name: str, values: list[float]) -> Tensor:
    return Tensor(name, DTYPES["f32"], (len(values),), Inline(struct.pack(f"<{len(values)}f", *values)))


def _stored(tensor: Tensor, dtype: str | None) -> Tensor:
    """In the dtype that llama.cpp expects at this place."""
    if not isinstance(tensor.encoding, Plain) or tensor.dtype.kind != "float":
        return tensor
    exact = len(tensor.shape) < 2 or not tensor.name.endswith(".weight")
    if exact or any(fnmatchcase(tensor.name, p) for p in _ALWAYS_F32):
        return as_dtype(tensor, "f32")
    wanted = dtype or (tensor.dtype.name if tensor.dtype.name in _FILE_TYPES else "f32")
    return as_dtype(tensor, wanted)


def _file_type(tensors: Iterable[Tensor]) -> int:
    """``general.file_type`` of the dtype that most matrix bytes have; one of its own where experts are in MXFP4."""
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        if tensor.type_name == "mxfp4":
            return _MXFP4_MOE
        if len(tensor.shape) > 1 and tensor.type_name in _FILE_TYPES:
            sizes[tensor.type_name] += tensor.nbytes
    return _FILE_TYPES[sizes.most_common(1)[0][0]] if sizes else 0
