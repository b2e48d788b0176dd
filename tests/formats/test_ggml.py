"""Files from before GGUF, put together by hand: what they say, what is refused, and damage."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot as mg
from modelglot.core.errors import LossError, ModelFileError
from modelglot.testing.conformance import ReaderConformance
from modelglot.testing.tiny_ggml import llama, tensor, whisper


class TestConformance(ReaderConformance):
    format = "ggml"

    def make(self, folder: Path) -> Path:
        path = folder / "model.bin"
        path.write_bytes(llama("ggjt", 3))
        return path

    def _still_whole(self, model: Any, whole: bytes, length: int) -> bool:
        """A file that ends behind a tensor is whole, as far as the file says: only missing layers can be noticed."""
        return len(model.tensors) > 0 or super()._still_whole(model, whole, length)


@pytest.mark.parametrize(("magic", "version"), [("ggml", 1), ("ggmf", 1), ("ggjt", 1), ("ggjt", 2), ("ggjt", 3)])
def test_every_version(tmp_path: Path, magic: str, version: int) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(llama(magic, version))
    with mg.open(path) as model:
        assert len(model.tensors) == 12
        assert model.tensors["layers.0.attention.wk.weight"].shape == (4, 8)
        assert model.metadata["llama.n_embd"] == 8
        assert ("scores" in model.metadata) == (magic != "ggml")
        wanted = np.arange(64, dtype=np.float32).reshape(8, 8)
        assert np.array_equal(model.tensors["layers.0.attention.wq.weight"].numpy(), wanted)


def test_a_whisper_model(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(whisper(tensor("decoder.positional_embedding", np.ones((4, 8), np.float32))))
    report = mg.inspect(path)
    assert report.model.dialect == "whisper, ggml"
    assert report.model.metadata["whisper.n_mels"] == 80
    assert mg.load(path)["decoder.positional_embedding"].shape == (4, 8)


@pytest.mark.parametrize(("magic", "version", "kind", "size"), [
    ("ggml", 1, 2, 20), ("ggjt", 1, 3, 24), ("ggjt", 1, 4, 20), ("ggjt", 1, 6, 22), ("ggjt", 2, 2, 20),
    ("ggjt", 2, 8, 36),
])  # fmt: skip
def test_blocks_of_a_layout_that_is_gone_are_carried_and_named(
    tmp_path: Path, magic: str, version: int, kind: int, size: int
) -> None:
    raw = tensor("layers.0.feed_forward.w2.weight", None, kind=kind, shape=(8, 32), data=bytes(8 * size))
    path = tmp_path / "m.bin"
    path.write_bytes(llama(magic, version, extra=raw))
    report = mg.inspect(path)
    assert any("gave up in May 2023" in n.text for n in report.notes)
    with pytest.raises(LossError, match="old-q"):
        mg.convert(path, tmp_path / "out.gguf")


def test_old_q5_of_version_2_is_the_present_one(tmp_path: Path) -> None:
    raw = tensor("layers.0.feed_forward.w2.weight", None, kind=6, shape=(8, 32), data=bytes(8 * 22))
    (tmp_path / "m.bin").write_bytes(llama("ggjt", 2, extra=raw))
    assert mg.open(tmp_path / "m.bin").tensors["layers.0.feed_forward.w2.weight"].dtype == "q5_0"


def number(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


GGJT = b"tjgg" + number(3)
LLAMA = number(2, 8, 256, 2, 1, 4, 0)
VOCAB = number(1) + b"a" + struct.pack("<f", 0) + number(1) + b"b" + struct.pack("<f", 0)
ONES = np.ones(2, np.float32)
HEAD = GGJT + LLAMA + VOCAB
ROWS = {
    "only the magic": (b"tjgg", "after the end of the file"),
    "version 9": (b"tjgg" + number(9) + LLAMA, "version 9"),
    "no heads": (GGJT + number(2, 8, 256, 0, 1, 4, 0) + VOCAB, "no llama's"),
    "2^32-1 tokens": (GGJT + number(0xFFFFFFFF, 8, 256, 2, 1, 4, 0) + VOCAB, "do not fit"),
    "a token of 4 GiB": (GGJT + LLAMA + number(0xFFFFFFFF) + bytes(60), "above the limit"),
    "five axes": (HEAD + number(5, 1, 0) + bytes(64), "5 axes"),
    "a name of 4 GiB": (HEAD + number(1, 0xFFFFFFFF, 0, 1), "above the limit"),
    "an unknown type": (HEAD + number(1, 1, 99, 32) + b"w" + bytes(64), "unknown tensor type 99"),
    "a shape of 2^128": (HEAD + number(4, 1, 0, *[0xFFFFFFFF] * 4) + b"w" + bytes(64), "after the end of the file"),
    "half a block": (HEAD + number(1, 1, 2, 33) + b"w" + bytes(99), "no whole blocks"),
    "the same name twice": (b"lmgg" + LLAMA + number(0, 0) + 2 * tensor("layers.0.w", ONES), "the same name twice"),
    "another program": (b"lmgg" + number(*range(1, 20)), "not known here"),
    "mel filters of 2^60": (b"lmgg" + number(9, 1500, 8, 2, 1, 448, 8, 2, 1, 80, 1, 1 << 31, 1 << 31), "after the end"),
    "a voice detector of 2^31 layers": (b"lmgg" + number(6) + b"silero" + number(6, 2, 0, 512, 64, 1 << 31), "limit"),
    "layers that are not there": (b"lmgg" + LLAMA + number(0, 0) + tensor("layers.7.w", ONES), "layer 0 are missing"),
}


@pytest.mark.parametrize("story", ROWS)
def test_hostile(tmp_path: Path, story: str) -> None:
    raw, words = ROWS[story]
    (tmp_path / "m.bin").write_bytes(raw)
    with pytest.raises(ModelFileError, match=words) as caught:
        mg.open(tmp_path / "m.bin", format="ggml")
    assert "m.bin" in str(caught.value)
