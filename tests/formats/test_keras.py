"""Keras files without Keras: conformance, configurations that lie, archives that are not whole."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import modelglot as mg
from modelglot.api.reading import read_model
from modelglot.containers.keras.config import describe_path, parse
from modelglot.core.errors import (
    DamagedFileError,
    InvalidFileError,
    LossError,
    ModelFileError,
    UnsafeContentError,
    UnsupportedError,
)
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.testing.conformance import FormatConformance

DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "out", "units": 3}}
CONFIG = {"module": "keras", "class_name": "Sequential", "config": {"name": "net", "layers": [DENSE]}}
STATE = {"layers/dense/vars/0": np.ones((4, 3), np.float32), "layers/dense/vars/1": np.zeros(3, np.float32)}


class TestHdf5(FormatConformance):
    format = "keras-h5"


class TestKerasV3(FormatConformance):
    format = "keras"
    metadata = {"keras:metadata.json": '{"keras_version": "3.15.1"}', "keras:config.json": json.dumps(CONFIG)}


def test_a_model_needs_its_configuration(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="needs the configuration"):
        mg.save(STATE, tmp_path / "a.keras")
    mg.save(STATE, tmp_path / "a.weights.h5")
    assert sorted(mg.load(tmp_path / "a.weights.h5")) == sorted(STATE)


@pytest.mark.parametrize("name", ["", "a//b", "a/./b", "/a", "a/", "w\0", "layers/dense/vars/0/deeper"])
def test_names_that_are_no_paths(tmp_path: Path, name: str) -> None:
    source = tmp_path / "a.safetensors"
    mg.save({**STATE, name: np.ones(2)}, source)
    with pytest.raises(LossError):
        mg.convert(source, tmp_path / "b.h5")
    mg.convert(source, tmp_path / "b.h5", allow_loss=["name"])
    assert len(mg.load(tmp_path / "b.h5")) == 2


def archive(config: str = json.dumps(CONFIG), weights: bytes | None = None, **members: str) -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        for name, value in STATE.items():
            file[name] = value
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as new:
        new.writestr("config.json", config)
        new.writestr("model.weights.h5", out.getvalue() if weights is None else weights)
        for name, text in members.items():
            new.writestr(name, text)
    return made.getvalue()


def opened(folder: Path, raw: bytes) -> Model:
    (folder / "a.keras").write_bytes(raw)
    return read_model(str(folder / "a.keras"))


def test_an_archive(tmp_path: Path) -> None:
    model = opened(tmp_path, archive(**{"assets/words.txt": "a\nb"}))
    assert model.tensors["layers/dense/vars/0"].extra["layer:axes"] == "io"
    assert [s.name for s in model.sides] == ["assets/words.txt"]
    assert json.loads(model.metadata["keras:config.json"]) == CONFIG


def nested(depth: int) -> str:
    config: Any = DENSE
    for number in range(depth):
        config = {"class_name": "Sequential", "config": {"name": f"s{number}", "layers": [config]}}
    return json.dumps(config)


CONFIGS = {
    "no JSON": "{", "a list": "[]", "no class": '{"class_name": 5}', "no configuration": '{"class_name": "A"}',
    "a hundred models in one another": nested(100), "layers of numbers": json.dumps(
        {"class_name": "Sequential", "config": {"layers": [1, None, "x", {"class_name": "Dense", "config": 7}]}}),
    "names of numbers": json.dumps({"class_name": "Sequential", "config": {"layers": [
        {"class_name": "Dense", "config": {"name": {}, "use_bias": []}}]}}),
}  # fmt: skip


@pytest.mark.parametrize("story", CONFIGS)
def test_a_configuration_that_lies_does_not_hide_the_weights(tmp_path: Path, story: str) -> None:
    model = opened(tmp_path, archive(CONFIGS[story]))
    assert len(model.tensors) == 2
    assert {n.code for n in model.notes} <= {"bad-config"}


WEIGHTS = {
    "nothing": (b"", "cannot read"), "no HDF5": (b"hello" * 100, "cannot read"),
    "only the mark": (b"\x89HDF\r\n\x1a\n", "cannot read"),
}  # fmt: skip


@pytest.mark.parametrize("story", WEIGHTS)
def test_weights_that_are_none(tmp_path: Path, story: str) -> None:
    raw, words = WEIGHTS[story]
    with pytest.raises(DamagedFileError, match=words) as caught:
        opened(tmp_path, archive(weights=raw))
    assert caught.value.member == "model.weights.h5"


def test_an_archive_without_a_configuration(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as new:
        new.writestr("model.weights.h5", b"")
        new.writestr("my-config.json", b"{}")
    with pytest.raises(InvalidFileError, match=r"has no `config\.json`"):
        opened(tmp_path, made.getvalue())


def test_an_archive_packed_beyond_reason(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("config.json", json.dumps(CONFIG))
        new.writestr("model.weights.h5", bytes(300 << 20))
    with pytest.raises(ModelFileError):
        opened(tmp_path, made.getvalue())


def test_damage_at_random_never_escapes(tmp_path: Path) -> None:
    """The HDF5 library meets it, and what it says is turned into our errors."""
    import random

    whole, chooser = archive(), random.Random(3)
    for _ in range(300):
        changed = bytearray(whole)
        for _ in range(chooser.randrange(1, 4)):
            changed[chooser.randrange(len(whole))] = chooser.randrange(256)
        try:
            opened(tmp_path, bytes(changed))
            mg.load(tmp_path / "a.keras")
        except ModelFileError:
            pass


def test_paths_of_older_files() -> None:
    """Keras 1 and 2: a group a layer, and the weight's name."""
    gru = {"class_name": "GRU", "config": {"name": "gru_1"}}
    wrapped = {"class_name": "Bidirectional", "config": {"name": "both", "layer": gru}}
    timed = {"class_name": "TimeDistributed", "config": {"name": "timed", "layer": DENSE}}
    inner = {"class_name": "Model", "config": {"name": "inner", "layers": [timed]}}
    model = parse({"class_name": "Model", "config": {"layers": [DENSE, wrapped, inner]}}, Limits())
    assert model is not None
    assert describe_path(model, "out/out/kernel:0")["layer:axes"] == "io"
    assert describe_path(model, "both/both/forward_gru_1/recurrent_kernel:0")["layer:gates"] == "zrn"
    assert describe_path(model, "inner/timed/kernel:0")["layer:kind"] == "dense"
    assert describe_path(model, "inner/timed/kernel:0")["layer:name"] == "inner/timed"
    directions = {describe_path(model, f"both/both/{d}_gru_1/kernel:0")["layer:name"] for d in ("forward", "backward")}
    assert directions == {"both/forward_gru_1", "both/backward_gru_1"}
    assert describe_path(model, "nobody/kernel:0") == {}
    assert describe_path(model, "layers/dense_9/vars/0") == {}
    listed = parse({"class_name": "Sequential", "config": [DENSE]}, Limits())
    assert listed is not None
    assert describe_path(listed, "out/out/bias:0")["layer:role"] == "bias"


