"""`inspect --json` of the 2 GB .bin against torch.load(mmap=True) and printing the names, whole commands."""

from __future__ import annotations

from collections.abc import Iterator

from bench.measure import PYTHON, modelglot, pairs
from bench.models import torch_bin

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
