"""TensorFlow's files to ONNX with `tf2onnx`, and what TensorFlow makes of random inputs.

Job: ``source`` (path), ``kind`` (saved-model, keras, graph, tflite), ``shapes`` (sizes by input, null where open),
``fixed`` (values of placeholders), ``signature``, ``opset``, ``code`` (Lambda layers may run). Result: ``model``,
``inputs`` and ``outputs`` (npz), or ``unrun``: why there are none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from modelglot.graphs.workers.examples import Port, examples
from modelglot.graphs.workers.job import Array, run, save

MODEL = "model.onnx"
Run = Callable[[dict[str, Array]], "list[Array]"]
Made = tuple[list[Port], Run]


def work(job: dict[str, Any], folder: str) -> dict[str, Any]:
    ports, runner = _KINDS[job["kind"]](job, os.path.join(folder, MODEL))
    result: dict[str, Any] = {"model": MODEL}
    try:
        inputs, outputs = examples(ports, runner)
    except Exception as error:
        return {**result, "unrun": f"{type(error).__name__}: {error}"[:500]}
    np.savez(os.path.join(folder, "inputs.npz"), **inputs)  # type: ignore[arg-type]
    save(folder, "outputs.npz", outputs)
    return {**result, "inputs": "inputs.npz", "outputs": "outputs.npz"}


def _saved_model(job: dict[str, Any], path: str) -> Made:
    """A signature of the SavedModel, loaded the way of version 1: variables come back by their names, and nothing is
    asked of the objects around them, such as optimizers that TensorFlow does not know any more."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_from_session_graph

    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], job["source"])
        signatures = {n: s for n, s in loaded.signature_def.items() if n != "__saved_model_init_op" and s.outputs}
        if not signatures:
            raise ValueError("the SavedModel has no signature")
        name = job["signature"] or ("serving_default" if "serving_default" in signatures else next(iter(signatures)))
        signature = signatures[name]
        inputs = {key: info.name for key, info in sorted(signature.inputs.items())}
        outputs = {key: info.name for key, info in sorted(signature.outputs.items())}
        ends = sorted({n.partition(":")[0] for n in outputs.values()})
        frozen = convert_variables_to_constants_from_session_graph(session, graph.as_graph_def(add_shapes=True), ends)
    return _definition(frozen, inputs, outputs, job, path)


def _keras(job: dict[str, Any], path: str) -> Made:
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(job["source"], compile=False, safe_mode=not job["code"])
    specs = [tf.TensorSpec(_shape(i.name, i.shape, job), i.dtype, name=i.name) for i in model.inputs]

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def call(*values: Any) -> Any:
        return model(list(values) if len(values) > 1 else values[0], training=False)

    return _function(call.get_concrete_function(*specs), specs, job, path)


def _shape(name: str, shape: Any, job: dict[str, Any]) -> list[int | None]:
    given = _given(name, len(job["shapes"]) == 1, job)
    return given if given is not None else [None if n is None else int(n) for n in shape]


