"""Real TorchScript, SavedModel, Keras and TFLite files as ONNX: outputs as those of their own runtimes."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fetch import folder

from modelglot.api.converting import convert, make_plan
from modelglot.api.finishing import finish
from modelglot.graphs.wishes import Wishes

REQUIRED = "MODELGLOT_REQUIRE_ORACLES" in os.environ  # then it has to be there
pytestmark = pytest.mark.real
pytest.importorskip("onnx_ir")
ort = pytest.importorskip("onnxruntime")
SILERO = "silero-vad-6/silero_vad/data/silero_vad.jit"


@pytest.mark.parametrize(("rate", "samples", "context"), [(16000, 512, 64), (8000, 256, 32)])
def test_silero_call_after_call(rate: int, samples: int, context: int, tmp_path: Path) -> None:
    """The state goes around outside of the graph: twenty calls give what the module gives, which keeps its own."""
    torch = pytest.importorskip("torch")
    inputs = (f"x=f32[1,{samples}]", f"sr={rate}", "_state=f32[2,1,128]", f"_context=f32[1,{context}]")
    convert(folder() / SILERO, tmp_path / "m.onnx", wishes=Wishes(inputs, check=False))
    session, module = ort.InferenceSession(tmp_path / "m.onnx"), torch.jit.load(folder() / SILERO)
    state, before = np.zeros((2, 1, 128), "f4"), np.zeros((1, context), "f4")
    rng = np.random.default_rng(0)
    for number in range(20):
        x = (rng.standard_normal((1, samples)) * (0.3 if number % 3 else 0.01)).astype("f4")
        with torch.no_grad():
            wanted = module(torch.from_numpy(x), rate).numpy()
        named = dict(zip([o.name for o in session.get_outputs()], session.run(None, {
            "x": x, "_state": state, "_context": before}), strict=True))  # fmt: skip
        np.testing.assert_allclose(named["output"], wanted, atol=1e-5)
        state, before = named["_state_next"], named["_context_next"]


def test_silero_with_the_rate_as_an_input(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    convert(folder() / SILERO, tmp_path / "m.onnx", wishes=Wishes(("x=f32[1,n]", "sr=i64[]"), check=False))
    session = ort.InferenceSession(tmp_path / "m.onnx")
    for rate, samples in ((16000, 512), (8000, 256), (32000, 1024)):
        x = np.random.default_rng(rate).standard_normal((1, samples)).astype("f4")
        with torch.no_grad():
            wanted = torch.jit.load(folder() / SILERO)(torch.from_numpy(x), rate).numpy()
        found = session.run(["output"], {"x": x, "sr": np.array(rate)})[0]
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.skipif(
    not (REQUIRED or (find_spec("tensorflow") and find_spec("tf2onnx"))),
    reason="needs TensorFlow and tf2onnx",
)
@pytest.mark.parametrize(
    "path",
    [
        "basic-pitch-4fmt/basic_pitch/saved_models/icassp_2022/nmp",
        "basic-pitch-4fmt/basic_pitch/saved_models/icassp_2022/nmp.tflite",
        "spliceai-h5/spliceai/models/spliceai1.h5",
    ],
    ids=lambda path: path.rsplit("/", 1)[-1],
)
def test_tensorflow(path: str, tmp_path: Path) -> None:
    plan, place = make_plan(folder() / path, tmp_path / "m.onnx")
    finish(plan, place)
    found: Any = place.check.difference if place.check else None
    assert found is not None
    assert found.absolute < 1e-4
