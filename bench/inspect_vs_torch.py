"""`inspect --json` of 2 GB: the .bin against torch.load(mmap=True) and printing the names, other formats against the
safetensors file of the same tensors; whole commands."""

from __future__ import annotations

from collections.abc import Iterator

from bench.measure import PYTHON, modelglot, pairs
from bench.models import LARGE, safetensors_of, torch_bin

PEER = """
import sys, torch
for name, tensor in torch.load(sys.argv[1], mmap=True, weights_only=True).items():
    print(name, tensor.dtype, tensor.shape)
"""


def run() -> Iterator[dict]:
    source = str(torch_bin(2))
    row = pairs(modelglot("inspect", "--json", source), [PYTHON, "-c", PEER, source], runs=9)
    yield {
        "case": "inspect of 2 GB against torch.load",
        **row,
        "ok": row["ratio"] >= 10,
        "measured": f"{row['ratio']}x faster",
        "bar": ">= 10x",
    }
    for name, made in LARGE.items():
        path = made(2)
        twin = modelglot("inspect", "--json", str(safetensors_of(path)))
        row = pairs(twin, modelglot("inspect", "--json", str(path)), runs=9)
        yield {
            "case": f"inspect of 2 GB {name} against safetensors",
            **row,
            "ok": row["ratio"] <= 3,
            "measured": f"{row['ratio']}x the time",
            "bar": "<= 3x",
        }
