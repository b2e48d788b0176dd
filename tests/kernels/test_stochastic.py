"""Rounding by chance: always one of the two neighbours, as often as it should be, the same bytes in any chunks."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from modelglot.kernels.cast import cast
from modelglot.testing.blocks import Numbers

DTYPES = {"f16": np.float16, "bf16": ml_dtypes.bfloat16, "f8_e4m3": ml_dtypes.float8_e4m3fn,
          "f8_e5m2": ml_dtypes.float8_e5m2, "f8_e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
          "f8_e5m2fnuz": ml_dtypes.float8_e5m2fnuz}  # fmt: skip
LARGEST = {n: float(ml_dtypes.finfo(d).max) for n, d in DTYPES.items()}


def by_chance(values: np.ndarray, target: str, key: int = 7, first: int = 0) -> np.ndarray:
    params = {"from": "f64" if values.dtype == np.float64 else "f32", "to": target, "rounding": "stochastic",
              "key": key}  # fmt: skip
    return np.frombuffer(cast(values.tobytes(), params, first), DTYPES[target])


def values_for(target: str, dtype: type) -> np.ndarray:
    r = Numbers("chance", 1 << 15)
    low, high = (-40, 18) if target != "bf16" else (-149, 127)
    power = r.integers("p", high - low) + low
    return np.ldexp(r.normal("n").astype(np.float64), power).astype(dtype)


@pytest.mark.parametrize("target", DTYPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_of_the_two_neighbours(target: str, dtype: type, level: str) -> None:
    values = values_for(target, dtype)
    values = values[np.abs(values) <= LARGEST[target]]
    every = np.arange(256 if "8" in target[:2] else 65536, dtype=np.uint8 if "8" in target[:2] else np.uint16)
    with np.errstate(all="ignore"):
        grid = np.unique(every.view(DTYPES[target]).astype(np.float64))
    grid = grid[np.isfinite(grid)]
    got, exact = by_chance(values, target).astype(np.float64), values.astype(np.float64)
    below = grid[np.searchsorted(grid, exact, "right") - 1]
    above = grid[np.searchsorted(grid, exact, "left")]
    assert ((got == below) | (got == above)).all()
    assert (got[below == above] == exact[below == above]).all()
    inside = below != above
    share = (exact - below)[inside] / (above - below)[inside]
    up = (got == above)[inside]
    deviation = (up.sum() - share.sum()) / np.sqrt((share * (1 - share)).sum())
    assert abs(deviation) < 4.5  # 1 in 150,000; the numbers are the same each time


@pytest.mark.parametrize("target", DTYPES)
@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.9])
def test_how_often(target: str, share: float) -> None:
    step = float(ml_dtypes.finfo(DTYPES[target]).eps)
    count = 100_000
    got = by_chance(np.full(count, 1 + share * step, np.float64), target, key=11).astype(np.float64)
    ups = int((got == 1 + step).sum())
    assert int((got == 1).sum()) + ups == count
    assert abs(ups - share * count) < 4.5 * np.sqrt(count * share * (1 - share))


def test_below_the_least_number() -> None:
    least = 2.0**-24
    got = by_chance(np.full(200_000, least / 8), "f16", key=3).astype(np.float64)
    assert set(got.tolist()) == {0.0, least}
    assert abs(got.mean() - least / 8) < least * 0.004
    assert not by_chance(np.full(200_000, 1e-300), "f16", key=3).any()


@pytest.mark.parametrize("target", DTYPES)
def test_the_same_in_any_chunks_and_at_every_level(target: str, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    edges = np.array([0, -0.0, np.nan, np.inf, -np.inf, 1e-45, -1e-40, 65519, 65520, 3e38, 464, 465, 247, 248, 61439])
    values = np.concatenate([edges.astype(np.float32), values_for(target, np.float32)])
    whole = by_chance(values, target).tobytes()
    parts = [by_chance(values[a : a + 1000], target, first=a).tobytes() for a in range(0, len(values), 1000)]
    assert b"".join(parts) == whole
    assert by_chance(values, target, key=8).tobytes() != whole
    monkeypatch.setenv("MODELGLOT_NATIVE", "0")
    assert by_chance(values, target).tobytes() == whole


def test_what_nearest_keeps_does_not_become_infinite(level: str) -> None:
    got = by_chance(np.full(10_000, 65519.0, np.float32), "f16")
    assert (got == 65504).all()
    assert np.isinf(by_chance(np.array([65520.0]), "f16")).all()
    assert by_chance(np.array([np.nan, -np.inf]), "f8_e4m3").astype(np.float32).tolist()[1] == -448
