"""Conversions between worlds, end to end: what each framework reads is what the other one wrote."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import onnx
import pytest
import tensorflow as tf
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

import modelglot as mg
from modelglot.core.errors import LossError

RNG = np.random.default_rng(0)
WEIGHTS = {"conv.w": RNG.standard_normal((4, 3, 2, 2)).astype(np.float32), "conv.b": np.arange(4, dtype=np.float32)}


def onnx_file(path: Path, **properties: str) -> Path:
    node = helper.make_node("Conv", ["x", "conv.w", "conv.b"], ["y"])
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in WEIGHTS.items()],
    )  # fmt: skip
    model = helper.make_model(graph, producer_name="test")
    helper.set_model_props(model, properties)
    onnx.save(model, path)
    return path


def same(found: dict[str, Any]) -> None:
    assert sorted(found) == sorted(WEIGHTS)
    for name, value in WEIGHTS.items():
        assert np.array_equal(np.asarray(found[name]), value), name


def test_onnx_to_the_others(tmp_path: Path) -> None:
    """The graph and what only describes it stay behind, and that is said; nothing has to be allowed for it."""
    source = onnx_file(tmp_path / "a.onnx")
    for name, to in (("a.pth", None), ("a.npz", None), ("a.safetensors", None), ("tf", "tf-checkpoint")):
        receipt = mg.convert(source, tmp_path / name, to=to)
        assert "graph" in {loss.kind for loss in receipt.plan.losses}, name
    same(torch.load(tmp_path / "a.pth", weights_only=True))
    same(dict(np.load(tmp_path / "a.npz")))
    same(load_file(tmp_path / "a.safetensors"))
    reader = tf.train.load_checkpoint(str(tmp_path / "tf"))
    same({name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()})


def test_what_somebody_wrote_into_the_file_is_not_lost_in_silence(tmp_path: Path) -> None:
    source = onnx_file(tmp_path / "a.onnx", licence="MIT")
    with pytest.raises(LossError, match="`licence`") as caught:
        mg.convert(source, tmp_path / "a.pth")
    assert "onnx.producer_name" not in str(caught.value)
    mg.convert(source, tmp_path / "a.pth", allow_loss=["metadata"])
    mg.convert(source, tmp_path / "a.safetensors")
    assert mg.open(tmp_path / "a.safetensors").metadata["licence"] == "MIT"


def test_a_tensorflow_checkpoint_to_pytorch_and_back(tmp_path: Path) -> None:
    root = tf.Module()
    root.conv = tf.Module()
    root.conv.w, root.conv.b = tf.Variable(WEIGHTS["conv.w"]), tf.Variable(WEIGHTS["conv.b"])
    tf.train.Checkpoint(model=root).write(str(tmp_path / "ckpt"))
    mg.convert(tmp_path / "ckpt", tmp_path / "a.pth", rename_rules=[("^model/conv/", "conv.")])
    same(torch.load(tmp_path / "a.pth", weights_only=True))
    mg.convert(tmp_path / "a.pth", tmp_path / "back", to="tf-checkpoint")
    reader = tf.train.load_checkpoint(str(tmp_path / "back"))
    same({name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()})
