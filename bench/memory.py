"""Peak memory of .bin -> safetensors for 2 GB and 8 GB models."""

from __future__ import annotations

from collections.abc import Iterator

from bench.measure import modelglot
from bench.measure import run as run_once
from bench.models import WORK, settle, torch_bin


def run() -> Iterator[dict]:
    peaks = {}
    for gigabytes in (2, 8):
        source, target = torch_bin(gigabytes), WORK / "out.safetensors"
        settle(target)
        peaks[gigabytes] = run_once(modelglot("convert", "--force", str(source), str(target))).peak / 1e6
        settle(target)
    ok = max(peaks.values()) <= 96 and abs(peaks[2] - peaks[8]) <= 5
    yield {
        "case": "peak of a conversion",
        "peak_mb": peaks,
        "ok": ok,
        "measured": f"{peaks[2]:.1f} MB for 2 GB, {peaks[8]:.1f} MB for 8 GB",
        "bar": "<= 96 MB, equal for both",
    }
