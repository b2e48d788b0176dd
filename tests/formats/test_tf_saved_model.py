"""SavedModels made by hand, without TensorFlow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.reading import read_model
from modelglot.containers.sstable import varint
from modelglot.core.errors import InvalidFileError, ModelFileError
from modelglot.testing.conformance import ReaderConformance

KERNEL = np.arange(12, dtype=np.float32).reshape(3, 4)


def sub(number: int, data: bytes | str) -> bytes:
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def node(name: str, op: str, *inputs: str) -> bytes:
    return sub(1, sub(1, name) + sub(2, op) + b"".join(sub(3, i) for i in inputs))


GRAPH = node("x", "Placeholder") + node("kernel", "VariableV2") + node("y", "MatMul", "x", "kernel")
PORT = sub(1, "x:0") + b"\x10\x01" + sub(3, sub(2, b"\x08\x05"))
SIGNATURE = sub(5, sub(1, "serving_default") + sub(2, sub(1, sub(1, "x") + sub(2, PORT))))
ABOUT = sub(1, sub(4, "serve") + sub(5, "2.99.0"))


def child(number: int, name: str) -> bytes:
    return sub(1, b"\x08" + varint(number) + sub(2, name))


def layer(metadata: str, *children: bytes) -> bytes:
    return sub(1, b"".join(children) + sub(4, sub(1, "_tf_keras_layer") + sub(3, metadata)))


def saved(folder: Path, *extra: bytes, version: bytes = b"\x08\x01", kind: str = "name", name: str = "kernel") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    mg.save({name: KERNEL}, folder / "w.safetensors")
    settings = {"tf:kind": kind}
    mg.convert(folder / "w.safetensors", folder / "made", to="tf-checkpoint", settings=settings)
    (folder / "variables").mkdir()
    for path in (folder / "made").glob("model.*"):
        path.rename(folder / "variables" / path.name.replace("model", "variables"))
    shutil.rmtree(folder / "made")
    (folder / "w.safetensors").unlink()
    (folder / "saved_model.pb").write_bytes(version + sub(2, ABOUT + sub(2, GRAPH) + SIGNATURE + b"".join(extra)))
    return folder / "saved_model.pb"


class TestConformance(ReaderConformance):
    format = "tf-saved-model"

    def make(self, folder: Path) -> Path:
        return saved(folder / "model")


def test_what_is_in_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "a")
    (tmp_path / "a" / "assets").mkdir()
    (tmp_path / "a" / "assets" / "words.txt").write_text("cat")
    (tmp_path / "a" / "fingerprint.pb").write_bytes(b"\x08\x2a\x28\x07")
    for place in (path, path.parent):
        model = read_model(str(place))
        assert model.tensors["kernel"].extra["layer:axes"] == "io"
        assert model.graph is not None
        assert [str(p) for p in model.graph.signatures[0].inputs] == ["x [5] f32"]
        hashes = {"fingerprint.saved_model_checksum": 42, "fingerprint.checkpoint_hash": 7}
        assert dict(model.metadata) == {"tensorflow_version": "2.99.0", "tags": ["serve"], **hashes}
    assert "assets/words.txt" in [s.name for s in model.sides]


def test_a_keras_layer_says_its_weights(tmp_path: Path) -> None:
    said = json.dumps({"class_name": "Conv2D", "config": {"name": "c"}})
    objects = sub(7, sub(1, child(1, "conv")) + layer(said, child(2, "kernel")) + sub(1, b""))
    saved(tmp_path / "a", objects, kind="object", name="conv/kernel")
    tensor = read_model(str(tmp_path / "a")).tensors["conv/kernel"]
    assert (tensor.extra["layer:kind"], tensor.extra["layer:axes"]) == ("conv", "hwio")
    saved(tmp_path / "b", sub(7, sub(1, child(1, "conv")) + sub(1, b"")), kind="object", name="conv/kernel")
    later = sub(1, b"\x10\x01" + sub(4, "_tf_keras_layer") + sub(5, said))
    (tmp_path / "b" / "keras_metadata.pb").write_bytes(later)
    assert read_model(str(tmp_path / "b")).tensors["conv/kernel"].extra["layer:kind"] == "conv"


METADATA = {
    "no JSON": "{", "a list": "[]", "deep": "[" * 500, "a class that is a number": '{"class_name": 1, "config": {}}',
    "no settings": '{"class_name": "Dense", "config": []}',
}  # fmt: skip


@pytest.mark.parametrize("story", METADATA)
def test_objects_that_lie(tmp_path: Path, story: str) -> None:
    objects = sub(7, sub(1, child(1, "conv") + child(77, "gone")) + layer(METADATA[story], child(0, "kernel")))
    saved(tmp_path / "a", objects, kind="object", name="conv/kernel")
    assert "layer:kind" not in read_model(str(tmp_path / "a")).tensors["conv/kernel"].extra


def test_a_later_version_and_an_empty_one(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", version=b"\x08\x02")
    with pytest.raises(InvalidFileError, match="version 2"):
        read_model(str(path.parent))
    path.write_bytes(b"\x08\x01")
    with pytest.raises(ModelFileError, match="no graph"):
        read_model(str(path.parent))


def test_weights_put_into_it(tmp_path: Path) -> None:
    saved(tmp_path / "a")
    (tmp_path / "a" / "assets").mkdir()
    (tmp_path / "a" / "assets" / "words.txt").write_text("cat")
    (tmp_path / "a" / "fingerprint.pb").write_bytes(b"\x08\x2a")
    mg.save({"kernel": KERNEL + 1}, tmp_path / "w.safetensors")
    receipt = mg.convert(tmp_path / "w.safetensors", f"{tmp_path}/b/", template=tmp_path / "a")
    assert [loss.kind for loss in receipt.plan.losses] == ["fingerprint"]
    names = sorted(p.relative_to(tmp_path / "b").as_posix() for p in (tmp_path / "b").rglob("*") if p.is_file())
    assert names == ["assets/words.txt", "saved_model.pb", "variables/variables.data-00000-of-00001",
                     "variables/variables.index"]  # fmt: skip
    assert np.array_equal(mg.load(tmp_path / "b")["kernel"], KERNEL + 1)
