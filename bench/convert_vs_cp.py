"""2 GB bf16 .bin -> safetensors, verified and synced, against `cp` of the same file and a sync, warm cache."""

from __future__ import annotations

from collections.abc import Iterator

from bench.measure import modelglot, pairs
from bench.models import WORK, settle, torch_bin


def run() -> Iterator[dict]:
    source, target = torch_bin(2), WORK / "out.safetensors"
    ours = modelglot("convert", "--force", str(source), str(target))
    cp = ["sh", "-c", f"cp {source} {target} && sync {target}"]
    row = pairs(ours, cp, before=lambda: settle(target))
    settle(target)
    yield {
        "case": "2 GB bin to safetensors against cp",
        **row,
        "ok": row["ratio"] >= 0.8,
        "measured": f"{row['ratio']} of cp's throughput",
        "bar": ">= 0.8",
    }
