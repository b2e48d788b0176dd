"""What is left of damaged ONNX files and TensorFlow checkpoints, as those libraries wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot
from modelglot.core.errors import ModelFileError

WEIGHTS = {f"layer.{n}.weight": np.arange(24 * (n + 20), dtype=np.float32).reshape(24, -1) + n for n in range(10)}


def lost_of(source: Path, target: Path) -> tuple[Mapping[str, np.ndarray], str]:
    """The tensors that were rescued, and what was said of the others. Nothing where nothing is left."""
    try:
        receipt = modelglot.convert(source, target, salvage=True, force=True, allow_loss=["metadata"])
    except ModelFileError:
        return {}, ""
    return modelglot.load(target), " ".join(x.what for x in receipt.plan.losses if x.kind == "missing")


def equal(found: Mapping[str, np.ndarray], names: Mapping[str, str] | None = None) -> None:
    for name, value in found.items():
        np.testing.assert_array_equal(value, WEIGHTS[(names or {}).get(name, name)])


def onnx_model(path: Path, *, lists: bool = False, **options: Any) -> bytes:
    """A chain of operators. ``lists``: floats as a list, which stands before the name of the tensor."""
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    nodes = [helper.make_node("Add", [name, name], [f"twice.{name}"]) for name in WEIGHTS]
    made = [
        helper.make_tensor(n, onnx.TensorProto.FLOAT, w.shape, w.ravel()) if lists else numpy_helper.from_array(w, n)
        for n, w in WEIGHTS.items()
    ]
    outputs = [helper.make_tensor_value_info(n.output[0], onnx.TensorProto.FLOAT, None) for n in nodes]
    model = helper.make_model(helper.make_graph(nodes, "g", [], outputs, made))
    onnx.save(model, path, **options)
    return path.read_bytes()


@pytest.mark.parametrize("lists", [False, True])
def test_onnx_cut_anywhere(lists: bool, tmp_path: Path) -> None:
    whole, counts = onnx_model(tmp_path / "m.onnx", lists=lists), []
    for length in sorted({*range(0, len(whole), len(whole) // 60), *range(len(whole) - 40, len(whole), 3)}):
        (tmp_path / "cut.onnx").write_bytes(whole[:length])
        found, said = lost_of(tmp_path / "cut.onnx", tmp_path / "out.npz")
        equal(found)
        if found:
            assert all(name in found or f"`{name}`" in said for name in WEIGHTS)
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == len(WEIGHTS)
    assert len(set(counts)) > 9


def test_onnx_that_is_whole_is_converted_as_ever(tmp_path: Path) -> None:
    onnx_model(tmp_path / "m.onnx")
    receipt = modelglot.convert(tmp_path / "m.onnx", tmp_path / "out.onnx", salvage=True)
    assert [x for x in receipt.plan.losses if x.kind in ("missing", "graph")] == []
    assert modelglot.inspect(tmp_path / "out.onnx").document()["graph"]


def test_onnx_data_beside_it_cut_anywhere(tmp_path: Path) -> None:
    options: dict[str, Any] = {"save_as_external_data": True, "location": "m.data", "size_threshold": 0}
    onnx_model(tmp_path / "m.onnx", **options)
    data, counts = (tmp_path / "m.data").read_bytes(), []
    for length in np.linspace(0, len(data), 30).astype(int):
        (tmp_path / "m.data").write_bytes(data[:length])
        found, said = lost_of(tmp_path / "m.onnx", tmp_path / "out.npz")
        equal(found)
        assert not found or all((name in found) != (f"`{name}`" in said) for name in WEIGHTS)
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == len(WEIGHTS)


def test_onnx_data_beside_it_not_there(tmp_path: Path) -> None:
    """Small tensors lie inside the file: they are what is left. Written as ONNX, the graph does not come along."""
    options: dict[str, Any] = {"save_as_external_data": True, "location": "m.data", "size_threshold": 2560}
    onnx_model(tmp_path / "m.onnx", **options)
    (tmp_path / "m.data").unlink()
    inside = {name for name, weight in WEIGHTS.items() if weight.nbytes < 2560}
    found, said = lost_of(tmp_path / "m.onnx", tmp_path / "out.npz")
    assert set(found) == inside
    equal(found)
    assert all((name in inside) != (f"`{name}`" in said) for name in WEIGHTS)
    receipt = modelglot.convert(tmp_path / "m.onnx", tmp_path / "out.onnx", salvage=True, container=True)
    assert "graph" in [x.kind for x in receipt.plan.losses]
    equal(modelglot.load(tmp_path / "out.onnx"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two data files."""
    tf = pytest.importorskip("tensorflow")
    folder = tmp_path_factory.mktemp("bundle")
    names = list(WEIGHTS)
    for number, part in enumerate((names[:5], names[5:])):
        values = [tf.constant(WEIGHTS[name]) for name in part]
        tf.raw_ops.SaveV2(prefix=f"{folder}/{number}", tensor_names=part, shape_and_slices=[""] * 5, tensors=values)
    prefixes = [f"{folder}/0", f"{folder}/1"]
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=prefixes, destination_prefix=f"{folder}/m")
    return folder


