"""Arithmetic kernels, one thread: quantize and dequantize against ggml's own functions, casts against memcpy."""

from __future__ import annotations

import ctypes
import os
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np

from modelglot.core.encoding import BLOCKS
from modelglot.kernels import native
from modelglot.kernels.native import KINDS
from modelglot.kernels.quantize import NEEDS_IMPORTANCES, TYPES, WEIGHTED
from modelglot.testing import blocks

N = 1 << 19  # weights: 2 MiB of f32, what the engine hands to a kernel at once
ROW = 4096
LEAST, ROUNDS = 0.05, 5  # CPU seconds of a measurement; measurements of each side, in turn
BARS = {"q4_k": 8, "q5_k": 8, "q2_k": 7, "q6_k": 5, "iq4_nl": 10, "q3_k": 2, "q8_0": 4}
CASTS = [("f32", "f16"), ("f32", "bf16"), ("f16", "f32"), ("bf16", "f32"), ("f16", "bf16"), ("bf16", "f16")]


def seconds(run: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    calls, began = 0, time.process_time()
    while (spent := time.process_time() - began) < LEAST or not calls:
        run()
        calls += 1
    return spent / calls


def against(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float, float]:
    """(our seconds, their seconds, median of theirs / ours), measured in turn after a warm-up."""
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    return (min(p[0] for p in pairs), min(p[1] for p in pairs), statistics.median(p[1] / p[0] for p in pairs))


def row(case: str, result: tuple[float, float, float], bar: float, peer: str, **more: object) -> dict:
    mine, other, ratio = result
    ours, theirs = round(N / mine / 1e6, 1), round(N / other / 1e6, 1)
    return {
        "case": case, "ratio": round(ratio, 2), "ok": ratio >= bar, "bar": f">= {bar}", "peer": peer, **more,
        "ours_m_per_cpu_s": ours, "peer_m_per_cpu_s": theirs,
        "measured": f"{ratio:.2f} of {peer}: {ours:,.0f} against {theirs:,.0f} M weights/s",
    }  # fmt: skip


def run() -> Iterator[dict]:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    lib, ggml = native.library(), blocks.oracle()
    if lib is None or ggml is None:
        yield {"case": "kernels", "ok": False, "bar": "compiled kernels and the kernels-oracle extra",
               "measured": native.status().why}  # fmt: skip
        return
    peer = f"ggml {ggml.version}"
    yield from quantizing(lib, ggml, peer)
    yield from dequantizing(lib, ggml, peer)
    yield from casting(lib)


def quantizing(lib: native.Native, ggml: blocks.Oracle, peer: str) -> Iterator[dict]:
    x = np.ascontiguousarray(dict(blocks.families(N))["normal"])
    importance = blocks.Numbers("bench", ROW).normal("w") ** 2
    for kind in sorted(TYPES):
        for w in (None, importance):
            if kind in NEEDS_IMPORTANCES if w is None else kind not in WEIGHTED:
                continue
            mine = np.zeros(N // BLOCKS[kind].elements * BLOCKS[kind].bytes, np.uint8)
            other, call = mine.copy(), lib.quantizer(kind, w is not None)
            pointer = w.ctypes.data if w is not None else None
            result = against(
                lambda call=call, mine=mine, p=pointer: call(x.ctypes.data, 0, mine.ctypes.data, N, ROW, p),
                lambda kind=kind, other=other, w=w: ggml.quantize(kind, x, ROW, w, other),
            )
            case = f"quantize {kind}" + (" with importances" if w is not None else "")
            made = row(
                case, result, BARS.get(kind, 1.2), peer, level=lib.level, identical=mine.tobytes() == other.tobytes()
            )
            yield {**made, "ok": made["ok"] and made["identical"]}


def dequantizing(lib: native.Native, ggml: blocks.Oracle, peer: str) -> Iterator[dict]:
    from gguf import GGMLQuantizationType, quants

    x = np.ascontiguousarray(dict(blocks.families(N))["normal"])
    importance = np.ones(ROW, np.float32)
    for kind in sorted(blocks.GGML):
        block = BLOCKS[kind]
        q = np.random.default_rng(0).integers(0, 256, N // block.elements * block.bytes, dtype=np.uint8)
        if kind in TYPES:
            ggml.quantize(kind, x, ROW, importance if kind in NEEDS_IMPORTANCES else None, q)
        mine, call = np.zeros(N, np.float32), lib.dequantizer(kind)
        other = mine.copy()
        result = against(
            lambda call=call, q=q, mine=mine: call(q.ctypes.data, mine.ctypes.data, 0, N),
            lambda kind=kind, q=q, other=other: ggml.dequantize(kind, q, other),
        )
        same = bool((np.isnan(mine) & np.isnan(other) | (mine.view(np.uint32) == other.view(np.uint32))).all())
        made = row(f"dequantize {kind}", result, 3 if kind == "q6_k" else 1, peer, level=lib.level, identical=same)
        yield {**made, "ok": made["ok"] and same}
        number = getattr(GGMLQuantizationType, kind.upper(), None)
        if number in quants._type_traits:
            result = against(
                lambda call=call, q=q, mine=mine: call(q.ctypes.data, mine.ctypes.data, 0, N),
                lambda number=number, q=q: quants.dequantize(q, number),
            )
            yield row(f"dequantize {kind} against gguf", result, 10, "the gguf package")


def casting(lib: native.Native) -> Iterator[dict]:
    counts = np.zeros(3, np.int64)
    for source, target in CASTS:
        sizes = [4 if t == "f32" else 2 for t in (source, target)]
        values = np.ascontiguousarray(dict(blocks.families(N))["normal"])
        data = values.astype("<f2") if source == "f16" else values if source == "f32" else values.view("<u4") >> 16
        data = data.astype("<u2") if source == "bf16" else data
        out, moved = np.zeros(N * sizes[1], np.uint8), N * sum(sizes) // 2  # memcpy reads and writes as many bytes
        a, b = np.full(moved, 1, np.uint8), np.full(moved, 2, np.uint8)  # written: zeros would all be one page
        call = lib.caster()
        result = against(
            lambda call=call, data=data, out=out, a=KINDS[source], b=KINDS[target]: call(
                data.ctypes.data, a, N, out.ctypes.data, b, counts.ctypes.data
            ),
            lambda a=a, b=b, moved=moved: ctypes.memmove(b.ctypes.data, a.ctypes.data, moved),
        )
        yield row(f"cast {source} to {target}", result, 0.8, "memcpy", level=lib.level)