def _function(function: Any, specs: Any, job: dict[str, Any], path: str) -> Made:
    """A concrete function: frozen, converted, and run as it is."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
    from tf2onnx import convert

    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False, aggressive_inlining=True)
    inputs = [t for t in frozen.inputs if t.dtype.name != "resource"]
    outputs = list(frozen.outputs)
    names, ends = [t.name for t in inputs], [t.name for t in outputs]
    definition = frozen.graph.as_graph_def(add_shapes=True)
    short = {n: n.partition(":")[0] for n in (*names, *ends)}
    shapes = {n: _shape(short[n], _dims(t), job) for n, t in zip(names, inputs, strict=True)}
    convert.from_graph_def(
        definition, input_names=names, output_names=ends, opset=job["opset"], output_path=path,
        tensors_to_rename=short if len(set(short.values())) == len(short) else None,
        shape_override={n: s for n, s in shapes.items() if short[n] in job["shapes"]},
    )  # fmt: skip
    ports: list[Port] = [
        (_onnx_name(path, number), shapes[n], t.dtype.as_numpy_dtype().dtype.name)
        for number, (n, t) in enumerate(zip(names, inputs, strict=True))
    ]

    def runner(values: dict[str, Array]) -> list[Array]:
        import tensorflow as tf

        found = frozen(*(tf.constant(v) for v in values.values()))
        return [np.asarray(v) for v in (found if isinstance(found, (list, tuple)) else [found])]

    return ports, runner


def _dims(tensor: Any) -> Sequence[int | None]:
    if tensor.shape.rank is None:
        raise ValueError(f"input `{tensor.name}` has no rank: give it with --input")
    return list(tensor.shape.as_list())


def _onnx_name(path: str, number: int) -> str:
    import onnx

    return str(onnx.load(path, load_external_data=False).graph.input[number].name)


def _graph(job: dict[str, Any], path: str) -> Made:
    """A frozen graph: placeholders in, what no other node takes out."""
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef()
    with open(job["source"], "rb") as file:
        definition.ParseFromString(file.read())
    taken = {i.lstrip("^").partition(":")[0] for node in definition.node for i in node.input}
    idle = ("Const", "NoOp", "Assert", "Placeholder", "PlaceholderWithDefault", "VariableV2", "SaveV2")
    inputs = {n.name: f"{n.name}:0" for n in definition.node if n.op == "Placeholder"}
    outputs = {n.name: f"{n.name}:0" for n in definition.node if n.name not in taken and n.op not in idle}
    return _definition(definition, inputs, outputs, job, path)


def _definition(
    definition: Any, inputs: dict[str, str], outputs: dict[str, str], job: dict[str, Any], path: str
) -> Made:
    """A graph whose weights are constants; ``inputs`` and ``outputs`` are tensors by the name that they get."""
    import tensorflow as tf
    from tf2onnx import convert

    for node in definition.node:
        if node.op == "Placeholder" and node.name in job["fixed"]:
            _fix(node, job["fixed"][node.name])
            inputs = {name: place for name, place in inputs.items() if place != f"{node.name}:0"}
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    tensors = {name: graph.get_tensor_by_name(place) for name, place in inputs.items()}
    shapes = {name: _sizes(name, tensor, len(inputs) == 1, job) for name, tensor in tensors.items()}
    places, ends = list(inputs.values()), list(outputs.values())
    convert.from_graph_def(
        definition, input_names=places, output_names=ends, opset=job["opset"], output_path=path,
        tensors_to_rename={place: name for name, place in (inputs | outputs).items()},
        shape_override={inputs[n]: s for n, s in shapes.items() if _given(n, len(inputs) == 1, job) is not None},
    )  # fmt: skip
    ports: list[Port] = [(n, shapes[n], t.dtype.as_numpy_dtype().dtype.name) for n, t in tensors.items()]

    def runner(values: dict[str, Array]) -> list[Array]:
        with tf.compat.v1.Session(graph=graph) as session:
            found = session.run(ends, {inputs[n]: v for n, v in values.items()})
        return [np.asarray(v) for v in found]

    return ports, runner


def _fix(node: Any, value: Any) -> None:
    """A placeholder as a constant."""
    import tensorflow as tf

    made = tf.make_tensor_proto(value, dtype=tf.dtypes.as_dtype(node.attr["dtype"].type))
    node.op = "Const"
    node.attr.pop("shape", None)
    node.attr["value"].tensor.CopyFrom(made)


def _sizes(name: str, tensor: Any, alone: bool, job: dict[str, Any]) -> list[int | None]:
    given = _given(name, alone, job)
    return given if given is not None else list(_dims(tensor))


def _given(name: str, alone: bool, job: dict[str, Any]) -> list[int | None] | None:
    """What the user says of an input, which needs no name where there is one."""
    found: list[int | None] | None = job["shapes"].get(name)
    return job["shapes"].get("") if found is None and alone else found


def _tflite(job: dict[str, Any], path: str) -> Made:
    import onnx
    from tf2onnx import convert

    convert.from_tflite(job["source"], opset=job["opset"], output_path=path)
    interpreter = _interpreter(job["source"])
    details = interpreter.get_input_details()
    names = [i.name for i in onnx.load(path, load_external_data=False).graph.input]
    ports: list[Port] = []
    for name, detail in zip(names, details, strict=True):
        open_ = [None if n < 0 else int(n) for n in detail.get("shape_signature", detail["shape"])]
        given = _given(name, len(names) == 1, job)
        ports.append((name, given if given is not None else open_, np.dtype(detail["dtype"]).name))

    def runner(values: dict[str, Array]) -> list[Array]:
        for detail, value in zip(details, values.values(), strict=True):
            interpreter.resize_tensor_input(detail["index"], value.shape)
        interpreter.allocate_tensors()
        for detail, value in zip(details, values.values(), strict=True):
            interpreter.set_tensor(detail["index"], value)
        interpreter.invoke()
        return [np.asarray(interpreter.get_tensor(d["index"])) for d in interpreter.get_output_details()]

    return ports, runner


def _interpreter(path: str) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf

        return tf.lite.Interpreter(model_path=path)
    return Interpreter(model_path=path)


_KINDS: dict[str, Callable[[dict[str, Any], str], Made]] = {
    "saved-model": _saved_model,
    "keras": _keras,
    "graph": _graph,
    "tflite": _tflite,
}


if __name__ == "__main__":
    run(work)
