"""The configuration of a Keras model: its layers, the code it would run, and which weight a path in its file means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from modelglot.containers.keras.weights import meaning, names, plain_name
from modelglot.core.errors import LimitError, printable
from modelglot.core.graph import Graph, Port, Signature, counted
from modelglot.core.layer import LAYER, WEIGHT
from modelglot.core.limits import Limits
from modelglot.core.notes import Finding

_RNN = ("LSTM", "GRU", "SimpleRNN", "RNN", "StackedRNN", "StackedRNNCells")


class Layer(NamedTuple):
    """One layer as its configuration says it; ``inner`` are those of a model, ``wrapped`` those inside a wrapper."""

    class_name: str
    name: str
    config: Mapping[str, Any]
    inner: tuple[Layer, ...] = ()
    wrapped: Mapping[str, Layer] = {}


def parse(config: Any, limits: Limits, depth: int = 0) -> Layer | None:
    """The model of a serialised configuration; None where it is none. Raises LimitError for one that is too deep."""
    if depth > limits.depth:
        raise LimitError(f"layers are nested more than {limits.depth} deep", hint="raise `depth`")
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        return None
    own = config.get("config")
    if isinstance(own, list):  # Sequential of Keras 1 and early 2: the list of layers itself
        own = {"layers": own}
    if not isinstance(own, dict):
        return None
    name = own.get("name") or config.get("name")
    listed = own.get("layers")
    inner = [parse(c, limits, depth + 1) for c in listed] if isinstance(listed, list) else []
    wrapped = {
        key: found
        for key, value in own.items()
        if key in ("layer", "backward_layer", "cell") and (found := parse(value, limits, depth + 1)) is not None
    }
    return Layer(
        config["class_name"], name if isinstance(name, str) else "", own, tuple(i for i in inner if i), wrapped
    )


def describe_path(model: Layer, path: str) -> dict[str, Any]:
    """What the layer of ``path`` says of that weight; empty where the path does not lead to a layer known here.

    ``layers/dense_1/vars/0`` (Keras 3) counts layers by class; ``dense_5/dense_5/kernel:0`` (before) names them.
    """
    parts = path.split("/")
    if "vars" in parts[-2:-1] and parts[-1].isdigit():
        return _by_number(model, parts[:-2], int(parts[-1]))
    return _by_name(model, parts)


def _by_number(model: Layer, parts: list[str], number: int) -> dict[str, Any]:
    layer, called = model, list[str]()
    at = 0
    while at < len(parts):
        part, attention = parts[at], plain_name(layer.class_name).endswith("Attention")
        found: Layer | None = None
        if part == "layers" and at + 1 < len(parts):
            found = _counted(layer.inner).get(parts[at + 1])
            called += [found.name] if found is not None else []
            at += 1
        elif part in ("forward_layer", "layer"):
            found = layer.wrapped.get("layer")
            called += [part] if part == "forward_layer" else []
        elif part == "backward_layer":
            found = layer.wrapped.get("backward_layer") or layer.wrapped.get("layer")
            called.append(part)
        elif part == "cell" and plain_name(layer.class_name) in _RNN:
            found = layer.wrapped.get("cell") or layer
        elif attention and part.lstrip("_").endswith("_dense"):
            found = Layer("EinsumDense", part, {"bias_axes": "d" if layer.config.get("use_bias", True) else None})
            called.append(part.lstrip("_"))
        if found is None:
            return {}
        layer, at = found, at + 1
    known = names(layer.class_name, layer.config)
    if number >= len(known):
        return {}
    return {WEIGHT: known[number], **_said(layer, called, known[number])}


def _said(layer: Layer, called: list[str], name: str) -> dict[str, Any]:
    """``called`` are the names of the layers down to this one: a layer's own is only unique inside its model."""
    if plain_name(layer.class_name).startswith("Separable") and name.endswith("_kernel"):
        called = [*called, name.removesuffix("_kernel")]  # two convolutions in one layer
    extra = {LAYER: "/".join(called)} if all(called) and called else {}
    return {**extra, **meaning(layer.class_name, layer.config, name)}


