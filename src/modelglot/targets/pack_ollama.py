"""The Modelfile of a GGUF model."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.containers.modelfile import COMMENT, Instruction, Modelfile, write
from modelglot.core.errors import InvalidFileError, printable
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model, SideFile
from modelglot.core.notes import Note
from modelglot.targets.chat_families import recognise
from modelglot.targets.package import Package, context, is_embedding, sampling, token
from modelglot.targets.turns import Turns, default_system, go_template

_SAMPLING = {
    "temp": "temperature", "top_k": "top_k", "top_p": "top_p", "min_p": "min_p", "penalty_repeat": "repeat_penalty",
    "penalty_last_n": "repeat_last_n",
}  # fmt: skip


def pack(model: Model, name: str) -> Package:
    """``name`` is the model's file in the folder."""
    notes: list[Note] = []
    items: list[Instruction] = []
    for item in _instructions(model.metadata, name, notes):
        try:
            write(Modelfile((item,)))
        except InvalidFileError as error:
            notes.append(Note("left-out", f"{item.name} is left out: {error.what}", "warning"))
            continue
        items.append(item)
    data = write(Modelfile(tuple(items)))
    return Package(
        (SideFile("Modelfile", None, "what Ollama builds the model from", data),),
        tuple(notes),
        "ollama create NAME -f {out}/Modelfile",
    )


def _instructions(metadata: Metadata, name: str, notes: list[Note]) -> Iterator[Instruction]:
    yield Instruction(COMMENT, f"{_title(metadata, name)}, packed by modelglot")
    yield Instruction("FROM", f"./{name}")
    jinja = metadata.get("tokenizer.chat_template")
    turns = recognise(jinja) if isinstance(jinja, str) else None
    if isinstance(jinja, str) and turns is not None:
        yield Instruction("TEMPLATE", _template(turns, metadata, jinja))
        system = default_system(turns, jinja)
        if system is not None:
            yield Instruction("SYSTEM", system)
        notes.extend(_said(turns, jinja, system))
    elif jinja is not None:
        notes.append(Note("template", "the chat template is of no family known here: TEMPLATE is left out, and Ollama "
                          "compares the GGUF's own with those that it knows; check answers before relying on them",
                          "warning"))  # fmt: skip
    elif not is_embedding(metadata):
        notes.append(Note("template", "there is no chat template: prompts go to the model as they are"))
    ends = [token(metadata, role) for role in ("eos", "eot", "eom")]
    for stop in dict.fromkeys([*(e for e in ends if e), *(turns.stops if turns else ())]):
        yield Instruction("PARAMETER", stop, "stop")
    length = context(metadata)
    if length is not None:
        yield Instruction("PARAMETER", str(length), "num_ctx")
    for key, value in sampling(metadata, _SAMPLING).items():
        yield Instruction("PARAMETER", str(value), key)
    licence = metadata.get("general.license")
    if isinstance(licence, str) and licence:
        yield Instruction("LICENSE", licence)


def _title(metadata: Metadata, name: str) -> str:
    title = metadata.get("general.name")
    return " ".join(printable(title, limit=80).split()) if isinstance(title, str) and title.strip() else name


def _template(turns: Turns, metadata: Metadata, jinja: str) -> str:
    """With the model's own end token, and its first one where the runtime would not put it there."""
    eos, bos = token(metadata, "eos"), token(metadata, "bos")
    first = bos if bos and "bos_token" in jinja and metadata.get("tokenizer.ggml.add_bos_token") is False else ""
    made = go_template(turns, first or "")
    if "eos_token" in jinja and eos:
        made = made.replace("</s>", eos)
    return made


def _said(turns: Turns, jinja: str, system: str | None) -> Iterator[Note]:
    left = [what for what, mark in (("tools", "tool_call"), ("thinking", "think>")) if mark in jinja]
    more = f"; what it does about {' and '.join(left)} is not" if left else ""
    yield Note("template", f"the chat template is of the {turns.name} family and was translated{more}")
    if system is None and ("strftime_now" in jinja or "default_system" in jinja) and not turns.always:
        yield Note("system", "the template has a system text of its own, for conversations without one: it changes "
                   "with the date or is put together, and SYSTEM is left out")  # fmt: skip
