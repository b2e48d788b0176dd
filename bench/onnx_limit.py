"""A 3 GB ONNX file with its weights inside: the onnx package refuses it, modelglot converts it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from bench.measure import PYTHON, modelglot
from bench.measure import run as run_once
from bench.models import WORK, onnx_inline, settle

PEER = """
import sys, onnx
try:
    onnx.load(sys.argv[1])
except Exception as error:
    print(type(error).__name__)
"""


def run() -> Iterator[dict]:
    source, target = onnx_inline(3), WORK / "out.safetensors"
    said = subprocess.run([PYTHON, "-c", PEER, str(source)], capture_output=True, text=True, check=False).stdout.strip()
    settle(target)
    ours = run_once(modelglot("convert", "--force", str(source), str(target)))
    settle(target)
    yield {
        "case": "3 GB of weights in one ONNX file",
        "bytes": source.stat().st_size,
        "onnx": said,
        "wall_s": round(ours.wall, 2),
        "peak_mb": round(ours.peak / 1e6, 1),
        "ok": bool(said),
        "measured": f"onnx raises {said or 'nothing'}; converted in {ours.wall:.1f} s with {ours.peak / 1e6:.0f} MB",
        "bar": "refused there, converted here",
    }