def _counted(layers: tuple[Layer, ...]) -> dict[str, Layer]:
    """Layers by the names that Keras 3 gives their groups: the class in lower case, numbered from the second."""
    found: dict[str, Layer] = {}
    used: dict[str, int] = {}
    for layer in layers:
        name = _snake(plain_class(layer.class_name))
        used[name] = used.get(name, -1) + 1
        found[f"{name}_{used[name]}" if used[name] else name] = layer
    return found


def plain_class(class_name: str) -> str:
    return class_name.rsplit(">", 1)[-1].rsplit(".", 1)[-1]


def _snake(name: str) -> str:
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _by_name(model: Layer, parts: list[str]) -> dict[str, Any]:
    layer, called = model, list[str]()
    for part in parts[:-1]:
        found = {i.name: i for i in layer.inner}.get(part)
        inner = layer.wrapped.get("layer")
        if found is not None:
            layer = found
            called.append(part)
        elif inner is not None and part.startswith(("forward_", "backward_")):
            layer = layer.wrapped.get("backward_layer", inner) if part.startswith("backward_") else inner
            called.append(part)
        elif inner is not None and part == inner.name:
            layer = inner
    if layer is model:
        return {}
    while "layer" in layer.wrapped and not names(layer.class_name, layer.config):
        layer = layer.wrapped["layer"]
    if plain_name(layer.class_name).endswith("Attention") and len(parts) > 1:
        layer = Layer("EinsumDense", layer.name, {})
        called.append(parts[-2])
    return _said(layer, called, parts[-1].rsplit(":", 1)[0])


def every_layer(model: Layer) -> Iterator[Layer]:
    """The model and all layers below it."""
    todo = [model]
    while todo:
        layer = todo.pop()
        yield layer
        todo += [*reversed(layer.inner), *layer.wrapped.values()]


def graph(model: Layer, about: Iterable[str] = ()) -> Graph:
    """Layers counted by class, and what goes in and comes out where it is said; ``about`` are keys of the metadata."""
    below = [layer for layer in every_layer(model) if layer is not model and not layer.inner]
    counts: dict[str, int] = {}
    for layer in below:
        counts[plain_class(layer.class_name)] = counts.get(plain_class(layer.class_name), 0) + 1
    doors = [i for i in model.inner if plain_class(i.class_name) == "InputLayer"] or list(model.inner[:1])
    inputs = [port for door in doors if (port := _input(door)) is not None]
    listed = model.config.get("output_layers")
    ends = [o[0] if isinstance(o, list) and o else o for o in listed] if isinstance(listed, list) else []
    outputs = tuple(
        Port(name, "", None) for name in ends if isinstance(name, str) and name in {i.name for i in model.inner}
    )
    signatures = (Signature("main", tuple(inputs), outputs),) if inputs else ()
    return Graph("Keras", signatures, counted(counts), in_metadata=True, about=frozenset(about))


def _input(layer: Layer) -> Port | None:
    shape = layer.config.get("batch_shape") or layer.config.get("batch_input_shape")
    if not isinstance(shape, list):
        return None
    return Port(layer.name, _dtype(layer.config), tuple(n if isinstance(n, int) else None for n in shape))


def _dtype(config: Mapping[str, Any]) -> str:
    word = config.get("dtype")
    if isinstance(word, dict):
        inner = word.get("config")
        word = inner.get("name") if isinstance(inner, dict) else None
    return {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16", "int32": "i32", "int64": "i64",
            "uint8": "u8", "bool": "bool"}.get(word, word) if isinstance(word, str) else "f32"  # fmt: skip


def findings(model: Layer, path: str) -> Iterator[Finding]:
    """Layers that hold code, or that only the author's own code can make."""
    for layer in every_layer(model):
        what = f"layer {printable(layer.name, code=True)}"
        if plain_name(layer.class_name) == "Lambda":
            yield Finding(
                "keras-lambda", "unsafe", f"{what} is a Lambda: Python code that runs when the model is used", path,
                hint="load it with `safe_mode=True`, or take the weights only"
            )  # fmt: skip
        elif ">" in layer.class_name and not layer.class_name.startswith(("keras", "Keras")):
            text = f"{what} is of the author's class {printable(layer.class_name, code=True)}"
            yield Finding("keras-custom", "unknown", text, path, hint="its code is not in the file")
