"""2 GB to safetensors, verified and synced, against `cp` of the same file and a sync, warm cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.measure import modelglot, pairs
from bench.models import LARGE, WORK, settle, torch_bin


def run() -> Iterator[dict]:
    yield _row("bin", torch_bin(2), 0.8)
    for name, made in LARGE.items():
        yield _row(name, made(2), 0.7)


def _row(name: str, source: Path, bar: float) -> dict:
    target = WORK / "out.safetensors"
    ours = modelglot("convert", "--force", str(source), str(target))
    cp = ["sh", "-c", f"cp {source} {target} && sync {target}"]
    row = pairs(ours, cp, before=lambda: settle(target))
    settle(target)
    return {
        "case": f"2 GB {name} to safetensors against cp",
        **row,
        "ok": row["ratio"] >= bar,
        "measured": f"{row['ratio']} of cp's throughput",
        "bar": f">= {bar}",
    }
