"""Windows of tensors against numpy's own slicing, gguf's decoding and torch's strides."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

import modelglot as mg
from modelglot.core.errors import UnsupportedError
from modelglot.engine.pool import SourcePool
from modelglot.engine.window import Line, window


def taken(path: Path, name: str, rows: Line, cols: Line, at: tuple[int, ...] = ()) -> np.ndarray:
    with mg.open(path) as model:
        return window(model.model.tensors[name], SourcePool(model.model.files), rows, cols, at)


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((6, 5, 40, 7)).astype(np.float32)


@pytest.mark.parametrize("axes", [(0, 1), (1, 0), (2, 3), (3, 2), (0, 3), (3, 0)])
@pytest.mark.parametrize("kind", ["f4", "f8", "f2", "i2"])
@pytest.mark.parametrize("suffix", ["safetensors", "npz", "pth"])
def test_any_two_axes(values: np.ndarray, axes: tuple[int, int], kind: str, suffix: str, tmp_path: Path) -> None:
    whole = (values * 100).astype(kind)
    mg.save({"x": np.zeros(3, "f4"), "w": whole}, tmp_path / f"m.{suffix}")
    down, across = axes
    rows, cols = Line(down, 1, 2, 2), Line(across, 0, whole.shape[across])
    at = (3, 2, 17, 5)
    index: list[object] = list(at)
    index[down], index[across] = slice(1, 5, 2), slice(None)
    want = whole[tuple(index)]
    want = want if down < across else want.T
    np.testing.assert_array_equal(
        taken(tmp_path / f"m.{suffix}", "w", rows, cols, at), want.astype(np.float32)[: rows.length]
    )


def test_a_transposed_view_of_torch(tmp_path: Path) -> None:
    whole = torch.arange(60.0).reshape(5, 12).T
    torch.save({"w": whole}, tmp_path / "m.pth")
    got = taken(tmp_path / "m.pth", "w", Line(0, 2, 5, 2), Line(1, 1, 3))
    np.testing.assert_array_equal(got, whole[2:12:2, 1:4].numpy())


@pytest.mark.parametrize("kind", ["q4_0", "q8_0", "q4_k", "iq4_xs", "bf16"])
def test_blocks_are_decoded(kind: str, tmp_path: Path) -> None:
    whole = np.random.default_rng(1).standard_normal((10, 768)).astype(np.float32)
    mg.save({"w.weight": whole}, tmp_path / "a.safetensors")
    if kind == "bf16":
        mg.convert(tmp_path / "a.safetensors", tmp_path / "m.gguf", dtype=[kind])
    else:
        mg.quantize(tmp_path / "a.safetensors", tmp_path / "m.gguf", kind)
    (tensor,) = gguf.GGUFReader(tmp_path / "m.gguf").tensors
    want = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(10, 768)
    got = taken(tmp_path / "m.gguf", tensor.name, Line(0, 3, 3, 3), Line(1, 255, 100, 5))
    np.testing.assert_array_equal(got, want[3:10:3, 255:755:5])


def test_one_axis_and_none(tmp_path: Path) -> None:
    mg.save({"v": np.arange(9, dtype="i4"), "s": np.array(2.5)}, tmp_path / "m.safetensors")
    assert taken(tmp_path / "m.safetensors", "v", Line(-1), Line(0, 2, 3, 2)).tolist() == [[2, 4, 6]]
    assert taken(tmp_path / "m.safetensors", "s", Line(-1), Line(-1)).tolist() == [[2.5]]


@pytest.mark.parametrize(
    ("rows", "cols"), [(Line(0, 0, 10), Line(1)), (Line(0), Line(0)), (Line(2), Line(1)), (Line(0, -1), Line(1))]
)
def test_outside(rows: Line, cols: Line, tmp_path: Path) -> None:
    mg.save({"w": np.zeros((4, 4), "f4")}, tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match=r"shape|same axis"):
        taken(tmp_path / "m.safetensors", "w", rows, cols)


def test_text_has_no_window(tmp_path: Path) -> None:
    mg.save({"w": np.zeros((4, 4), "c8")}, tmp_path / "m.npz")
    with pytest.raises(UnsupportedError):
        taken(tmp_path / "m.npz", "w", Line(0), Line(1))


def test_only_the_bytes_that_are_shown_are_read(tmp_path: Path) -> None:
    """A matrix of 64 GB that is a hole in the file."""
    path = tmp_path / "m.safetensors"
    mg.save({"w": np.zeros((2, 2), "f4")}, path)
    import json
    import struct

    header = json.dumps({"w": {"dtype": "F32", "shape": [1 << 17, 1 << 17], "data_offsets": [0, 1 << 36]}}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + (1 << 36))
        file.seek(8 + len(header) + 4 * ((1 << 17) * 70_000 + 5))
        file.write(struct.pack("<f", 7.0))
    got = taken(path, "w", Line(0, 69_990, 20), Line(1, 0, 10))
    assert got[10].tolist() == [0, 0, 0, 0, 0, 7, 0, 0, 0, 0]
    assert got.sum() == 7
