"""The compiled kernels under ASan and UBSan, over all edge families: ``python tests/kernels/sanitize.py``.

Builds its own libraries in a temporary folder, then runs itself again with the sanitizer loaded first. Exits non-zero
where a sanitizer speaks up or a digest is not the recorded one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src/modelglot/kernels/native/kernels.cpp"
FLAGS = ["-O1", "-g1", "-std=c++17", "-fPIC", "-shared", "-fvisibility=hidden", "-ffp-contract=off", "-fno-math-errno",
         "-fno-trapping-math", "-fno-strict-aliasing", "-fno-exceptions", "-fno-rtti", "-Wno-psabi",
         "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]  # fmt: skip
LEVELS = {"baseline": [], "avx2": ["-mavx2", "-mf16c", "-mfma"]}


def build_and_run() -> int:
    compiler = os.environ.get("CXX", "g++")
    with tempfile.TemporaryDirectory() as folder:
        for level, flags in LEVELS.items():
            target = Path(folder, f"kernels_{level}.so")
            subprocess.run([compiler, *FLAGS, *flags, str(SOURCE), "-o", str(target)], check=True)
        runtime = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
        environment = {**os.environ, "LD_PRELOAD": runtime.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0",
                       "UBSAN_OPTIONS": "print_stacktrace=1", "PYTHONMALLOC": "malloc"}  # fmt: skip
        return subprocess.run([sys.executable, __file__, folder], env=environment, check=False).returncode


def exercise(folder: str) -> None:
    import hashlib
    import json
    from itertools import product

    import numpy as np

    from modelglot.core.dtype import DTYPES
    from modelglot.core.encoding import BLOCKS
    from modelglot.kernels import native
    from modelglot.kernels.cast import cast
    from modelglot.kernels.dequantize import dequantize
    from modelglot.kernels.quantize import NEEDS_IMPORTANCES, TYPES, WEIGHTED, quantize
    from modelglot.testing import blocks

    native.FOLDER = Path(folder)
    golden, row = json.loads((HERE / "golden.json").read_text()), 768
    huge = dict(blocks.families(row * 6))["any magnitude"].tobytes()
    for level in native._usable()[0]:
        os.environ["MODELGLOT_NATIVE"] = level
        for kind in sorted(TYPES):
            for name, w in blocks.importances(row):
                if kind in NEEDS_IMPORTANCES if w is None else kind not in WEIGHTED:
                    continue
                params = {"to": kind, "row": row, **({"imatrix": w.tobytes()} if w is not None else {})}
                families = blocks.families_of(kind, row * 6)
                digest = hashlib.sha256(b"".join(quantize(x.tobytes(), params) for _, x in families)).hexdigest()
                quantize(huge, params)
                if digest != golden["quantize"][kind][name]:
                    raise SystemExit(f"{level} {kind} {name}: other bytes")
        for kind, block in BLOCKS.items():  # also scales and indices that no quantizer writes
            q = blocks.Numbers(kind, 333 * block.bytes).integers("q", 256).astype(np.uint8).tobytes()
            for to in ("f32", "f16", "bf16"):
                dequantize(q, {"from": kind, "to": to})
        for count in (*range(70), 2048, 5000):
            for a, b in product(native.CAST_KINDS, native.CAST_KINDS):
                data = blocks.Numbers("cast", count * DTYPES[a].itemsize).integers("d", 256).astype(np.uint8)
                for more in ({}, {"rounding": "stochastic", "key": 5}):
                    cast(data.tobytes(), {"from": a, "to": b, **more})
        print(f"{level}: nothing found")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        exercise(sys.argv[1])
    else:
        sys.exit(build_and_run())
