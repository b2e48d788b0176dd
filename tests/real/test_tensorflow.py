"""Real TensorFlow and Keras files of others, against the libraries that made them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
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


@pytest.mark.parametrize(("name", "constants", "inputs"), [("gru/frozen.pb", 132, 2), ("fc-layers/frozen.pb", 6, 1)])
def test_a_frozen_graph(name: str, constants: int, inputs: int, tmp_path: Path) -> None:
    path = find("tf-frozen-pb", name)
    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    wanted = {n.name: tf.make_ndarray(n.attr["value"].tensor) for n in graph.node if n.op == "Const"}
    model = read_model(str(path))
    assert len(model.tensors) == len(wanted) == constants
    assert model.graph is not None
    assert model.graph.nodes == len(graph.node)
    assert len(model.graph.signatures[0].inputs) == inputs
    mg.convert(path, tmp_path / "a.safetensors")
    found = mg.load(tmp_path / "a.safetensors")
    for constant, array in wanted.items():
        assert found[constant].tobytes() == array.tobytes(), constant


KERAS = {  # id, file: datasets, of the model, dialect
    "deeplc-keras": (".keras", 128, 42, None),
    "capfinder-keras": (".keras", 124, 50, None),
    "spliceai-h5": ("spliceai1.h5", 206, 206, "model"),
    "hed-weights-h5": (".weights.h5", 38, 38, "weights, Keras 3"),
    "silabs-h5-tflite": ("image_example1.h5", 33, 12, "model"),
}


@pytest.mark.parametrize("id_", KERAS)
def test_keras_files(id_: str, tmp_path: Path) -> None:
    name, datasets, model, dialect = KERAS[id_]
    path = find(id_, name)
    stream = io.BytesIO(zipfile.ZipFile(path).read("model.weights.h5")) if name == ".keras" else path
    wanted: dict[str, Any] = {}
    with h5py.File(stream) as file:
        file.visititems(lambda n, o: wanted.__setitem__(n, o[()]) if isinstance(o, h5py.Dataset) else None)
    report = mg.inspect(path)
    assert report.model.dialect == dialect
    assert len(report.model.tensors) == len(wanted) == datasets
    with mg.open(path) as opened:
        for key, array in wanted.items():
            assert bytes(opened.tensors[key].bytes()) == array.tobytes(), key
    receipt = mg.convert(path, tmp_path / "a.safetensors")
    assert len(receipt.digests) == model
    if dialect not in ("weights, Keras 3",):
        kept = [report.model.tensors[n] for n in receipt.digests if "seed_generator" not in n]
        assert all("layer:kind" in t.extra for t in kept)


@pytest.mark.parametrize("id_", ["deeplc-keras", "capfinder-keras"])
def test_keras_itself_loads_what_was_written_again(id_: str, tmp_path: Path) -> None:
    import keras

    path = find(id_, ".keras")
    mg.convert(path, tmp_path / "a.safetensors")
    mg.convert(tmp_path / "a.safetensors", tmp_path / "b.keras")
    one, two = (keras.saving.load_model(p, compile=False) for p in (path, tmp_path / "b.keras"))
    assert len(one.weights) == len(two.weights)
    for a, b in zip(one.weights, two.weights, strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_the_keras_model_holds_the_weights_of_its_pytorch_twin() -> None:
    """deeplc was made into a whole PyTorch module: kernels turned, then the same values."""
    keras_values = {
        np.sort(v.ravel()).tobytes() for v in mg.load(find("deeplc-keras", ".keras")).values() if v.size > 1
    }
    twin = next(place(ROOT, e) for e in entries() if e["id"] == "deeplc-whole-module" and "8c22" in e["member"])
    shared = [n for n, v in mg.load(twin).items() if v.size > 1 and np.sort(v.ravel()).tobytes() in keras_values]
    assert len(shared) >= 39


def test_a_config_of_keras_2_says_its_convolutions() -> None:
    tensors = read_model(str(find("spliceai-h5", ".h5"))).tensors
    kernel = tensors["model_weights/conv1d_1/conv1d_1/kernel:0"]
    assert (kernel.extra["layer:axes"], kernel.shape) == ("wio", (1, 4, 32))
    config = json.loads(read_model(str(find("spliceai-h5", ".h5"))).metadata["keras:model_config"])
    assert config["class_name"] == "Model"


def test_the_saved_model_of_basic_pitch(tmp_path: Path) -> None:
    """Made by TensorFlow 2.4; the library of today loads it by the old way only."""
    path = find("basic-pitch-4fmt", "saved_model.pb")
    reader = tf.train.load_checkpoint(str(path.parent / "variables" / "variables"))
    report = mg.inspect(path.parent)
    assert {p.path: p.tensors for p in report.parts} == {"model": 24, "optimizer": 41, "counters": 8}
    assert report.model.graph is not None
    assert [s.name for s in report.model.graph.signatures] == ["serving_default"]
    with mg.open(path.parent) as model:
        for handle in model.tensors.values():
            key = handle.tensor.extra["tf:key"]
            assert bytes(handle.bytes()) == reader.get_tensor(key).tobytes(), key
    receipt = mg.convert(path.parent, tmp_path / "a.safetensors")
    assert len(receipt.digests) == 24
    assert all("layer:kind" in report.model.tensors[n].extra for n in receipt.digests)
    mg.convert(tmp_path / "a.safetensors", f"{tmp_path}/b/", template=path.parent, allow_loss=["into"])
    x = np.random.default_rng(0).normal(size=(1, 43844, 1)).astype(np.float32)
    outputs = []
    for folder_ in (path.parent, tmp_path / "b"):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            meta = tf.compat.v1.saved_model.load(session, ["serve"], str(folder_))
            signature = meta.signature_def["serving_default"]
            outputs.append(session.run(signature.outputs["note"].name, {signature.inputs["input_2"].name: x}))
    assert np.array_equal(*outputs)


def test_a_saved_model_of_version_1() -> None:
    folder_ = find("tf1-tiny", "saved_model.pb").parent
    reader = tf.train.load_checkpoint(str(folder_ / "variables" / "variables"))
    assert {n: v.item() for n, v in mg.load(folder_).items()} == {n: reader.get_tensor(n) for n in ("W", "b")}
