"""Real ONNX files as PyTorch modules, against onnxruntime on random inputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from fetch import entries, folder, place

sys.path.insert(0, str(Path(__file__).parent.parent / "graphs"))
pytest.importorskip("onnx_ir")
pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from modelglot.api.graphs import compare_program

pytestmark = pytest.mark.real
ONNX = [e for e in entries() if e.get("format") == "onnx"]
INPUTS = {
    "pnet.onnx": ["input_1=f32[2,40,60,3]"],
    "modelA_paper.onnx": ["x=f32[2,100,37]"],
    "modelB_full.onnx": ["x=f32[2,100,37]"],
    "model.onnx": ["char_inputs=i64[2,21]", "diac_inputs=i64[2,21]", "input_lengths=21"],
    "silero_vad.onnx": ["input=f32[2,576]", "state=f32[2,2,128]", "sr=16000"],
    "silero_vad_16k_op15.onnx": ["input=f32[2,576]", "sr=16000"],
    "silero_vad_half.onnx": ["input=f32[2,576]"],
}


@pytest.mark.parametrize("entry", ONNX, ids=lambda e: e["member"].rsplit("/", 1)[-1])
def test_it_computes_what_onnxruntime_computes(entry: dict[str, Any], tmp_path: Path) -> None:
    import modelglot as mg

    path = place(folder(), entry)
    mg.convert(path, tmp_path, to="pytorch")
    made = compare_program(path, tmp_path / "net.py", INPUTS.get(path.name, ()))
    assert made.outputs
    assert made.worst <= 1e-4, made
