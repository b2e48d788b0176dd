"""Planning a conversion of 100,000 tensors, and whether the time is linear in tensors."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from bench.models import WORK


def run() -> Iterator[dict]:
    from modelglot.api import make_plan

    WORK.mkdir(exist_ok=True)
    seconds = {}
    for count in (25_000, 50_000, 100_000):
        path = WORK / f"{count}.safetensors"
        _write(path, count)
        times = []
        for _ in range(3):
            began = time.perf_counter()
            made, _ = make_plan(path, WORK / "out.safetensors")
            times.append(time.perf_counter() - began)
        seconds[count] = round(min(times), 3)
        path.unlink()
        assert len(made.steps) == count
    per = {n: s / n * 1e6 for n, s in seconds.items()}
    linear = max(per.values()) <= 1.5 * min(per.values())
    yield {
        "case": "plan of 100,000 tensors",
        "seconds": seconds,
        "ok": seconds[100_000] <= 3 and linear,
        "measured": f"{seconds[100_000]} s; {per[25_000]:.1f} -> {per[100_000]:.1f} us a tensor",
        "bar": "<= 3 s, linear",
    }

    for suffix in ("gguf", "pt"):
        yield _other(suffix)


def _other(suffix: str) -> dict:
    """The same number of tensors from another format, to safetensors."""
    import numpy as np

    import modelglot as mg
    from modelglot.api import make_plan

    path, base = WORK / f"many.{suffix}", np.arange(64, dtype=np.float32)
    mg.save({f"model.layers.{i // 10}.block.{i % 10}.weight": base + i for i in range(100_000)}, path)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        make_plan(path, WORK / "out.safetensors")
        times.append(time.perf_counter() - began)
    path.unlink()
    best = round(min(times), 2)
    return {
        "case": f"plan of 100,000 tensors from .{suffix}",
        "ok": best <= 3,
        "measured": f"{best} s",
        "bar": "<= 3 s",
    }


def _write(path: Path, count: int) -> None:
    """A sparse file: headers only."""
    entries = {
        f"model.layers.{i // 10}.block.{i % 10}.weight": {
            "dtype": "BF16",
            "shape": [64, 64],
            "data_offsets": [i * 8192, (i + 1) * 8192],
        }
        for i in range(count)
    }
    header = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + count * 8192)
