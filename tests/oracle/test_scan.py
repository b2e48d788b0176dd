"""What TensorFlow, Keras and PyTorch themselves write: the constructs that scan names, and models without any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelglot.api.scanning import scan
from modelglot.features.scan.report import FileScan

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")


def files(path: Path) -> list[FileScan]:
    return [f for f in scan(path).files if f.findings or f.verdict != "safe"]


def rules(path: Path) -> set[tuple[str, str]]:
    return {(x.rule, x.severity) for f in files(path) for x in f.findings if x.severity != "note"}


def module(body: Any) -> Any:
    class Made(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
        def __call__(self, x: Any) -> Any:
            return body(x)

    return Made()


BODIES = {
    "reads": lambda x: tf.io.read_file(x),
    "writes": lambda x: (tf.io.write_file(x, "a"), x)[1],
    "python": lambda x: tf.py_function(lambda y: y, [x], tf.string),
    "prints to a file": lambda x: (tf.print(x, output_stream="file:///tmp/x"), x)[1],
    "lists": lambda x: tf.io.matching_files(x),
    "in a branch": lambda x: tf.cond(tf.equal(x, "a"), lambda: tf.io.read_file(x), lambda: x),
}


@pytest.mark.parametrize("name", BODIES)
def test_saved_models(name: str, tmp_path: Path) -> None:
    tf.saved_model.save(module(BODIES[name]), str(tmp_path / "m"))
    assert ("tf-operator", "unsafe") in rules(tmp_path / "m")


def test_a_saved_model_without_any(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    made = module(lambda x: tf.strings.length(x))
    made.asset = tf.saved_model.Asset(str(tmp_path / "vocab.txt"))
    made.w = tf.Variable(np.ones((3, 4), np.float32))
    tf.saved_model.save(made, str(tmp_path / "m"))
    assert files(tmp_path / "m") == []


def test_the_operators_are_tensorflows() -> None:
    from tensorflow.python.framework import op_def_registry

    from modelglot.containers.tensorflow.hazards import OPERATORS

    known = [name for name in OPERATORS if op_def_registry.get(name) is not None]
    assert len(known) > 35


def network() -> Any:
    layers = keras.layers
    image = layers.Input((16, 16, 3), name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = layers.SeparableConv2D(4, 3, activation="relu", depthwise_regularizer="l2")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(layers.Reshape((-1, 4))(x))
    x = layers.MultiHeadAttention(2, 4)(x, x)
    x = layers.TimeDistributed(layers.Dense(4, activation=keras.activations.gelu))(x)
    x = layers.Dropout(0.1)(layers.LayerNormalization()(layers.GlobalAveragePooling1D()(x)))
    made = keras.Model(image, layers.Dense(3, activation="softmax")(x))
    loss, metrics = keras.losses.SparseCategoricalCrossentropy(), [keras.metrics.SparseCategoricalAccuracy()]
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)
    made.compile(optimizer=keras.optimizers.AdamW(schedule), loss=loss, metrics=metrics)
    made.optimizer.build(made.trainable_variables)
    return made


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
def test_keras_without_any(suffix: str, tmp_path: Path) -> None:
    made = network()
    path = tmp_path / f"m{suffix}"
    made.save_weights(path) if suffix == ".weights.h5" else made.save(path)
    assert files(path) == []


def test_keras_words(tmp_path: Path) -> None:
    """Its vocabulary is in the file, and no name of another one."""
    layer = keras.layers.StringLookup(vocabulary=["a", "b"])
    made = keras.Sequential([keras.layers.Input((1,), dtype="string"), layer])
    made.save(tmp_path / "m.keras")
    assert files(tmp_path / "m.keras") == []


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_keras_lambda(suffix: str, tmp_path: Path) -> None:
    made = keras.Sequential([keras.layers.Input((2,)), keras.layers.Lambda(lambda x: x + 1)])
    made.save(tmp_path / f"m{suffix}")
    assert ("keras-config", "unsafe") in rules(tmp_path / f"m{suffix}")


def test_keras_custom(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable(package="mine")
    class Block(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    made = keras.Sequential([keras.layers.Input((2,)), Block()])
    made.save(tmp_path / "m.keras")
    assert rules(tmp_path / "m.keras") == {("keras-config", "unknown")}


def test_torchscript_that_opens_a_file(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    class Reads(torch.nn.Module):
        def forward(self, x: torch.Tensor, name: str) -> torch.Tensor:
            return x + torch.from_file(name, False, 4)

    class Adds(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.relu(x) + 1

    Reads.__module__ = Adds.__module__ = "__main__"
    torch.jit.script(Adds()).save(tmp_path / "b.pt")
    assert not [r for r in rules(tmp_path / "b.pt") if r[0] == "torchscript-code"]
    torch.jit.script(Reads()).save(tmp_path / "a.pt")
    assert ("torchscript-code", "unsafe") in rules(tmp_path / "a.pt")
