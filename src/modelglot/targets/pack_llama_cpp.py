"""A GGUF model with the commands that run it."""

from __future__ import annotations

from modelglot.core.errors import printable
from modelglot.core.model import Model
from modelglot.targets.package import Package, context, is_embedding, sampling, text_side

_SAMPLING = {
    "temp": "--temp", "top_k": "--top-k", "top_p": "--top-p", "min_p": "--min-p", "penalty_repeat": "--repeat-penalty",
    "penalty_last_n": "--repeat-last-n",
}  # fmt: skip


def pack(model: Model, name: str) -> Package:
    metadata = model.metadata
    length = context(metadata)
    settings = [f"-c {length}"] if length else []
    settings += [f"{option} {value}" for option, value in sampling(metadata, _SAMPLING).items()]
    words = " ".join([f"-m {_quoted(name)}", *settings])
    if is_embedding(metadata):
        commands = [f"llama-embedding {words} -p 'some text'", f"llama-server {words} --embeddings"]
    elif "tokenizer.chat_template" in metadata:
        commands = [f"llama-cli {words} -cnv", f"llama-server {words} --jinja"]
    else:
        commands = [f"llama-cli {words} -no-cnv -p 'Once upon a time'", f"llama-server {words}"]
    title = metadata.get("general.name")
    head = " ".join(printable(str(title), limit=80).split()) if title else name
    text = f"# {head}\n\nFor llama.cpp, from this folder:\n\n```\n" + "\n".join(commands) + "\n```\n"
    return Package((text_side("README.md", "how to run it", text),), (), f"cd {{out}} && {commands[0]}")


def _quoted(name: str) -> str:
    return name if all(c.isalnum() or c in "._-+" for c in name) else "'" + name.replace("'", "'\\''") + "'"
