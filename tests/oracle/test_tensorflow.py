"""Against TensorFlow: it reads what we write, we read what it writes, and the files are the same where they can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
import torch

import modelglot as mg
from modelglot.api.reading import read_model
from modelglot.containers import sstable
from modelglot.containers.tensorflow import strings
from modelglot.containers.tensorflow.slices import slice_key
from modelglot.core.errors import DamagedFileError
from modelglot.core.limits import Limits
from modelglot.formats import registry
from modelglot.sources.checksums import checksum
from modelglot.sources.file import FileSource, LocalFiles

v1 = tf.compat.v1
RNG = np.random.default_rng(0)
CODES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8",
         "bool", "complex64", "complex128"]  # fmt: skip


def state() -> dict[str, np.ndarray[Any, Any]]:
    made = {f"types/{c}": (RNG.standard_normal((3, 5)) * 9).astype(c) for c in CODES}
    made["types/bfloat16"] = RNG.standard_normal((2, 2)).astype(ml_dtypes.bfloat16)
    for fp8 in ("float8_e4m3fn", "float8_e5m2"):
        made[f"types/{fp8}"] = RNG.standard_normal((2, 3)).astype(getattr(ml_dtypes, fp8))
    return {**made, "scalar": np.float32(1.5), "empty": np.zeros((0, 4), np.float32), "long/" + "n" * 300: np.ones(2)}


def read_by_tf(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    reader = tf.train.load_checkpoint(str(path))
    return {n: np.asarray(reader.get_tensor(n)) for n in reader.get_variable_to_shape_map()}


def saved_by_saver(folder: Path, variables: dict[str, Any], **choices: Any) -> Path:
    """A name-based checkpoint as TensorFlow 1 programs write it."""
    with tf.Graph().as_default():
        made = [v1.get_variable(n.replace(" ", "_"), initializer=v, use_resource=False) for n, v in variables.items()]
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            saver = v1.train.Saver(made, **choices)
            return Path(saver.save(session, str(folder / "m.ckpt")))


def test_we_read_what_the_saver_writes(tmp_path: Path) -> None:
    wanted = {n: v for n, v in state().items() if "uint" not in n and "float8" not in n and "complex" not in n}
    path = saved_by_saver(tmp_path, wanted)
    found, by_tf = mg.load(path), read_by_tf(path)
    assert found.keys() == by_tf.keys() == wanted.keys()
    for name, array in by_tf.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        assert found[name].tobytes() == array.tobytes(), name
    graph = read_model(str(path)).graph
    assert graph is not None
    assert graph.operators["VariableV2"] == len(wanted)


def test_our_files_are_byte_for_byte_the_savers(tmp_path: Path) -> None:
    """Index and data, of more tensors than fit one block of the index."""
    many = {f"layer_{i:04}/{'deep/' * (i % 40)}w": np.full((i % 7 + 1,), i, np.float32) for i in range(1500)}
    path = saved_by_saver(tmp_path / "tf", many)
    mg.convert(path, tmp_path / "a.safetensors")
    mg.convert(tmp_path / "a.safetensors", tmp_path / "ours", to="tf-checkpoint")
    for suffix in (".index", ".data-00000-of-00001"):
        theirs = path.with_name(path.name + suffix).read_bytes()
        assert (tmp_path / "ours" / f"model{suffix}").read_bytes() == theirs, suffix


def test_laid_out_again_in_more_files(tmp_path: Path) -> None:
    """The graph beside it goes along: TensorFlow 1 imports it and restores into it."""
    path = saved_by_saver(tmp_path / "tf", {"a": np.ones((4, 5), np.float32), "b": np.zeros(7)})
    receipt = mg.convert(path, f"{tmp_path}/out/", max_shard_size="60")
    assert not receipt.plan.losses
    by_tf = read_by_tf(tmp_path / "out")
    assert {n: v.sum() for n, v in by_tf.items()} == {"a": 20, "b": 0}
    assert len(list((tmp_path / "out").glob("*.data-*"))) == 2
    with tf.Graph().as_default(), v1.Session() as session:
        saver = v1.train.import_meta_graph(str(tmp_path / "out" / "model.meta"))
        saver.restore(session, str(tmp_path / "out" / "model"))
        assert session.run("a:0").sum() == 20


def test_a_part_of_a_checkpoint_leaves_the_graph_behind(tmp_path: Path) -> None:
    path = saved_by_saver(tmp_path / "tf", {"a": np.ones((4, 5), np.float32), "b": np.zeros(7)})
    receipt = mg.convert(path, f"{tmp_path}/out/", include=["a"])
    assert [(loss.kind, loss.stops) for loss in receipt.plan.losses] == [("graph", False)]
    assert read_by_tf(tmp_path / "out").keys() == {"a"}


def keras_trained(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    net = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    net.compile("adam", "mse")
    net.fit(np.ones((4, 6)), np.ones((4, 4)), verbose=0)
    return net


def test_objects_of_keras_stay_those_of_keras(tmp_path: Path) -> None:
    """Keras keeps variables a second time in lists of its optimizer: the graph of objects is kept whole. Weights that
    went through another format are put back into it."""
    net = keras_trained(1)
    tf.train.Checkpoint(model=net, optimizer=net.optimizer).write(str(tmp_path / "a"))
    mg.convert(tmp_path / "a", tmp_path / "b.index")
    mg.convert(tmp_path / "a", tmp_path / "a.safetensors")
    other = keras_trained(2)
    tf.train.Checkpoint(model=other, optimizer=other.optimizer).write(str(tmp_path / "c"))
    mg.convert(tmp_path / "a.safetensors", tmp_path / "d.index", template=tmp_path / "c", allow_loss=["into"])
    for name in ("b", "d"):
        made = keras_trained(3)
        read = tf.train.Checkpoint(model=made, optimizer=made.optimizer).read(str(tmp_path / name))
        read.assert_consumed()
        for wanted, found in zip(net.get_weights(), made.get_weights(), strict=True):
            assert np.array_equal(wanted, found)
        slots = (net if name == "b" else other).optimizer.variables
        for wanted, found in zip(slots, made.optimizer.variables, strict=True):
            assert np.array_equal(wanted, found)


@pytest.mark.parametrize("shard", [None, "200"])
@pytest.mark.parametrize("kind", ["name", "object"])
def test_tf_reads_what_we_write(tmp_path: Path, kind: str, shard: str | None) -> None:
    mg.save({n: v for n, v in state().items() if v.dtype != np.complex128}, tmp_path / "a.safetensors")
    wanted = mg.load(tmp_path / "a.safetensors")
    choices: dict[str, Any] = {"settings": {"tf:kind": kind}, "max_shard_size": shard}
    mg.convert(tmp_path / "a.safetensors", tmp_path / "b", to="tf-checkpoint", **choices)
    assert tf.train.latest_checkpoint(str(tmp_path / "b")) == str(tmp_path / "b" / "model")
    by_tf = read_by_tf(tmp_path / "b")
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE" if kind == "object" else ""
    for name, array in wanted.items():
        assert by_tf[name + suffix].tobytes() == array.tobytes(), name
    assert len(by_tf) == len(wanted) + (2 if kind == "object" else 0)


class Dense(tf.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.random.normal((width, width)))
        self.bias = tf.Variable(tf.zeros(width), dtype=tf.float32)


class Net(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [Dense(3), Dense(4)]
        self.count = tf.Variable(7, dtype=tf.int64)


@pytest.mark.parametrize("keep", ["save", "write"])
def test_objects_go_to_safetensors_and_back(tmp_path: Path, keep: str) -> None:
    net = Net()
    made = tf.train.Checkpoint(model=net)
    path = made.save(str(tmp_path / "a")) if keep == "save" else made.write(str(tmp_path / "a"))
    report = mg.inspect(path)
    assert report.model.dialect == "object-based"
    assert "model/layers/0/kernel" in report.model.tensors
    mg.convert(path, tmp_path / "b.safetensors")
    mg.convert(tmp_path / "b.safetensors", tmp_path / "c", to="tf-checkpoint", settings={"tf:kind": "object"})
    other = Net()
    restored = tf.train.Checkpoint(model=other)
    restored.restore(tf.train.latest_checkpoint(str(tmp_path / "c"))).assert_consumed()
    for a, b in zip(net.variables, other.variables, strict=True):
        assert np.array_equal(a.numpy(), b.numpy())


def test_slots_of_an_optimizer_by_object_are_its_component(tmp_path: Path) -> None:
    net, optimizer = Net(), v1.train.AdamOptimizer(0.1)
    with tf.GradientTape() as tape:
        loss = sum(tf.reduce_sum(layer.kernel**2) for layer in net.layers)
    kernels = [layer.kernel for layer in net.layers]
    optimizer.apply_gradients(zip(tape.gradient(loss, kernels), kernels, strict=True))
    path = tf.train.Checkpoint(model=net, optimizer=optimizer).save(str(tmp_path / "a"))
    parts = {p.path: p.tensors for p in mg.inspect(path).parts}
    assert parts == {"model": 5, "optimizer": 6, "counters": 1}
    receipt = mg.convert(path, tmp_path / "b.safetensors")
    assert set(receipt.digests) == set(mg.load(tmp_path / "b.safetensors"))
    assert all("OPTIMIZER" not in n for n in receipt.digests)
    assert any("`optimizer` (6 tensors)" in loss.what for loss in receipt.plan.losses)
    with mg.open(path) as model:
        slots = model.tensors["model/layers/0/kernel/.OPTIMIZER_SLOT/optimizer/m"].numpy()
    assert np.array_equal(slots, optimizer.get_slot(kernels[0], "m").numpy())


def test_a_training_checkpoint_laid_out_again_goes_on_training(tmp_path: Path) -> None:
    """Same format, so nothing is left out; slots are tied to their variables."""
    net, optimizer = Net(), v1.train.AdamOptimizer(0.1)
    kernels = [layer.kernel for layer in net.layers]
    optimizer.apply_gradients([(tf.ones_like(k), k) for k in kernels])
    path = tf.train.Checkpoint(model=net, optimizer=optimizer).save(str(tmp_path / "a"))
    receipt = mg.convert(path, f"{tmp_path}/b/", settings={"tf:kind": "object"}, max_shard_size="100")
    assert not receipt.plan.losses
    assert {p.path: p.tensors for p in mg.inspect(tmp_path / "b").parts} == {"model": 5, "optimizer": 6, "counters": 1}
    other, again = Net(), v1.train.AdamOptimizer(0.1)
    again.apply_gradients([(tf.zeros_like(layer.kernel), layer.kernel) for layer in other.layers])
    made = tf.train.Checkpoint(model=other, optimizer=again)
    made.restore(tf.train.latest_checkpoint(str(tmp_path / "b"))).assert_consumed()
    for a, b in zip(kernels, (layer.kernel for layer in other.layers), strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(optimizer.get_slot(a, "m"), again.get_slot(b, "m"))


def test_the_saver_restores_what_we_write(tmp_path: Path) -> None:
    torch.save({"a/w": torch.randn(3, 4), "a/b": torch.zeros(4), "step": torch.tensor(5)}, tmp_path / "a.pth")
    mg.convert(tmp_path / "a.pth", tmp_path / "out", to="tf-checkpoint")
    with tf.Graph().as_default():
        w = v1.get_variable("a/w", (3, 4))
        step = v1.get_variable("step", (), tf.int64)
        with v1.Session() as session:
            v1.train.Saver().restore(session, str(tmp_path / "out" / "model"))
            assert np.array_equal(session.run(w), torch.load(tmp_path / "a.pth")["a/w"].numpy())
            assert session.run(step) == 5


def test_torch_to_objects_and_back(tmp_path: Path) -> None:
    weights = {"net/0/weight": torch.randn(3, 4), "net/0/bias": torch.zeros(4)}
    torch.save(weights, tmp_path / "a.pth")
    mg.convert(tmp_path / "a.pth", tmp_path / "out", to="tf-checkpoint", settings={"tf:kind": "object"})
    part = tf.train.Checkpoint(weight=tf.Variable(tf.zeros((3, 4))), bias=tf.Variable(tf.ones(4)))
    whole = tf.train.Checkpoint(net=[part])
    whole.restore(str(tmp_path / "out" / "model")).assert_consumed()
    assert np.array_equal(part.weight.numpy(), weights["net/0/weight"].numpy())
    mg.convert(tmp_path / "out", tmp_path / "b.pth")
    back = torch.load(tmp_path / "b.pth", weights_only=True)
    assert {n: t.tolist() for n, t in back.items()} == {n: t.tolist() for n, t in weights.items()}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_sliced_variables_are_whole(tmp_path: Path, axis: int) -> None:
    with tf.Graph().as_default():
        shape = [3, 8, 5]
        v1.get_variable("w", shape, partitioner=lambda **_: [3 if a == axis else 1 for a in range(3)])
        v1.get_variable("other", (2,))
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            v1.train.Saver().save(session, str(tmp_path / "m"))
    found, wanted = mg.load(tmp_path / "m")["w"], read_by_tf(tmp_path / "m")["w"]
    assert np.array_equal(found, wanted)
    assert mg.convert(tmp_path / "m", tmp_path / "x.safetensors").verified


def test_text_is_metadata_and_comes_back(tmp_path: Path) -> None:
    texts = {"one": tf.Variable("äöü"), "many": tf.Variable(["a", "", "x" * 300])}
    path = tf.train.Checkpoint(w=tf.Variable(1.0), **texts).write(str(tmp_path / "a"))
    model = read_model(path)
    key = "tf:string:{}/.ATTRIBUTES/VARIABLE_VALUE"
    assert model.metadata[key.format("one")] == "äöü"
    assert list(model.metadata[key.format("many")]) == ["a", "", "x" * 300]
    mg.convert(path, tmp_path / "b.safetensors")
    mg.convert(tmp_path / "b.safetensors", tmp_path / "c", to="tf-checkpoint")
    assert read_by_tf(tmp_path / "c")[key.format("many").removeprefix("tf:string:")].tolist() == [b"a", b"", b"x" * 300]


def test_long_text_is_carried_as_bytes(tmp_path: Path) -> None:
    path = tf.train.Checkpoint(w=tf.Variable(1.0), t=tf.Variable("x" * 100_000)).write(str(tmp_path / "a"))
    tensor = read_model(path).tensors["t"]
    assert (tensor.type_name, tensor.nbytes) == ("string", 3 + 4 + 100_000)
    receipt = mg.convert(path, tmp_path / "b.safetensors", allow_loss=["dtype"])
    assert list(receipt.digests) == ["w"]


def rebuilt(path: Path, change: Any) -> None:
    """The index laid out anew with changed entries."""
    with FileSource(str(path)) as source:
        items = [change(k, v) for k, v in sstable.entries(source, Limits())]
    table = sstable.build(items)
    made = bytearray(table.data)
    for fixup in table.fixups:
        made[fixup.targets[0] : fixup.targets[0] + 4] = checksum(
            fixup.kind, [bytes(made[fixup.offset : fixup.offset + fixup.length])]
        )
    path.write_bytes(made)


def test_big_endian(tmp_path: Path) -> None:
    """The index says that the data is big-endian; TensorFlow and we turn the same bytes."""
    mg.save({n: v for n, v in state().items() if v.dtype.char in "dfqihb" and v.size}, tmp_path / "m.index",
            to="tf-checkpoint")  # fmt: skip
    before = mg.load(tmp_path / "m")
    rebuilt(tmp_path / "m.index", lambda k, v: (k, v if k else b"\x08\x01\x10\x01\x1a\x02\x08\x01"))
    ours, by_tf = mg.load(tmp_path / "m"), read_by_tf(tmp_path / "m")
    for name, array in before.items():
        assert ours[name].tobytes() == by_tf[name].tobytes() == array.byteswap().tobytes(), name


def test_both_find_a_changed_byte(tmp_path: Path) -> None:
    mg.save({"w": np.ones(1000, np.float32)}, tmp_path / "m.index", to="tf-checkpoint")
    data = tmp_path / "m.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1] + b"\1")
    with pytest.raises(DamagedFileError, match="checksum"):
        mg.convert(tmp_path / "m", tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()
    with pytest.raises(tf.errors.OpError, match="Checksum"):
        tf.train.load_checkpoint(str(tmp_path / "m")).get_tensor("w")


def test_keras_weights_in_tensorflows_format(tmp_path: Path) -> None:
    """Keras 3 inside `tf.train.Checkpoint`, with its optimizer."""
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()])
    model.compile("adam", "mse")
    model.fit(np.ones((2, 4)), np.ones((2, 3)), verbose=0)
    path = tf.train.Checkpoint(model=model).save(str(tmp_path / "a"))
    assert len(read_model(path).tensors) == len(read_by_tf(Path(path))) - 1
    found = mg.load(path)
    assert {n.rpartition("/")[2] for n in found} == {
        "_kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"}  # fmt: skip
    assert np.array_equal(found["model/_functional/_operations/1/_kernel"], model.layers[0].kernel.numpy())


def test_strings_as_tf_stores_them() -> None:
    data, crc = strings.encode([b"ab", b"", b"x" * 200])
    assert strings.decode(data, 3) == [b"ab", b"", b"x" * 200]
    assert crc
    assert slice_key("w", ((0, -1), (64, 8192))).endswith(bytes.fromhex("0102807fc040e02000"))


def test_version_1(tmp_path: Path) -> None:
    """One table with the tensors inside, as TensorFlow still writes it on request."""
    wanted = {n: v for n, v in state().items() if "uint3" not in n and "uint64" not in n and "float8" not in n}
    wanted = {n: v for n, v in wanted.items() if v.size and "bfloat" not in n}
    wanted["zeros"] = np.zeros(5000, np.float32)
    path = saved_by_saver(tmp_path, wanted, write_version=v1.train.SaverDef.V1)
    model = read_model(str(path))
    assert model.format == "tf-v1-checkpoint"
    found = mg.load(path)
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert (found[name].dtype, found[name].tobytes()) == (array.dtype, array.tobytes()), name
    reader = tf.train.load_checkpoint(str(path))
    assert np.array_equal(reader.get_tensor("types/float32"), found["types/float32"])
    assert mg.convert(path, tmp_path / "x.safetensors", allow_loss=["dtype"]).verified


def test_constants_of_a_graph(tmp_path: Path) -> None:
    """Every way in which TensorFlow writes the values of a constant."""
    wanted = {n.replace("/", "_"): v for n, v in state().items()}
    with tf.Graph().as_default() as graph:
        for name, value in wanted.items():
            tf.constant(value, name=name)
            tf.constant(value.ravel()[:1], name=f"{name}_one") if value.size else None
        tf.constant(1.5, shape=(70, 80), name="copies")
        tf.constant(-3, shape=(5, 2), name="copies_of_a_number")
        tf.constant([True, False, True], name="flags")
        tf.constant(["a", "b"], name="text")
    tf.io.write_graph(graph, str(tmp_path), "g.pb", as_text=False)
    found = mg.load(tmp_path / "g.pb")
    by_tf = {n.name: tf.make_ndarray(n.attr["value"].tensor) for n in graph.as_graph_def().node}
    text = by_tf.pop("text")
    assert text.tolist() == [b"a", b"b"]
    assert found.keys() == by_tf.keys()
    for name, array in by_tf.items():
        assert (found[name].shape, found[name].tobytes()) == (array.shape, array.tobytes()), name


def test_a_frozen_network_says_its_layers(tmp_path: Path) -> None:
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    kernels = {"conv": (3, 3, 2, 4), "depthwise": (3, 3, 4, 2), "dense": (8, 5), "turned": (6, 5)}
    made = {n: tf.Variable(tf.random.normal(s), name=n) for n, s in kernels.items()}
    norm, bias = [tf.Variable(tf.random.normal((4,))) for _ in range(4)], tf.Variable(tf.random.normal((5,)))

    @tf.function(input_signature=[tf.TensorSpec((None, 6, 6, 2))])
    def network(x: Any) -> Any:
        x = tf.nn.conv2d(x, made["conv"], 1, "SAME")
        x, _, _ = v1.nn.fused_batch_norm(x, *norm, is_training=False)
        x = tf.nn.depthwise_conv2d(x, made["depthwise"], [1, 1, 1, 1], "SAME")
        x = tf.nn.bias_add(tf.matmul(tf.reduce_mean(x, (1, 2)), made["dense"]), bias)
        return tf.matmul(x, made["turned"], transpose_b=True)

    frozen = convert_variables_to_constants_v2(network.get_concrete_function())
    tf.io.write_graph(frozen.graph, str(tmp_path), "g.pb", as_text=False)
    said = {}
    for tensor in read_model(str(tmp_path / "g.pb")).tensors.values():
        if "layer:kind" in tensor.extra:
            key = f"{tensor.extra['layer:kind']} {tensor.extra['layer:role']} {tensor.extra.get('layer:axes', '')}"
            said[key.strip()] = tensor.shape
    assert said["conv kernel hwio"] == kernels["conv"]
    assert said["depthwise-conv kernel hwim"] == kernels["depthwise"]
    assert said["dense kernel io"] == kernels["dense"]
    assert said["dense kernel oi"] == kernels["turned"]
    assert said["dense bias"] == (5,)
    assert said["batch-norm scale"] == said["batch-norm variance"] == (4,)


def test_operators_of_the_graph_beside_it_that_reach_outside(tmp_path: Path) -> None:
    with tf.Graph().as_default():
        kept = v1.get_variable("w", (2,))
        v1.py_func(lambda: np.float32(1), [], tf.float32, name="mine")
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            v1.train.Saver([kept]).save(session, str(tmp_path / "m"))
    found = list(registry.get("tf-checkpoint").hazards(LocalFiles(str(tmp_path / "m.index")), Limits()))
    assert ["mine" in f.what and f.severity == "unsafe" for f in found] == [True]
