"""2 GB from and to several formats, verified and synced, against `cp` of the same bytes and a sync, warm cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.measure import modelglot, pairs
from bench.models import LARGE, WORK, bulk, settle, torch_bin


def run() -> Iterator[dict]:
    yield _row("2 GB bin to safetensors", torch_bin(2), WORK / "out.safetensors", 0.8)
    for name, made in LARGE.items():
        yield _row(f"2 GB {name} to safetensors", made(2), WORK / "out.safetensors", 0.7)
    yield _row("2 GB bin to TF checkpoint", torch_bin(2), WORK / "out", 0.7, "--to", "tf-checkpoint")


def _row(case: str, source: Path, target: Path, bar: float, *options: str) -> dict:
    copy = WORK / "copy"
    ours = modelglot("convert", "--force", *options, str(source), str(target))
    cp = ["sh", "-c", f"cp {bulk(source)} {copy} && sync {copy}"]

    def before() -> None:
        settle(target)
        settle(copy)

    row = pairs(ours, cp, before=before)
    before()
    return {
        "case": f"{case} against cp",
        **row,
        "ok": row["ratio"] >= bar,
        "measured": f"{row['ratio']} of cp's throughput, {row['ours']['peak_mb']} MB",
        "bar": f">= {bar}",
    }
