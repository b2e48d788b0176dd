"""A model that was quantized on the way: the rows of Q and K are put back as blocks, and nothing is decoded twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot
from modelglot.api.reading import read_model
from modelglot.families.to_hugging_face import to_hugging_face

pytest.importorskip("transformers")
import tiny

gguf = pytest.importorskip("gguf")

HEADS = {"q": 4, "k": 2}
Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def files(tmp_path_factory: Any) -> tuple[Path, Path]:
    """The folder, and its model in q8_0"""
    folder = tmp_path_factory.mktemp("quantized") / "tiny-model"
    folder.mkdir()
    tiny.build("llama", folder, "bfloat16")
    modelglot.convert(folder, folder.parent / "whole.gguf", settings={"gguf:pre": "gpt-2"})
    modelglot.quantize(folder.parent / "whole.gguf", folder.parent / "q8.gguf", "q8_0")
    return folder, folder.parent / "q8.gguf"


def _decoded(path: Path) -> dict[str, Array]:
    reader = gguf.GGUFReader(path)
    return {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}


def test_rows_are_put_back_as_if_decoded_first(files: tuple[Path, Path]) -> None:
    _, source = files
    modelglot.convert(source, f"{source.parent}/back/")
    decoded = _decoded(source)
    with modelglot.open(source.parent / "back") as model:
        for layer in range(2):
            for name, heads in HEADS.items():
                blocks = decoded[f"blk.{layer}.attn_{name}.weight"]
                pairs = blocks.reshape(heads, -1, 2, blocks.shape[1])
                expected = pairs.swapaxes(1, 2).reshape(blocks.shape)
                found = model.tensors[f"model.layers.{layer}.self_attn.{name}_proj.weight"].numpy()
                np.testing.assert_array_equal(found, expected)
        expected = decoded["blk.1.ffn_down.weight"]
        np.testing.assert_array_equal(model.tensors["model.layers.1.mlp.down_proj.weight"].numpy(), expected)


def test_blocks_are_still_blocks_behind_the_names(files: tuple[Path, Path]) -> None:
    """What transforms return is as quantized as what they were given: only the writer decodes."""
    made = to_hugging_face(read_model(str(files[1])), lambda tensor: [])
    kinds = {n: t.type_name for n, t in made.tensors.items() if len(t.shape) > 1}
    assert set(kinds.values()) == {"q8_0"}


def test_transformers_computes_nearly_the_same(files: tuple[Path, Path]) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder, source = files
    modelglot.convert(source, f"{source.parent}/again/")
    before, after = (
        AutoModelForCausalLM.from_pretrained(p, dtype=torch.float32) for p in (folder, source.parent / "again")
    )
    with torch.no_grad():
        one, two = (m(torch.arange(3, 40)[None]).logits[0] for m in (before, after))
    assert float((one - two).abs().max()) < 0.05 * float(one.abs().max())
