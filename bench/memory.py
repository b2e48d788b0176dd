"""Peak memory of a conversion to safetensors, of 2 GB and of 8 GB models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from bench.measure import modelglot
from bench.measure import run as run_once
from bench.models import LARGE, WORK, settle, torch_bin


def run() -> Iterator[dict]:
    yield _row("bin", torch_bin, 8)
    for name, made in LARGE.items():
        yield _row(name, made, 3)


def _row(name: str, made: Callable[[int], Path], large: int) -> dict:
    peaks = {}
    for gigabytes in (2, large):
        source, target = made(gigabytes), WORK / "out.safetensors"
        settle(target)
        peaks[gigabytes] = run_once(modelglot("convert", "--force", str(source), str(target))).peak / 1e6
        settle(target)
    return {
        "case": f"peak of a conversion of {name}",
        "peak_mb": peaks,
        "ok": max(peaks.values()) <= 96 and abs(peaks[2] - peaks[large]) <= 5,
        "measured": f"{peaks[2]:.1f} MB for 2 GB, {peaks[large]:.1f} MB for {large} GB",
        "bar": "<= 96 MB, equal for both",
    }
