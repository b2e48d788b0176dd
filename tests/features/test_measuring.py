"""stats and compare, against numpy on the whole array."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.engine import stream


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    normal = random.normal(0.5, 3, size=(300, 50)).astype(np.float32)
    odd = normal.copy()
    odd[0, :4] = [np.nan, np.inf, -np.inf, 0]
    odd[1, 0] = 4096
    return {
        "normal": normal,
        "odd": odd,
        "half": normal.astype(np.float16),
        "turned": normal.T,
        "ints": np.arange(-5, 20),
        "flags": normal > 0,
        "empty": np.zeros((0, 3), np.float32),
        "zeros": np.zeros(10, np.float64),
    }


@pytest.mark.parametrize("chunk", [256, 1 << 22])
def test_statistics_are_numpys(arrays: dict, tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelglot.engine import values

    monkeypatch.setattr(values.numbers, "__defaults__", (chunk,))
    mg.save(arrays, tmp_path / "a.safetensors")
    found = {s.name: s for s in mg.stats(tmp_path / "a.safetensors")}
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        got, flat = found[name], array.astype(np.float64).ravel()
        finite = flat[np.isfinite(flat)]
        assert got.count == flat.size
        assert (got.nan, got.inf) == (np.isnan(flat).sum(), np.isinf(flat).sum())
        assert got.zeros == (finite == 0).sum()
        if not finite.size:
            assert got.mean is None
            continue
        assert (got.minimum, got.maximum) == (finite.min(), finite.max())
        assert got.mean == pytest.approx(finite.mean(), rel=1e-9, abs=1e-12)
        assert got.std == pytest.approx(finite.std(), rel=1e-9, abs=1e-12)
        assert sum(got.histogram.values()) == (finite != 0).sum()
        if got.outlier_from:
            assert got.outlier_from >= 6 * finite.std()
            assert got.outliers == (np.abs(finite) >= got.outlier_from).sum()
    assert found["odd"].outliers == 1
    json.dumps(found["odd"].document(), allow_nan=False)


def test_comparison_is_numpys(arrays: dict, tmp_path: Path) -> None:
    normal = arrays["normal"]
    mg.save({"w": normal, "same": normal, "gone": normal, "shape": normal}, tmp_path / "a.safetensors")
    mg.save(
        {"w": normal.astype(np.float16), "same": normal, "shape": normal[:2], "new": normal}, tmp_path / "b.safetensors"
    )
    report = mg.compare(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    errors = {e.name: e for e in report.tensors}
    assert set(errors) == {"w", "same"}
    delta = normal.astype(np.float16).astype(np.float64) - normal
    assert errors["w"].rmse == pytest.approx(np.sqrt((delta**2).mean()))
    assert errors["w"].worst == np.abs(delta).max()
    signal = (normal.astype(np.float64) ** 2).sum()
    assert errors["w"].snr == pytest.approx(10 * np.log10(signal / (delta**2).sum()))
    assert errors["w"].bits == 16
    assert (errors["same"].rmse, errors["same"].snr) == (0, None)
    assert (report.only_left, report.only_right, report.different) == (("gone",), ("new",), ("shape",))


def test_rows_of_blocks_survive_any_chunk_size() -> None:
    """`_rows` gives whole rows whatever the pieces are."""
    from modelglot.api.memory import MemoryPool
    from modelglot.core.dtype import DTYPES
    from modelglot.core.tensor import Extent, Stored, Tensor

    data = np.arange(7 * 96, dtype="<f4").reshape(7, 96)
    stored = Tensor("w", DTYPES["f32"], (7, 96), Stored((Extent(0, 0, data.nbytes),)))
    turned = Tensor("w", DTYPES["f32"], (96, 7), Stored((Extent(0, 0, data.nbytes),), (1, 96)))
    for tensor, array in ((stored, data), (turned, data.T)):
        for size in (4, 100, 384, 1000, 1 << 20):
            pool = MemoryPool([memoryview(data).cast("B")])
            pieces = [(at, bytes(p)) for at, p in stream._rows(tensor, pool, size)]
            row = array.shape[-1] * 4
            assert all(at % row == 0 and len(p) % row == 0 for at, p in pieces)
            assert b"".join(p for _, p in pieces) == array.tobytes()


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_plots(arrays: dict, tmp_path: Path, kind: str) -> None:
    from modelglot.cli.main import run

    mg.save(arrays, tmp_path / "a.safetensors")
    mg.save({"normal": arrays["normal"].astype(np.float16)}, tmp_path / "b.safetensors")
    a, b = str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors")
    assert run(["stats", a, "--plot", str(tmp_path / f"s.{kind}")]) == 0
    assert run(["compare", a, b, "--plot", str(tmp_path / f"c.{kind}")]) == 0
    start = {"png": b"\x89PNG", "svg": b"<?xml"}[kind]
    assert all((tmp_path / f"{n}.{kind}").read_bytes().startswith(start) for n in "sc")
    assert run(["stats", a, "--plot", str(tmp_path / "s.txt")]) == 7


def test_an_infinite_error_is_null_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from modelglot.cli.main import run

    a, b = str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors")
    mg.save({"w": np.zeros(3, np.float32)}, a)
    mg.save({"w": np.ones(3, np.float32)}, b)
    assert run(["compare", "--json", a, b]) == 0
    assert json.loads(capsys.readouterr().out)["tensors"][0]["relative"] is None
