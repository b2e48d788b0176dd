"""The ONNX project's own node tests: through the PyTorch generator, and through onnx2torch in the same run.

Needs ``MODELGLOT_ONNX2TORCH``: a Python with `onnx2torch`, torch and onnx. Without it the row counts as not reached.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
CASES = HERE.parent / "tests/graphs"


def run() -> Iterator[dict]:
    names, ours = _ours()
    theirs = _theirs()
    if theirs is None:
        yield {
            "case": "ONNX node tests",
            "ok": False,
            "measured": "no MODELGLOT_ONNX2TORCH",
            "bar": "more than onnx2torch",
        }
        return
    passed = set(theirs["passed"])
    measured = f"{len(ours):,} of {len(names):,} pass, {len(passed):,} with onnx2torch {theirs['version']}"
    yield {
        "case": "ONNX node tests",
        "tests": len(names),
        "ours": len(ours),
        "peer": len(passed),
        "peer_version": theirs["version"],
        "peer_converts": len(theirs["converted"]),
        "ours_of_those_the_peer_converts": len(ours & set(theirs["converted"])),
        "passed_by_the_peer_alone": sorted(passed - ours),
        "peer_has_torchvision": theirs["torchvision"],
        "ok": len(ours) > len(passed),
        "measured": f"{measured}, which converts {len(theirs['converted']):,}",
        "bar": "more than onnx2torch",
    }


def _ours() -> tuple[list[str], set[str]]:
    sys.path.insert(0, str(CASES))
    import node_cases

    warnings.simplefilter("ignore")
    passed = set()
    with tempfile.TemporaryDirectory() as folder:
        for case in node_cases.cases():
            try:
                node_cases.run(case, Path(folder))
            except Exception:
                continue
            passed.add(case.name)
    return [case.name for case in node_cases.cases()], passed


def _theirs() -> dict | None:
    python = os.environ.get("MODELGLOT_ONNX2TORCH")
    if not python:
        return None
    paths = os.pathsep.join([str(HERE.parent / "src"), str(CASES)])
    done = subprocess.run(
        [python, str(HERE / "onnx_nodes_peer.py")],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])
