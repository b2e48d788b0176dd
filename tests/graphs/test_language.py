"""Language models to ONNX: tiny models of every family in ONNX Runtime against transformers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

import modelglot
from modelglot.api.finishing import finish, plan_model
from modelglot.api.target import resolve_target
from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import BLOCKS
from modelglot.core.model import Model
from modelglot.core.tensor import Inline, Tensor
from modelglot.graphs.frames import frame_of
from modelglot.graphs.language.linear import Weights
from modelglot.graphs.language.net import Net
from modelglot.kernels.blocks_of import JOIN
from modelglot.kernels.planes import SPLIT

pytest.importorskip("transformers")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx_ir")


EXACT = "session.qdq_matmulnbits_accuracy_level"
CASES = (
    "llama", "llama-3", "llama-tied-bias", "mistral", "mixtral", "qwen2", "qwen3", "qwen3-yarn", "gemma2", "gemma3",
    "phi3", "phi3-long", "phi4", "qwen3moe", "gpt2", "qwen2moe", "granite", "olmo2", "starcoder2", "stablelm",
    "stablelm-2", "glm", "glm4", "cohere", "cohere2",
)  # fmt: skip


def session(folder: Path) -> Any:
    options = ort.SessionOptions()
    options.add_session_config_entry(EXACT, "1")
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return ort.InferenceSession(folder / "model.onnx", options)


class Decoder:
    """Feeds tokens and keeps the cache."""

    def __init__(self, folder: Path) -> None:
        self.run = session(folder)
        self.past: dict[str, np.ndarray] = {}
        for port in self.run.get_inputs():
            if port.name.startswith("past"):
                self.past[port.name] = np.zeros((1, port.shape[1], 0, port.shape[3]), np.float32)

    def feed(self, ids: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        count, total = ids.shape[1], ids.shape[1] + next(iter(self.past.values())).shape[2]
        mask = np.ones((len(ids), total), np.int64) if mask is None else mask
        places = np.maximum(np.cumsum(mask, axis=1) - 1, 0)[:, -count:]
        past = {n: np.repeat(v, len(ids), 0) if len(v) != len(ids) else v for n, v in self.past.items()}
        logits, *present = self.run.run(
            None, {"input_ids": ids, "attention_mask": mask, "position_ids": places, **past}
        )
        self.past = dict(zip(past, present, strict=True))
        return logits


def expected(model: Any, ids: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    import torch

    with torch.no_grad():
        given = None if mask is None else torch.from_numpy(mask)
        places = None if mask is None else torch.from_numpy(np.maximum(np.cumsum(mask, axis=1) - 1, 0))
        return model(torch.from_numpy(ids), attention_mask=given, position_ids=places).logits.numpy()


@pytest.fixture(scope="module", params=CASES)
def case(request: Any, tmp_path_factory: Any) -> Any:
    """(name, folder, its ONNX folder, the model)"""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "hf").mkdir()
    model = tiny.build(request.param, folder / "hf", "float32")
    modelglot.convert(folder / "hf", folder / "onnx", to="onnx", settings={"gguf:pre": "gpt-2"})
    return request.param, folder / "hf", folder / "onnx", model


def test_computes_what_transformers_computes(case: Any) -> None:
    """A prompt that is longer than the windows, then one token after another with the cache."""
    _, _, out, model = case
    ids = np.random.default_rng(1).integers(3, 300, (1, 40))
    wanted, decoder = expected(model, ids), Decoder(out)
    made = np.concatenate(
        [decoder.feed(ids[:, :30]), *(decoder.feed(ids[:, n : n + 1]) for n in range(30, 40))], axis=1
    )
    assert np.abs(made - wanted).max() <= 1e-4 * max(1, np.abs(wanted).max())


def test_from_the_gguf_file_it_computes_the_same(case: Any, tmp_path: Path) -> None:
    name, folder, _, model = case
    if name == "mistral":
        pytest.skip("GGUF has no key for its window")
    modelglot.convert(folder, tmp_path / "m.gguf", settings={"gguf:pre": "gpt-2"})
    modelglot.convert(tmp_path / "m.gguf", tmp_path / "onnx", to="onnx")
    ids = np.random.default_rng(7).integers(3, 300, (1, 40))
    wanted = expected(model, ids)
    assert np.abs(Decoder(tmp_path / "onnx").feed(ids) - wanted).max() <= 1e-4 * max(1, np.abs(wanted).max())


def test_padding_is_not_seen(case: Any) -> None:
    """Two texts of different length in a batch, the shorter one padded in front."""
    name, _, out, model = case
    if name == "phi3-long":
        pytest.skip("transformers chooses factors for the whole batch")
    ids = np.random.default_rng(2).integers(3, 300, (2, 20))
    mask = np.ones((2, 20), np.int64)
    mask[1, :7] = 0
    made, alone = Decoder(out).feed(ids, mask), expected(model, ids[1:, 7:])
    assert np.abs(made[1, 7:] - alone[0]).max() <= 1e-4 * max(1, np.abs(alone).max())
    assert np.isfinite(made).all()


def test_the_way_back_is_exact(case: Any, tmp_path: Path) -> None:
    _, folder, out, _ = case
    modelglot.convert(folder, tmp_path / "a.gguf", settings={"gguf:pre": "gpt-2"})
    modelglot.convert(out, tmp_path / "b.gguf")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_bert(tmp_path: Path) -> None:
    import torch

    (tmp_path / "hf").mkdir()
    model = tiny.build("bert", tmp_path / "hf", "float32")
    modelglot.convert(tmp_path / "hf", tmp_path / "onnx", to="onnx", settings={"gguf:pre": "gpt-2"})
    ids = np.random.default_rng(3).integers(5, 90, (2, 12))
    mask, types = np.ones((2, 12), np.int64), np.zeros((2, 12), np.int64)
    mask[1, 8:], types[0, 6:] = 0, 1
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    (made,) = session(tmp_path / "onnx").run(None, feeds)
    with torch.no_grad():
        wanted = model(**{n: torch.from_numpy(v) for n, v in feeds.items()}).last_hidden_state.numpy()
    assert np.abs(made - wanted)[mask == 1].max() <= 1e-4


def test_long_texts_have_their_own_factors(tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    model = tiny.build("phi3-long", tmp_path / "hf", "float32")
    modelglot.convert(tmp_path / "hf", tmp_path / "onnx", to="onnx", settings={"gguf:pre": "gpt-2"})
    ids = np.random.default_rng(4).integers(3, 300, (1, 1100))
    wanted = expected(model, ids)
    assert np.abs(Decoder(tmp_path / "onnx").feed(ids) - wanted).max() <= 1e-3 * np.abs(wanted).max()


TYPES = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "iq2_xxs",
         "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s", "iq1_s", "iq1_m", "tq1_0", "tq2_0", "mxfp4", "nvfp4")  # fmt: skip


def random_blocks(kind: Any, count: int) -> np.ndarray:
    """Bytes as ggml's blocks have them: any codes, scales that are small numbers."""
    rng = np.random.default_rng(5)
    raw = rng.integers(0, 256, (count, BLOCKS[kind].bytes)).astype(np.uint8)
    planes = dict(SPLIT[kind](raw))
    for name in ("d", "m", "dmin"):
        if name in planes:
            planes[name] = rng.normal(0, 0.1, planes[name].shape).astype("<f2")
    if "codes" in planes:
        planes["codes"] = rng.integers(100, 120, planes["codes"].shape).astype(np.uint8)
    return np.ascontiguousarray(JOIN[kind](planes))


