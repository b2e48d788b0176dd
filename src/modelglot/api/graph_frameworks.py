"""Graphs that a framework's own exporter makes, in a process of its own; the result is laid out by our writer."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from modelglot.api.finishing import finish, plan_model
from modelglot.api.framing import framed
from modelglot.api.graph_check import GraphCheck, saved
from modelglot.api.reading import read_model
from modelglot.api.target import Target, resolve_target
from modelglot.core.errors import UnsafeContentError, UnsupportedError, printable
from modelglot.core.layout import Options
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.engine.plan import Plan
from modelglot.formats import registry
from modelglot.graphs import process
from modelglot.graphs.checking import Array, random_inputs
from modelglot.graphs.inputs import HINT, Fixed, Given, Port, parse_inputs
from modelglot.graphs.wishes import Wishes
from modelglot.graphs.workers.job import load
from modelglot.passes.component import choose
from modelglot.sources.opening import open_files

TF_OPSET, TORCH_OPSET = 18, 20
_SIGNATURE = "tf:signature"  # a setting: of a SavedModel that has several
_LIBRARIES = ("torchvision", "timm", "transformers")
KINDS = {
    "tf-saved-model": "saved-model",
    "keras": "keras",
    "keras-h5": "keras",
    "tf-graph": "graph",
    "tflite": "tflite",
}


def tensorflow(
    original: Model, source: str, place: Target, wishes: Wishes, allow: Iterable[str], limits: Limits | None
) -> tuple[Plan, Target]:
    """SavedModel, Keras, a frozen graph, TFLite. Raises UnsafeContentError for what would reach out of the graph."""
    made = from_tensorflow(original, source, wishes, limits, place.options.settings.get(_SIGNATURE))
    return _planned(made, place, allow, f"export with tf2onnx (opset {TF_OPSET})", limits)


def from_tensorflow(
    original: Model, source: str, wishes: Wishes, limits: Limits | None, signature: str | None = None
) -> Exported:
    """What tf2onnx makes of a file; ``signature`` is one of a SavedModel's."""
    if not wishes.allow_code:
        _refuse_hazards(original, source, limits or Limits())
    given = parse_inputs(wishes.inputs)
    shapes = {name: _shape(port) for name, port in given.items() if isinstance(port, Port)}
    fixed = {name: value.value for name, value in given.items() if isinstance(value, Fixed)}
    folder = tempfile.TemporaryDirectory(prefix="modelglot-")
    job = {
        "source": os.path.abspath(_folder_of(source) if original.format == "tf-saved-model" else source),
        "kind": KINDS[original.format],
        "shapes": shapes,
        "fixed": fixed,
        "signature": signature,
        "opset": TF_OPSET,
        "code": wishes.allow_code,
    }
    result = process.call("tensorflow", job, folder.name, extra="tf2onnx", python=wishes.python)
    inputs = load(folder.name, result["inputs"]) if "inputs" in result else {}
    left = f"TensorFlow does not run it on random inputs: {printable(result['unrun'])}" if "unrun" in result else None
    return Exported(original, folder, result, "TensorFlow", inputs, left, wishes)


def _folder_of(path: str) -> str:
    return path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))


def _shape(port: Port) -> list[int | None]:
    return [size if isinstance(size, int) else None for size in port.dims]


def _refuse_hazards(original: Model, source: str, limits: Limits) -> None:
    files = open_files(source)
    try:
        found = [f for f in registry.get(original.format).hazards(files, limits) if f.severity == "unsafe"]
    finally:
        files.close()
    if found:
        raise UnsafeContentError(
            f"running it would do more than compute: {found[0].what}",
            path=source,
            detail="\n  ".join(f.what for f in found[1:4]) or None,
            hint="`--allow-code` runs it all the same; only for files that you trust",
        )


