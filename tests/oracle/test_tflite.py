"""Against TensorFlow: what its converter writes is read as its interpreter has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import modelglot as mg  # noqa: E402
from modelglot.core.layer import AXES, KIND  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


class Network(tf.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        source = np.random.default_rng(0)

        def made(*shape: int) -> Any:
            return tf.Variable(source.standard_normal(shape).astype("f4"))

        self.conv, self.depth, self.dense = made(3, 3, 4, 8), made(3, 3, 8, 2), made(16 * 64, 6)
        self.bias = made(6)

    @tf.function(input_signature=[tf.TensorSpec([1, 8, 8, 4], tf.float32, "image")])
    def __call__(self, image: Any) -> Any:
        x = tf.nn.relu(tf.nn.conv2d(image, self.conv, 1, "SAME"))
        x = tf.nn.depthwise_conv2d(x, self.depth, [1, 1, 1, 1], "SAME")
        return {"score": tf.reshape(x, [1, -1]) @ self.dense + self.bias}


def converted(how: str) -> bytes:
    network = Network()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.__call__.get_concrete_function()], network)
    if how != "float":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if how == "half":
        converter.target_spec.supported_types = [tf.float16]
    if how == "int8":
        source = np.random.default_rng(1)
        converter.representative_dataset = lambda: ([source.random((1, 8, 8, 4), "f4")] for _ in range(4))
    return bytes(converter.convert())


@pytest.mark.parametrize("how", ["float", "half", "dynamic", "int8"])
def test_as_the_interpreter_has_it(how: str, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(converted(how))
    interpreter = tf.lite.Interpreter(str(path), experimental_preserve_all_tensors=True)
    details = {d["name"]: d for d in interpreter.get_tensor_details()}
    with mg.open(path) as model:
        assert len(model.tensors) >= 4
        kinds = {}
        for name, handle in model.tensors.items():
            assert np.array_equal(handle.numpy(), interpreter.get_tensor(details[name]["index"])), name
            extra, wanted = handle.tensor.extra, details[name]["quantization_parameters"]
            assert np.array_equal(extra.get("tflite:scale", ()), wanted["scales"])
            assert np.array_equal(extra.get("tflite:zero-point", ()), wanted["zero_points"])
            assert extra.get("tflite:axis", 0) == wanted["quantized_dimension"]
            if AXES in extra:
                kinds[extra[KIND]] = extra[AXES], handle.shape
    assert kinds == {
        "conv": ("ohwi", (8, 3, 3, 4)), "depthwise-conv": ("1hwo", (1, 3, 3, 16)), "dense": ("oi", (6, 1024)),
    }  # fmt: skip
    ports = mg.inspect(path).model.graph.signatures  # type: ignore[union-attr]
    runner = interpreter.get_signature_runner()
    assert [p.name for p in ports[0].inputs] == list(runner.get_input_details())
    assert [p.name for p in ports[0].outputs] == list(runner.get_output_details())


def test_kernels_are_those_of_the_network_with_axes_as_they_are_described(tmp_path: Path) -> None:
    path, network = tmp_path / "model.tflite", Network()
    path.write_bytes(converted("float"))
    kernels = {"conv": ("hwio", network.conv), "dense": ("io", network.dense)}
    with mg.open(path) as model:
        for handle in model.tensors.values():
            axes, kind = handle.tensor.extra.get(AXES), handle.tensor.extra.get(KIND)
            if kind in kernels and axes:
                wanted, variable = kernels.pop(kind)
                assert np.array_equal(handle.numpy().transpose([axes.index(a) for a in wanted]), variable.numpy())
    assert not kernels


def test_to_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(converted("int8"))
    mg.convert(path, tmp_path / "out.safetensors")
    assert mg.diff(path, tmp_path / "out.safetensors").same
    with mg.open(path) as a, mg.open(tmp_path / "out.safetensors") as b:
        assert a.metadata["tflite.quantization"] == b.metadata["tflite.quantization"]
