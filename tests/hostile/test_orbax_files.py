"""Stores and arrays that lie: the error each gives, and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest

import modelglot as mg
from modelglot.core.errors import ModelFileError

ARRAY = {
    "zarr_format": 2, "shape": [4], "chunks": [4], "dtype": "<f4", "order": "C", "compressor": None, "filters": None,
    "fill_value": None,
}  # fmt: skip
VERSION3 = {
    "zarr_format": 3, "node_type": "array", "shape": [4], "data_type": "float32", "fill_value": 0,
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4]}},
    "chunk_key_encoding": {"name": "default"}, "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
}  # fmt: skip
CHUNK = np.arange(4, dtype="<f4").tobytes()
SHARDED = {
    **VERSION3,
    "codecs": [
        {
            "name": "sharding_indexed",
            "configuration": {
                "chunk_shape": [2],
                "codecs": [{"name": "bytes"}],
                "index_codecs": [{"name": "bytes"}, {"name": "crc32c"}],
            },
        }
    ],
}


def two(changes: dict[str, Any], chunk: bytes = CHUNK) -> dict[str, bytes]:
    return {"w/.zarray": json.dumps({**ARRAY, **changes}).encode(), "w/0": chunk}


def three(changes: dict[str, Any], chunk: bytes = CHUNK) -> dict[str, bytes]:
    return {"w/zarr.json": json.dumps({**VERSION3, **changes}).encode(), "w/c/0": chunk}


def record(body: bytes, magic: int = 0x0CDB3A2A, kind: bytes = b"\0\0") -> bytes:
    """An OCDBT record; ``kind`` is its version and its compression."""
    whole = magic.to_bytes(4, "big") + (len(body) + 18).to_bytes(8, "little") + kind + body
    return whole + google_crc32c.value(whole).to_bytes(4, "little")


CONFIG = bytes(16) + b"\0\x64\xff\x01\x04\0"  # id, one manifest, sizes, arity, no compression
LEAF = b"\0\0\x01"  # height 0, no data files, one key


def manifest(path: bytes, offset: bytes = b"\0", length: bytes = b"\x20", height: bytes = b"\0") -> dict[str, bytes]:
    """A manifest whose root lies in ``path``."""
    table = b"\x01" + bytes([len(path)]) + b"\0" + path
    return {
        "manifest.ocdbt": record(CONFIG + table + b"\x01\x01" + height + b"\0" + offset + length + b"\0\0\0" + bytes(8))
    }


def stored(node: bytes) -> dict[str, bytes]:
    raw = record(node, 0x0CDB20DE)
    return {**manifest(b"d/x", length=bytes([len(raw)])), "d/x": raw}


ROWS: dict[str, tuple[dict[str, bytes], str]] = {
    "zarr: a chunk that is too short": (two({}, CHUNK[:-1]), "a chunk has 15 bytes, 16 are needed"),
    "zarr: a chunk that is too long": (two({}, CHUNK + b"\0"), "a chunk has 17 bytes"),
    "zarr: sizes below zero": (two({"shape": [-4]}), "no list of sizes"),
    "zarr: chunks of nothing": (two({"chunks": [0]}), "no list of sizes"),
    "zarr: 2^61 chunks": (two({"shape": [1 << 61], "chunks": [1]}), "above the limit"),
    "zarr: chunks of another rank": (two({"chunks": [2, 2]}), "for an array of"),
    "zarr: an object array": (two({"dtype": "|O"}), "arrays of"),
    "zarr: a record": (two({"dtype": [["a", "<f4"]]}), "arrays of|not complete"),
    "zarr: a filter": (two({"filters": [{"id": "pickle"}]}), "filters"),
    "zarr: blosc": (two({"compressor": {"id": "blosc"}}), "`blosc`"),
    "zarr: a codec that is no text": (two({"compressor": {"id": []}}), "not complete"),
    "zarr: no shape": ({"w/.zarray": b'{"zarr_format": 2}', "w/0": CHUNK}, "not complete"),
    "zarr: no object": ({"w/.zarray": b"[]", "w/0": CHUNK}, "no object"),
    "zarr: no JSON": ({"w/.zarray": b"{", "w/0": CHUNK}, "not valid"),
    "zarr: holes that are not zero": ({"w/.zarray": json.dumps({**ARRAY, "fill_value": 1}).encode()}, "fill value"),
    "zarr3: a transposed codec": (three({"codecs": [{"name": "transpose"}, {"name": "bytes"}]}), "transpose"),
    "zarr3: two codecs": (three({"codecs": [{"name": "gzip"}, {"name": "zstd"}]}), "after another"),
    "zarr3: an irregular grid": (three({"chunk_grid": {"name": "rectilinear"}}), "not regular"),
    "zarr3: a shard that is too short": (three(SHARDED, b"\0" * 35), "too short for its index"),
    "zarr3: an inner chunk past its shard": (three(SHARDED, CHUNK + b"\xff" * 7 + b"\0" * 29), "after its shard"),
    "zarr3: chunks that do not divide": (
        three({**SHARDED, "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3]}}}),
        "do not divide",
    ),
    "ocdbt: another magic": ({"manifest.ocdbt": record(CONFIG, 0x0CDB20DE)}, "no OCDBT record"),
    "ocdbt: a cut manifest": ({"manifest.ocdbt": record(CONFIG)[:-1]}, "another length"),
    "ocdbt: a byte that changed": ({"manifest.ocdbt": record(CONFIG).replace(b"\x64", b"\x65")}, "its checksum"),
    "ocdbt: an empty manifest": ({"manifest.ocdbt": record(b"")}, "too early"),
    "ocdbt: a new version": ({"manifest.ocdbt": record(CONFIG, kind=b"\1\0")}, "version 1"),
    "ocdbt: an unknown compression": (
        {"manifest.ocdbt": record(CONFIG, kind=b"\0\7")}, "compression 7"),
    "ocdbt: zstd that is none": (
        {"manifest.ocdbt": record(CONFIG, kind=b"\0\1")}, "compressed data is damaged"),
    "ocdbt: 2^60 data files": ({"manifest.ocdbt": record(CONFIG + b"\xff" * 8 + b"\x0f")}, "do not fit"),
    "ocdbt: a number without end": ({"manifest.ocdbt": record(bytes(16) + b"\xff" * 30)}, "more than ten bytes"),
    "ocdbt: the root outside of the folder": (manifest(b"../x"), "outside its folder"),
    "ocdbt: an absolute root": (manifest(b"/etc/passwd"), "outside its folder"),
    "ocdbt: a root that is not there": (manifest(b"d/y"), "cannot open"),
    "ocdbt: the root past its file": (
        {**stored(LEAF), **manifest(b"d/x", length=b"\x7f")}, "after the end of the file"),
    "ocdbt: a height that is another": ({**stored(b"\1" + LEAF[1:])}, "another height"),
    "ocdbt: a tree 200 high": ({**stored(LEAF), **manifest(b"d/x", height=b"\xc8")}, "depth"),
    "ocdbt: an empty node": (stored(b"\0\0\0"), "empty node"),
    "ocdbt: a key past the record": (stored(LEAF + b"\x7f"), "too early"),
    "ocdbt: 2^28 keys": (stored(b"\0\0\xff\xff\xff\x7f"), "do not fit"),
    "ocdbt: a value of an unknown kind": (stored(LEAF + b"\1a" + b"\1" + b"\7" + b"\0"), "unknown kind"),
    "ocdbt: a value in a file that is not listed": (
        stored(LEAF + b"\1a" + b"\1" + b"\1" + b"\5" + b"\0"), "data file 5"),
}  # fmt: skip


@pytest.mark.parametrize("story", ROWS)
def test_hostile(tmp_path: Path, story: str) -> None:
    members, words = ROWS[story]
    for name, raw in members.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(raw)
    with pytest.raises(ModelFileError, match=words) as caught:
        mg.open(tmp_path, format="orbax")
    assert str(tmp_path) in str(caught.value)


def test_a_tree_that_refers_to_itself_ends(tmp_path: Path) -> None:
    """A node of height 1 whose child is itself: heights fall, so it ends with an error."""
    body = b"\1" + b"\1\1\0x" + b"\1" + b"\1" + b"\0" + b"a" + b"\0\0\x28" + b"\0\0\0"
    raw = record(body, 0x0CDB20DE)
    (tmp_path / "x").write_bytes(raw)
    (tmp_path / "manifest.ocdbt").write_bytes(manifest(b"x", length=bytes([len(raw)]), height=b"\1")["manifest.ocdbt"])
    with pytest.raises(ModelFileError):
        mg.open(tmp_path, format="orbax")
