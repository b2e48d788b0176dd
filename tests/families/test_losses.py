"""What GGUF or llama.cpp has no place for is said in the plan, and does not stop it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelglot.api.converting import make_plan

pytest.importorskip("transformers")
pytest.importorskip("gguf")
import tiny

CASES = {
    "mistral": ("sliding-window", "`sliding_window` 64"),
    "bert": ("tensors", "`pooler.dense."),
    "gpt-oss": ("rope-truncate", "`truncate` false"),
    "t5": ("output-scale", "1 / sqrt(d_model)"),
}


@pytest.mark.parametrize("name", CASES)
def test_named_in_the_plan(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "tiny-model"
    folder.mkdir()
    tiny.build(name, folder, "bfloat16")
    plan, _ = make_plan(folder, tmp_path / "out.gguf", settings={"gguf:pre": "gpt-2"})
    kind, words = CASES[name]
    (loss,) = [x for x in plan.losses if x.kind == kind]
    assert words in loss.what
    assert not loss.stops


def test_none_where_nothing_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "tiny-model"
    folder.mkdir()
    tiny.build("qwen3", folder, "bfloat16")
    plan, _ = make_plan(folder, tmp_path / "out.gguf", settings={"gguf:pre": "gpt-2"})
    assert [x.kind for x in plan.losses] == []
