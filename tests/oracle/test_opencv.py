"""Against OpenCV, which runs networks of Darknet and Caffe: their weights as it has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

cv2 = pytest.importorskip("cv2")

import modelglot as mg  # noqa: E402
from modelglot.containers.protobuf_write import delimited, integer  # noqa: E402

random = np.random.default_rng(0)
CFG = """
# a comment
[net]
width=16
height=12
channels=3
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[convolutional]
groups=8
filters = 8
size=3
pad=1
activation=linear
[maxpool]
size=2
stride=2
[route]
layers=-1,-1
[upsample]
stride=2
[route]
layers=-1, 1
[shortcut]
from=-1
[convolutional]
groups=3
filters=6
size=1
activation=logistic
[dropout]
probability=.5
"""


def test_darknet(tmp_path: Path) -> None:
    """Eight floats of header, then numbers that all differ: whoever divides them otherwise gets others."""
    count = 4 * 8 + 8 * 3 * 9 + 8 + 8 * 9 + 6 + 6 * 8
    numbers = np.arange(1, count + 1, dtype="f4") / count
    header = np.array([0, 2, 5, 640, 0], "<i4").tobytes()
    (tmp_path / "m.cfg").write_text(CFG)
    (tmp_path / "m.weights").write_bytes(header + numbers.tobytes())
    net = cv2.dnn.readNetFromDarknet(str(tmp_path / "m.cfg"), str(tmp_path / "m.weights"))
    found = mg.load(tmp_path / "m.weights")
    assert sum(v.size for v in found.values()) == count
    for index in (0, 1, 7):
        blobs = net.getLayer(net.getLayerId(f"conv_{index}")).blobs
        weights = found[f"{index}.convolutional.weights"]
        assert blobs[0].shape == weights.shape
        assert np.array_equal(blobs[0], weights)
        if len(blobs) > 1:
            assert np.array_equal(blobs[1].ravel(), found[f"{index}.convolutional.biases"])
    norm = net.getLayer(net.getLayerId("bn_0")).blobs
    for blob, name in zip(norm, ("rolling_mean", "rolling_variance", "scales", "biases"), strict=True):
        assert np.array_equal(blob.ravel(), found[f"0.convolutional.{name}"]), name


PROTOTXT = """
input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 4 kernel_size: 2 } }
"""
# fields of a layer for its name, type, input, output, blobs and the settings of a convolution
NEWER, OLDER = (1, 2, 3, 4, 7, 106), (4, 5, 2, 3, 6, 10)


def blob(value: Any, old: bool) -> bytes:
    """With the four axes of older files, or a shape."""
    sizes = (1,) * (4 - value.ndim) + value.shape
    legacy = b"".join(integer(number, size) for number, size in enumerate(sizes, 1))
    return (legacy if old else delimited(7, delimited(1, bytes(value.shape)))) + delimited(5, value.tobytes())


@pytest.mark.parametrize("old", [False, True], ids=["layer", "layers"])
def test_caffe_in_both_generations(old: bool, tmp_path: Path) -> None:
    kernel, bias = (random.standard_normal(shape).astype("f4") for shape in ((4, 3, 2, 2), (4,)))
    name, kind, bottom, top, blobs, settings = OLDER if old else NEWER
    layer = delimited(name, "c") + (integer(kind, 4) if old else delimited(kind, "Convolution"))
    layer += delimited(bottom, "x") + delimited(top, "c") + delimited(settings, integer(1, 4) + integer(4, 2))
    layer += delimited(blobs, blob(kernel, old)) + delimited(blobs, blob(bias, old))
    (tmp_path / "m.caffemodel").write_bytes(delimited(1, "net") + delimited(2 if old else 100, layer))
    (tmp_path / "m.prototxt").write_text(PROTOTXT)
    net = cv2.dnn.readNetFromCaffe(str(tmp_path / "m.prototxt"), str(tmp_path / "m.caffemodel"))
    stored, found = net.getLayer(net.getLayerId("c")).blobs, mg.load(tmp_path / "m.caffemodel")
    assert np.array_equal(stored[0], found["c.0"])
    assert np.array_equal(stored[1].ravel(), found["c.1"].ravel())


BATCH_NORM = """
input: "x" input_dim: 2 input_dim: 4 input_dim: 3 input_dim: 3
layer { name: "bn" type: "BatchNorm" bottom: "x" top: "bn" }
layer { name: "s" type: "Scale" bottom: "bn" top: "s" scale_param { bias_term: true } }
"""


def test_batch_norm_of_caffe_computes_the_same_in_torch(tmp_path: Path) -> None:
    """Mean and variance are stored times a factor, here 999.98 as after a thousand steps."""
    mean, scale, offset = (random.standard_normal(4).astype("f4") for _ in range(3))
    variance, factor = random.random(4).astype("f4") + 1, np.array([999.98], "f4")
    name, kind, bottom, top, blobs, _ = NEWER
    norm = delimited(name, "bn") + delimited(kind, "BatchNorm") + delimited(bottom, "x") + delimited(top, "bn")
    norm += b"".join(delimited(blobs, blob(v, False)) for v in (mean * factor, variance * factor, factor))
    after = delimited(name, "s") + delimited(kind, "Scale") + delimited(bottom, "bn") + delimited(top, "s")
    after += b"".join(delimited(blobs, blob(v, False)) for v in (scale, offset)) + delimited(142, integer(5, 1))
    (tmp_path / "m.prototxt").write_text(BATCH_NORM)
    (tmp_path / "m.caffemodel").write_bytes(delimited(100, norm) + delimited(100, after))
    net = cv2.dnn.readNetFromCaffe(str(tmp_path / "m.prototxt"), str(tmp_path / "m.caffemodel"))
    x = random.standard_normal((2, 4, 3, 3)).astype("f4")
    net.setInput(x)
    wanted = net.forward()

    mg.convert(tmp_path / "m.caffemodel", tmp_path / "m.pth", layout="torch")
    state = torch.load(tmp_path / "m.pth", weights_only=True)
    assert sorted(state) == ["bn.running_mean", "bn.running_var", "s.bias", "s.weight"]
    torch_net = torch.nn.BatchNorm2d(4, eps=1e-5).eval()
    torch_net.load_state_dict({n.partition(".")[2]: v for n, v in state.items()}, strict=False)
    assert np.allclose(torch_net(torch.from_numpy(x)).detach().numpy(), wanted, atol=1e-5)
    assert np.array_equal(state["bn.running_mean"].numpy(), mean * factor * (np.float32(1) / factor))
