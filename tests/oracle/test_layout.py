"""`--layout` against the frameworks: a Keras model and its PyTorch twin compute the same with converted weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import modelglot as mg
from modelglot.core.errors import ModelFileError

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """Convolutions, a depthwise one with a multiplier, a transposed one, batch norm, dense, with weights by chance."""
    layers = keras.layers
    net = keras.Sequential([
        layers.Input((9, 9, 3)), layers.Conv2D(8, 3, name="conv"), layers.BatchNormalization(name="norm"),
        layers.DepthwiseConv2D(3, depth_multiplier=2, name="deep"), layers.Conv2DTranspose(5, 2, strides=2, name="up"),
        layers.GlobalAveragePooling2D(), layers.Dense(4, name="head"),
    ])  # fmt: skip
    net.set_weights([RNG.uniform(0.1, 1, w.shape).astype(np.float32) for w in net.get_weights()])
    path = tmp_path_factory.mktemp("keras") / "net.keras"
    net.save(path)
    return net, path


class Twin(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8, eps=1e-3)
        self.deep, self.up = torch.nn.Conv2d(8, 16, 3, groups=8), torch.nn.ConvTranspose2d(16, 5, 2, stride=2)
        self.head = torch.nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.up(self.deep(self.norm(self.conv(x)))).mean((2, 3)))


def test_a_keras_model_becomes_the_state_dict_of_its_twin(keras_file: tuple[Any, Path], tmp_path: Path) -> None:
    net, path = keras_file
    mg.convert(path, tmp_path / "out.pth", layout="torch")
    twin = Twin().eval()
    loaded = torch.load(tmp_path / "out.pth", weights_only=True)
    twin.load_state_dict(loaded)  # strict: every name is there, but the counter that PyTorch does without
    x = RNG.standard_normal((2, 9, 9, 3)).astype(np.float32)
    with torch.no_grad():
        ours = twin(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    assert np.allclose(ours, np.asarray(net(x)), rtol=1e-4, atol=1e-3)


def test_there_and_back_is_the_same(keras_file: tuple[Any, Path], tmp_path: Path) -> None:
    """Back from PyTorch, which says nothing of its layers, with the axes told."""
    _, path = keras_file
    mg.convert(path, tmp_path / "torch.pth", layout="torch")
    told = ["conv.weight=oihw", "up.weight=iohw", "head.weight=oi", "deep.weight=(i8m2)1hw"]
    mg.convert(tmp_path / "torch.pth", tmp_path / "back.safetensors", layout="keras", axes=told)
    report = mg.diff(path, tmp_path / "back.safetensors", match="value")
    assert report.same
    assert {pair.how for pair in report.pairs} == {"equal"}


def recurrent(kind: str) -> tuple[Any, Any]:
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[kind](6, return_sequences=True, name="rnn")
    net = keras.Sequential([keras.layers.Input((5, 4)), layer])
    net.set_weights([RNG.standard_normal(w.shape).astype(np.float32) for w in net.get_weights()])
    return net, {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](4, 6, batch_first=True)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_gates_of_recurrent_layers(kind: str, tmp_path: Path) -> None:
    net, twin = recurrent(kind)
    net.save(tmp_path / "net.keras")
    mg.convert(tmp_path / "net.keras", tmp_path / "out.safetensors", layout="torch")
    found = mg.load(tmp_path / "out.safetensors", framework="torch")
    twin.load_state_dict({name.removeprefix("rnn."): value for name, value in found.items()})
    x = RNG.standard_normal((2, 5, 4)).astype(np.float32)
    with torch.no_grad():
        ours = twin(torch.from_numpy(x))[0].numpy()
    assert np.allclose(ours, np.asarray(net(x)), atol=1e-5)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_gates_of_onnx(kind: str, tmp_path: Path) -> None:
    twin = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](4, 6)
    order = {"lstm": [0, 3, 1, 2], "gru": [1, 0, 2]}[kind]  # PyTorch's blocks in ONNX's order: iofc of ifco, zrh of rzh
    state = {name: value.detach() for name, value in twin.state_dict().items()}

    def turned(value: torch.Tensor) -> np.ndarray[Any, Any]:
        blocks = value.chunk(len(order), 0)
        return torch.cat([blocks[n] for n in order]).numpy()

    both = np.concatenate([turned(state["bias_ih_l0"]), turned(state["bias_hh_l0"])])
    arrays = {"W": turned(state["weight_ih_l0"])[None], "R": turned(state["weight_hh_l0"])[None], "B": both[None]}
    node = helper.make_node(kind.upper(), ["x", "W", "R", "B"], ["y"], hidden_size=6)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5, 1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph), tmp_path / "a.onnx")
    mg.convert(tmp_path / "a.onnx", tmp_path / "out.safetensors", layout="torch")
    found = mg.load(tmp_path / "out.safetensors")
    assert np.array_equal(found["W"][0], state["weight_ih_l0"].numpy())
    assert np.array_equal(found["R"][0], state["weight_hh_l0"].numpy())
    assert np.array_equal(found["B"][0], torch.cat([state["bias_ih_l0"], state["bias_hh_l0"]]).numpy())


def test_nothing_is_guessed(tmp_path: Path) -> None:
    torch.save(
        {"a.weight": torch.ones(2, 3, 4, 4), "b.weight": torch.ones(3, 2), "c": torch.ones(5)}, tmp_path / "a.pt"
    )
    with pytest.raises(ModelFileError, match="says nothing of its layers"):
        mg.convert(tmp_path / "a.pt", tmp_path / "o.safetensors", layout="keras")
    receipt = mg.convert(tmp_path / "a.pt", tmp_path / "o.safetensors", layout="keras", axes=["a.*=oihw"])
    assert [loss.what for loss in receipt.plan.losses if loss.kind == "layout"] == [
        "as they were, since nothing says what their axes are: `b.weight`"
    ]
    found = mg.load(tmp_path / "o.safetensors")
    assert found["a.kernel"].shape == (4, 4, 3, 2)
    assert found["b.weight"].shape == (3, 2)


def test_a_dense_kernel_behind_a_flattened_image(tmp_path: Path) -> None:
    """Keras flattens height, width, channels; PyTorch channels, height, width: rows move as well as axes."""
    kernel = RNG.standard_normal((3 * 4 * 5, 7)).astype(np.float32)
    mg.save({"fc.kernel": kernel}, tmp_path / "a.safetensors")
    mg.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", layout="torch", axes=["fc*=(h3w4i)o"])
    image = RNG.standard_normal((1, 3, 4, 5)).astype(np.float32)
    wanted = image.reshape(1, -1) @ kernel
    found = mg.load(tmp_path / "b.safetensors")["fc.weight"]
    assert np.allclose(image.transpose(0, 3, 1, 2).reshape(1, -1) @ found.T, wanted, atol=1e-5)
    report = mg.diff(tmp_path / "a.safetensors", tmp_path / "b.safetensors", match="value")
    assert report.same
    assert "flattened" in report.pairs[0].how


@pytest.mark.parametrize("said", ["hwio", "a=", "=hwio", "a=h?", "a=hw("])
def test_axes_that_are_none(said: str, tmp_path: Path) -> None:
    mg.save({"a": np.ones((2, 2), np.float32)}, tmp_path / "a.safetensors")
    with pytest.raises(ModelFileError, match=r"does not say axes|has 0 axes"):
        mg.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", layout="torch", axes=[said])


@pytest.mark.parametrize(("axes", "words"), [
    ("a=hwio", "has 4 axes"), ("a=(h3w3i)o", "does not fit"), ("a=1o", "an axis of one"), ("a=(hw)o", "more than one"),
])  # fmt: skip
def test_axes_that_do_not_fit(axes: str, words: str, tmp_path: Path) -> None:
    mg.save({"a": np.ones((2, 2), np.float32)}, tmp_path / "a.safetensors")
    with pytest.raises(ModelFileError, match=words):
        mg.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", layout="torch", axes=[axes])


def test_a_plain_conversion_says_that_axes_stay(keras_file: tuple[Any, Path], tmp_path: Path) -> None:
    receipt = mg.convert(keras_file[1], tmp_path / "a.pth")
    assert any("`--layout torch` turns them" in note.text for note in receipt.plan.notes)
