"""The graph of objects in a SavedModel: what Keras says of a variable's owner, what functions do with a variable.

Source: tensorflow/core/protobuf/saved_object_graph.proto and Keras' saved_metadata.proto, field numbers only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelglot.containers import strict_json
from modelglot.containers.keras.weights import meaning
from modelglot.containers.protobuf import VARINT, Field, varints
from modelglot.containers.tensorflow.graph import GraphDef, map_entry
from modelglot.containers.tensorflow.layers import layers
from modelglot.containers.tensorflow.object_graph import name_of
from modelglot.core.errors import ModelFileError
from modelglot.core.layer import LAYER
from modelglot.core.limits import Limits

_LAYER = "_tf_keras_"  # how identifiers of Keras' objects begin


@dataclass
class SavedObject:
    """``children`` by local name; ``metadata`` is what Keras wrote of a layer of its own, as JSON."""

    children: dict[str, int] = field(default_factory=dict)
    metadata: str = ""


def saved_objects(message: Field | None, limits: Limits) -> list[SavedObject]:
    """``SavedObjectGraph``; the first is the root."""
    found: list[SavedObject] = []
    for part in message.fields() if message is not None else ():
        if part.number != 1:
            continue
        made = SavedObject()
        for item in part.fields():
            if item.number == 1:
                values = {f.number: f for f in item.fields()}
                name = values[2].text if 2 in values else ""
                made.children[name] = values[1].number_value if 1 in values else 0
            elif item.number == 4:
                made.metadata = _metadata(item, identifier=1, metadata=3)
        found.append(made)
        limits.check("tree_values", len(found), "objects of the saved model")
    return found


def add_metadata(objects: list[SavedObject], message: Iterable[Field]) -> None:
    """``keras_metadata.pb``, where Keras keeps since 2.5 what was in the graph of objects before."""
    for part in message:
        if part.number == 1:
            number = next((f.number_value for f in part.fields() if f.number == 2), 0)
            if number < len(objects):
                objects[number].metadata = _metadata(part, identifier=4, metadata=5)


def _metadata(message: Field, *, identifier: int, metadata: int) -> str:
    said, text = "", ""
    for f in message.fields():
        if f.number == identifier:
            said = f.text
        elif f.number == metadata:
            text = f.text
    return text if said.startswith(_LAYER) else ""


def layers_of(objects: list[SavedObject], keys: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """What the owner of each variable says of it; keys whose path does not lead to a layer are left out."""
    configs: dict[int, dict[str, Any]] = {}
    found: dict[str, Mapping[str, Any]] = {}
    for key in keys:
        *path, last = name_of(key).split("/")
        owner = _at(objects, path)
        if owner is None or not objects[owner].metadata:
            continue
        if owner not in configs:
            configs[owner] = _config(objects[owner].metadata)
        config = configs[owner]
        if config:
            said = meaning(config["class_name"], config["config"], last.removeprefix("_"))
            name = config["config"].get("name") if len(path) == 1 else None  # unique among the layers of one model
            if said:
                found[key] = {LAYER: name, **said} if isinstance(name, str) and name else said
    return found


def used_by_functions(
    message: Field | None, objects: list[SavedObject], graph: GraphDef, keys: Iterable[str]
) -> dict[str, Mapping[str, Any]]:
    """What the operators say that use each variable inside the functions which captured it. Variables on which two
    functions disagree are left out."""
    said: dict[int, list[dict[str, Any]]] = {}
    for part in message.fields() if message is not None else ():
        if part.number != 2:
            continue
        name, value = map_entry(part)
        bound = _numbers(value, 2) if value is not None else []
        captured = graph.arguments.get(name, [])[-len(bound) :] if bound else []
        if len(captured) == len(bound):
            told = layers(graph.functions.get(name, ()), captured)
            for number, argument in zip(bound, captured, strict=True):
                if argument in told:
                    said.setdefault(number, []).append(told[argument])
    places = {key: _at(objects, name_of(key).split("/")) for key in keys}
    return {
        key: said[place][0]
        for key, place in places.items()
        if place in said and all(s == said[place][0] for s in said[place])
    }


def _at(objects: list[SavedObject], path: list[str]) -> int | None:
    """The object at the end of a path of attributes from the root."""
    place = 0
    for part in path:
        place = objects[place].children.get(part, -1) if 0 <= place < len(objects) else -1
    return place if 0 <= place < len(objects) else None


def _numbers(message: Field, number: int) -> list[int]:
    """A repeated field of numbers, packed or not."""
    found: list[int] = []
    for f in message.fields():
        if f.number == number:
            found += [f.number_value] if f.wire == VARINT else varints(f.bytes, f.at)
    return found


def _config(text: str) -> dict[str, Any]:
    """Class and settings; empty where the text says none."""
    try:
        value = strict_json.loads(text.encode("utf-8", "surrogateescape"), what="a layer's metadata")
    except ModelFileError:
        return {}
    whole = (
        isinstance(value, dict) and isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict)
    )
    return {"class_name": value["class_name"], "config": value["config"]} if whole else {}
