"""Bytes without a header: manifests in TOML and JSON, the command line, NumPy's own bytes, and manifests that lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

import modelglot as mg
from modelglot.core.errors import DamagedFileError, ModelFileError, UnknownFormatError
from modelglot.testing.conformance import ReaderConformance
from modelglot.testing.models import tiny_state

VALUES = np.arange(12, dtype="<f4").reshape(3, 4)


class TestConformance(ReaderConformance):
    format = "raw"

    def make(self, folder: Path) -> Path:
        mg.save(tiny_state(["f32", "bf16", "i8"]), folder / "m.raw")
        return folder / "m.raw.manifest.json"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """What ``array.tofile`` leaves."""
    path = tmp_path / "weights.bin"
    path.write_bytes(b"HEAD" + VALUES.tobytes())
    return path


def test_the_command_line_says_what_they_are(bare: Path) -> None:
    found = mg.load(bare, format="raw:dtype=f32,shape=3x4,offset=4")
    assert np.array_equal(found["weights"], VALUES)
    assert mg.open(bare, format="raw:dtype=f32,shape=-1x4,offset=4").tensors["weights"].shape == (3, 4)
    assert mg.open(bare, format="raw:dtype=u8").tensors["weights"].shape == (52,)


def test_without_a_word_they_stay_unknown(bare: Path) -> None:
    with pytest.raises(UnknownFormatError, match="--raw-dtype"):
        mg.open(bare)
    with pytest.raises(ModelFileError, match="without a manifest"):
        mg.open(bare, format="raw")


TOML = """
format = "modelglot.raw/1"
file = "weights.bin"

[metadata]
licence = "MIT"
steps = 12

[[tensors]]
name = "a"
dtype = "f32"
shape = [2, 4]
offset = 4

[[tensors]]
name = "b"
dtype = "f32"
shape = [4]

[[tensors]]
name = "big"
dtype = "u16"
shape = [2]
offset = 0
byteorder = "big"
"""


@pytest.mark.parametrize("given", ["weights.bin", "weights.bin.manifest.toml"])
def test_a_manifest_in_toml(bare: Path, given: str) -> None:
    (bare.parent / "weights.bin.manifest.toml").write_text(TOML)
    found = mg.load(bare.parent / given)
    assert np.array_equal(found["a"], VALUES[:2])
    assert np.array_equal(found["b"], VALUES[2])
    assert found["big"].tolist() == [0x4845, 0x4144]
    assert dict(mg.open(bare.parent / given).metadata) == {"licence": "MIT", "steps": 12}


def test_what_is_written_is_numpys_bytes_and_read_back(tmp_path: Path) -> None:
    state = tiny_state(["f32", "f64", "bf16", "i8", "u16", "bool", "c64", "f8_e4m3"])
    mg.save(state, tmp_path / "m.raw", metadata={"note": "x"})
    rows = json.loads((tmp_path / "m.raw.manifest.json").read_text())["tensors"]
    raw = (tmp_path / "m.raw").read_bytes()
    for row in rows:
        assert row["offset"] % 64 == 0
        wanted = state[row["name"]].tobytes()
        assert raw[row["offset"] : row["offset"] + len(wanted)] == wanted
    with mg.open(tmp_path / "m.raw") as model:
        assert {n: bytes(t.bytes()) for n, t in model.tensors.items()} == {n: a.tobytes() for n, a in state.items()}
        assert model.metadata["note"] == "x"


def test_quantized_blocks_and_typed_metadata_survive(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "test")
    writer.add_uint32("test.block_count", 3)
    writer.add_array("test.list", [1, 2, 3])
    blocks = gguf.quantize(np.ones((4, 64), np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("w", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    mg.convert(tmp_path / "a.gguf", tmp_path / "b.raw")
    mg.convert(tmp_path / "b.raw", tmp_path / "c.gguf")
    assert (tmp_path / "c.gguf").read_bytes() == (tmp_path / "a.gguf").read_bytes()


def manifest(**changes: Any) -> dict[str, Any]:
    row = {"name": "w", "dtype": "f32", "shape": [3], "offset": 4, **changes.pop("row", {})}
    return {"format": "modelglot.raw/1", "file": "weights.bin", "tensors": [row], **changes}


ROWS = {
    "past the end": (manifest(row={"offset": 44}), "data ends 4 bytes after the end"),
    "2^62 elements": (manifest(row={"shape": [1 << 61]}), "after the end of the file"),
    "a shape of 2^62 and more": (manifest(row={"shape": [1 << 62]}), "no list of sizes"),
    "a negative size": (manifest(row={"shape": [-1]}), "no list of sizes"),
    "a negative offset": (manifest(row={"offset": -4}), "is no number"),
    "an offset of text": (manifest(row={"offset": "4"}), "is no number"),
    "an unknown dtype": (manifest(row={"dtype": "float32"}), "unknown dtype"),
    "no dtype": (manifest(row={"dtype": None}), "unknown dtype"),
    "half a block": (manifest(row={"dtype": "q8_0", "shape": [33]}), "no whole blocks"),
    "a file outside": (manifest(file="../weights.bin"), "outside its folder"),
    "an absolute file": (manifest(file="/etc/passwd"), "outside its folder"),
    "a file that is not there": (manifest(file="other.bin"), "cannot open"),
    "no file": (manifest(file=None), "no `file`"),
    "an unknown key": (manifest(row={"stride": 4}), "unknown key `stride`"),
    "an unknown key at the top": (manifest(stride=4), "unknown key `stride`"),
    "another version": (manifest(format="modelglot.raw/2"), "needs `format"),
    "a middle-endian file": (manifest(byteorder="middle"), "neither little nor big"),
    "no tensors": (manifest(tensors={}), "a list `tensors`"),
    "a tensor without a name": (manifest(tensors=[{"dtype": "f32", "shape": []}]), "has no name"),
    "the same name twice": (manifest(tensors=2 * manifest()["tensors"]), "the same name twice"),
    "metadata that is a list": (manifest(metadata=[1]), "no table"),
}


@pytest.mark.parametrize("story", ROWS)
def test_hostile(bare: Path, story: str) -> None:
    found, words = ROWS[story]
    (bare.parent / "m.json").write_text(json.dumps(found))
    with pytest.raises(ModelFileError, match=words) as caught:
        mg.open(bare.parent / "m.json", format="raw")
    assert str(bare.parent) in str(caught.value)


@pytest.mark.parametrize(("said", "words"), [
    ("raw:shape=3", "need a dtype"), ("raw:dtype=f32,stride=2", "no setting `stride`"),
    ("raw:dtype=f32,shape=-1x-1", "is not a shape"), ("raw:dtype=f32,shape=x", "is not a shape"),
    ("raw:dtype=f32,offset=-1", "is a number"), ("raw:dtype=f99", "unknown dtype"),
    ("npz:dtype=f32", "takes no settings"),
])  # fmt: skip
def test_settings_that_make_no_sense(bare: Path, said: str, words: str) -> None:
    with pytest.raises(ModelFileError, match=words):
        mg.open(bare, format=said)


def test_a_shape_larger_than_the_file(bare: Path) -> None:
    with pytest.raises(DamagedFileError, match="after the end"):
        mg.open(bare, format="raw:dtype=f32,shape=100x4")
