"""Against Keras and h5py: Keras loads what we write, we read what it writes, of every layout that HDF5 has."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import modelglot as mg
from modelglot.api.reading import read_model
from modelglot.core.errors import CannotOpenError, UnsafeContentError, UnsupportedError
from modelglot.core.limits import Limits
from modelglot.formats import registry
from modelglot.sources.file import LocalFiles

layers = keras.layers
RNG = np.random.default_rng(0)


def network(*, code: bool = False) -> keras.Model:
    """Every kind of layer that `keras:` says something of; names begin anew with each."""
    keras.utils.clear_session()
    words = keras.Input((8,))
    x = layers.Embedding(20, 6)(words)
    x = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(x)
    x = layers.GRU(7, return_sequences=True)(x)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    x = layers.LayerNormalization()(x)
    inner = [layers.TimeDistributed(layers.Dense(7)), layers.SeparableConv1D(4, 3), layers.BatchNormalization()]
    x = keras.Sequential(inner, name="inner")(x)
    x = layers.Lambda(lambda t: t * 2)(x) if code else x
    x = layers.Reshape((6, 2, 2))(x)
    x = layers.Conv2D(3, 2, padding="same")(x)
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, padding="same")(x)
    x = layers.Conv2DTranspose(5, 2, use_bias=False)(x)
    x = layers.Dense(2)(layers.Flatten()(x))
    model = keras.Model(words, layers.Dense(3)(x))
    model.compile("adam", "mse")
    model.fit(np.zeros((2, 8)), RNG.normal(size=(2, 3)), verbose=0)
    return model


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return network()


def datasets(file: Any) -> dict[str, np.ndarray[Any, Any]]:
    found: dict[str, np.ndarray[Any, Any]] = {}
    file.visititems(lambda n, o: found.__setitem__(n, o[()]) if isinstance(o, h5py.Dataset) else None)
    return found


@pytest.mark.parametrize("name", ["a.weights.h5", "a.h5", "a.keras"])
def test_we_read_what_keras_writes(model: keras.Model, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    model.save_weights(path) if "weights" in name else model.save(path)
    stream = io.BytesIO(zipfile.ZipFile(path).read("model.weights.h5")) if name.endswith(".keras") else path
    wanted = datasets(h5py.File(stream))
    with mg.open(path) as opened:
        assert opened.tensors.keys() == wanted.keys()
        for key, array in wanted.items():
            assert opened.tensors[key].shape == array.shape
            assert bytes(opened.tensors[key].bytes()) == array.tobytes(), key
    parts = {p.path: p.tensors for p in mg.inspect(path).parts}
    assert parts == {"model": len(model.weights), "optimizer": len(model.optimizer.variables)}
    receipt = mg.convert(path, tmp_path / "x.safetensors")
    assert len(receipt.digests) == len(model.weights)


def test_every_weight_says_what_it_is(model: keras.Model, tmp_path: Path) -> None:
    """The path in the file leads to the layer and variable that Keras itself has there, and to its kind."""
    model.save(tmp_path / "a.keras")
    model.save(tmp_path / "a.h5")
    values = {np.asarray(w).tobytes(): w for w in model.weights if np.asarray(w).any()}
    for name in ("a.keras", "a.h5"):
        told = 0
        with mg.open(tmp_path / name) as opened:
            for handle in opened.tensors.values():
                extra, weight = handle.tensor.extra, values.get(bytes(handle.bytes()))
                if weight is None or "optimizer" in handle.name:
                    continue
                told += 1
                assert "layer:kind" in extra, handle.name
                role = {"gamma": "scale", "embeddings": "table", "depthwise_kernel": "kernel", "beta": "offset",
                        "pointwise_kernel": "kernel", "moving_variance": "variance", "moving_mean": "mean",
                        "recurrent_kernel": "recurrent-kernel"}.get(weight.name, weight.name)  # fmt: skip
                assert extra["layer:role"] == role, handle.name
                axes = extra.get("layer:axes")
                assert axes is None or len(axes) == len(handle.shape), handle.name
        assert told > 20


KINDS = {
    "layers/embedding/vars/0": ("embedding", "table", None, None),
    "layers/bidirectional/forward_layer/cell/vars/0": ("lstm", "kernel", "io", "ifco"),
    "layers/bidirectional/backward_layer/cell/vars/1": ("lstm", "recurrent-kernel", "io", "ifco"),
    "layers/gru/cell/vars/2": ("gru", "bias", None, "zrn"),
    "layers/multi_head_attention/query_dense/vars/0": ("attention", "kernel", None, None),
    "layers/sequential/layers/time_distributed/layer/vars/0": ("dense", "kernel", "io", None),
    "layers/sequential/layers/separable_conv1d/vars/0": ("depthwise-conv", "kernel", "wim", None),
    "layers/sequential/layers/separable_conv1d/vars/1": ("conv", "kernel", "wio", None),
    "layers/sequential/layers/batch_normalization/vars/3": ("batch-norm", "variance", None, None),
    "layers/conv2d/vars/0": ("conv", "kernel", "hwio", None),
    "layers/depthwise_conv2d/vars/0": ("depthwise-conv", "kernel", "hwim", None),
    "layers/conv2d_transpose/vars/0": ("conv-transpose", "kernel", "hwoi", None),
    "layers/dense_1/vars/1": ("dense", "bias", None, None),
}


def test_kinds_and_axes(model: keras.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "a.keras")
    tensors = read_model(str(tmp_path / "a.keras")).tensors
    said = {n: tuple(tensors[n].extra.get(f"layer:{k}") for k in ("kind", "role", "axes", "gates")) for n in KINDS}
    assert said == KINDS


def test_keras_loads_what_we_write(model: keras.Model, tmp_path: Path) -> None:
    """Weights into the same architecture, and a whole model."""
    model.save(tmp_path / "a.keras")
    mg.convert(tmp_path / "a.keras", tmp_path / "b.safetensors")
    mg.convert(tmp_path / "b.safetensors", tmp_path / "c.weights.h5", allow_loss=["metadata"])
    mg.convert(tmp_path / "b.safetensors", tmp_path / "d.keras")
    x = RNG.integers(0, 20, (4, 8))
    other = network()
    assert not np.allclose(other(x), model(x))
    other.load_weights(tmp_path / "c.weights.h5")
    assert np.array_equal(other(x), model(x))
    whole = keras.saving.load_model(tmp_path / "d.keras")
    assert np.array_equal(whole(x), model(x))
    assert zipfile.ZipFile(tmp_path / "d.keras").testzip() is None


def test_from_torch_by_renaming(tmp_path: Path) -> None:
    import torch

    torch.save({"fc.kernel": torch.randn(4, 3), "fc.bias": torch.zeros(3)}, tmp_path / "a.pth")
    rules = [("fc.kernel", "layers/dense/vars/0"), ("fc.bias", "layers/dense/vars/1")]
    mg.convert(tmp_path / "a.pth", tmp_path / "b.weights.h5", rename_rules=rules)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model.load_weights(tmp_path / "b.weights.h5")
    assert np.array_equal(model.layers[0].kernel, torch.load(tmp_path / "a.pth")["fc.kernel"].numpy())
    mg.convert(tmp_path / "b.weights.h5", tmp_path / "c.pth")
    assert torch.load(tmp_path / "c.pth")["layers/dense/vars/0"].shape == (4, 3)


def test_bfloat16(tmp_path: Path) -> None:
    made = keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="bfloat16")])
    made.save_weights(tmp_path / "a.weights.h5")
    assert read_model(str(tmp_path / "a.weights.h5")).tensors["layers/dense/vars/0"].dtype.name == "bf16"
    mg.convert(tmp_path / "a.weights.h5", tmp_path / "b.safetensors")
    mg.convert(tmp_path / "b.safetensors", tmp_path / "c.weights.h5")
    other = keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="bfloat16")])
    other.load_weights(tmp_path / "c.weights.h5")
    for a, b in zip(made.weights, other.weights, strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_a_lambda_is_named_and_not_run(tmp_path: Path) -> None:
    made = network(code=True)
    for name in ("a.keras", "a.h5"):
        made.save(tmp_path / name)
        assert "keras-lambda" in [n.code for n in mg.inspect(tmp_path / name).notes]
        reader = registry.get("keras" if name.endswith("keras") else "keras-h5")
        found = list(reader.hazards(LocalFiles(str(tmp_path / name)), Limits()))
        assert [(f.rule, f.severity) for f in found] == [("keras-lambda", "unsafe")]


def test_a_compressed_archive(model: keras.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "a.keras")
    with (
        zipfile.ZipFile(tmp_path / "a.keras") as old,
        zipfile.ZipFile(tmp_path / "b.keras", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert mg.diff(tmp_path / "a.keras", tmp_path / "b.keras").same


ARRAY = RNG.normal(size=(37, 11)).astype(np.float32)
STORED: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "big-endian": {"dtype": ">f4"},
    "chunks": {"chunks": (10, 4)},
    "gzip": {"chunks": (10, 4), "compression": "gzip"},
    "gzip and shuffle": {"chunks": (10, 4), "compression": "gzip", "shuffle": True},
    "shuffle alone": {"chunks": (10, 4), "shuffle": True},
    "checksums": {"chunks": (10, 4), "fletcher32": True},
    "everything": {"chunks": (10, 4), "compression": "gzip", "shuffle": True, "fletcher32": True},
    "one chunk": {"chunks": (37, 11), "compression": "gzip"},
    "big-endian in chunks": {"chunks": (10, 4), "compression": "gzip", "dtype": ">f4"},
    "may grow": {"chunks": (10, 4), "maxshape": (None, None)},
}


@pytest.mark.parametrize("story", STORED)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_every_layout_of_hdf5(tmp_path: Path, story: str, libver: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
        file.create_dataset("group/w", data=ARRAY, **STORED[story])
    assert np.array_equal(mg.load(tmp_path / "a.h5")["group/w"], ARRAY)
    assert mg.convert(tmp_path / "a.h5", tmp_path / "b.safetensors").verified


def test_values_that_were_never_written(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("none", (30, 4), "f4")
        part = file.create_dataset("part", (30, 4), "f4", chunks=(10, 4))
        part[10:20] = 7
        file.create_dataset("small", data=np.arange(3), track_times=False)
    with h5py.File(tmp_path / "a.h5") as file:
        wanted = datasets(file)
    found = mg.load(tmp_path / "a.h5")
    assert all(np.array_equal(found[n], wanted[n]) for n in wanted)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("w", (30, 4), "f4", fillvalue=3)
    with pytest.raises(UnsupportedError, match="fill value"):
        mg.open(tmp_path / "b.h5")


def compact(file: Any) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((5,))
    made = h5py.h5d.create(file.id, b"w", h5py.h5t.IEEE_F32BE, space, plist)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(5, dtype=np.float32))


def test_values_in_a_header(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        compact(file)
    assert mg.load(tmp_path / "a.h5")["w"].tolist() == [0, 1, 2, 3, 4]


def refused() -> Iterator[tuple[str, Any, type[Exception], str]]:
    yield (
        "a link into another file",
        lambda f, p: f.__setitem__("w", h5py.ExternalLink("other.h5", "/w")),
        UnsafeContentError,
        "link into the file",
    )
    yield (
        "values in another file",
        lambda f, p: f.create_dataset("w", (8,), "f4", external=[("/etc/passwd", 0, 32)]),
        UnsafeContentError,
        "other files",
    )

    def virtual(f: Any, p: Path) -> None:
        layout = h5py.VirtualLayout((5,), "f4")
        layout[:] = h5py.VirtualSource("other.h5", "w", (5,))
        f.create_virtual_dataset("w", layout)

    yield "a virtual dataset", virtual, UnsafeContentError, "put together"
    yield (
        "an unknown filter",
        lambda f, p: f.create_dataset("w", data=ARRAY, chunks=(10, 4), compression="lzf"),
        UnsupportedError,
        "filter lzf",
    )
    yield (
        "precision that was dropped",
        lambda f, p: f.create_dataset("w", data=ARRAY, chunks=(10, 4), scaleoffset=3),
        UnsupportedError,
        "scale-offset",
    )


@pytest.mark.parametrize(("make", "kind", "words"), [r[1:] for r in refused()], ids=[r[0] for r in refused()])
def test_what_reaches_outside_is_refused(tmp_path: Path, make: Any, kind: type[Exception], words: str) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["w"] = ARRAY
    with h5py.File(tmp_path / "a.h5", "w") as file:
        make(file, tmp_path)
    with pytest.raises(kind, match=words) as caught:
        mg.open(tmp_path / "a.h5")
    assert caught.value.path  # type: ignore[attr-defined]


def test_groups_that_contain_themselves_and_other_things(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/w"] = ARRAY
        file["group/again"] = file["group"]
        file["name"] = h5py.SoftLink("/group/w")
        file["text"] = "hello"
        file["kind"] = np.dtype("f4")
        file["nothing"] = h5py.Empty("f4")
        file.create_dataset("table", data=np.zeros(2, [("a", "f4"), ("b", "i4")]))
        file["flags"] = np.array([True, False])
        file["z"] = np.array([1 + 2j], np.complex64)
    model = read_model(str(tmp_path / "a.h5"))
    assert sorted(model.tensors) == ["flags", "group/w", "z"]
    assert sorted(n.text.split("`")[1] for n in model.notes) == ["nothing", "table", "text"]
    shutil.copy(tmp_path / "a.h5", tmp_path / "b.bin")
    assert read_model(str(tmp_path / "b.bin")).format == "keras-h5"


def test_weights_in_several_files(tmp_path: Path) -> None:
    made = keras.Sequential([keras.Input((100,)), layers.Dense(300), layers.Dense(300), layers.Dense(3)])
    made.save_weights(tmp_path / "m.weights.json", max_shard_size=0.0004)
    assert len(list(tmp_path.glob("*.h5"))) == 2
    made.save_weights(tmp_path / "whole.h5.weights.h5")
    whole = mg.load(tmp_path / "whole.h5.weights.h5")
    (tmp_path / "whole.h5.weights.h5").unlink()
    for path in (tmp_path, tmp_path / "m.weights.json"):
        found = mg.load(path)
        assert found.keys() == whole.keys()
        assert all(np.array_equal(found[n], whole[n]) for n in whole)
    (tmp_path / "m_00001.weights.h5").unlink()
    with pytest.raises(CannotOpenError):
        mg.open(tmp_path)


@pytest.mark.parametrize("name", ["a.keras", "a.h5"])
def test_a_torch_module_computes_the_same(tmp_path: Path, name: str) -> None:
    """Kernels turned and names changed on the way: a strict load, equal outputs."""
    import torch

    made = keras.Sequential([
        keras.Input((9, 9, 3)), layers.Conv2D(5, 3, name="conv"), layers.BatchNormalization(epsilon=1e-5, name="bn"),
        layers.GlobalAveragePooling2D(), layers.Dense(4, name="fc"),
    ])  # fmt: skip
    made.layers[1].set_weights([RNG.random(5).astype("f4") + 0.5 for _ in range(4)])
    made.save(tmp_path / name)
    mg.convert(tmp_path / name, tmp_path / "a.pth", layout="torch", allow_loss=["metadata"])

    class Twin(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.fc = torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5), torch.nn.Linear(5, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.bn(self.conv(x)).mean((2, 3)))

    twin = Twin().eval()
    missing, surplus = twin.load_state_dict(torch.load(tmp_path / "a.pth", weights_only=True), strict=False)
    assert (missing, surplus) == (["bn.num_batches_tracked"], []) or (missing, surplus) == ([], [])
    x = RNG.normal(size=(2, 9, 9, 3)).astype(np.float32)
    wanted = np.asarray(made(x))
    found = twin(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).detach().numpy()
    assert np.allclose(found, wanted, atol=1e-5)


def test_every_weight_has_a_name_of_its_own(model: keras.Model, tmp_path: Path) -> None:
    for name in ("a.keras", "a.h5"):
        model.save(tmp_path / name)
        mg.convert(tmp_path / name, tmp_path / f"{name}.pth", layout="torch", allow_loss=["metadata", "layout"])
        found = mg.load(tmp_path / f"{name}.pth")
        assert not [n for n in found if "vars" in n or n.startswith("model_weights")], name
        inside = {"forward_layer", "backward_layer"} if name == "a.keras" else {"forward_lstm", "backward_lstm"}
        wanted = {"inner.batch_normalization.running_var", *(f"bidirectional.{i}.weight_ih_l0" for i in inside)}
        assert wanted <= set(found), name


def test_recurrent_layers_in_torch_compute_the_same(tmp_path: Path) -> None:
    import torch

    for kind, twin in ((layers.LSTM, torch.nn.LSTM), (layers.GRU, torch.nn.GRU)):
        made = keras.Sequential([keras.Input((6, 4)), kind(5, return_sequences=True, name="rnn")])
        made.set_weights([RNG.normal(size=w.shape) for w in made.get_weights()])
        made.save(tmp_path / "a.keras")
        mg.convert(tmp_path / "a.keras", tmp_path / "a.pth", layout="torch", allow_loss=["metadata"], force=True)
        other = torch.nn.ModuleDict({"rnn": twin(4, 5, batch_first=True)})
        other.load_state_dict(torch.load(tmp_path / "a.pth", weights_only=True))
        x = RNG.normal(size=(2, 6, 4)).astype(np.float32)
        assert np.allclose(other["rnn"](torch.from_numpy(x))[0].detach().numpy(), np.asarray(made(x)), atol=1e-5)
        (tmp_path / "a.keras").unlink()
