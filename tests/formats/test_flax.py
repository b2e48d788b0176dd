"""Flax msgpack without Flax: conformance, and trees that are awkward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

import modelglot as mg
from modelglot.core.errors import ModelFileError
from modelglot.formats import registry
from modelglot.sources.file import FileProbe
from modelglot.testing.conformance import FormatConformance


class TestConformance(FormatConformance):
    format = "flax"


def array(value: Any) -> msgpack.ExtType:
    """What Flax packs for an array."""
    value = np.asarray(value)
    return msgpack.ExtType(1, msgpack.packb((value.shape, value.dtype.name, value.tobytes()), use_bin_type=True))


def written(folder: Path, tree: Any, name: str = "state.msgpack") -> Path:
    (folder / name).write_bytes(msgpack.packb(tree, use_bin_type=True))
    return folder / name


KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_a_training_state_gives_its_model(tmp_path: Path) -> None:
    tree = {
        "step": 7,
        "params": {"Dense_0": {"kernel": array(KERNEL)}},
        "batch_stats": {"BatchNorm_0": {"mean": array(np.ones(3, np.float32))}},
        "opt_state": {"0": {"mu": {"Dense_0": {"kernel": array(KERNEL)}}, "count": array(np.int32(7))}},
    }
    path = written(tmp_path, tree)
    assert [p.role for p in mg.inspect(path).parts] == ["model", "optimizer"]
    assert mg.inspect(path).training["step"] == 7
    receipt = mg.convert(path, tmp_path / "a.safetensors")
    assert sorted(receipt.digests) == ["batch_stats.BatchNorm_0.mean", "params.Dense_0.kernel"]
    assert any("opt_state" in loss.what for loss in receipt.plan.losses)


def test_a_name_that_begins_another_is_written_flat(tmp_path: Path) -> None:
    state = {"a": KERNEL, "a.b": KERNEL + 1}
    mg.save(state, tmp_path / "x.msgpack")
    back = mg.load(tmp_path / "x.msgpack")
    assert sorted(back) == ["a", "a.b"]
    assert np.array_equal(back["a.b"], KERNEL + 1)


@pytest.mark.parametrize("name", ["checkpoint_10", "flax_model.msgpack", "whatever.bin"])
def test_content_decides(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, {"params": {"w": array(KERNEL)}}, name)
    assert registry.detect(FileProbe(str(path)))[0].info.name == "flax"


def test_old_msgpack_names_dtypes_in_raw_bytes(tmp_path: Path) -> None:
    old = msgpack.packb((KERNEL.shape, b"float32", KERNEL.tobytes()), use_bin_type=True)
    path = written(tmp_path, {"w": msgpack.ExtType(1, old)})
    assert np.array_equal(mg.load(path)["w"], KERNEL)


DEEP: Any = 1
for _ in range(200):
    DEEP = {"a": DEEP}
PACK = msgpack.packb
ROWS = {
    # story -> bytes, words of the error
    "a map of 2^32-1 pairs": (b"\xdf\xff\xff\xff\xff\xa1a\x01", "too early"),
    "a text past the end": (b"\x81\xda\x0f\xff", "too early"),
    "an array of 2^32-1": (b"\x81\xa1a\xdd\xff\xff\xff\xff", "too early"),
    "an extension past the end": (b"\x81\xa1a\xc9\x7f\xff\xff\xff\x01", "too early"),
    "nested 200 deep": (PACK(DEEP), "depth"),
    "a byte that is not in use": (b"\x81\xa1a\xc1", "begins no MessagePack value"),
    "no map": (PACK([1, 2]), "does not begin with a map"),
    "bytes after the state": (PACK({"a": 1}) + b"\0", "1 bytes follow"),
    "a number as key": (PACK({1: 2}), "is no text"),
    "an unknown dtype": (PACK({"a": msgpack.ExtType(1, PACK(([2], "float99", bytes(8))))}), "unknown dtype"),
    "an object array": (PACK({"a": msgpack.ExtType(1, PACK(([2], "object", bytes(16))))}), "unknown dtype"),
    "a shape that does not fit": (PACK({"a": msgpack.ExtType(1, PACK(([3], "float32", bytes(8))))}), "has 8 bytes"),
    "a negative shape": (PACK({"a": msgpack.ExtType(1, PACK(([-2, -1], "float32", bytes(8))))}), "has 8 bytes"),
    "a shape of text": (PACK({"a": msgpack.ExtType(1, PACK((["2"], "float32", bytes(8))))}), "has 8 bytes"),
    "an array without bytes": (PACK({"a": msgpack.ExtType(1, PACK(([2], "float32")))}), "needs a shape"),
    "an array that is no list": (PACK({"a": msgpack.ExtType(1, PACK(5))}), "needs a shape"),
    "the same key twice": (b"\x82" + 2 * (b"\xa1a" + PACK(array(KERNEL))), "the same path"),
    "two paths that join to one name": (PACK({"a": {"b": array(KERNEL)}, "a.b": array(KERNEL)}), "the same path"),
    "chunks that do not fit": (
        PACK({"a": {"__msgpack_chunked_array__": True, "shape": {"0": 9}, "chunks": {"0": array(KERNEL)}}}),
        "the chunks have 6",
    ),
    "chunks that are missing": (
        PACK({"a": {"__msgpack_chunked_array__": True, "shape": {"0": 9}, "chunks": {"1": array(KERNEL)}}}),
        "needs a shape and chunks",
    ),
}


@pytest.mark.parametrize("story", ROWS)
def test_hostile(tmp_path: Path, story: str) -> None:
    raw, words = ROWS[story]
    path = tmp_path / "a.msgpack"
    path.write_bytes(raw)
    with pytest.raises(ModelFileError, match=words) as caught:
        mg.open(path, format="flax")
    assert str(path) in str(caught.value)
