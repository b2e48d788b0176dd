"""check of the other runtimes: folders made file by file, and what each lacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot
from modelglot.core.errors import CannotOpenError, UnsupportedError
from modelglot.testing.tiny_gguf import STR, Build, Info


def folder(path: Path, *leave: str, dtype: type = np.float32, **config: Any) -> Path:
    """A whole folder of transformers, without some of its files."""
    path.mkdir(exist_ok=True)
    files = {
        "config.json": json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama", **config}),
        "tokenizer.json": "{}",
    }
    for name, text in files.items():
        if name not in leave:
            (path / name).write_text(text)
    if "model.safetensors" not in leave:
        modelglot.save({"model.embed_tokens.weight": np.zeros((4, 4), dtype)}, path / "model.safetensors")
    return path


def codes(path: Path, target: str) -> list[str]:
    return [f"{o.level[0]}:{o.code}" for o in modelglot.check(path, target).obstacles]


def genai(path: Path, *leave: str, text: str | None = None) -> Path:
    path.mkdir()
    whole = {"model": {"type": "llama", "decoder": {"filename": "model.onnx"}}, "search": {"max_length": 64}}
    for name, data in (("genai_config.json", text or json.dumps(whole)), ("model.onnx", "\x08\x0a"),
                       ("tokenizer.json", "{}")):  # fmt: skip
        if name not in leave:
            (path / name).write_text(data)
    return path


def test_transformers(tmp_path: Path) -> None:
    assert codes(folder(tmp_path / "whole"), "transformers") == []
    assert codes(folder(tmp_path / "a", "config.json"), "transformers") == ["b:no-config"]
    assert codes(folder(tmp_path / "b", "tokenizer.json"), "transformers") == ["w:no-tokenizer"]
    assert codes(folder(tmp_path / "c", auto_map={"AutoModel": "x.Y"}), "transformers") == ["w:remote-code"]
    assert codes(folder(tmp_path / "d", architectures=["NewForCausalLM"]), "transformers") == ["w:unknown-architecture"]
    bare = folder(tmp_path / "e", architectures=None, model_type=None)
    assert codes(bare, "transformers")[0] == "b:no-model-type"
    pickled = folder(tmp_path / "f", "model.safetensors")
    modelglot.save({"w": np.zeros(3, np.float32)}, pickled / "pytorch_model.bin", to="torch-zip")
    assert codes(pickled, "transformers") == ["w:pickle"]
    (pickled / "pytorch_model.bin").rename(pickled / "weights.bin")
    assert codes(pickled, "transformers") == ["b:names", "w:pickle"]


def test_ollama_folders(tmp_path: Path) -> None:
    assert codes(folder(tmp_path / "whole"), "ollama") == []
    assert codes(folder(tmp_path / "a", architectures=["MambaForCausalLM"]), "ollama") == ["b:unknown-architecture"]
    assert codes(folder(tmp_path / "b", "tokenizer.json"), "ollama") == ["b:no-tokenizer"]
    assert codes(folder(tmp_path / "c", dtype=np.int8), "ollama") == ["b:dtype"]
    pickled = folder(tmp_path / "d", "model.safetensors")
    modelglot.save({"w": np.zeros(3, np.float32)}, pickled / "pytorch_model.bin", to="torch-zip")
    assert codes(pickled, "ollama") == ["b:not-safetensors"]


def test_genai(tmp_path: Path) -> None:
    assert codes(genai(tmp_path / "whole"), "onnxruntime-genai") == []
    assert codes(genai(tmp_path / "a", "genai_config.json"), "onnxruntime-genai") == ["b:no-config"]
    assert codes(genai(tmp_path / "b", "model.onnx"), "onnxruntime-genai") == ["b:no-graph"]
    assert codes(genai(tmp_path / "c", "tokenizer.json"), "onnxruntime-genai") == ["b:no-tokenizer"]
    assert codes(genai(tmp_path / "d", text="[1"), "onnxruntime-genai") == ["b:bad-config"]
    assert codes(genai(tmp_path / "e", text='{"model": 3}'), "onnxruntime-genai")[:2] == ["b:bad-config"] * 2
    assert codes(folder(tmp_path / "f"), "onnxruntime-genai") == ["b:no-config"]


def test_a_gguf_file_that_is_no_language_model(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    b = Build()
    path = tmp_path / "a.gguf"
    path.write_bytes(b.file([b.entry("general.architecture", STR, "rwkv6")], [Info("w", [8])], bytes(32)))
    assert codes(path, "llama.cpp") == ["b:missing-key"] * 3 + ["b:no-tokenizer", "b:unused-tensor"]
    assert codes(path, "transformers") == ["b:unknown-architecture", "w:dequantized"]
    path.rename(tmp_path / "a.bin")
    assert "b:suffix" in codes(tmp_path / "a.bin", "llm-farm")
    big = b.file([], [Info("w", [8])], bytes(32))
    path.write_bytes(big[:-1])
    assert codes(path, "ollama")[:2] == ["b:truncated", "b:no-architecture"]


def test_what_is_no_question(tmp_path: Path) -> None:
    with pytest.raises(CannotOpenError):
        modelglot.check(tmp_path / "nothing.gguf", "ollama")
    with pytest.raises(UnsupportedError, match="known ones: ollama") as error:
        modelglot.check(tmp_path, "olama")
    assert "`olama`" in str(error.value)


def test_the_document(tmp_path: Path) -> None:
    found = modelglot.check(folder(tmp_path / "a", "config.json"), "transformers").document()
    assert found["schema"] == "modelglot.check/1"
    assert found["loads"] is False
    assert found["obstacles"][0]["code"] == "no-config"
