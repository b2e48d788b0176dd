"""Quantizing: the bytes of ggml, on every level and in numpy; recorded digests where ggml is not installed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from modelglot.core.encoding import BLOCKS
from modelglot.core.errors import InvalidFileError, UnsupportedError
from modelglot.kernels.quantize import TYPES, WEIGHTED, quantize
from modelglot.testing import blocks

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())
ROW, COUNT = 768, 768 * 6  # three super-blocks a row: batches of lanes end within rows
CASES = [(t, w) for t in sorted(TYPES) for w, _ in blocks.importances(ROW) if w == "none" or t in WEIGHTED]


def weights(name: str) -> np.ndarray | None:
    return dict(blocks.importances(ROW))[name]


def ours(kind: str, x: np.ndarray, w: np.ndarray | None, row: int = ROW) -> bytes:
    return bytes(quantize(x.tobytes(), {"to": kind, "row": row, **({"imatrix": w.tobytes()} if w is not None else {})}))


def digest(kind: str, w: np.ndarray | None) -> str:
    return hashlib.sha256(b"".join(ours(kind, x, w) for _, x in blocks.families(COUNT))).hexdigest()


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_the_recorded_bytes(kind: str, name: str, level: str) -> None:
    assert digest(kind, weights(name)) == GOLDEN["quantize"][kind][name]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_the_bytes_of_ggml(kind: str, name: str, ggml: blocks.Oracle) -> None:
    w, block = weights(name), BLOCKS[kind]
    for family, x in blocks.families(COUNT, seed="oracle"):
        x = np.ascontiguousarray(x)
        theirs = np.zeros((COUNT // block.elements, block.bytes), np.uint8)
        ggml.quantize(kind, x, ROW, w, theirs)
        differ = (np.frombuffer(ours(kind, x, w), np.uint8).reshape(theirs.shape) != theirs).any(axis=1)
        assert not differ.any(), (
            f"{family}: {differ.sum()} of {len(theirs)} blocks differ, the first at {differ.argmax()}"
        )


def weights_like(rng: np.random.Generator, shape: int, size: int) -> np.ndarray:
    """float32 numbers as models have them: five distributions at scales from 1e-4 to 1."""
    x = rng.standard_t(3, size) if shape == 1 else rng.laplace(size=size) if shape == 2 else rng.standard_normal(size)
    x = x.astype(np.float16) if shape == 3 else x + 1 if shape == 4 else x
    return x.astype(np.float32) * np.float32(10.0 ** rng.integers(-4, 1))


@pytest.mark.skipif("MODELGLOT_BLOCKS" not in os.environ, reason="MODELGLOT_BLOCKS=1000000 compares so many blocks")
@pytest.mark.parametrize(("kind", "name"), [c for c in CASES if c[1] in ("none", "squares")])
def test_a_million_blocks(kind: str, name: str, ggml: blocks.Oracle) -> None:
    block, left, number = BLOCKS[kind], int(os.environ["MODELGLOT_BLOCKS"]), 0
    row = 4096
    w = dict(blocks.importances(row))[name]
    while left > 0:
        size = min(-(-left * block.elements // row), 2048) * row
        x = weights_like(np.random.default_rng(number), number % 5, size)
        theirs = np.zeros(size // block.elements * block.bytes, np.uint8)
        ggml.quantize(kind, x, row, w, theirs)
        assert ours(kind, x, w, row) == theirs.tobytes(), f"piece {number}"
        left, number = left - size // block.elements, number + 1


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("source", ["f16", "bf16"])
def test_halves_are_widened_first(kind: str, source: str, level: str) -> None:
    x = (dict(blocks.families(2048))["heavy tails"]).astype(np.float32)
    stored = x.astype("<f2") if source == "f16" else (x.view("<u4") >> 16).astype("<u2")
    wide = stored.astype("<f4") if source == "f16" else (stored.astype("<u4") << 16).view("<f4")
    assert quantize(stored.tobytes(), {"to": kind, "from": source}) == quantize(wide.tobytes(), {"to": kind})


@pytest.mark.parametrize("count", [1, 7, 33])
@pytest.mark.parametrize("kind", ["q8_0", "q4_0", "iq4_nl", "q4_k", "q3_k", "iq4_xs"])
def test_any_number_of_blocks(kind: str, count: int, level: str) -> None:
    """Batches that are not full give what full ones give; and so does a buffer at an odd address."""
    block = BLOCKS[kind]
    x = dict(blocks.families(block.elements * 64))["normal"]
    whole = bytes(quantize(x.tobytes(), {"to": kind}))
    part = b"?" + x[: count * block.elements].tobytes()
    assert quantize(memoryview(part)[1:], {"to": kind}) == whole[: count * block.bytes]
    assert bytes(quantize(b"", {"to": kind})) == b""


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_what_blocks_cannot_hold(kind: str, level: str) -> None:
    x = np.ones(512, np.float32)
    x[[3, 300]] = np.inf, np.nan
    with pytest.raises(UnsupportedError, match="2 of 512 values are infinite or not a number"):
        quantize(x.tobytes(), {"to": kind})
    if kind in WEIGHTED:
        with pytest.raises(UnsupportedError, match="2 of 512 values"):
            quantize(x.tobytes(), {"to": kind, "imatrix": np.ones(256, np.float32).tobytes()})


def test_wrong_lengths() -> None:
    with pytest.raises(InvalidFileError, match="no whole number of `q4_k` blocks"):
        quantize(bytes(4 * 100), {"to": "q4_k"})
    with pytest.raises(InvalidFileError, match="importances"):
        quantize(bytes(4 * 256), {"to": "q4_k", "imatrix": bytes(4 * 255)})
    with pytest.raises(InvalidFileError, match="negative"):
        quantize(bytes(4 * 256), {"to": "q4_k", "imatrix": np.full(256, -1, np.float32).tobytes()})
    with pytest.raises(UnsupportedError, match="no quantizer for `q8_k`"):
        quantize(bytes(4 * 256), {"to": "q8_k"})
