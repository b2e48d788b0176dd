"""LLM Farm: an app for iPhone, iPad and Mac around llama.cpp. Models go to its folder `models`, as .gguf files."""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.core.model import Model
from modelglot.targets import llama_cpp
from modelglot.targets.report import Obstacle, blocker, warning
from modelglot.targets.subject import Subject, unreadable

TITLE = "LLM Farm"
ROOM = 3_000_000_000  # what an app may take on a phone with 6 GB; newer ones have 8 or 12


def check(subject: Subject) -> list[Obstacle]:
    if subject.model is None:
        return unreadable(subject)
    found = llama_cpp.check(subject)
    return [*found, *_phone(subject, subject.model)] if subject.is_gguf else found


def _phone(subject: Subject, model: Model) -> Iterator[Obstacle]:
    if not subject.path.lower().endswith(".gguf"):
        yield blocker("suffix", "the app lists files that end in .gguf", "rename it")
    shards = [f for f in model.files if f.role != "side"]
    if len(shards) > 1:
        yield blocker("split", f"the app takes one file; this is a set of {len(shards)}",
                      "make one of them: `modelglot convert FIRST.gguf WHOLE.gguf`")  # fmt: skip
    if model.nbytes > ROOM:
        yield warning("memory", f"{model.nbytes / 1e9:.1f} GB of weights: phones give an app about {ROOM / 1e9:.0f} GB",
                      "quantize further (`modelglot quantize --type q4_k_m`) or take a smaller model")  # fmt: skip
    yield warning("version", "the app carries its own llama.cpp, which is older than the newest architectures",
                  "try it on a device before relying on it")  # fmt: skip
