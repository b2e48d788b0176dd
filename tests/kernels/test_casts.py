"""Casts between floats and integers: every half, every byte, random bits, ties and edges; against numpy, ml_dtypes,
torch, and exact fractions where those round twice."""

from __future__ import annotations

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import torch

from modelglot.core.errors import UnsupportedError
from modelglot.core.unusual import Unusual
from modelglot.kernels.cast import cast
from modelglot.testing.blocks import Numbers

DTYPES = {
    "f64": np.dtype("<f8"), "f32": np.dtype("<f4"), "f16": np.dtype("<f2"), "bf16": np.dtype(ml_dtypes.bfloat16),
    "f8_e4m3": np.dtype(ml_dtypes.float8_e4m3fn), "f8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "f8_e4m3fnuz": np.dtype(ml_dtypes.float8_e4m3fnuz), "f8_e5m2fnuz": np.dtype(ml_dtypes.float8_e5m2fnuz),
}  # fmt: skip
TORCH = {"f8_e4m3": torch.float8_e4m3fn, "f8_e5m2": torch.float8_e5m2, "f8_e4m3fnuz": torch.float8_e4m3fnuz,
         "f8_e5m2fnuz": torch.float8_e5m2fnuz, "f16": torch.float16, "bf16": torch.bfloat16}  # fmt: skip
ALL_HALVES = np.arange(65536, dtype=np.uint16)
INTS = ("i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64")