@pytest.mark.parametrize("kind", TYPES)
def test_weights_are_what_the_gguf_package_decodes(kind: str, tmp_path: Path) -> None:
    """A graph multiplies the identity with each matrix: ONNX Runtime then tells the weights, bit for bit."""
    gguf = pytest.importorskip("gguf")
    out, width = 24, 512
    raw = random_blocks(kind, out * width // BLOCKS[kind].elements)
    whole = gguf.quants.dequantize(raw.reshape(out, -1), getattr(gguf.GGMLQuantizationType, kind.upper()))
    weight = Tensor("w.weight", DTYPES["f32"], (out, width), Inline(raw.tobytes()), BLOCKS[kind])
    net = Net()
    weights = Weights(net, {"w.weight": weight})
    x, ids = net.input("x", "f32", 1, "n", width), net.input("ids", "i64", 1, "k")
    net.output(weights.multiply(x, "w"), "y", "f32", 1, "n", out)
    net.output(weights.rows(ids, "w.weight"), "rows", "f32", 1, "k", width)
    frame = frame_of(net.model("weights"), net.tensors)
    place = resolve_target(str(tmp_path / "m.onnx"), None, "onnx")
    place = replace(place, options=replace(place.options, frame=frame))
    finish(plan_model(Model("gguf", (), net.tensors), place, (), [], []), place)
    for level in (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
        options = ort.SessionOptions()
        options.add_session_config_entry(EXACT, "1")
        options.graph_optimization_level = level
        run = ort.InferenceSession(tmp_path / "m.onnx", options)
        y, rows = run.run(None, {"x": np.eye(width, dtype=np.float32)[None], "ids": np.arange(out)[None]})
        assert np.array_equal(rows[0], whole)
        assert np.array_equal(y[0].T, whole)


def test_genai_loads_every_family(case: Any) -> None:
    """Ten greedy tokens: those that the graph gives in ONNX Runtime."""
    genai = pytest.importorskip("onnxruntime_genai")
    _, _, out, _ = case
    ids = [int(n) for n in np.random.default_rng(6).integers(3, 300, 12)]
    model = genai.Model(str(out))
    params = genai.GeneratorParams(model)
    params.set_search_options(max_length=22, min_length=22, do_sample=False)
    generator = genai.Generator(model, params)
    generator.append_tokens(ids)
    while not generator.is_done():
        generator.generate_next_token()
    made = [int(n) for n in generator.get_sequence(0)]
    logits = Decoder(out).feed(np.array([made[:-1]]))[0]
    ends = json.loads((out / "genai_config.json").read_text())["model"]["eos_token_id"]
    logits[:, ends] = -np.inf  # `min_length`
    assert made[12:] == logits.argmax(-1)[11:].tolist()
