"""2 GB bf16, verified and synced, against `cp` of the same file and a sync, warm cache: from and to several formats."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.measure import modelglot, pairs
from bench.models import WORK, settle, tf_checkpoint, torch_bin


def run() -> Iterator[dict]:
    checkpoint = tf_checkpoint(2)
    yield against_cp("2 GB bin to safetensors", torch_bin(2), torch_bin(2), WORK / "out.safetensors", 0.8)
    data = checkpoint.with_name(checkpoint.stem + ".data-00000-of-00001")
    yield against_cp("2 GB TF checkpoint to safetensors", checkpoint, data, WORK / "out.safetensors", 0.7)
    yield against_cp(
        "2 GB bin to TF checkpoint", torch_bin(2), torch_bin(2), WORK / "out", 0.7, "--to", "tf-checkpoint"
    )


def against_cp(case: str, source: Path, weights: Path, target: Path, bar: float, *options: str) -> dict:
    """``weights`` is the file with the bytes, which cp copies."""
    copy = WORK / "copy"
    ours = modelglot("convert", "--force", *options, str(source), str(target))
    cp = ["sh", "-c", f"cp {weights} {copy} && sync {copy}"]

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
