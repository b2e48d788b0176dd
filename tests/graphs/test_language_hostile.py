"""Models and graphs that do not fit what they say of themselves: an error with words, never another exception."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny

import modelglot
from modelglot.api.reading import read_model
from modelglot.core.errors import InvalidFileError, ModelFileError, UnsupportedError
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.families.family import Config
from modelglot.graphs.language.back import to_gguf
from modelglot.graphs.language.export import RECORD, export

pytest.importorskip("transformers")
pytest.importorskip("onnx_ir")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    made: Path = tmp_path_factory.mktemp("hostile")
    (made / "hf").mkdir()
    tiny.build("llama", made / "hf", "float32")
    modelglot.convert(made / "hf", made / "m.gguf", settings={"gguf:pre": "gpt-2"}, quantize="q8_0")
    modelglot.convert(made / "m.gguf", made / "onnx", to="onnx")
    return made


def exported(model: Model, config: dict[str, Any]) -> None:
    export(model, Config(config), {}, lambda _: b"\0" * 64)


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": None}, {"hidden_size": "wide"}, {"num_attention_heads": 0}, {"vocab_size": None},
        {"rope_parameters": {"rope_type": "yarn"}}, {"rope_parameters": {"rope_type": "longrope", "short_factor": 3}},
        {"rope_parameters": {"rope_type": "spiral"}}, {"rms_norm_eps": "small"}, {"num_hidden_layers": 1 << 60},
        {"head_dim": 1 << 80, "rope_theta": 1e308},
    ],
)  # fmt: skip
def test_configurations(folder: Path, change: dict[str, Any]) -> None:
    config = json.loads((folder / "hf/config.json").read_text())
    model = read_model(str(folder / "m.gguf"))
    exported(model, config)
    with pytest.raises((InvalidFileError, UnsupportedError)):
        exported(model, {k: v for k, v in {**config, **change}.items() if v is not None})


@pytest.mark.parametrize("shape", [(), (64,), (2, 32, 64)])
@pytest.mark.parametrize("name", ["token_embd.weight", "blk.0.attn_q.weight", "blk.1.ffn_down.weight"])
def test_tensors_of_other_shapes(folder: Path, name: str, shape: tuple[int, ...]) -> None:
    config = json.loads((folder / "hf/config.json").read_text())
    model = read_model(str(folder / "m.gguf"))
    tensors = {**model.tensors, name: replace(model.tensors[name], shape=shape)}
    with pytest.raises(InvalidFileError):
        exported(replace(model, tensors=tensors), config)
    with pytest.raises(InvalidFileError, match="lacks"):
        exported(replace(model, tensors={n: t for n, t in tensors.items() if n != name}), config)


@pytest.mark.parametrize(
    "record",
    [
        "", "[", "{}", "[1]", "[[1,2]]", '[["x","q8_0",[64,64],"turned"]]', '[["x","q9","a","rows"]]',
        '[["blk.0.attn_q.weight","q8_0",[64,-64],"turned"]]', '[["blk.0.attn_q.weight","q8_0",[64],"turned"]]',
        '[["blk.0.attn_q.weight","q4_0",[64,64],"turned"]]', '[["blk.0.attn_q.weight","q8_0",[63,64],"turned"]]',
        '[["blk.0.attn_q.weight","f32",[64,64],"plain"]]', '[["x","f32",[4],"left"]]',
        '[["output_norm.weight","f32",[9,9],"plain"]]', '[["output_norm.weight","f99",[64],"plain"]]',
        '[["x","f32",[99999999999,64,64],"experts"]]', "[" * 5000,
    ],
)  # fmt: skip
def test_records_that_do_not_fit(folder: Path, record: str) -> None:
    model = read_model(str(folder / "onnx/model.onnx"))
    to_gguf(model)
    entries = {**dict(model.metadata.entries()), RECORD: Entry(record)}
    with pytest.raises(ModelFileError):
        to_gguf(replace(model, metadata=Metadata(entries)))


def test_a_graph_without_some_weights(folder: Path) -> None:
    model = read_model(str(folder / "onnx/model.onnx"))
    tensors = {n: t for n, t in model.tensors.items() if n != "blk.0.attn_q.weight.d"}
    with pytest.raises(InvalidFileError, match=r"blk\.0\.attn_q\.weight\.d"):
        to_gguf(replace(model, tensors=tensors))
