"""llama.cpp: loads one GGUF file, or a whole set by its first file, of an architecture that it has code for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from modelglot.containers.shard_index import SHARD
from modelglot.core.errors import printable
from modelglot.core.metadata import is_array
from modelglot.core.model import Model
from modelglot.families.tokenizer.pre import groups
from modelglot.targets.llama_tensors import tensors
from modelglot.targets.report import Obstacle, blocker, warning
from modelglot.targets.subject import Subject, unreadable, whole

TITLE = "llama.cpp"
_TOKENIZERS = ("llama", "bert", "gpt2", "t5", "rwkv", "plamo2", "hybriddna", "whitespace", "none", "no_vocab")
_KEYS = ("block_count", "context_length", "embedding_length")
_REFUSED = {
    "gap": "write it anew: `modelglot convert IN.gguf OUT.gguf`",
    "long-name": "give shorter names with `modelglot convert --rename`",
    "big-endian": "turn it around: `modelglot convert IN.gguf OUT.gguf`",
    "split-alone": "keep the names of the set, `name-00001-of-00003.gguf` and so on",
    "unknown-type": "use a version of llama.cpp that knows it, or the file of another quantization",
}
_PARTS = {
    "adapter": "an adapter: give the base model, and this one with `--lora`",
    "mmproj": "the vision or audio part of a model: give the text model, and this one with `--mmproj`",
    "imatrix": "an importance matrix: it is for `llama-quantize`",
}


def check(subject: Subject) -> list[Obstacle]:
    """In the order in which llama.cpp would meet them."""
    if subject.model is None:
        return unreadable(subject)
    if not subject.is_gguf:
        hint = f"`modelglot convert {subject.path} model.gguf`"
        return [blocker("not-gguf", f"llama.cpp loads GGUF; this is {subject.model.format}", hint)]
    return [*whole(subject.model), *_file(subject.model, subject.path), *gguf(subject.model)]


def _file(model: Model, path: str) -> Iterator[Obstacle]:
    for note in model.notes:
        if note.code in _REFUSED:
            yield blocker(note.code, note.text, _REFUSED[note.code])
    m = SHARD.match(os.path.basename(path))
    if m and int(m["count"]) > 1 and int(m["number"]) != 1:
        first = f"{m['stem']}-00001-of-{int(m['count']):05}.gguf"
        yield blocker("not-first", "a set is loaded by its first file", f"give {printable(first, code=True)}")


def gguf(model: Model) -> Iterator[Obstacle]:
    """What a GGUF file says of itself."""
    metadata = model.metadata
    kind, arch = metadata.get("general.type"), metadata.get("general.architecture")
    if kind in _PARTS or arch == "clip":
        yield blocker("not-a-model", f"this is {_PARTS.get(str(kind), _PARTS['mmproj'])}")
        return
    if not isinstance(arch, str):
        hint = "`modelglot convert HF-FOLDER model.gguf` writes a model; this file only holds tensors"
        yield blocker("no-architecture", "the metadata has no `general.architecture`", hint)
        return
    known = architectures()
    if known is None:
        yield warning("not-checked", "whether the architecture is known was not checked: `gguf` is not installed",
                      "pip install 'modelglot[llm]'")  # fmt: skip
    elif arch not in known:
        yield blocker("unknown-architecture", f"llama.cpp has no code for {printable(arch, code=True)}",
                      "it may be newer than the installed `gguf` package, or for another program")  # fmt: skip
        return
    yield from _keys(metadata, arch)
    yield from _tokenizer(metadata)
    yield from tensors(model, arch)


def architectures() -> frozenset[str] | None:
    """Names of the `gguf` package; None where it is not installed."""
    try:
        import gguf
    except ImportError:
        return None
    return frozenset(gguf.MODEL_ARCH_NAMES.values())


def _keys(metadata: Any, arch: str) -> Iterator[Obstacle]:
    for key in _KEYS:
        value = metadata.get(f"{arch}.{key}")
        if value is None:
            yield blocker("missing-key", f"the metadata has no `{arch}.{key}`", "convert the original model again")
        elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
            yield blocker("bad-key", f"`{arch}.{key}` is {printable(str(value))}, which is no count")


def _tokenizer(metadata: Any) -> Iterator[Obstacle]:
    kind = metadata.get("tokenizer.ggml.model")
    if not isinstance(kind, str):
        yield blocker("no-tokenizer", "the metadata has no `tokenizer.ggml.model`", "convert the original model again")
        return
    if kind not in _TOKENIZERS:
        yield blocker("unknown-tokenizer", f"llama.cpp has no tokenizer {printable(kind, code=True)}")
        return
    if kind in ("none", "no_vocab"):
        return
    tokens = metadata.get("tokenizer.ggml.tokens")
    if not is_array(tokens):
        yield blocker("no-tokens", "the metadata has no `tokenizer.ggml.tokens`", "convert the original model again")
        return
    for key in ("scores", "token_type"):
        values = metadata.get(f"tokenizer.ggml.{key}")
        if is_array(values) and len(values) < len(tokens):
            yield blocker("short-array", f"`tokenizer.ggml.{key}` has {len(values):,} of {len(tokens):,} values")
    if kind == "gpt2":
        yield from _bpe(metadata)


def _bpe(metadata: Any) -> Iterator[Obstacle]:
    pre = metadata.get("tokenizer.ggml.pre")
    if "tokenizer.ggml.merges" not in metadata and pre != "kimi-k2":
        yield blocker("no-merges", "the metadata has no `tokenizer.ggml.merges`", "convert the original model again")
    if pre is None:
        yield warning("no-pre-tokenizer", "`tokenizer.ggml.pre` is missing: text may be cut wrongly, and answers worse",
                      "convert the original model again")  # fmt: skip
    elif pre not in pre_tokenizers():
        yield blocker("unknown-pre-tokenizer", f"llama.cpp has no pre-tokenizer {printable(str(pre), code=True)}",
                      "use a newer llama.cpp, or convert again with `--set gguf:pre=NAME`")  # fmt: skip


def pre_tokenizers() -> frozenset[str]:
    return frozenset({"default", *(name for group in groups() for name in group.names)})
