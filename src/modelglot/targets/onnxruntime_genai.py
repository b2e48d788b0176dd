"""ONNX Runtime GenAI: a folder with genai_config.json, the graph that it names, and the tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modelglot.core.errors import ModelFileError, printable
from modelglot.targets.report import Obstacle, blocker, warning
from modelglot.targets.subject import Subject

TITLE = "ONNX Runtime GenAI"
CONFIG = "genai_config.json"
_BUILD = "make one: `modelglot convert MODEL OUT/ --to onnx`"


def check(subject: Subject) -> list[Obstacle]:
    if not subject.folder.names:
        return [blocker("not-a-folder", "it loads a folder with genai_config.json and model.onnx", _BUILD)]
    return list(_folder(subject))


def _folder(subject: Subject) -> Iterator[Obstacle]:
    if not subject.has(CONFIG):
        yield blocker("no-config", f"there is no {CONFIG}", _BUILD)
        return
    try:
        config = subject.folder.json(CONFIG)
    except ModelFileError as error:
        yield blocker("bad-config", f"{CONFIG}: {error.what}")
        return
    model = _part(config, "model")
    decoder = _part(model, "decoder")
    for place, key, where in ((model, "type", "model"), (decoder, "filename", "model.decoder")):
        if not isinstance(place.get(key), str):
            yield blocker("bad-config", f"{CONFIG} has no `{where}.{key}`", _BUILD)
    graphs = [str(p["filename"]) for p in model.values() if isinstance(p, dict) and isinstance(p.get("filename"), str)]
    for name in graphs:
        if not subject.has(name):
            yield blocker(
                "no-graph", f"{CONFIG} names {printable(name, code=True)}, which is not in the folder", _BUILD
            )
    if not subject.has("tokenizer.json", "tokenizer.model"):
        yield blocker("no-tokenizer", "there is no tokenizer.json", "copy it from the original model")
    if not isinstance(config.get("search"), dict):
        yield warning("no-search", f"{CONFIG} has no `search`: generation stops at its default length")


def _part(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}
