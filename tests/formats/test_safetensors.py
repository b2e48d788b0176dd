"""safetensors: the shared promises, the header in hex, and what must be refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.reading import read_model
from modelglot.core.errors import DamagedFileError, InvalidFileError, LimitError, ModelFileError, UnsafeContentError
from modelglot.testing import FormatConformance


class TestSafetensors(FormatConformance):
    format = "safetensors"
    metadata = {"format": "pt", "note": "größe"}


def file(header: object, data: bytes = b"", *, raw: bytes | None = None) -> bytes:
    text = raw if raw is not None else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


GOLDEN = bytes.fromhex(
    "3800000000000000"  # 56 bytes of header, a multiple of 8
    "7b2277223a7b226474797065223a22463332222c227368617065223a5b322c315d2c22646174615f6f6666736574"
    "73223a5b302c385d7d7d"  # {"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}
    "0000803f00000040"  # 1.0, 2.0
)


def test_the_smallest_file_in_hex(tmp_path: Path) -> None:
    mg.save({"w": np.array([[1.0], [2.0]], np.float32)}, tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == GOLDEN


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
_ENTRY = json.dumps(F32).encode()
BAD = {
    "empty": (b"", DamagedFileError),
    "short": (b"\0" * 7, DamagedFileError),
    "header past the end": ((1 << 20).to_bytes(8, "little") + b"{}", DamagedFileError),
    "header above the limit": ((1 << 40).to_bytes(8, "little") + b"{}", LimitError),
    "not json": (file(None, raw=b"{nope}"), InvalidFileError),
    "not an object": (file(None, raw=b"[]  "), InvalidFileError),
    "leading space": (file(None, raw=b" {}"), InvalidFileError),
    "byte order mark": (file(None, raw=b"\xef\xbb\xbf{}"), InvalidFileError),
    "not UTF-8": (file(None, raw=b'{"\xff":1}'), InvalidFileError),
    "duplicate name": (file(None, bytes(8), raw=b'{"w":%s,"w":%s}' % (_ENTRY, _ENTRY)), InvalidFileError),
    "duplicate key": (file(None, bytes(8), raw=b'{"w":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}'),
                      InvalidFileError),
    "deep": (file(None, raw=b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), LimitError),
    "float size": (file({"w": {**F32, "shape": [2.0]}}, b"\0" * 8), InvalidFileError),
    "bool size": (file({"w": {**F32, "shape": [True, 2]}}, b"\0" * 8), InvalidFileError),
    "negative size": (file({"w": {**F32, "shape": [-2]}}, b"\0" * 8), InvalidFileError),
    "text size": (file({"w": {**F32, "shape": ["2"]}}, b"\0" * 8), InvalidFileError),
    "huge number": (file(None, raw=b'{"w":{"dtype":"F32","shape":[%s],"data_offsets":[0,8]}}' % (b"9" * 5000)),
                    InvalidFileError),
    "NaN": (file(None, raw=b'{"w":NaN}'), InvalidFileError),
    "overflowing shape": (file({"w": {**F32, "shape": [1 << 62, 1 << 62]}}, b"\0" * 8), InvalidFileError),
    "wrong size": (file({"w": {**F32, "shape": [3]}}, b"\0" * 8), InvalidFileError),
    "begin after end": (file({"w": {**F32, "data_offsets": [8, 0]}}, b"\0" * 8), InvalidFileError),
    "past the end": (file({"w": F32}, b"\0" * 7), DamagedFileError),
    "trailing bytes": (file({"w": F32}, b"\0" * 9), InvalidFileError),
    "hole": (file({"w": {**F32, "data_offsets": [4, 12]}}, b"\0" * 12), InvalidFileError),
    "overlap": (file({"v": F32, "w": {**F32, "data_offsets": [4, 12]}}, b"\0" * 12), InvalidFileError),
    "unknown dtype": (file({"w": {**F32, "dtype": "F33"}}, b"\0" * 8), InvalidFileError),
    "extra key": (file({"w": {**F32, "x": 1}}, b"\0" * 8), InvalidFileError),
    "metadata not text": (file({"__metadata__": {"a": 1}}), InvalidFileError),
    "odd nibbles": (file({"w": {"dtype": "F4", "shape": [3], "data_offsets": [0, 2]}}, b"\0" * 2), InvalidFileError),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_refuses(tmp_path: Path, name: str) -> None:
    data, kind = BAD[name]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelFileError) as caught:
        read_model(str(path), format="safetensors")
    assert isinstance(caught.value, kind), caught.value
    assert caught.value.path == str(path)


def test_a_wrong_offset_names_the_tensor_and_both_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(file({"model.w": {**F32, "shape": [3]}}, b"\0" * 8))
    with pytest.raises(InvalidFileError) as caught:
        mg.open(path)
    assert caught.value.tensor == "model.w"
    assert "span 8 bytes" in str(caught.value)
    assert "needs 12" in str(caught.value)


def shards(folder: Path) -> None:
    state = {f"w{i}": np.full((100,), i, np.float32) for i in range(5)}
    mg.save(state, str(folder) + "/", to="safetensors", max_shard_size=800)


def test_shards_are_one_model(tmp_path: Path) -> None:
    shards(tmp_path)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == [*(f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)), "model.safetensors.index.json"]
    loaded = mg.load(tmp_path)
    assert [int(loaded[f"w{i}"][0]) for i in range(5)] == [0, 1, 2, 3, 4]


def test_a_missing_shard_is_a_warning_and_cannot_be_converted(tmp_path: Path) -> None:
    shards(tmp_path)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    report = mg.inspect(tmp_path)
    assert [n.code for n in report.notes if n.level == "warning"] == ["missing-shard"]
    with pytest.raises(ModelFileError) as caught:
        mg.convert(tmp_path, tmp_path / "all.safetensors", max_shard_size=None)
    assert "model-00002-of-00003.safetensors" in str(caught.value)
    assert not (tmp_path / "all.safetensors").exists()


def test_an_index_may_not_leave_its_folder(tmp_path: Path) -> None:
    for name in ("../secret.safetensors", "/etc/passwd", "a\0b", "..\\x", "~/x"):
        index = {"metadata": {}, "weight_map": {"w": name}}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
        with pytest.raises(UnsafeContentError):
            mg.open(tmp_path)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    mg.save({"w": np.zeros(2, np.float32)}, tmp_path / "out.safetensors")
    (tmp_path / "in" / "s.safetensors").symlink_to(tmp_path / "out.safetensors")
    index = {"weight_map": {"w": "s.safetensors"}}
    (tmp_path / "in" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UnsafeContentError):
        mg.open(tmp_path / "in")


def test_a_surplus_shard_is_noticed(tmp_path: Path) -> None:
    shards(tmp_path)
    (tmp_path / "model-00004-of-00004.safetensors").write_bytes(b"x")
    assert "surplus-shard" in [n.code for n in mg.inspect(tmp_path).notes]
