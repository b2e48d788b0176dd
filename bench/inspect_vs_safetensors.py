"""`inspect --json` of 2 GB in other formats against that of the same tensors as safetensors, whole commands."""

from __future__ import annotations

from collections.abc import Iterator

from bench.measure import modelglot, pairs
from bench.models import safetensors, tf_checkpoint


def run() -> Iterator[dict]:
    peer = modelglot("inspect", "--json", str(safetensors(2)))
    for name, path in (("TF checkpoint", tf_checkpoint(2)),):
        row = pairs(modelglot("inspect", "--json", str(path)), peer, runs=9)
        slower = round(1 / row["ratio"], 2)
        yield {
            "case": f"inspect of a 2 GB {name} against safetensors",
            **row,
            "ok": slower <= 3,
            "measured": f"{slower}x the time",
            "bar": "<= 3x",
        }
