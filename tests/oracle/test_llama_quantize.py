"""Whole files of the smallest recipes, whose bytes were recorded from llama.cpp's `llama_model_quantize`.

Recorded from libllama of llama.cpp's release v0.5.0 on the model made here, whose rows blocks of 256 divide, with the
importances made here or with none.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.core.errors import UnsupportedError
from modelglot.testing.blocks import Numbers, imatrix_dat

RECORDED = {
    "iq1_m": "4e7dde0a43158bf602fb2a15459d9658cc1f4552afe7c4a6a59be070d2e8c6d5",
    "iq1_s": "93379f1a460798eb1e37511d402b3f244a6abb135778f6eaf11aa5f2a2b8a7ff",
    "iq2_m": "587ab1282c02a8010acf406bf9ca94d975eaf5df0d3d651448e61ad6e899e23a",
    "iq2_s": "81fb49cc0e0dd5bbf79d812d18b4c82f2c870ebf36ffffd385bec7eadc3d42ef",
    "iq2_xs": "e164ccff04fab5f28662c96d41e32b13723cc5afda7166403e2d9bf4c3426c92",
    "iq2_xxs": "d09d66c700bbac1c7063fe75021afdc2f077ba1ee5376f356336d14553d79965",
    "iq3_m": "7d489361ed7e7f7f5e41222b0b77fdb1d02d18c456fd729ab280e38f8e2c3330",
    "iq3_s": "71c9dc0dc6e600e15609e91f81a539e7f81f6a3d4c9e082390d2517b78731734",
    "iq3_xs": "646188eed6a26d098ffd54ab035992f503ef95ca3651cbab734585761744f186",
    "iq3_xxs": "da968bf4b08d9ea91955ac4960bad68adb101180fa0279a39ab47fb0aadb8212",
}
WITHOUT = {
    "iq3_m": "878e3cc686669937f7d4b2a19e363e706fa585e3d5a075687b3d5afefc13b7a2",
    "iq3_s": "e85342dc52cb3273ca9434f65a15a5a81db66641e51ca96cd12e317aa634f1aa",
}
DIM, FF, LAYERS = 256, 512, 8


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama of 4.9 million weights."""
    gguf = pytest.importorskip("gguf")
    path = tmp_path_factory.mktemp("llama") / "f16.gguf"
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(512)
    writer.add_embedding_length(DIM)
    writer.add_feed_forward_length(FF)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(64)
    writer.add_vocab_size(256)
    shapes = {"token_embd.weight": (256, DIM), "output_norm.weight": (DIM,), "output.weight": (256, DIM)}
    layer = {"attn_norm": (DIM,), "ffn_norm": (DIM,), "attn_q": (DIM, DIM), "attn_k": (DIM // 2, DIM),
             "attn_v": (DIM // 2, DIM), "attn_output": (DIM, DIM), "ffn_gate": (FF, DIM), "ffn_up": (FF, DIM),
             "ffn_down": (DIM, FF)}  # fmt: skip
    shapes |= {f"blk.{i}.{name}.weight": shape for i in range(LAYERS) for name, shape in layer.items()}
    for name, shape in shapes.items():
        values = Numbers(name, int(np.prod(shape))).normal("w").reshape(shape) * np.float32(0.02)
        writer.add_tensor(name, values if len(shape) == 1 else values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def imatrix(source: Path) -> Path:
    """An ``imatrix.dat`` for every matrix but the embedding."""
    with mg.open(source) as model:
        columns = {n: t.shape[-1] for n, t in model.tensors.items() if len(t.shape) == 2 and n != "token_embd.weight"}
    path = source.parent / "imatrix.dat"
    path.write_bytes(imatrix_dat(columns))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("recipe", RECORDED)
def test_with_importances(recipe: str, source: Path, imatrix: Path, tmp_path: Path) -> None:
    mg.quantize(source, tmp_path / "out.gguf", recipe, imatrix=str(imatrix))
    assert digest(tmp_path / "out.gguf") == RECORDED[recipe]


@pytest.mark.parametrize("recipe", WITHOUT)
def test_without_importances(recipe: str, source: Path, tmp_path: Path) -> None:
    mg.quantize(source, tmp_path / "out.gguf", recipe)
    assert digest(tmp_path / "out.gguf") == WITHOUT[recipe]


@pytest.mark.parametrize("recipe", sorted(set(RECORDED) - set(WITHOUT)))
def test_llama_quantize_refuses_the_others_too(recipe: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="needs an importance matrix"):
        mg.quantize(source, tmp_path / "out.gguf", recipe)
    assert not (tmp_path / "out.gguf").exists()
