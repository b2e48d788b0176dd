"""TensorFlow's files and named PyTorch models to ONNX through the frameworks' own exporters, each checked."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelglot.api.converting import convert, make_plan
from modelglot.api.finishing import finish
from modelglot.core.errors import UnsafeContentError, UnsupportedError
from modelglot.graphs.checking import compare, random_inputs
from modelglot.graphs.inputs import Port
from modelglot.graphs.wishes import Wishes

pytest.importorskip("onnx_ir")
ort = pytest.importorskip("onnxruntime")
REQUIRED = "MODELGLOT_REQUIRE_ORACLES" in os.environ  # then it has to be there
BUNDLED = Path(__file__).parents[1] / "real/bundled"
tensorflow = pytest.mark.skipif(
    not (REQUIRED or (find_spec("tensorflow") and find_spec("tf2onnx"))),
    reason="needs TensorFlow and tf2onnx",
)
NET = """
import torch
class Net(torch.nn.Module):
    def __init__(self, n=2):
        super().__init__()
        self.a = torch.nn.Linear(3, n)
    def forward(self, x):
        return self.a(x).relu(), x.sum(-1)
"""


def checked(source: Path, target: Path, *inputs: str, **wishes: Any) -> float:
    """The largest difference that was found before the file was published."""
    plan, place = make_plan(source, target, wishes=Wishes(inputs, **wishes))
    finish(plan, place)
    assert place.check is not None
    assert place.check.difference is not None, place.check.said
    ort.InferenceSession(target)
    return place.check.difference.absolute


@tensorflow
@pytest.mark.parametrize(
    ("path", "inputs"),
    [
        ("tf-frozen-pb/gru/frozen.pb", ("X=f32[n,784]", "keep_prob=1.0")),
        ("tf1-tiny/regression/tflite/model.tflite", ()),
    ],
)
def test_files_of_others(path: str, inputs: tuple[str, ...], tmp_path: Path) -> None:
    assert checked(BUNDLED / path, tmp_path / "m.onnx", *inputs) < 1e-4


@tensorflow
def test_keras(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    x = keras.Input((8, 4), name="x")
    y = keras.layers.Conv1D(3, 3, padding="same", activation="relu")(x)
    y = keras.layers.Bidirectional(keras.layers.LSTM(5))(keras.layers.BatchNormalization()(y))
    keras.Model(x, [keras.layers.Dense(2)(y), y]).save(tmp_path / "m.keras")
    assert checked(tmp_path / "m.keras", tmp_path / "m.onnx") < 1e-4


@tensorflow
def test_a_lambda_is_refused(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)]).save(tmp_path / "m.keras")
    with pytest.raises(UnsafeContentError, match="more than compute"):
        convert(tmp_path / "m.keras", tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_a_named_model_is_run_only_where_that_is_allowed(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"a.weight": torch.ones(2, 3)}, tmp_path / "m.pth")
    for entry, what in (("torchvision:resnet18", "code of torchvision"), ("net:Net", "the Python module `net`")):
        with pytest.raises(UnsafeContentError, match=what):
            convert(tmp_path / "m.pth", tmp_path / "m.onnx", wishes=Wishes(("x=f32[n,3]",), entry=entry))


@pytest.mark.skipif(not (find_spec("torch") and find_spec("onnxscript")), reason="needs torch and onnxscript")
def test_a_named_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    (tmp_path / "little_net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    state = {"a.weight": torch.randn(4, 3), "a.bias": torch.randn(4)}
    torch.save({"state_dict": state, "epoch": 3}, "m.ckpt")
    wishes = {"entry": "little_net:Net", "allow_code": True}
    assert checked(Path("m.ckpt"), Path("m.onnx"), "x=f32[batch,3]", arguments='{"n": 4}', **wishes) < 1e-4
    with pytest.raises(UnsupportedError, match="loading state_dict"):
        convert("m.ckpt", "n.onnx", wishes=Wishes(("x=f32[batch,3]",), **wishes))
    assert not os.path.exists("n.onnx")


def test_a_difference_is_an_error() -> None:
    good = np.array([1.0, -200.0, np.inf, np.nan])
    assert compare({"y": good}, [good]).absolute == 0
    assert compare({"y": good + 5e-3}, [good]).relative == pytest.approx(2.5e-5)
    for bad in (good + 0.1, np.array([1.0, -200, np.inf, 3]), np.array([1.0, -200, 1, np.nan]), good[:3]):
        with pytest.raises(UnsupportedError):
            compare({"y": bad}, [good])
    with pytest.raises(UnsupportedError, match="2 outputs"):
        compare({"y": good, "z": good}, [good])


def test_open_sizes_are_the_same_everywhere() -> None:
    made = random_inputs({"x": Port("f32", ("n", 3)), "y": Port("i64", ("m", "n")), "y_mask": Port("bool", ("n",))})
    assert made["x"].shape[0] == made["y"].shape[1] == made["y_mask"].shape[0] != made["y"].shape[0]
    assert made["y_mask"].all()
