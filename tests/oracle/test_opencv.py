"""Against OpenCV, which runs networks of Darknet and Caffe: their weights as it has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

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
