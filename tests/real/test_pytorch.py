"""Real ONNX files as PyTorch modules, against onnxruntime on random inputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fetch import entries, folder, place

sys.path.insert(0, str(Path(__file__).parent.parent / "graphs"))
pytest.importorskip("onnx_ir")
pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from modelglot.api.graphs import check_graph
from modelglot.graphs import running

pytestmark = pytest.mark.real
ONNX = [e for e in entries() if e.get("format") == "onnx"]
SIZES = {
    "pnet.onnx": {"M1": 40, "M2": 60},
    "modelA_paper.onnx": {"time": 37},
    "modelB_full.onnx": {"time": 37},
    "model.onnx": {"seq": 21},
    "silero_vad.onnx": {"input.1": 576, "state.1": 2},
    "silero_vad_16k_op15.onnx": {"sequence": 576},
    "silero_vad_half.onnx": {"sequence": 576},
}
FIXED: dict[str, Any] = {"sr": 16000, "input_lengths": 21}


@pytest.mark.parametrize("entry", ONNX, ids=lambda e: e["member"].rsplit("/", 1)[-1])
def test_it_computes_what_onnxruntime_computes(
    entry: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import modelglot as mg

    path = place(folder(), entry)
    mg.convert(path, tmp_path, to="pytorch")
    inputs = running.random_inputs

    def fixed(of: Any, sizes: Any, seed: int = 0) -> Any:
        """A sampling rate, and lengths of sequences, are not random."""
        for made in inputs(of, sizes, seed):
            yield {n: np.full_like(v, FIXED[n]) if n in FIXED else v for n, v in made.items()}

    monkeypatch.setattr(running, "random_inputs", fixed)
    sizes = ",".join(f"{name}:{size}" for name, size in SIZES.get(path.name, {}).items())
    made = check_graph(path, tmp_path, to="pytorch", settings={"pytorch:sizes": sizes} if sizes else None)
    assert made.outputs
    assert made.worst <= 1e-4, made
