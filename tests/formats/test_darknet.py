"""Darknet: the promises of a reader, and files made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.reading import detect, read_model
from modelglot.core.errors import InvalidFileError
from modelglot.core.layer import AXES, KIND, ROLE
from modelglot.core.tensor import Missing
from modelglot.testing.conformance import ReaderConformance

NET = "[net]\nwidth=4\nheight=4\nchannels=2\n"
CONV = "[convolutional]\nfilters=3\nsize=1\n"
HEADER = np.array([0, 2, 0, 32, 0], "<i4").tobytes()


def put(folder: Path, layers: str, count: int, header: bytes = HEADER) -> Path:
    (folder / "m.cfg").write_text(NET + layers)
    path = folder / "m.weights"
    path.write_bytes(header + np.arange(count, dtype="f4").tobytes())
    return path


class TestDarknet(ReaderConformance):
    format = "darknet"

    def make(self, folder: Path) -> Path:
        return put(folder, CONV, 9)

    def test_suffix_does_not_matter(self, sample: Path) -> None:
        """Here it does: the content is a few small numbers and floats."""
        assert detect(str(sample))[0].info.name == "darknet"


def test_either_file_or_the_folder(tmp_path: Path) -> None:
    path = put(tmp_path, CONV, 9)
    for given in (path, tmp_path / "m.cfg", tmp_path):
        assert mg.load(given)["0.convolutional.weights"].ravel().tolist() == [3, 4, 5, 6, 7, 8]
    (tmp_path / "m.cfg").rename(tmp_path / "other.cfg")
    assert len(read_model(str(path)).tensors) == 2
    (tmp_path / "other.cfg").unlink()
    with pytest.raises(InvalidFileError, match="is not beside"):
        read_model(str(path))


@pytest.mark.parametrize(("major", "minor", "length"), [(0, 1, 16), (0, 2, 20), (1, 0, 20)])
def test_headers_of_old_and_new(major: int, minor: int, length: int, tmp_path: Path) -> None:
    header = np.array([major, minor, 7, 32, 0], "<i4").tobytes()[:length]
    model = read_model(str(put(tmp_path, CONV, 9, header)))
    assert model.metadata["darknet.version"] == f"{major}.{minor}.7"
    assert model.metadata["darknet.seen"] == 32


def test_order_in_a_connected_layer(tmp_path: Path) -> None:
    """Its weights come before the batch norm, those of a convolution after it."""
    path = put(tmp_path, "[connected]\noutput=2\nbatch_normalize=1\n", 2 + 64 + 6)
    found = mg.load(path)
    assert {n.rpartition(".")[2]: int(v.ravel()[0]) for n, v in found.items()} == {
        "biases": 0, "weights": 2, "scales": 66, "rolling_mean": 68, "rolling_variance": 70,
    }  # fmt: skip
    assert found["0.connected.weights"].shape == (2, 32)


def test_sizes_from_layer_to_layer(tmp_path: Path) -> None:
    """Pooling, reorganizing and routes decide what a connected layer takes."""
    layers = (
        "[convolutional]\nfilters=4\nsize=3\nstride=2\npad=1\n[maxpool]\nsize=2\nstride=2\n[upsample]\nstride=2\n"
        "[reorg]\nstride=2\n[route]\nlayers=-1,1\n[shortcut]\nfrom=-2\n[avgpool]\n[connected]\noutput=1\n"
    )
    path = put(tmp_path, layers, 4 + 4 * 2 * 9 + 1 + 20)
    found = read_model(str(path)).tensors
    assert found["7.connected.weights"].shape == (1, 20)


def test_what_a_layer_says_of_its_weights(tmp_path: Path) -> None:
    layers = (
        "[convolutional]\nfilters=2\nsize=1\ngroups=2\nbatch_normalize=1\n"
        "[deconvolutional]\nfilters=3\nsize=2\nstride=2\n"
    )
    found = read_model(str(put(tmp_path, layers, 8 + 2 + 3 + 24))).tensors
    said = [tuple(t.extra.get(k) for k in (KIND, ROLE, AXES)) for t in found.values()]
    assert said == [
        ("batch-norm", "offset", None), ("batch-norm", "scale", None), ("batch-norm", "mean", None),
        ("batch-norm", "variance", None), ("depthwise-conv", "kernel", "o1hw"), ("conv-transpose", "bias", None),
        ("conv-transpose", "kernel", "iohw"),
    ]  # fmt: skip


def test_weights_to_begin_with_end_between_two_layers(tmp_path: Path) -> None:
    model = read_model(str(put(tmp_path, CONV + "[maxpool]\n" + CONV, 9)))
    gone = [n for n, t in model.tensors.items() if isinstance(t.data, Missing)]
    assert gone == ["2.convolutional.biases", "2.convolutional.weights"]
    assert [n.code for n in model.notes] == ["partial"]
