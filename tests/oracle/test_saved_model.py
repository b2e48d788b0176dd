"""Against TensorFlow: SavedModels of modules, of Keras and of version 1, read and filled with other weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import modelglot as mg
from modelglot.api.reading import read_model
from modelglot.core.errors import LossError, UnsupportedError
from modelglot.core.limits import Limits
from modelglot.formats import registry
from modelglot.sources.file import LocalFiles

v1 = tf.compat.v1


class Net(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.random.normal((4, 3)))
        self.parts = [tf.Variable(tf.random.normal((3,))), tf.Variable(5, dtype=tf.int64)]
        self.words = tf.lookup.StaticVocabularyTable(
            tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([0, 1], tf.int64)), 1
        )

    @tf.function(input_signature=[tf.TensorSpec((None, 4), name="x")])
    def __call__(self, x: Any) -> Any:
        return x @ self.kernel + self.parts[0]


def saved(folder: Path, net: Net | None = None) -> Path:
    net = net or Net()
    tf.saved_model.save(net, str(folder), signatures=net.__call__.get_concrete_function())
    return folder


def test_a_module(tmp_path: Path) -> None:
    net = Net()
    folder = saved(tmp_path / "a", net)
    report = mg.inspect(folder)
    assert (report.model.format, report.model.dialect) == ("tf-saved-model", "object-based")
    assert report.model.tensors["kernel"].extra["layer:axes"] == "io"
    found = mg.load(folder)
    assert np.array_equal(found["kernel"], net.kernel.numpy())
    assert np.array_equal(found["parts/0"], net.parts[0].numpy())
    (serving,) = report.model.graph.signatures  # type: ignore[union-attr]
    assert [str(p) for p in serving.inputs] == ["x [?, 4] f32"]
    assert report.model.metadata["tensorflow_version"] == tf.__version__
    fingerprint = tf.saved_model.experimental.read_fingerprint(str(folder))
    assert report.model.metadata["fingerprint.graph_def_program_hash"] == fingerprint.graph_def_program_hash
    by_file = read_model(str(folder / "saved_model.pb"))
    assert by_file.tensors.keys() == report.model.tensors.keys()


def test_weights_put_into_it_are_what_it_computes_with(tmp_path: Path) -> None:
    one, two = Net(), Net()
    first, second = saved(tmp_path / "one", one), saved(tmp_path / "two", two)
    mg.convert(second, tmp_path / "w.safetensors")
    receipt = mg.convert(tmp_path / "w.safetensors", f"{tmp_path}/out/", template=first)
    assert receipt.verified
    x = tf.random.normal((2, 4))
    loaded = tf.saved_model.load(str(tmp_path / "out"))
    assert np.array_equal(loaded(x), two(x))
    assert not np.allclose(loaded(x), one(x))
    assert np.array_equal(loaded.signatures["serving_default"](x=x)["output_0"], two(x))
    assert not (tmp_path / "out" / "fingerprint.pb").exists()
    assert (tmp_path / "out" / "saved_model.pb").read_bytes() == (first / "saved_model.pb").read_bytes()


def test_written_again_with_itself(tmp_path: Path) -> None:
    net = Net()
    mg.convert(saved(tmp_path / "a", net), f"{tmp_path}/b/", to="tf-saved-model", max_shard_size="30")
    x = tf.random.normal((2, 4))
    assert np.array_equal(tf.saved_model.load(str(tmp_path / "b"))(x), net(x))


def test_it_is_not_made_of_weights_alone(tmp_path: Path) -> None:
    mg.convert(saved(tmp_path / "a"), tmp_path / "w.safetensors")
    with pytest.raises(UnsupportedError, match="holds a graph"):
        mg.convert(tmp_path / "w.safetensors", f"{tmp_path}/b/", to="tf-saved-model")
    mg.save({"kernel": np.ones((4, 3), np.float32)}, tmp_path / "less.safetensors")
    with pytest.raises(LossError, match="does not have"):
        mg.convert(tmp_path / "less.safetensors", f"{tmp_path}/b/", template=tmp_path / "a")
    mg.convert(tmp_path / "less.safetensors", f"{tmp_path}/b/", template=tmp_path / "a", allow_loss=["into"])
    assert np.array_equal(tf.saved_model.load(str(tmp_path / "b")).kernel, np.ones((4, 3)))


def test_assets_are_kept(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("cat\ndog\n")

    class Words(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = tf.Variable(1.0)
            whole = tf.lookup.TextFileInitializer(
                str(tmp_path / "words.txt"), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            )  # fmt: skip
            self.table = tf.lookup.StaticHashTable(whole, -1)

        @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
        def __call__(self, word: Any) -> Any:
            return self.table.lookup(word)

    tf.saved_model.save(Words(), str(tmp_path / "a"))
    mg.convert(tmp_path / "a", tmp_path / "w.safetensors")
    mg.convert(tmp_path / "w.safetensors", f"{tmp_path}/b/", template=tmp_path / "a")
    assert (tmp_path / "b" / "assets" / "words.txt").read_text() == "cat\ndog\n"
    assert tf.saved_model.load(str(tmp_path / "b"))(tf.constant("dog")) == 1


def test_keras_exported(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((6, 6, 2)), keras.layers.Conv2D(3, 3), keras.layers.BatchNormalization(),
                              keras.layers.Flatten(), keras.layers.Dense(4)])  # fmt: skip
    model.export(str(tmp_path / "a"), verbose=False)
    wanted = sorted(np.asarray(w).tobytes() for w in model.weights)
    said = {
        (t.extra.get("layer:kind"), t.extra.get("layer:axes")) for t in read_model(str(tmp_path / "a")).tensors.values()
    }
    assert {("conv", "hwio"), ("dense", "io")} <= said
    found = mg.load(tmp_path / "a")
    assert sorted({v.tobytes() for v in found.values()}) == sorted(set(wanted))  # Keras keeps each in two lists


def test_version_1(tmp_path: Path) -> None:
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, (None, 5, 5, 2), "x")
        kernel = v1.get_variable("conv/kernel", (3, 3, 2, 4))
        y = tf.nn.conv2d(x, kernel, 1, "SAME")
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            v1.saved_model.simple_save(session, str(tmp_path / "a"), {"x": x}, {"y": y})
            wanted = session.run(kernel)
    tensor = read_model(str(tmp_path / "a")).tensors["conv/kernel"]
    assert (tensor.extra["layer:kind"], tensor.extra["layer:axes"]) == ("conv", "hwio")
    assert np.array_equal(mg.load(tmp_path / "a")["conv/kernel"], wanted)
    mg.save({"conv/kernel": wanted * 2}, tmp_path / "w.safetensors")
    mg.convert(tmp_path / "w.safetensors", f"{tmp_path}/b/", template=tmp_path / "a")
    loaded = tf.saved_model.load(str(tmp_path / "b"))
    one = tf.ones((1, 5, 5, 2))
    again = loaded.signatures["serving_default"](x=one)["y"]
    assert np.allclose(again, tf.nn.conv2d(one, wanted * 2, 1, "SAME"), atol=1e-5)


def test_without_variables_its_constants_are_shown(tmp_path: Path) -> None:
    class Fixed(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((2,))])
        def __call__(self, x: Any) -> Any:
            return x * tf.constant([3.0, 4.0], name="factors")

    tf.saved_model.save(Fixed(), str(tmp_path / "a"))
    (tmp_path / "a" / "variables" / "variables.index").unlink()
    model = read_model(str(tmp_path / "a"))
    assert [n.code for n in model.notes if n.code == "no-variables"]
    assert any(v.tolist() == [3, 4] for v in mg.load(tmp_path / "a").values())


def test_what_reaches_outside_is_named(tmp_path: Path) -> None:
    class Reader(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
        def __call__(self, name: Any) -> Any:
            return tf.io.read_file(name)

    tf.saved_model.save(Reader(), str(tmp_path / "a"))
    reader = registry.get("tf-saved-model")
    found = list(reader.hazards(LocalFiles(str(tmp_path / "a")), Limits()))
    assert {f.rule for f in found} == {"tf-operator"}
    assert any("ReadFile" in f.what for f in found)
