"""What quantizers are tested with: numbers that reach every corner, and ggml itself as the oracle.

The numbers come from SHAKE-256 and exact arithmetic, so that they are the same bits everywhere and a recorded digest of
their blocks means something. The oracle is the `xllamacpp` wheel, whose extension exports ggml's own functions.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
F = np.float32

# ggml's numbers of the block types (ggml.h), figures only.
GGML = {
    "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "q2_k": 10, "q3_k": 11, "q4_k": 12, "q5_k": 13, "q6_k": 14,
    "iq2_xxs": 16, "iq2_xs": 17, "iq3_xxs": 18, "iq1_s": 19, "iq4_nl": 20, "iq3_s": 21, "iq2_s": 22, "iq4_xs": 23,
    "iq1_m": 29, "tq1_0": 34, "tq2_0": 35, "mxfp4": 39, "nvfp4": 40, "q1_0": 41, "q2_0": 42,
}  # fmt: skip


class Numbers:
    """Reproducible numbers of any length, a fresh stream a name."""

    def __init__(self, seed: str, count: int) -> None:
        self.seed, self.count = seed, count

    def integers(self, name: str, high: int, each: int = 1) -> Array:
        """(count / each) integers in 0..high - 1 (high <= 65536), each repeated."""
        n = -(-self.count // each)
        raw = hashlib.shake_256(f"{self.seed}:{name}".encode()).digest(4 * n)
        return np.repeat((np.frombuffer(raw, "<u4").astype(np.uint64) * high >> 32).astype(np.int64), each)[
            : self.count
        ]

    def normal(self, name: str, each: int = 1) -> Array:
        """Nearly normal, variance 1: eight uniform numbers added."""
        parts = np.sum([self.integers(f"{name}{i}", 65536, each) for i in range(8)], axis=0)
        return np.asarray((parts - 8 * 65535 // 2).astype(np.float32) / F(53509.0), np.float32)

    def chance(self, name: str, percent: int) -> Array:
        return self.integers(name, 100) < percent


def families(count: int, seed: str = "blocks") -> Iterator[tuple[str, Array]]:
    """(name, float32 of ``count``): distributions of weights, and the edges where quantizers differ. All finite."""
    r = Numbers(seed, count)
    n, at = r.normal("n"), np.arange(count)
    half = np.where(r.chance("sign", 50), F(1), F(-1))

    def power(name: str, low: int, high: int, each: int) -> Array:
        return np.asarray(np.ldexp(F(1), (r.integers(name, high - low, each) + low).astype(np.int32)))

    yield "normal", n * F(0.02)
    yield "heavy tails", n / (np.abs(r.normal("d")) + F(0.05))
    yield "outliers", np.where(r.chance("out", 1), n * F(100), n * F(0.01))
    yield "uniform", r.integers("u", 65536).astype(np.float32) / F(32768) - F(1)
    yield "from f16", (n * F(0.05)).astype(np.float16).astype(np.float32)
    yield "from bf16", ((n * F(0.05)).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    yield "offset", n * F(1e-3) + F(1)
    yield "offset down", n * F(1e-5) - F(1)
    yield "last bits", F(-1) - r.integers("l", 4).astype(np.float32) * F(2.0**-23)
    yield "positive", np.abs(n)
    yield "negative", -np.abs(n)
    yield "zeros", np.zeros(count, np.float32)
    yield "zeros of both signs", half * F(0)
    yield "rectified", np.where(half > 0, np.maximum(n, F(0)), F(-0.0))
    yield "constant", np.full(count, 0.37, np.float32)
    yield "constant down", np.full(count, -1.7, np.float32)
    yield "constant by 16", r.normal("c", 16)
    yield "constant by 32", r.normal("c", 32)
    yield "plus and minus", half * F(0.3)
    yield "ties", (r.integers("t", 33) - 16).astype(np.float32) / F(8)
    yield "half ties", (r.integers("h", 254) - F(126.5)).astype(np.float32) / F(127)
    yield "integers", (r.integers("i", 16) - 8).astype(np.float32)
    yield "one in 256", np.where(at % 256 == 77, F(3), F(0))
    yield "one in 32", np.where(at % 32 == 7, n, F(0))
    yield "sparse", np.where(r.chance("sparse", 3), n, F(0))
    yield "smallest", (r.integers("s", 7) - 3).astype(np.float32) * F(2.0**-149)
    yield "denormal", (r.integers("s2", 401) - 200).astype(np.float32) * F(2.0**-149)
    yield "denormal range", n * F(1e-39)
    yield "1e-30", n * F(1e-30)
    yield "1e-15", n * F(1e-15)
    yield "1e30", n * F(1e30)
    yield "1e37", n * F(1e37)
    yield "any magnitude", half * power("p", -149, 127, 1) * (np.abs(n) / F(16) + F(1))
    yield "any magnitude by 32", n * power("p", -149, 123, 32)
    yield "any magnitude by 256", n * power("p", -149, 123, 256)
    yield "mixed by 16", n * power("p", -20, 7, 16)
    yield "powers of two", half * power("p", -20, 20, 1)
    yield "below powers of two", np.nextafter(power("p", -120, 120, 1), F(0))


def families_of(kind: str, count: int, seed: str = "blocks") -> Iterator[tuple[str, Array]]:
    """`families` as far as ggml itself gets: with a codebook it aborts on numbers of about 1e12 and more."""
    for name, x in families(count, seed):
        if kind[:3] in ("iq1", "iq2", "iq3"):
            x = np.where(np.abs(x) > F(2.0**30), np.ldexp(x, -100), x)
        yield name, np.ascontiguousarray(x, np.float32)


def importances(row: int) -> Iterator[tuple[str, Array | None]]:
    """(name, one non-negative float32 a column, or None)."""
    r = Numbers("importances", row)
    yield "none", None
    yield "squares", r.normal("w") ** 2
    yield "some zero", np.where(r.chance("z", 30), F(0), np.abs(r.normal("a")))
    yield (
        "any magnitude",
        np.ldexp(F(1), (r.integers("p", 40) - 20).astype(np.int32)) * (np.abs(r.normal("b")) + F(0.1)),
    )


def imatrix_dat(columns: Mapping[str, int]) -> bytes:
    """An importance matrix as llama.cpp's older ``imatrix.dat``: for each tensor name so many positive weights."""
    data = struct.pack("<i", len(columns))
    for name, count in columns.items():
        values = Numbers(name, count).normal("importance") ** 2 + F(0.01)
        data += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", 1, count)
        data += values.astype("<f4").tobytes()
    return data


