"""What real frameworks save, through scan: how much is safe. `SCAN_PYTHONS` names more interpreters, by commas."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.measure import PYTHON

WRITER = Path(__file__).parent / "framework_files.py"


def run() -> Iterator[dict]:
    from modelglot.api.scanning import scan

    pythons = [PYTHON, *filter(None, os.environ.get("SCAN_PYTHONS", "").split(","))]
    with tempfile.TemporaryDirectory() as folder:
        for number, python in enumerate(pythons):
            (Path(folder) / str(number)).mkdir()
            subprocess.run([python, str(WRITER), f"{folder}/{number}"], check=True, capture_output=True, cwd=folder)
        files = scan(folder).files
        verdicts = Counter(f.verdict for f in files)
        share = verdicts["safe"] / max(1, len(files))
        rest = [f for f in files if f.verdict != "safe"]
        yield {
            "case": "files that real frameworks wrote",
            "files": len(files),
            "verdicts": dict(verdicts),
            "not_safe": {"/".join(Path(f.path).parts[-2:]): [x.what for x in f.findings][:3] for f in rest},
            "ok": share >= 0.95 and not verdicts["unsafe"],
            "measured": f"{share:.1%} of {len(files)} safe, {verdicts['unsafe']} unsafe",
            "bar": ">= 95 % safe, 0 unsafe",
        }
