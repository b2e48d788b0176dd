"""Quantizing: the bytes of ggml, on every level and in numpy; recorded digests where ggml is not installed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from modelglot.core.encoding import BLOCKS
from modelglot.core.errors import InvalidFileError, UnsupportedError
from modelglot.kernels.quantize import NEEDS_IMPORTANCES, TYPES, WEIGHTED, quantize
from modelglot.testing import blocks

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())
ROW, COUNT = 768, 768 * 6  # three super-blocks a row: batches of lanes end within rows
CASES = [
    (t, w)
    for t in sorted(TYPES)
    for w, _ in blocks.importances(ROW)
    if (t not in NEEDS_IMPORTANCES if w == "none" else t in WEIGHTED)
]


def weights(name: str) -> np.ndarray | None:
    return dict(blocks.importances(ROW))[name]


def ours(kind: str, x: np.ndarray, w: np.ndarray | None, row: int = ROW) -> bytes:
    return bytes(quantize(x.tobytes(), {"to": kind, "row": row, **({"imatrix": w.tobytes()} if w is not None else {})}))


def digest(kind: str, w: np.ndarray | None) -> str:
    return hashlib.sha256(b"".join(ours(kind, x, w) for _, x in blocks.families_of(kind, COUNT))).hexdigest()


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_the_recorded_bytes(kind: str, name: str, level: str) -> None:
    assert digest(kind, weights(name)) == GOLDEN["quantize"][kind][name]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_the_bytes_of_ggml(kind: str, name: str, ggml: blocks.Oracle) -> None:
    w, block = weights(name), BLOCKS[kind]
    for family, x in blocks.families_of(kind, COUNT, seed="oracle"):
        theirs = np.zeros((COUNT // block.elements, block.bytes), np.uint8)
        ggml.quantize(kind, x, ROW, w, theirs)
        differ = (np.frombuffer(ours(kind, x, w), np.uint8).reshape(theirs.shape) != theirs).any(axis=1)
        assert not differ.any(), (
            f"{family}: {differ.sum()} of {len(theirs)} blocks differ, the first at {differ.argmax()}"
        )


def equal_importances(kind: str) -> dict[str, bytes]:
    """For types that cannot do without."""
    return {"imatrix": np.ones(256, np.float32).tobytes()} if kind in NEEDS_IMPORTANCES else {}


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
    params = {"to": kind, **equal_importances(kind)}
    assert quantize(stored.tobytes(), {**params, "from": source}) == quantize(wide.tobytes(), params)


@pytest.mark.parametrize("count", [1, 7, 33])
@pytest.mark.parametrize("kind", ["q8_0", "q4_0", "iq4_nl", "q4_k", "q3_k", "iq4_xs", "iq3_s", "iq2_xs", "iq1_s"])
def test_any_number_of_blocks(kind: str, count: int, level: str) -> None:
    """Batches that are not full give what full ones give; and so does a buffer at an odd address."""
    block = BLOCKS[kind]
    x = dict(blocks.families(block.elements * 64))["normal"]
    params = {"to": kind, **equal_importances(kind)}
    whole = bytes(quantize(x.tobytes(), params))
    part = b"?" + x[: count * block.elements].tobytes()
    assert quantize(memoryview(part)[1:], params) == whole[: count * block.bytes]
    assert bytes(quantize(b"", params)) == b""


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_what_blocks_cannot_hold(kind: str, level: str) -> None:
    x = np.ones(512, np.float32)
    x[[3, 300]] = np.inf, np.nan
    with pytest.raises(UnsupportedError, match="2 of 512 values are infinite or not a number"):
        quantize(x.tobytes(), {"to": kind, **equal_importances(kind)})
    if kind in WEIGHTED:
        with pytest.raises(UnsupportedError, match="2 of 512 values"):
            quantize(x.tobytes(), {"to": kind, "imatrix": np.ones(256, np.float32).tobytes()})


@pytest.mark.parametrize("kind", sorted(NEEDS_IMPORTANCES))
def test_types_that_need_importances(kind: str, level: str) -> None:
    with pytest.raises(UnsupportedError, match=f"`{kind}` needs importances"):
        quantize(bytes(4 * 256), {"to": kind})


@pytest.mark.parametrize("kind", ["iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s"])
def test_numbers_that_ggml_aborts_on(kind: str, level: str) -> None:
    """Errors beyond float32 choose some point of the codebook; the bytes are those of a block."""
    families = dict(blocks.families(COUNT))
    for name in ("1e30", "1e37", "any magnitude", "any magnitude by 256"):
        assert len(ours(kind, families[name], np.ones(ROW, np.float32))) == COUNT // 256 * BLOCKS[kind].bytes


def test_codebooks_are_built_once_by_many_threads() -> None:
    code = """
import threading
import numpy as np
from modelglot.kernels.quantize import quantize
x, gate, found = np.linspace(-1, 1, 2560, dtype=np.float32).tobytes(), threading.Barrier(8), []
def run():
    gate.wait()
    found.append(bytes(quantize(x, {"to": "iq2_s"})))
threads = [threading.Thread(target=run) for _ in range(8)]
[t.start() for t in threads], [t.join() for t in threads]
assert len(found) == 8 and len(set(found)) == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_wrong_lengths() -> None:
    with pytest.raises(InvalidFileError, match="no whole number of `q4_k` blocks"):
        quantize(bytes(4 * 100), {"to": "q4_k"})
    with pytest.raises(InvalidFileError, match="importances"):
        quantize(bytes(4 * 256), {"to": "q4_k", "imatrix": bytes(4 * 255)})
    with pytest.raises(InvalidFileError, match="negative"):
        quantize(bytes(4 * 256), {"to": "q4_k", "imatrix": np.full(256, -1, np.float32).tobytes()})
    with pytest.raises(UnsupportedError, match="no quantizer for `q8_k`"):
        quantize(bytes(4 * 256), {"to": "q8_k"})
