"""Dequantizing: random blocks of every type, against ggml, the `gguf` package, and recorded digests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from modelglot.core.encoding import BLOCKS
from modelglot.core.errors import InvalidFileError, UnsupportedError
from modelglot.kernels.dequantize import dequantize
from modelglot.testing import blocks

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())
COUNT = 300


def stored(kind: str) -> np.ndarray:
    """Random bytes: scales of every kind, also infinite ones and NaN."""
    size = BLOCKS[kind].bytes
    return blocks.Numbers(f"stored {kind}", COUNT * size).integers("q", 256).astype(np.uint8).reshape(COUNT, size)


def ours(kind: str, q: np.ndarray, to: str = "f32") -> np.ndarray:
    out = np.frombuffer(dequantize(q.tobytes(), {"from": kind, "to": to}), "<f4" if to == "f32" else "<u2")
    return out.reshape(len(q), -1)


def bits(x: np.ndarray) -> np.ndarray:
    """float32 as integers, with one NaN: which one an invalid product gives is the processor's choice."""
    return np.where(np.isnan(x), np.float32(np.nan), x).view(np.uint32)


@pytest.mark.parametrize("kind", sorted(BLOCKS))
def test_the_recorded_floats(kind: str, level: str) -> None:
    assert hashlib.sha256(bits(ours(kind, stored(kind))).tobytes()).hexdigest() == GOLDEN["dequantize"][kind]


@pytest.mark.parametrize("kind", sorted(set(BLOCKS) - {"q8_1"}))  # ggml reads q8_1 only in products
def test_the_floats_of_ggml(kind: str, ggml: blocks.Oracle) -> None:
    q = stored(kind)
    theirs = np.zeros((COUNT, BLOCKS[kind].elements), np.float32)
    ggml.dequantize(kind, q, theirs)
    assert np.array_equal(bits(ours(kind, q)), bits(theirs))


@pytest.mark.parametrize("kind", sorted(BLOCKS))
def test_the_floats_of_the_gguf_package(kind: str) -> None:
    quants = pytest.importorskip("gguf.quants")
    from gguf import GGMLQuantizationType

    number = getattr(GGMLQuantizationType, kind.upper(), None)
    if number not in quants._type_traits or kind in ("q8_1", "q8_k"):
        pytest.skip(f"the gguf package has no reader for {kind}")
    q = stored(kind)
    with np.errstate(all="ignore"):
        theirs = quants.dequantize(q, number)
    assert np.array_equal(bits(ours(kind, q)), bits(theirs.astype(np.float32)))


@pytest.mark.parametrize("kind", sorted(BLOCKS))
def test_straight_to_halves(kind: str, level: str) -> None:
    from modelglot.kernels.cast import cast

    q = stored(kind)
    for to in ("f16", "bf16"):
        two_steps = cast(ours(kind, q).tobytes(), {"from": "f32", "to": to})
        assert ours(kind, q, to).tobytes() == bytes(two_steps)


def test_what_it_refuses() -> None:
    with pytest.raises(InvalidFileError, match="no whole number of `q4_k` blocks of 144 bytes"):
        dequantize(bytes(145), {"from": "q4_k"})
    with pytest.raises(UnsupportedError, match="cannot dequantize to `i8`"):
        dequantize(bytes(144), {"from": "q4_k", "to": "i8"})
    assert bytes(dequantize(b"", {"from": "q4_k"})) == b""
