"""The header of a GGUF with 152,064 tokens against the gguf package's GGUFReader; memory of the whole command."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

from bench.measure import modelglot
from bench.measure import run as run_once
from bench.models import big_vocabulary


def run() -> Iterator[dict]:
    path = str(big_vocabulary())
    peak = run_once(modelglot("inspect", "--json", path)).peak / 1e6  # before this process grows: see models._made
    from gguf import GGUFReader

    import modelglot as mg

    mg.open(path).close()
    ours, theirs = [], []
    for _ in range(5):
        ours.append(_seconds(lambda: mg.open(path).close()))
        theirs.append(_seconds(lambda: GGUFReader(path)))
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    yield {
        "case": "header of a 152k-token GGUF",
        "ratio": round(ratio, 1),
        "ours_s": round(statistics.median(ours), 4),
        "peer_s": round(statistics.median(theirs), 3),
        "peak_mb": round(peak, 1),
        "ok": ratio >= 50 and peak <= 64,
        "measured": f"{ratio:.0f}x faster, {peak:.1f} MB",
        "bar": ">= 50x, <= 64 MB",
    }


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
