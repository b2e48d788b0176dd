"""Language models as ONNX graphs that run, and those graphs as the models that they were made of."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from modelglot.api.drafting import Draft
from modelglot.api.folders import folder_of
from modelglot.api.target import Target, target_kind
from modelglot.core.limits import Limits
from modelglot.core.model import Model, SideFile
from modelglot.engine.pool import SourcePool
from modelglot.engine.stream import read
from modelglot.families import registry
from modelglot.families.family import Config
from modelglot.families.to_hugging_face import to_hugging_face
from modelglot.graphs.frames import frame_of
from modelglot.graphs.language import genai
from modelglot.graphs.language.back import is_exported, to_gguf
from modelglot.graphs.language.export import export
from modelglot.passes.text_metadata import to_text

_CONFIG, _GENERATION = "config.json", "generation_config.json"
_EXTERNAL = "onnx:external"


def unfolded(model: Model, target: str, to: str | None) -> Model:
    """A graph that was made here as the GGUF model inside it, on its way to another format."""
    kind = target_kind(target, to) or model.format
    return to_gguf(model) if kind != "onnx" and is_exported(model) else model


def put_graph(draft: Draft, place: Target, original: Model) -> Target:
    """The draft, which has llama.cpp's names, as the weights of a graph; the graph goes into the target's options.

    The configuration and the files beside the weights are the source's own where it has them.
    """
    model, own = draft.model, _own(draft, original)
    pool = SourcePool(model.files)
    try:
        folder = to_hugging_face(model, lambda t: list(memoryview(read(t, pool)).cast("f")))
        given = own or {**_json(folder, _GENERATION), **_json(folder, _CONFIG)}
        defaults = registry.by_metadata(model.metadata).defaults
        texts = {k: str(v) for k, v in to_text(model.metadata).items()}
        made = export(model, Config(given, defaults), texts, lambda t: read(t, pool))
    finally:
        pool.close()
    sides = original.sides if own else folder.sides
    if "logits" in {value.name for value in made.graph.graph.outputs}:
        settings = SideFile(genai.NAME, None, "settings of ONNX Runtime GenAI", genai.config(made.shape, Config(given)))
        sides = (*(s for s in sides if s.name != genai.NAME), settings)
    draft.model = replace(model, tensors=dict(made.tensors), sides=tuple(sides), tree=None)
    draft.route.append(f"build the graph of a {made.shape.arch} model")
    options = replace(place.options, frame=frame_of(made.graph, made.tensors, made.properties))
    if options.name is None and _EXTERNAL not in options.settings:
        options = replace(options, settings={**options.settings, _EXTERNAL: genai.GRAPH + "_data"})
    return replace(place, options=options)


def _own(draft: Draft, original: Model) -> dict[str, Any]:
    """What a Hugging Face folder says itself, which is more than GGUF has keys for; empty for other sources."""
    if not any(s.name == _CONFIG for s in original.sides):
        return {}
    folder = folder_of(original, draft.source, draft.limits or Limits())
    return {**folder.json(_GENERATION), **folder.config}


def _json(folder: Model, name: str) -> dict[str, Any]:
    found = next((s.data for s in folder.sides if s.name == name), None)
    made: dict[str, Any] = json.loads(found) if found else {}
    return made
