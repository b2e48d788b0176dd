"""Graphs that PyTorch's exporters made of language models, as the GGUF files of the models."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import tiny

import modelglot
from modelglot.core.errors import UnsupportedError

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnxscript")


def exported(case: str, folder: Path, dynamo: bool) -> tuple[Path, Path]:
    """(Hugging Face folder, folder with its graph), of equal names: GGUF keeps the name."""
    source, target = folder / "a" / "tiny-model", folder / "b" / "tiny-model"
    source.mkdir(parents=True)
    target.mkdir(parents=True)
    model = tiny.build(case, source, "float32")
    model.config.use_cache = False
    ids = torch.arange(5, 12)[None]
    given: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            torch.onnx.export(model, (), str(target / "model.onnx"), kwargs=given, dynamo=True, verbose=False)
        else:
            torch.onnx.export(model, (given,), str(target / "model.onnx"), dynamo=False, input_names=list(given))
    for file in source.glob("*.json"):
        shutil.copy(file, target)
    return source, target


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("case", ["llama", "qwen2", "gpt2"])
def test_it_is_the_gguf_of_the_model(case: str, dynamo: bool, tmp_path: Path) -> None:
    source, graph = exported(case, tmp_path, dynamo)
    settings = {"gguf:pre": "gpt-2"}
    if (case, dynamo) == ("gpt2", True):  # positions were constant: the exporter kept the sum that is added
        with pytest.raises(UnsupportedError, match=r"does not hold all of its weights: transformer\.wpe"):
            modelglot.convert(graph, tmp_path / "b.gguf", settings=settings)
        return
    modelglot.convert(source, tmp_path / "a.gguf", settings=settings)
    modelglot.convert(graph, tmp_path / "b.gguf", settings=settings)
    assert modelglot.diff(tmp_path / "a.gguf", tmp_path / "b.gguf").same
    with modelglot.open(tmp_path / "a.gguf") as a, modelglot.open(tmp_path / "b.gguf") as b:
        assert dict(a.metadata) == dict(b.metadata)


def test_a_graph_without_its_model_beside_is_no_gguf(tmp_path: Path) -> None:
    _, graph = exported("llama", tmp_path, False)
    (graph / "config.json").unlink()
    with pytest.raises(UnsupportedError, match="no runtime of GGUF"):
        modelglot.convert(graph / "model.onnx", tmp_path / "b.gguf")
