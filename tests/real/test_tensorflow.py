"""Real TensorFlow and Keras files of others, against the libraries that made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from fetch import entries, folder, place, sha256

import modelglot as mg
from modelglot.api.reading import read_model

ROOT = folder()
FILES = [e for e in entries() if e.get("tested") == "tensorflow"]
pytestmark = pytest.mark.real


def find(id_: str, name: str) -> Path:
    return next(place(ROOT, e) for e in FILES if e["id"] == id_ and e["member"].endswith(name))


@pytest.mark.parametrize("entry", [e for e in FILES if e.get("bundled")], ids=lambda e: e["member"])
def test_bundled_files_are_those_of_the_catalogue(entry: dict[str, Any]) -> None:
    assert sha256(place(ROOT, entry)) == entry["sha256"]


MUSICNN = ("musicnn-tf1-mtt", "MTT_musicnn/.index")
TINY = ("tf1-tiny", "checkpoint/model.index")


@pytest.mark.parametrize(("which", "tensors", "model"), [(MUSICNN, 150, 64), (TINY, 2, 2)], ids=["musicnn", "tiny"])
def test_a_checkpoint_by_any_of_its_names(which: tuple[str, str], tensors: int, model: int, tmp_path: Path) -> None:
    index = find(*which)
    prefix = str(index).removesuffix(".index")
    reader = tf.compat.v1.train.NewCheckpointReader(prefix)
    for path in (index.parent, index, Path(prefix + ".meta"), index.parent / "checkpoint"):
        with mg.open(path) as opened:
            assert len(opened.tensors) == tensors
            for name in reader.get_variable_to_shape_map():
                assert bytes(opened.tensors[name].bytes()) == reader.get_tensor(name).tobytes(), name
    receipt = mg.convert(index.parent, tmp_path / "a.safetensors")
    assert len(receipt.digests) == model
    mg.convert(tmp_path / "a.safetensors", tmp_path / "b", to="tf-checkpoint")
    again = tf.train.load_checkpoint(str(tmp_path / "b"))
    for name in again.get_variable_to_shape_map():
        assert np.array_equal(again.get_tensor(name), reader.get_tensor(name)), name


def test_musicnn_in_detail(tmp_path: Path) -> None:
    report = mg.inspect(find(*MUSICNN).parent)
    assert not report.notes
    assert {p.path: p.tensors for p in report.parts} == {"model": 64, "optimizer": 86}
    assert report.model.graph is not None
    assert report.model.graph.nodes == 2896
    kernel = report.model.tensors["conv2d/kernel"]
    assert (kernel.extra["layer:kind"], kernel.extra["layer:axes"]) == ("conv", "hwio")
    assert len(mg.convert(find(*MUSICNN), tmp_path / "o.pth", component="optimizer").digests) == 86
    assert read_model(str(find(*MUSICNN))).tensors["dense/kernel"].extra["layer:axes"] == "io"
