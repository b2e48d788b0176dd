"""config.json as it was before transformers 5, and as most models are published: the same GGUF file, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import modelglot

pytest.importorskip("transformers")
pytest.importorskip("gguf")
import tiny

_LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 64}  # fmt: skip
_YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "beta_fast": 32, "beta_slow": 1}
_LONG = {"type": "longrope", "short_factor": tiny._LONG["short_factor"], "long_factor": tiny._LONG["long_factor"]}

# case -> keys in the place of `rope_parameters`; None where a key was not there yet
OLDER: dict[str, dict[str, Any]] = {
    "llama-3": {"rope_theta": 500000.0, "rope_scaling": _LLAMA3},
    "gemma3": {"rope_theta": 1000000.0, "rope_local_base_freq": 10000.0, "layer_types": None},
    "phi3-long": {"rope_theta": 10000.0, "rope_scaling": _LONG},
    "qwen3-yarn": {"rope_theta": 10000.0, "rope_scaling": _YARN},
    "stablelm": {"rope_theta": 10000, "partial_rotary_factor": 0.25},
    "glm4": {"rope_theta": 10000.0, "partial_rotary_factor": 0.5},
    "deepseek3": {"rope_theta": 10000, "rope_scaling": {**_YARN, "mscale": 1.0, "mscale_all_dim": 1.0},
                  "head_dim": None},
    "falcon": {"num_kv_heads": None, "multi_query": True},
    "gpt2": {"layer_norm_epsilon": None, "tie_word_embeddings": None},
}  # fmt: skip


@pytest.mark.parametrize("name", OLDER)
def test_gives_the_same_file(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "tiny-model"
    folder.mkdir()
    tiny.build(name, folder, "bfloat16")
    modelglot.convert(folder, tmp_path / "new.gguf", settings={"gguf:pre": "gpt-2"})
    config = json.loads((folder / "config.json").read_text())
    config |= {"rope_parameters": None, **OLDER[name]}
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    modelglot.convert(folder, tmp_path / "old.gguf", settings={"gguf:pre": "gpt-2"})
    assert (tmp_path / "old.gguf").read_bytes() == (tmp_path / "new.gguf").read_bytes()