def copied(folder: Path, target: Path) -> Path:
    for path in folder.glob("m.*"):
        (target / path.name).write_bytes(path.read_bytes())
    return target / "m.index"


def test_a_bundle_with_a_data_file_cut_anywhere(checkpoint: Path, tmp_path: Path) -> None:
    index, counts = copied(checkpoint, tmp_path), []
    data = tmp_path / "m.data-00001-of-00002"
    whole = data.read_bytes()
    for length in np.linspace(0, len(whole), 25).astype(int):
        data.write_bytes(whole[:length])
        found, said = lost_of(index, tmp_path / "out.npz")
        equal(found)
        assert all((name in found) != (f"`{name}`" in said) for name in WEIGHTS)
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[0] == 5
    assert counts[-1] == 10


def test_a_bundle_with_a_data_file_missing(checkpoint: Path, tmp_path: Path) -> None:
    index = copied(checkpoint, tmp_path)
    (tmp_path / "m.data-00000-of-00002").unlink()
    found, said = lost_of(index, tmp_path / "out.npz")
    assert set(found) == set(list(WEIGHTS)[5:])
    equal(found)
    assert all((name in found) != (f"`{name}`" in said) for name in WEIGHTS)


def test_a_tensor_that_does_not_match_its_checksum_is_lost(checkpoint: Path, tmp_path: Path) -> None:
    index = copied(checkpoint, tmp_path)
    data = bytearray((tmp_path / "m.data-00000-of-00002").read_bytes())
    data[len(data) // 2] ^= 4
    (tmp_path / "m.data-00000-of-00002").write_bytes(data)
    found, said = lost_of(index, tmp_path / "out.npz")
    assert len(found) == 9
    equal(found)
    assert all((name in found) != (f"`{name}`" in said) for name in WEIGHTS)


def test_blocks_of_an_index_with_a_wrong_checksum(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    names = [f"{'scope/' * 20}layer_{n:05}/kernel" for n in range(20_000)]
    values = [tf.constant(n, tf.int32) for n in range(len(names))]
    tf.raw_ops.SaveV2(prefix=f"{tmp_path}/m", tensor_names=names, shape_and_slices=[""] * len(names), tensors=values)
    whole = (tmp_path / "m.index").read_bytes()
    assert len(whole) > 600_000  # several blocks
    for place in (100, len(whole) // 2, len(whole) - 1000):
        raw = bytearray(whole)
        raw[place] ^= 16
        (tmp_path / "m.index").write_bytes(raw)
        with pytest.raises(ModelFileError):
            modelglot.open(tmp_path / "m.index")
        found, said = lost_of(tmp_path / "m.index", tmp_path / "out.npz")
        assert 5_000 < len(found) < len(names)
        assert all(value == int(name[-12:-7]) for name, value in found.items())
        first = next(n for n in names if n not in found)
        last = next(n for n in reversed(names) if n not in found)
        assert "a block of the index is damaged" in said
        assert all(name not in found for name in names[names.index(first) : names.index(last) + 1])


def test_an_object_based_checkpoint_cut_anywhere(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    root = tf.Module()
    root.parts = [tf.Variable(weight) for weight in WEIGHTS.values()]
    tf.train.Checkpoint(model=root).write(f"{tmp_path}/m")
    (data,) = tmp_path.glob("m.data-*")
    whole, counts = data.read_bytes(), []
    for length in np.linspace(0, len(whole), 25).astype(int):
        data.write_bytes(whole[:length])
        found, _ = lost_of(tmp_path / "m.index", tmp_path / "out.npz")
        for name, value in found.items():
            if "parts" in name:
                np.testing.assert_array_equal(value, list(WEIGHTS.values())[int(name.split("/")[2].split(".")[0])])
        counts.append(sum("parts" in name for name in found))
    assert counts == sorted(counts)
    assert counts[-1] == 10
