"""The files around the weights of a folder: what each is for, and which belong to the model."""

from __future__ import annotations

import re

from modelglot.containers import strict_json
from modelglot.core.errors import ModelFileError, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.model import Model, SideFile
from modelglot.core.notes import Note
from modelglot.core.tensor import Extent

_WHAT = {
    "config.json": "architecture and hyper-parameters",
    "generation_config.json": "default sampling settings",
    "tokenizer.json": "tokenizer, complete",
    "tokenizer_config.json": "tokenizer settings, may hold the chat template",
    "tokenizer.model": "SentencePiece tokenizer",
    "vocab.json": "tokenizer vocabulary",
    "vocab.txt": "WordPiece vocabulary",
    "merges.txt": "BPE merges",
    "special_tokens_map.json": "names of special tokens",
    "added_tokens.json": "tokens added after training",
    "chat_template.jinja": "chat template",
    "chat_template.json": "chat template",
    "preprocessor_config.json": "image or audio preprocessing",
    "processor_config.json": "multi-modal preprocessing",
    "adapter_config.json": "LoRA or other adapter settings",
    "modules.json": "sentence-transformers pipeline",
    "model_index.json": "diffusers pipeline",
    "params.json": "hyper-parameters (original layout)",
    "training_args.bin": "training arguments, a pickle: runs code when loaded by others",
    "README.md": "model card",
    "LICENSE": "licence",
    "checkpoint": "names the newest TensorFlow checkpoint",
}
WEIGHTS = re.compile(
    r"\.(safetensors|bin|pt|pth|ckpt|gguf|ggml|onnx|onnx_data|h5|keras|msgpack|ot|npz|npy|tflite|pb|mlmodel|pkl"
    r"|pdparams|pdiparams|pdmodel|data-\d{5}-of-\d{5}|index|meta|index\.json|caffemodel|weights|distcp)$"
)
_PART_OF_WORK = re.compile(r"(^|/)\.")


def side_files(files: FileSet, model: Model) -> list[SideFile]:
    """Whole files of the folder that are no weights of any format and were not read as part of the model."""
    read = {ref.name for ref in model.files}
    found = []
    for name in files.names():
        if name in read or is_weights(name) or _PART_OF_WORK.search(name):
            continue
        size = files.open(name).size
        found.append(SideFile(name, Extent(files.index(name, "side"), 0, size), what_is(name)))
    return found


def code_notes(files: FileSet, limits: Limits) -> list[Note]:
    """A warning where ``config.json`` asks loaders to run code (``auto_map``), with the classes it names."""
    if "config.json" not in files.names():
        return []
    source = files.open("config.json")
    if source.size > limits.index:
        return []
    try:
        config = strict_json.loads(source.pread(0, source.size), what="config.json")
    except ModelFileError as error:
        return [Note("bad-config", f"`config.json`: {error.what}", "warning")]
    names = config.get("auto_map") if isinstance(config, dict) else None
    if not isinstance(names, dict) or not names:
        return []
    shown = ", ".join(printable(str(v), code=True) for v in list(names.values())[:4])
    text = f"`config.json` names code that loaders run with trust_remote_code: {shown}; modelglot never does"
    return [Note("auto-map", text, "warning")]


def is_weights(name: str) -> bool:
    """By its suffix a weight file of some format; `training_args.bin` and the like are not."""
    return WEIGHTS.search(name) is not None and name.rsplit("/", 1)[-1] not in _WHAT


def what_is(name: str) -> str:
    """A few words on a file of a model folder, from its name."""
    base = name.rsplit("/", 1)[-1]
    if base in _WHAT:
        return _WHAT[base]
    if base.endswith(".py"):
        return "Python code: loaders run it with trust_remote_code, modelglot never does"
    if base.endswith(".index.json"):
        return "which shard holds which tensor"
    if base.endswith(".meta"):
        return "graph of a TensorFlow checkpoint"
    if WEIGHTS.search(base):
        return "weights"
    return {"json": "settings", "md": "text", "txt": "text", "jinja": "template"}.get(base.rsplit(".", 1)[-1], "other")