def numbers(array: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return array.astype(np.float32)


def patterns() -> np.ndarray:
    """f32 bit patterns: random ones, and every f16, bf16 and f8 with its neighbours and the ties between them."""
    r = Numbers("casts", 1 << 17)
    random = (r.integers("high", 65536) << 16 | r.integers("low", 65536)).astype(np.uint32)
    halves = numbers(ALL_HALVES.view(np.float16)).view(np.uint32)
    brains = ALL_HALVES.astype(np.uint32) << 16
    bytes_ = [numbers(np.arange(256, dtype=np.uint8).view(DTYPES[n])).view(np.uint32) for n in DTYPES if n[1] == "8"]
    steps = (0, 1, 0xFFFFFFFF, 0x0FFF, 0x1000, 0x1001, 0x7FFF, 0x8000, 0x8001)
    wide = (0x7FFFF, 0x80000, 0x80001, 0xFFFFF, 0x100000, 0x100001)
    near = [p + np.uint32(d) for p in (halves, brains) for d in steps]
    return np.concatenate([random, *near, *(b + np.uint32(d) for b in bytes_ for d in (*steps, *wide))])


def source_values(name: str) -> np.ndarray:
    if name in ("f64", "f32"):
        with np.errstate(all="ignore"):
            return patterns().view(np.float32).astype(DTYPES[name])
    return (ALL_HALVES if name in ("f16", "bf16") else np.arange(256, dtype=np.uint8)).view(DTYPES[name])


def expected(values: np.ndarray, target: str) -> np.ndarray:
    """numpy's and ml_dtypes' cast; torch's for f8_e4m3, where those make NaN of what is too large."""
    with np.errstate(all="ignore"):
        if target == "f8_e4m3":
            made = torch.from_numpy(numbers(values)).to(torch.float8_e4m3fn).view(torch.uint8).numpy()
            return made.view(DTYPES[target])
        return values.astype(np.float64 if target == "f64" else np.float32).astype(DTYPES[target])


@pytest.mark.parametrize("target", DTYPES)
@pytest.mark.parametrize("source", DTYPES)
def test_as_numpy_ml_dtypes_and_torch(source: str, target: str, level: str) -> None:
    if source == target:
        return
    values, told = source_values(source), []
    got = np.frombuffer(cast(values.tobytes(), {"from": source, "to": target}, 0, told.append), DTYPES[target])
    number, wanted = ~np.isnan(numbers(values)), expected(values, target)
    lost = np.isnan(numbers(wanted)) & number  # in the fnuz types
    assert got[number & ~lost].tobytes() == wanted[number & ~lost].tobytes()
    assert np.isnan(numbers(got[~number | lost])).all()
    if not target.endswith("fnuz") and not source.endswith("fnuz"):
        assert np.array_equal(np.signbit(numbers(got[~number])), np.signbit(numbers(values[~number])))
    finite = np.isfinite(numbers(values))
    over = finite & ~np.isfinite(numbers(wanted))
    if target == "f8_e4m3":
        over = finite & (np.abs(numbers(values)) > 464)
    counts = Unusual(int((~number).sum()), int((number & ~finite).sum()), int(over.sum()))
    assert sum_of(told) == counts


def sum_of(told: list[Unusual]) -> Unusual:
    total = Unusual()
    for part in told:
        total = total.plus(part)
    return total


@pytest.mark.parametrize("target", TORCH)
def test_as_torch(target: str, level: str) -> None:
    values = source_values("f32")
    wanted = torch.from_numpy(values).to(TORCH[target]).float().numpy()
    got = numbers(np.frombuffer(cast(values.tobytes(), {"from": "f32", "to": target}), DTYPES[target]))
    assert np.array_equal(got[~np.isnan(values)], wanted[~np.isnan(values)], equal_nan=True)


@pytest.mark.parametrize("target", ["f16", "bf16", "f8_e4m3", "f8_e5m2", "f8_e4m3fnuz", "f8_e5m2fnuz"])
def test_f64_is_rounded_once(target: str, level: str) -> None:
    """Just beside the middle of two neighbours, where casting by way of f32 gives the wrong one."""
    with np.errstate(all="ignore"):
        every = np.unique(numbers((ALL_HALVES if target in ("f16", "bf16") else ALL_HALVES[:256].astype(np.uint8)).view(
        DTYPES[target])).astype(np.float64))  # fmt: skip
    every = every[np.isfinite(every)]
    low, high = every[:-1], every[1:]
    middle = (low + high) / 2
    with np.errstate(all="ignore"):
        values = np.concatenate([np.nextafter(middle, -np.inf), np.nextafter(middle, np.inf)])
    got = np.frombuffer(cast(values.tobytes(), {"from": "f64", "to": target}), DTYPES[target]).astype(np.float64)
    assert np.array_equal(got, np.concatenate([low, high]))


@pytest.mark.parametrize("count", [0, 1, 15, 17, 63])
def test_any_length_and_address(count: int, level: str) -> None:
    whole = patterns()[:64]
    for target in ("f16", "bf16", "f8_e4m3"):
        size = DTYPES[target].itemsize
        all_of_it = bytes(cast(whole.tobytes(), {"from": "f32", "to": target}))
        part = b"?" + whole[:count].tobytes()
        assert cast(memoryview(part)[1:], {"from": "f32", "to": target}) == all_of_it[: size * count]


def python_rounded(x: float, low: int, high: int) -> int:
    if x != x:
        return 0
    if x in (float("inf"), float("-inf")):
        return high if x > 0 else low
    return min(max(round(Fraction(x)), low), high)  # Python's round of a fraction: half to even


@pytest.mark.parametrize("target", INTS)
@pytest.mark.parametrize("source", ["f64", "f32", "f16", "bf16", "f8_e5m2"])
def test_floats_to_integers(source: str, target: str) -> None:
    edges = [x for p in range(66) for x in (2.0**p, 2.0**p - 1, 2.0**p - 0.5, 2.0**p + 0.5)]
    values = np.array([0.5, 1.5, 2.5, np.nan, np.inf, 1e-9, 300.7, *edges], np.float64)
    values = np.concatenate([values, -values]).astype(np.float32 if source != "f64" else np.float64)
    with np.errstate(all="ignore"):
        values = values.astype(DTYPES[source])
    limits = np.iinfo(numpy_name(target))
    told: list[Unusual] = []
    got = np.frombuffer(cast(values.tobytes(), {"from": source, "to": target}, 0, told.append), numpy_name(target))
    exact = [float(x) for x in values]
    assert got.tolist() == [python_rounded(x, int(limits.min), int(limits.max)) for x in exact]
    finite = [x for x in exact if np.isfinite(x)]
    outside = sum(not limits.min <= round(Fraction(x)) <= limits.max for x in finite)
    infinite = sum(abs(x) == np.inf for x in exact)
    assert sum_of(told) == Unusual(len(exact) - len(finite) - infinite, infinite, outside)


def numpy_name(name: str) -> np.dtype:
    return np.dtype(("int" if name[0] == "i" else "uint") + name[1:])


@pytest.mark.parametrize("target", [*INTS, *DTYPES])
@pytest.mark.parametrize("source", [*INTS, "bool"])
def test_integers(source: str, target: str) -> None:
    """To integers: the nearest that fits. To floats: the nearest of the exact integer."""
    if source == "bool":
        values = np.array([0, 1, 1, 0], np.uint8)
    else:
        limits = np.iinfo(numpy_name(source))
        raw = {s * (2**p) + d for p in range(65) for d in (-1, 0, 1, 2**p >> 9, (2**p >> 9) + 1) for s in (1, -1)}
        values = np.array(sorted(v for v in raw if limits.min <= v <= limits.max), numpy_name(source))
    raw_out = cast(values.tobytes(), {"from": source, "to": target})
    if target in INTS:
        low, high = (int(n) for n in (np.iinfo(numpy_name(target)).min, np.iinfo(numpy_name(target)).max))
        got = np.frombuffer(raw_out, numpy_name(target))
        assert got.tolist() == [min(max(int(v), low), high) for v in values]
        return
    got = np.frombuffer(raw_out, DTYPES[target]).astype(np.float64)
    for value, made in zip(values.tolist(), got.tolist(), strict=True):
        if not np.isfinite(made) or (target == "f8_e4m3" and abs(made) == 448):
            assert abs(value) >= 240
            continue
        up, down = (float(neighbour(made, target, d)) for d in (1, -1))
        for other in (up, down):
            if np.isfinite(other):
                assert abs(Fraction(made) - value) <= abs(Fraction(other) - value)


def neighbour(value: float, target: str, direction: int) -> np.ndarray:
    return np.nextafter(np.array(value, DTYPES[target]), np.array(direction * np.inf if "8_e4" not in target
                        and "fnuz" not in target else direction * 240.0, DTYPES[target]))  # fmt: skip


def test_what_cannot_be_cast() -> None:
    for source, target in (("c64", "f32"), ("f32", "bool"), ("i4", "i8"), ("f32", "f4_e2m1")):
        with pytest.raises(UnsupportedError):
            cast(b"", {"from": source, "to": target})
