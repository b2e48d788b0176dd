"""Blocks taken apart and put together: what the planes mean against the `gguf` package, the way back byte for byte."""

from __future__ import annotations

import numpy as np
import pytest

from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import BLOCKS
from modelglot.core.forms import FORMS, each
from modelglot.core.tensor import Derived, Inline, Tensor
from modelglot.engine.stream import read
from modelglot.kernels.arrays import as_array
from modelglot.kernels.blocks_of import JOIN
from modelglot.kernels.planes import SPLIT, TABLES, weights
from modelglot.kernels.reference.dequantize import dequantize_blocks

gguf = pytest.importorskip("gguf")

NOT_READ = {"q1_0", "q2_0"}  # block types that the package cannot decode
NOT_WRITTEN = {"tq1_0": 243, "mxfp4": 0, "nvfp4": 0}  # types with more than one code for a value


def blocks(name: str, count: int = 600, seed: int = 0) -> np.ndarray:
    raw = np.random.default_rng(seed).integers(0, 256, (count, BLOCKS[name].bytes)).astype(np.uint8)
    return np.ascontiguousarray(raw)


def decoded(name: str, raw: np.ndarray) -> np.ndarray:
    if name in NOT_READ:
        return dequantize_blocks(name, raw)
    kind = getattr(gguf.GGMLQuantizationType, name.upper())
    with np.errstate(all="ignore"):
        return gguf.quants.dequantize(raw.reshape(-1), kind).reshape(len(raw), -1)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(((a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))).all())


@pytest.mark.parametrize("name", FORMS)
def test_planes_mean_the_same_weights(name: str) -> None:
    raw = blocks(name)
    with np.errstate(all="ignore"):
        assert same(weights(name, SPLIT[name](raw)), decoded(name, raw))


@pytest.mark.parametrize("name", FORMS)
def test_blocks_come_back(name: str) -> None:
    raw = blocks(name)
    made = JOIN[name](SPLIT[name](raw))
    if name not in NOT_WRITTEN:
        assert np.array_equal(made, raw)
    again = JOIN[name](SPLIT[name](made))  # what ggml writes: one code for a value
    assert np.array_equal(again, made)
    with np.errstate(all="ignore"):
        assert same(np.abs(decoded(name, made)), np.abs(decoded(name, raw)))


@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("name", ["q4_1", "q4_k", "q6_k", "iq2_xs", "nvfp4", "mxfp4"])
def test_the_engine_takes_them_apart_in_bands(name: str, turned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelglot.kernels.turning.BAND", 4000)
    form, kind, count, width = FORMS[name], BLOCKS[name], 7, 1024
    raw = blocks(name, count * width // kind.elements, 3)
    raw = JOIN[name](SPLIT[name](raw))
    stored = Tensor("w", DTYPES["f32"], (count, width), Inline(raw.tobytes()), kind)
    wide = form.levels[1] == "8"
    names = [("high", form.levels[0] + "4"), ("low", "u4")] if turned and wide else [("levels", form.levels)]
    sizes = [width] * len(names)
    for part in (form.scale, form.minimum):
        if part is not None:
            names += part.planes
            sizes += [width // n for n in each(name, part)]
    made, inputs = {}, []
    for (plane, dtype), size in zip(names, sizes, strict=True):
        params = {"from": name, "plane": plane, "to": dtype, "turned": turned, "width": width}
        shape = (size, count) if turned else (count, size)
        tensor = Tensor(plane, DTYPES[dtype], shape, Derived("planes", (stored,), params))
        data = read(tensor, lambda _: pytest.fail("nothing lies in a file"))
        made[plane] = as_array(bytes(data), DTYPES[dtype], shape)
        inputs.append(Tensor(plane, DTYPES[dtype], shape, Inline(bytes(data))))
    row = width // kind.elements * kind.bytes
    params = {
        "inputs": [t.name for t in inputs], "dtypes": [t.dtype.name for t in inputs], "to": name, "turned": turned,
        "shapes": [t.shape for t in inputs], "shape": [count, row],
    }  # fmt: skip
    back = Tensor("w", DTYPES["u8"], (count, row), Derived("blocks", tuple(inputs), params))
    assert read(back, lambda _: pytest.fail("nothing lies in a file")) == raw.tobytes()
    levels = made["high"].astype(int) * 16 + made["low"].astype(int) if "high" in made else made["levels"].astype(int)
    assert np.array_equal(levels.T if turned else levels, SPLIT[name](raw)["levels"].reshape(count, width))


def test_tables_are_the_scales_of_the_formats() -> None:
    assert TABLES["e8m0"]()[127] == 0.5  # of doubled values
    assert TABLES["ue4m3"]()[0x38] == 0.5
