"""2 GB bf16 .bin -> safetensors against torch.load and safetensors.torch.save_file, whole commands, warm cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.measure import PYTHON, modelglot, pairs
from bench.models import WORK, settle, torch_bin, warm

PEER = """
import os, sys, torch
from safetensors.torch import save_file
save_file(torch.load(sys.argv[1], weights_only=True), sys.argv[2])
if sys.argv[3] == "sync":
    os.fsync(os.open(sys.argv[2], os.O_RDONLY))
"""


def run() -> Iterator[dict]:
    source = torch_bin(2)
    yield from _case(source, WORK / "out.safetensors", "on disk, both synced")
    memory = Path("/dev/shm/modelglot-bench")
    if memory.parent.is_dir():
        memory.mkdir(exist_ok=True)
        try:
            copy = memory / source.name
            copy.write_bytes(b"")
            with source.open("rb") as a, copy.open("wb") as b:
                while block := a.read(1 << 24):
                    b.write(block)
            warm(copy)
            yield from _case(copy, memory / "out.safetensors", "in memory, no disk")
        finally:
            settle(memory)


def _case(source: Path, target: Path, name: str) -> Iterator[dict]:
    ours = modelglot("convert", "--force", str(source), str(target))
    peer = [PYTHON, "-c", PEER, str(source), str(target), "sync"]
    row = pairs(ours, peer, before=lambda: settle(target))
    settle(target)
    cpu = row["peer"]["cpu_s"] / row["ours"]["cpu_s"]
    yield {
        "case": f"2 GB against torch {name}",
        **row,
        "ok": row["ratio"] >= 5,
        "measured": f"{row['ratio']}x faster, {cpu:.1f}x less CPU",
        "bar": ">= 5x",
    }
