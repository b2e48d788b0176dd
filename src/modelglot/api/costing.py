"""What running a graph takes, for sizes of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from modelglot.api import graph_frameworks
from modelglot.api.reading import read_model
from modelglot.core.cost import Cost
from modelglot.core.errors import UnsupportedError
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.engine.pool import SourcePool
from modelglot.engine.stream import read
from modelglot.formats import registry
from modelglot.formats.onnx.frame import Frame, of_file
from modelglot.graphs.builder import onnx_ir
from modelglot.graphs.cost import tflite
from modelglot.graphs.cost.onnx import cost_of
from modelglot.graphs.inputs import Given, Port, parse_inputs
from modelglot.graphs.skeleton import skeleton
from modelglot.graphs.wishes import Wishes
from modelglot.sources.opening import open_files


def cost(model: Model, path: str, inputs: Iterable[str] = (), limits: Limits | None = None) -> Cost:
    """Operations and memory of the graph of ``model``, which is the file at ``path``.

    ``inputs`` are sizes as ``--input`` has them: ``x=f32[1,3,224,224]``. Raises UnsupportedError for a model without a
    graph that is counted, or for inputs that it does not have, and MissingExtraError.
    """
    if model.format not in _COUNTED:
        title = registry.get(model.format).info.title
        known = ", ".join(registry.get(name).info.title for name in _COUNTED)
        raise UnsupportedError(f"operations of {title} are not counted", hint=f"they are for {known}")
    return _COUNTED[model.format](model, path, parse_inputs(inputs), limits or Limits())


def _onnx(model: Model, path: str, inputs: dict[str, Given], limits: Limits) -> Cost:
    files = open_files(path)
    try:
        frame = of_file(files, limits)
    finally:
        files.close()
    return _of_frame(frame, model, inputs)


def _tflite(model: Model, path: str, inputs: dict[str, Given], limits: Limits) -> Cost:
    files = open_files(path)
    try:
        return tflite.cost_of(files, limits, bool(inputs))
    finally:
        files.close()


def _torchscript(model: Model, path: str, inputs: dict[str, Given], limits: Limits) -> Cost:
    from modelglot.graphs.torchscript.export import export

    files, pool = open_files(path), SourcePool(model.files)
    try:
        made = export(files, inputs, limits, lambda tensor: read(tensor, pool))
    finally:
        files.close()
        pool.close()
    sizes: dict[str, Given] = {
        name: port for name, port in made.inputs.items() if all(type(d) is int for d in port.dims)
    }
    return _of_frame(made.frame, Model("onnx", made.files, made.tensors), sizes)


def _tensorflow(model: Model, path: str, inputs: dict[str, Given], limits: Limits) -> Cost:
    """Of the graph that tf2onnx makes, which is closest to what runs: training nodes are gone, constants folded."""
    texts = [f"{name}={value}" for name, value in inputs.items() if isinstance(value, Port)]
    made = graph_frameworks.from_tensorflow(model, path, Wishes(tuple(texts), check=False), limits)
    return _onnx(read_model(made.path, format="onnx"), made.path, {}, limits)


def _of_frame(frame: Frame, model: Model, inputs: dict[str, Given]) -> Cost:
    onnx_ir()  # says what is missing
    import onnx

    pool = SourcePool(model.files)
    try:
        proto = onnx.load_from_string(skeleton(frame, lambda tensor: read(tensor, pool)))
    finally:
        pool.close()
    return cost_of(proto, inputs)


Counter = Callable[[Model, str, "dict[str, Given]", Limits], Cost]
_COUNTED: dict[str, Counter] = {
    "onnx": _onnx,
    "tflite": _tflite,
    "torchscript": _torchscript,
    **{name: _tensorflow for name in graph_frameworks.KINDS if name != "tflite"},
}
