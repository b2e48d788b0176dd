"""Ollama: one GGUF file, or a folder of safetensors of the architectures that it converts itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelglot.core.errors import printable
from modelglot.core.model import Model
from modelglot.targets import llama_cpp
from modelglot.targets.chat_families import recognise
from modelglot.targets.report import Obstacle, blocker, warning
from modelglot.targets.subject import Subject, unreadable, whole

TITLE = "Ollama"
# `architectures` of config.json that `ollama create` converts from safetensors.
CONVERTS = frozenset({
    "LlamaForCausalLM", "MllamaForConditionalGeneration", "Llama4ForConditionalGeneration", "MixtralForCausalLM",
    "Mistral3ForConditionalGeneration", "Ministral3ForCausalLM", "GemmaForCausalLM", "Gemma2ForCausalLM",
    "Gemma3ForCausalLM", "Gemma3ForConditionalGeneration", "Gemma3nForConditionalGeneration", "Phi3ForCausalLM",
    "Qwen2ForCausalLM", "Qwen2_5_VLForConditionalGeneration", "Qwen3VLForConditionalGeneration",
    "Qwen3VLMoeForConditionalGeneration", "Olmo3ForCausalLM", "BertModel", "NomicBertModel", "NomicBertMoEModel",
    "CohereForCausalLM", "GptOssForCausalLM", "DeepseekOCRForCausalLM", "DeepseekV3ForCausalLM",
    "Glm4MoeLiteForCausalLM", "Lfm2ForCausalLM",
})  # fmt: skip
_WEIGHTS = re.compile(r"(model|consolidated)[^/]*\.safetensors")
_VIA_GGUF = "make a GGUF file first: `modelglot convert FOLDER model.gguf`"


def check(subject: Subject) -> list[Obstacle]:
    model = subject.model
    if model is None:
        return unreadable(subject)
    if subject.is_gguf:
        return [*llama_cpp.check(subject), *_gguf(model)]
    return [*whole(model), *_folder(subject, model)]


def _gguf(model: Model) -> Iterator[Obstacle]:
    shards = [f for f in model.files if f.role != "side"]
    if len(shards) > 1:
        yield blocker("split", f"Ollama takes one file; this is a set of {len(shards)}",
                      "make one of them: `modelglot convert FIRST.gguf WHOLE.gguf`")  # fmt: skip
    template = model.metadata.get("tokenizer.chat_template")
    if template is None:
        yield warning("no-template", "there is no chat template: `ollama run` will send prompts as they are",
                      "right for base and embedding models; otherwise write TEMPLATE in the Modelfile")  # fmt: skip
    elif recognise(str(template)) is None:
        yield warning("unknown-template", "the chat template is of no family known here: `pack` leaves TEMPLATE out, "
                      "and Ollama compares the GGUF's own with those that it knows",
                      "see `ollama show --template NAME`, and write TEMPLATE where it is wrong")  # fmt: skip
    if not any(f"tokenizer.ggml.{k}_token_id" in model.metadata for k in ("eos", "eot")):
        yield warning(
            "no-end", "no token ends an answer: it may go on for ever", "write `PARAMETER stop` in the Modelfile"
        )


def _folder(subject: Subject, model: Model) -> Iterator[Obstacle]:
    if model.format != "safetensors":
        yield blocker("not-safetensors", f"Ollama reads GGUF and safetensors; this is {model.format}", _VIA_GGUF)
    elif not any(_WEIGHTS.fullmatch(f.name) for f in model.files):
        yield blocker("names", "Ollama looks for `model*.safetensors` in the folder", "rename the files")
    if not subject.has("config.json"):
        yield blocker("no-config", "there is no config.json", "give the model's folder")
        return
    name = subject.architecture()
    if name not in CONVERTS:
        shown = printable(name, code=True) if name else "a model without `architectures`"
        yield blocker("unknown-architecture", f"Ollama does not convert {shown} from safetensors", _VIA_GGUF)
    if not subject.has("tokenizer.json", "tokenizer.model"):
        yield blocker("no-tokenizer", "there is neither tokenizer.json nor tokenizer.model", "download them")
    kinds = {t.dtype.name for t in model.tensors.values() if t.dtype.name not in ("f32", "f16", "bf16")}
    if kinds and name != "GptOssForCausalLM":
        yield blocker(
            "dtype", f"Ollama converts f32, f16 and bf16; there is also {', '.join(sorted(kinds))}", _VIA_GGUF
        )
