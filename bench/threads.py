"""0.5 B weights, f16 GGUF to q4_k_m: the whole command on two threads against one, where two cores are free."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from bench.measure import modelglot, pairs
from bench.models import WORK, settle, warm
from bench.quantize_vs_llama import MODEL


def run() -> Iterator[dict]:
    WORK.mkdir(exist_ok=True)
    source, out = WORK / "half-b-f16.gguf", WORK / "ours.gguf"
    if not source.exists():
        subprocess.run([sys.executable, "-c", MODEL, str(source)], check=True)
    warm(source)
    arguments = ("--force", "--type", "q4_k_m", str(source), str(out))
    two, one = (modelglot("quantize", "--threads", str(count), *arguments) for count in (2, 1))
    row = pairs(two, one, runs=3)
    settle(out)
    measured = f"{row['ratio']}x ({row['peer']['wall_s']} s to {row['ours']['wall_s']} s)"
    yield {"case": "2 threads against 1", **row, "ok": row["ratio"] >= 1.7, "measured": measured, "bar": ">= 1.7x"}
