"""Casts between f32, f16 and bf16: every half, random f32 bits, against numpy and ml_dtypes."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from modelglot.kernels.cast import cast
from modelglot.testing.blocks import Numbers

DTYPES = {"f32": np.dtype("<f4"), "f16": np.dtype("<f2"), "bf16": np.dtype(ml_dtypes.bfloat16)}
ALL_HALVES = np.arange(65536, dtype=np.uint16)


def patterns() -> np.ndarray:
    """f32 bit patterns: random ones, and every f16 and bf16 with its neighbours and the ties between them."""
    r = Numbers("casts", 1 << 17)
    random = (r.integers("high", 65536) << 16 | r.integers("low", 65536)).astype(np.uint32)
    with np.errstate(invalid="ignore"):
        halves = ALL_HALVES.view(np.float16).astype(np.float32).view(np.uint32)
    brains = ALL_HALVES.astype(np.uint32) << 16
    steps = (0, 1, 0xFFFFFFFF, 0x0FFF, 0x1000, 0x1001, 0x7FFF, 0x8000, 0x8001)
    near = [p + np.uint32(d) for p in (halves, brains) for d in steps]
    return np.concatenate([random, *near])


@pytest.mark.parametrize(("source", "target"), [(a, b) for a in DTYPES for b in DTYPES if a != b])
def test_as_numpy_and_ml_dtypes(source: str, target: str, level: str) -> None:
    values = (patterns() if source == "f32" else ALL_HALVES).view(DTYPES[source])
    with np.errstate(all="ignore"):
        expected = values.astype(np.float32).astype(DTYPES[target])
    got = np.frombuffer(cast(values.tobytes(), {"from": source, "to": target}), DTYPES[target])
    number = ~np.isnan(values.astype(np.float32))
    assert got[number].tobytes() == expected[number].tobytes()
    assert np.isnan(got[~number].astype(np.float32)).all()
    assert np.array_equal(np.signbit(got[~number].astype(np.float32)), np.signbit(values[~number].astype(np.float32)))


@pytest.mark.parametrize("count", [0, 1, 15, 17, 63])
def test_any_length_and_address(count: int, level: str) -> None:
    whole = patterns()[:64]
    for target in ("f16", "bf16"):
        all_of_it = bytes(cast(whole.tobytes(), {"from": "f32", "to": target}))
        part = b"?" + whole[:count].tobytes()
        assert cast(memoryview(part)[1:], {"from": "f32", "to": target}) == all_of_it[: 2 * count]
