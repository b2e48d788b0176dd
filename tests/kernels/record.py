"""Writes golden.json from ggml: ``python tests/kernels/record.py`` with the kernels-oracle extra installed."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np

from modelglot.core.encoding import BLOCKS
from modelglot.kernels.quantize import NEEDS_IMPORTANCES, TYPES, WEIGHTED
from modelglot.testing import blocks

ROW, COUNT, STORED = 768, 768 * 6, 300


def main() -> None:
    ggml = blocks.Oracle()
    golden: dict = {
        "oracle": f"ggml {ggml.version} in xllamacpp {version('xllamacpp')}",
        "quantize": {},
        "dequantize": {},
    }
    for kind in sorted(TYPES):
        block, of_kind = BLOCKS[kind], golden["quantize"].setdefault(kind, {})
        for name, w in blocks.importances(ROW):
            if kind in NEEDS_IMPORTANCES if w is None else kind not in WEIGHTED:
                continue
            digest = hashlib.sha256()
            for _, x in blocks.families_of(kind, COUNT):
                out = np.zeros(COUNT // block.elements * block.bytes, np.uint8)
                ggml.quantize(kind, x, ROW, w, out)
                digest.update(out)
            of_kind[name] = digest.hexdigest()
    for kind, block in sorted(BLOCKS.items()):
        q = blocks.Numbers(f"stored {kind}", STORED * block.bytes).integers("q", 256).astype(np.uint8)
        out = np.zeros(STORED * block.elements, np.float32)
        if kind == "q8_1":  # no reader in ggml: a scale, a sum, 32 signed bytes
            q = q.reshape(STORED, -1)
            out = q[:, 4:].view(np.int8).astype(np.float32) * np.ascontiguousarray(q[:, :2]).view("<f2").astype(
                np.float32
            )
        else:
            ggml.dequantize(kind, q, out)
        out = np.where(np.isnan(out), np.float32(np.nan), out)
        golden["dequantize"][kind] = hashlib.sha256(out.view(np.uint32).tobytes()).hexdigest()
    (Path(__file__).parent / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