def test_folders(tmp_path: Path) -> None:
    """An archive unpacked, as hubs keep it; and one file of weights beside other things."""
    with zipfile.ZipFile(io.BytesIO(archive(**{"metadata.json": "{}"}))) as packed:
        packed.extractall(tmp_path / "a")
    tensors = read_model(str(tmp_path / "a")).tensors
    assert tensors["layers/dense/vars/0"].extra["layer:axes"] == "io"
    (tmp_path / "b").mkdir()
    mg.save(STATE, tmp_path / "b" / "tf_model.h5")
    (tmp_path / "b" / "config.json").write_text('{"model_type": "bert"}')
    assert len(mg.load(tmp_path / "b")) == 2
    mg.save(STATE, tmp_path / "b" / "other.h5")
    with pytest.raises(ModelFileError):
        mg.open(tmp_path / "b")


def test_what_goes_in_and_out(tmp_path: Path) -> None:
    layers = [{"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 4], "dtype": "int32"}}, DENSE]
    config = {"class_name": "Functional", "config": {"layers": layers, "output_layers": [["out", 0, 0]]}}
    graph = opened(tmp_path, archive(json.dumps(config))).graph
    assert graph is not None
    assert dict(graph.operators) == {"Dense": 1, "InputLayer": 1}
    (main,) = graph.signatures
    assert [str(p) for p in main.inputs] == ["x [?, 4] i32"]
    assert [p.name for p in main.outputs] == ["out"]
    plan = mg.convert(tmp_path / "a.keras", tmp_path / "b.safetensors").plan
    assert not plan.losses  # the configuration goes with the metadata


INDEXES = {
    "no map": ('{"weight_map": 5}', InvalidFileError), "numbers": ('{"weight_map": {"/a": [5]}}', InvalidFileError),
    "nothing": ('{"weight_map": {}}', InvalidFileError), "no JSON": ('{"weight_map"', ModelFileError),
    "a path upwards": ('{"weight_map": {"/a": ["../../other.weights.h5"]}}', UnsafeContentError),
    "the same twice": ('{"weight_map": {"/a": ["a.weights.h5"], "/b": ["b.weights.h5"]}}', InvalidFileError),
}  # fmt: skip


@pytest.mark.parametrize("story", INDEXES)
def test_an_index_that_lies(tmp_path: Path, story: str) -> None:
    text, kind = INDEXES[story]
    mg.save(STATE, tmp_path / "a.weights.h5")
    mg.save(STATE, tmp_path / "b.weights.h5")
    (tmp_path / "m.weights.json").write_text(text)
    with pytest.raises(kind) as caught:
        mg.open(tmp_path / "m.weights.json", format="keras-h5")
    assert caught.value.path or caught.value.member