def pytorch(
    original: Model, source: str, place: Target, wishes: Wishes, allow: Iterable[str], limits: Limits | None
) -> tuple[Plan, Target]:
    """Weights and a named model. Raises UnsafeContentError without ``allow_code``: it says what would be run."""
    entry = wishes.entry or ""
    library, colon, name = entry.partition(":")
    if not colon or not library or not name:
        raise UnsupportedError(
            f"{printable(entry, code=True)} names no model", hint="`torchvision:resnet18`, `mypkg.net:Net`"
        )
    if not wishes.allow_code:
        what = f"code of {library}" if library in _LIBRARIES else f"the Python module `{printable(library)}`"
        raise UnsafeContentError(
            f"`--model {printable(entry)}` would run {what}, and PyTorch's exporter on it",
            hint="`--allow-code` allows it",
        )
    arguments = _arguments(wishes.arguments)
    ports = {name: _port(name, given) for name, given in parse_inputs(wishes.inputs).items()}
    if not ports or "" in ports:
        raise UnsupportedError("the inputs of the model are not named", hint=HINT)
    folder = tempfile.TemporaryDirectory(prefix="modelglot-")
    inputs = random_inputs(ports)
    whole = library == "transformers"
    job = {
        "entry": entry, "arguments": arguments, "weights": None if whole else _weights(original, folder.name),
        "folder": os.path.abspath(_folder_of(source)) if whole else None, "inputs": saved(folder.name, inputs),
        "dims": {name: list(port.dims) for name, port in ports.items()}, "opset": TORCH_OPSET,
    }  # fmt: skip
    result = process.call("torch_export", job, folder.name, extra="torch-onnx", python=wishes.python)
    made = Exported(original, folder, result, "PyTorch", inputs, None, wishes)
    return _planned(made, place, allow, f"export {printable(entry)} with PyTorch (opset {TORCH_OPSET})", limits)


def _port(name: str, given: Given) -> Port:
    if not isinstance(given, Port):
        raise UnsupportedError(f"the input {printable(name, code=True)} is a tensor", hint=HINT)
    return given


def _arguments(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UnsupportedError(
            f"{printable(text or '', code=True)} is no JSON object", hint="`--model-args '{\"n\": 3}'`"
        )
    return found


def _weights(original: Model, folder: str) -> str:
    """The model of a checkpoint, as a file that PyTorch loads with nothing but tensors in it."""
    path = os.path.join(folder, "weights.pt")
    model, _, _ = choose(original, None)
    place = resolve_target(path, "torch-zip", original.format)
    finish(plan_model(replace(model, tree=None, sides=(), graph=None), place, ("all",), [], ()), place, verify=False)
    return path


class Exported:
    """What a worker left in its folder."""

    def __init__(
        self, original: Model, folder: Any, result: Mapping[str, Any], runtime: str, inputs: Mapping[str, Array],
        left: str | None, wishes: Wishes,
    ) -> None:  # fmt: skip
        self.original, self.folder, self.result, self.runtime = original, folder, result, runtime
        self.inputs, self.wishes = inputs, wishes
        self.left = left if wishes.check is not False else "it was not asked for"

    @property
    def path(self) -> str:
        """The ONNX file, which is there as long as this is."""
        return os.path.join(str(self.folder.name), str(self.result["model"]))

    def outputs(self, _: str) -> list[Array]:
        return list(load(self.folder.name, self.result["outputs"]).values())


def _planned(
    made: Exported, place: Target, allow: Iterable[str], step: str, limits: Limits | None
) -> tuple[Plan, Target]:
    path = made.path
    model = read_model(path, format="onnx", limits=limits)
    wanted = made.outputs if "outputs" in made.result else None
    check = GraphCheck(place.options.name or "", made.runtime, made.inputs, wanted, made.left,
                       loads=made.wishes.check is not False, holds=made.folder)  # fmt: skip
    options: Options = framed(place.format, place.options, path, limits)
    notes = tuple(n for n in made.original.notes if n.level == "warning")
    model = replace(model, notes=(*notes, *model.notes))
    place = replace(place, options=options, check=check)
    return plan_model(model, place, allow, [f"read {made.original.format}", step], ()), place
