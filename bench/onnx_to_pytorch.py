"""A graph with 1.1 GB of weights as PyTorch source: time and memory of the whole command."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.measure import PYTHON, modelglot
from bench.measure import run as run_once
from bench.models import WORK, settle, warm

BAR = 256  # MB
MAKE = """
import sys
import numpy as np
from onnx import TensorProto, helper, save
layers, width = 17, 4096
values = (np.random.default_rng(0).standard_normal(width * width, np.float32) * 0.01).tobytes()
weights, nodes = [], []
for number in range(layers):
    weights.append(helper.make_tensor(f"w{number}", TensorProto.FLOAT, [width, width], values, raw=True))
    nodes.append(helper.make_node("MatMul", [f"x{number}", f"w{number}"], [f"x{number + 1}"]))
ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name in ("x0", f"x{layers}")]
save(helper.make_model(helper.make_graph(nodes, "chain", ports[:1], ports[1:], weights)), sys.argv[1])
"""


def run() -> Iterator[dict]:
    source, target = _model(), WORK / "written/net.py"
    runs = []
    for _ in range(3):
        settle(target.with_suffix(".safetensors"))
        runs.append(run_once(modelglot("convert", "--force", str(source), str(target))))
    best = min(runs, key=lambda one: one.wall)
    peak = max(one.peak for one in runs) / 1e6
    yield {
        "case": "1.1 GB of weights in a chain of products",
        "bytes": source.stat().st_size,
        "wall_s": round(best.wall, 2),
        "peak_mb": round(peak, 1),
        "ok": peak <= BAR,
        "measured": f"{best.wall:.1f} s with {peak:.0f} MB",
        "bar": f"<= {BAR} MB",
    }


def _model() -> Path:
    """Made by another process: what this one holds is charged to the commands it starts."""
    path = WORK / "chain.onnx"
    if not path.exists():
        WORK.mkdir(exist_ok=True)
        subprocess.run([PYTHON, "-c", MAKE, str(path)], check=True)
    warm(path)
    return path
