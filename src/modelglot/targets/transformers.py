"""transformers: a folder with config.json and weights under the names that it looks for."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.core.errors import printable
from modelglot.core.model import Model
from modelglot.families.registry import families
from modelglot.targets.report import Obstacle, blocker, warning
from modelglot.targets.subject import Subject, unreadable, whole

TITLE = "transformers"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
# `general.architecture` of the GGUF files that `gguf_file=` reads, in transformers 5.
GGUF = frozenset({
    "llama", "mistral", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "falcon", "phi3", "bloom", "t5", "stablelm", "gpt2",
    "starcoder2", "mamba", "nemotron", "gemma2", "gemma3", "gemma4", "umt5", "deci", "lfm2", "gpt-oss", "minimax-m2",
})  # fmt: skip


def check(subject: Subject) -> list[Obstacle]:
    model = subject.model
    if model is None:
        return unreadable(subject)
    if subject.is_gguf:
        return [*whole(model), *_gguf(model, subject.path)]
    return [*whole(model), *_folder(subject, model)]


def _gguf(model: Model, path: str) -> Iterator[Obstacle]:
    arch = str(model.metadata.get("general.architecture"))
    hint = f"`modelglot convert {path} folder/` writes what transformers loads directly"
    if arch not in GGUF:
        shown = printable(arch, code=True)
        yield blocker("unknown-architecture", f"transformers reads no GGUF files of architecture {shown}", hint)
    yield warning("dequantized", "transformers decodes GGUF to floats while it loads: `from_pretrained(FOLDER, "
                  "gguf_file=NAME)` needs the `gguf` package, and memory for all weights in full", hint)  # fmt: skip


def _folder(subject: Subject, model: Model) -> Iterator[Obstacle]:
    if not subject.has("config.json"):
        yield blocker("no-config", "there is no config.json", "give the model's folder")
        return
    config = subject.config()
    if not config.get("model_type") and not subject.architecture():
        yield blocker("no-model-type", "config.json names neither `model_type` nor `architectures`")
    names = {f.name for f in model.files} | set(subject.folder.names)
    if not names & set(_WEIGHTS):
        yield blocker("names", f"transformers looks for {' or '.join(_WEIGHTS)}", "rename the weights")
    if model.format != "safetensors":
        yield warning("pickle", "the weights are pickles: loaders run what is in them, or refuse it",
                      f"`modelglot convert {subject.path} safe/ --to safetensors`")  # fmt: skip
    if config.get("auto_map"):
        yield warning("remote-code", "config.json names Python code that runs with `trust_remote_code=True`",
                      "read that code first")  # fmt: skip
    elif subject.architecture() not in {m for f in families() for m in f.models}:
        shown = printable(str(subject.architecture() or config.get("model_type")), code=True)
        yield warning("unknown-architecture", f"{shown} is not known here: the installed transformers may lack it")
    if not subject.has(*_TOKENIZERS):
        yield warning("no-tokenizer", "there is no tokenizer: `AutoTokenizer` will not find one", "download it")
