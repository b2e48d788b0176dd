"""llama.cpp's own converter of its old files, brought with a package: our GGUF file is its file, byte for byte."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

import modelglot as mg
from modelglot.testing.tiny_ggml import llama, shapes

sys.path.insert(0, str(Path(__file__).parent.parent / "real"))
from fetch import entries, folder, place

SCRIPT = next(place(folder(), e) for e in entries() if e["member"].endswith("convert_llama_ggml_to_gguf.py"))
QUANT = gguf.GGMLQuantizationType


def reference(monkeypatch: pytest.MonkeyPatch, source: Path, out: Path, *options: str) -> None:
    """What the script makes. It gives shapes in elements where its present `gguf` package takes them in bytes, so they
    are translated on the way."""
    add = gguf.GGUFWriter.add_tensor

    def in_bytes(writer: Any, name: str, data: Any, raw_shape: Any = None, raw_dtype: Any = None, **more: Any) -> None:
        add(writer, name, data, gguf.quant_shape_to_byte_shape(raw_shape, raw_dtype), raw_dtype, **more)

    monkeypatch.setenv("NO_LOCAL_GGUF", "1")
    monkeypatch.setattr(gguf.GGUFWriter, "add_tensor", in_bytes)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "-i", str(source), "-o", str(out), *options])
    runpy.run_path(str(SCRIPT), run_name="__main__")


@pytest.mark.parametrize(("magic", "version"), [("ggml", 1), ("ggmf", 1), ("ggjt", 1), ("ggjt", 3)])
@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_plain_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, magic: str, version: int, kind: Any) -> None:
    source = tmp_path / "old.bin"
    source.write_bytes(llama(magic, version, kind=kind, ftype=int(kind is np.float16)))
    reference(
        monkeypatch, source, tmp_path / "reference.gguf"
    )  # takes as many key heads as heads, which this model has not
    mg.convert(source, tmp_path / "ours.gguf")
    wanted, found = (gguf.GGUFReader(tmp_path / name) for name in ("reference.gguf", "ours.gguf"))
    assert found.fields["llama.attention.head_count_kv"].contents() == 1
    assert [(t.name, t.tensor_type, list(t.shape)) for t in found.tensors] == [
        (t.name, t.tensor_type, list(t.shape)) for t in wanted.tensors
    ]
    for ours, theirs in zip(found.tensors, wanted.tensors, strict=True):
        assert np.array_equal(ours.data, theirs.data), ours.name


@pytest.mark.parametrize("kind", [QUANT.Q4_0, QUANT.Q4_1, QUANT.Q5_0, QUANT.Q5_1, QUANT.Q8_0])
def test_whole_files_of_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    rng = np.random.default_rng(0)
    shape = shapes()["layers.0.feed_forward.w2.weight"]
    blocks = gguf.quantize(rng.standard_normal(shape).astype(np.float32), kind).tobytes()
    source = tmp_path / "old.bin"
    source.write_bytes(llama("ggjt", 3, ftype=2, **{"layers.0.feed_forward.w2.weight": (int(kind), blocks)}))
    reference(monkeypatch, source, tmp_path / "reference.gguf", "--gqa", "2", "--eps", "1e-5", "-c", "4096")
    settings = {"ggml:context_length": "4096", "ggml:rms_epsilon": "1e-5"}
    mg.convert(source, tmp_path / "ours.gguf", settings=settings)
    assert (tmp_path / "ours.gguf").read_bytes() == (tmp_path / "reference.gguf").read_bytes()