class Oracle:
    """ggml, from the `xllamacpp` wheel. Raises FileNotFoundError without it, OSError where it does not load."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("xllamacpp")
        if spec is None or not spec.submodule_search_locations:
            raise FileNotFoundError("the `xllamacpp` wheel is not installed: pip install 'modelglot[kernels-oracle]'")
        found = [*Path(spec.submodule_search_locations[0]).glob("*.so")]
        self.library = ctypes.CDLL(str(found[0]))
        self.library.ggml_version.restype = ctypes.c_char_p
        self.library.ggml_quantize_chunk.restype = ctypes.c_size_t
        self.version = str(self.library.ggml_version().decode())

    def quantize(self, name: str, x: Array, row: int, weights: Array | None, out: Array) -> None:
        pointer = ctypes.c_void_p(weights.ctypes.data) if weights is not None else None
        rows = ctypes.c_int64(x.size // row)
        self.library.ggml_quantize_chunk(
            GGML[name], ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(out.ctypes.data), ctypes.c_int64(0), rows,
            ctypes.c_int64(row), pointer,
        )  # fmt: skip

    def dequantize(self, name: str, blocks: Array, out: Array) -> None:
        run = getattr(self.library, f"dequantize_row_{name[:-1] + 'K' if name.endswith('_k') else name}")
        run(ctypes.c_void_p(blocks.ctypes.data), ctypes.c_void_p(out.ctypes.data), ctypes.c_int64(out.size))


@cache
def oracle() -> Oracle | None:
    """The oracle, or None without it; with ``MODELGLOT_REQUIRE_ORACLES=1`` its absence raises FileNotFoundError."""
    try:
        return Oracle()
    except (OSError, AttributeError):
        if os.environ.get("MODELGLOT_REQUIRE_ORACLES") == "1":
            raise
        return None
