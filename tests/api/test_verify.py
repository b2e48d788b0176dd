"""Whole or not: checksums of formats, digests in names, receipts; every flipped bit is found with a receipt."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

import modelglot
from modelglot.cli.main import run
from modelglot.core.errors import InvalidFileError

RNG = np.random.default_rng(0)
STATE = {f"layer.{n}.weight": RNG.standard_normal((8, 32)).astype("f4") for n in range(4)}
TARGETS = ["m.safetensors", "m.pth", "m.gguf", "m.npz", "m.onnx", "m.ckpt.index", "m.msgpack", "m.weights.h5"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    modelglot.save(STATE, tmp_path / "source.safetensors")
    return tmp_path / "source.safetensors"


def flipped(path: Path, bit: int) -> bytes:
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << bit % 8
    path.write_bytes(changed)
    return whole


@pytest.mark.parametrize("name", TARGETS)
def test_every_flipped_bit_is_found_with_a_receipt(name: str, source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    target, receipt = folder / name, tmp_path / "receipt.json"
    assert run(["convert", str(source), str(target), "--receipt", str(receipt)]) == 0
    assert modelglot.verify(target, receipt=receipt).ok
    files = sorted(p for p in folder.iterdir() if p.is_file())
    for number in range(24):
        file = files[number % len(files)]
        whole = flipped(file, int(RNG.integers(0, file.stat().st_size * 8)))
        try:
            assert not modelglot.verify(target, receipt=receipt, format=_format(name)).ok
        finally:
            file.write_bytes(whole)
    assert modelglot.verify(target, receipt=receipt).ok


def _format(name: str) -> str:
    """A flipped bit may be one of the magic number."""
    return {"m.safetensors": "safetensors", "m.pth": "torch-zip", "m.gguf": "gguf", "m.npz": "npz", "m.onnx": "onnx",
            "m.ckpt.index": "tf-checkpoint", "m.msgpack": "flax", "m.weights.h5": "keras-h5"}[name]  # fmt: skip


def test_what_a_format_keeps_finds_changed_tensors_alone(source: Path, tmp_path: Path) -> None:
    for name, what in (("m.npz", "CRC-32 of"), ("m.ckpt.index", "CRC-32C of")):
        modelglot.convert(source, tmp_path / name)
        report = modelglot.verify(tmp_path / name)
        assert report.ok
        assert any(what in check.what for check in report.checks)
        data = tmp_path / ("m.npz" if name == "m.npz" else "m.ckpt.data-00000-of-00001")
        flipped(data, 8 * data.stat().st_size // 2)
        assert not modelglot.verify(tmp_path / name).ok


def test_a_format_without_checksums_says_so(source: Path) -> None:
    report = modelglot.verify(source)
    assert report.ok
    assert any("keeps no checksum" in check.what for check in report.checks)


def test_a_blob_is_what_its_name_says(source: Path, tmp_path: Path) -> None:
    raw = source.read_bytes()
    blob = tmp_path / f"sha256-{hashlib.sha256(raw).hexdigest()}"
    blob.write_bytes(raw)
    assert any("SHA-256 that is its name" in c.what for c in modelglot.verify(blob).checks)
    flipped(blob, 8 * len(raw) - 3)
    assert not modelglot.verify(blob).ok


def test_a_receipt_of_another_format_compares_tensors(source: Path, tmp_path: Path) -> None:
    receipt = tmp_path / "r.json"
    assert run(["convert", str(source), str(tmp_path / "a.npz"), "--receipt", str(receipt)]) == 0
    text = receipt.read_text().replace('"files"', '"other"')
    receipt.write_text(text)
    assert any("4 tensors in the receipt" in c.what for c in modelglot.verify(source, receipt=receipt).checks)
    with pytest.raises(InvalidFileError, match="no receipt"):
        modelglot.verify(source, receipt=source.with_name("a.npz").rename(tmp_path / "b.json"))


def test_a_receipt_that_cannot_be_written_is_told_before_the_work(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.npz"
    assert run(["convert", str(source), str(target), "--receipt", str(tmp_path / "no/r.json")]) == 9
    assert not target.exists()


def test_the_exit_code_tells(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(source)]) == 0
    source.write_bytes(source.read_bytes()[:-5])
    assert run(["verify", str(source)]) == 1
    assert "no: not what it was, or not whole" in capsys.readouterr().out
