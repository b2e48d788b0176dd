"""`--dtype` and `--rounding`: which tensors are touched, what is reported, and the same bytes whatever the threads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import modelglot as mg
from modelglot.core.errors import UnsupportedError

BIG = 3 << 20  # elements: several chunks


@pytest.fixture
def source(tmp_path: Path) -> Path:
    state = {"a": np.array([1.5, 70000, -1e9, np.nan], np.float32), "b": np.array([np.inf, 1, 2, 65520], np.float32),
             "fine": np.ones(4, np.float32), "ids": np.array([0, 300, -7], np.int64),
             "mask": np.array([True, False]), "a.ids": np.arange(3)}  # fmt: skip
    save_file(state, tmp_path / "a.safetensors")
    return tmp_path / "a.safetensors"


def converted(source: Path, *dtype: str, **more: object) -> tuple[dict[str, np.ndarray], Any]:
    target = source.parent / "out.safetensors"
    receipt = mg.convert(source, target, dtype=dtype, force=True, **more)
    return dict(mg.load(target)), receipt


def test_floats_only_unless_a_glob_says_so(source: Path) -> None:
    state, _ = converted(source, "bf16")
    assert {n: str(a.dtype) for n, a in state.items()} == {
        "a": "bfloat16", "b": "bfloat16", "fine": "bfloat16", "ids": "int64", "mask": "bool", "a.ids": "int64"
    }  # fmt: skip
    state, _ = converted(source, "*=bf16", "a*=f64")  # a* fits floats and integers: floats are meant
    assert (state["a"].dtype, state["a.ids"].dtype) == (np.float64, np.int64)
    state, _ = converted(source, "*ids=i8", "mask=f32", "fine=u8")
    assert state["ids"].tolist() == [0, 127, -7]
    assert state["a.ids"].dtype == np.int8
    assert state["mask"].tolist() == [1.0, 0.0]
    assert (state["fine"].dtype, state["a"].dtype) == (np.uint8, np.float32)


@pytest.mark.parametrize("rule", ["i32", "*=u8", "f32=", "bool", "a=i4", "f4_e2m1", "q4_k"])
def test_rules_that_are_refused(source: Path, rule: str) -> None:
    with pytest.raises(UnsupportedError):
        converted(source, rule)


@pytest.mark.parametrize("text", ["", "up", "stochastic:", "stochastic:-1", "stochastic:x", "nearest:1"])
def test_roundings_that_are_refused(source: Path, text: str) -> None:
    with pytest.raises(UnsupportedError):
        converted(source, "bf16", rounding=text)


def test_what_is_lost_is_reported(source: Path) -> None:
    _, receipt = converted(source, "f16", "ids=i8")
    assert receipt.unusual == {"a": (1, 0, 2), "b": (0, 1, 1), "ids": (0, 0, 1)}
    assert [n.text for n in receipt.notes] == [
        "3 values too large for f16 became infinite, in 2 tensors: `a`, `b`",
        "1 NaN and 1 infinite in the source, in 2 tensors: `a`, `b`",
        "1 value too large for i8 became the nearest that fits, in 1 tensor: `ids`",
    ]
    document = receipt.document()
    assert document["unusual"]["a"] == {"nan": 1, "infinite": 0, "too_large": 2}
    assert [n["code"] for n in document["notes"]] == ["too-large", "nan-or-infinite", "too-large"]
    _, receipt = converted(source, "f8_e4m3")
    assert [n.text for n in receipt.notes] == [
        "3 values too large for f8_e4m3 became 448, the largest, in 2 tensors: `a`, `b`",
        "1 NaN and 1 infinite in the source, in 2 tensors: `a`, `b`; infinities became 448, the largest",
    ]
    _, receipt = converted(source)
    assert not receipt.unusual


def test_blocks_that_decode_to_infinities(tmp_path: Path) -> None:
    from gguf import GGMLQuantizationType, GGUFWriter

    block = np.zeros((2, 34), np.uint8)
    block[0, :2] = np.array([60000], np.float16).view(np.uint8)
    block[0, 2:5] = 1, 2, 3  # 120000 and 180000 are no f16
    block[1, :2] = np.array([np.nan], np.float16).view(np.uint8)
    writer = GGUFWriter(tmp_path / "a.gguf", "llama")
    writer.add_tensor("w", block, raw_dtype=GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for dtype, wanted in (("f16", (32, 0, 2)), ("f32", (32, 0, 0)), ("f8_e5m2", (32, 0, 2))):
        receipt = mg.convert(tmp_path / "a.gguf", tmp_path / "o.safetensors", dtype=[dtype], force=True,
                             allow_loss=["all"])  # fmt: skip
        assert receipt.unusual == {"w": wanted}


@pytest.mark.parametrize("dtype", ["bf16", "f8_e5m2"])
def test_stochastic_rounding_does_not_depend_on_threads_or_layout(tmp_path: Path, dtype: str) -> None:
    values = np.random.default_rng(1).normal(size=BIG).astype(np.float32).reshape(1024, -1)
    save_file({"w": values, "v": values[:8]}, tmp_path / "a.safetensors")
    mg.convert(tmp_path / "a.safetensors", tmp_path / "a.pt")
    one, _ = converted(tmp_path / "a.safetensors", dtype, rounding="stochastic:5", threads=1)
    two, _ = converted(tmp_path / "a.pt", dtype, rounding="stochastic:5", threads=4)
    assert one["w"].tobytes() == two["w"].tobytes()
    assert one["w"][:8].tobytes() != one["v"].tobytes()  # another name, other chances
    other, _ = converted(tmp_path / "a.safetensors", dtype, rounding="stochastic:6")
    assert other["w"].tobytes() != one["w"].tobytes()
    wide = one["w"].astype(np.float64)
    near = values.astype(ml_dtypes.bfloat16 if dtype == "bf16" else ml_dtypes.float8_e5m2).astype(np.float64)
    step = float(ml_dtypes.finfo(one["w"].dtype).eps)
    assert (np.abs(wide - values) <= np.maximum(np.abs(values) * step, 2.0**-16)).all()
    assert 0.1 < (wide != near).mean() < 0.5
    assert abs((wide - values).mean()) < 5 * (wide - values).std() / np.sqrt(BIG)


def test_load_with_safetensors(source: Path) -> None:
    converted(source, "f16")
    assert load_file(source.parent / "out.safetensors")["fine"].dtype == np.float16


def test_the_command_says_it(source: Path) -> None:
    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "modelglot", "convert", str(source), str(source.parent / "o.safetensors")]
        return subprocess.run([*command, "--force", *more], capture_output=True, text=True, check=False)

    done = run("--dtype", "f16", "--rounding", "stochastic:3")
    assert "cast to f16, rounding stochastic:3" in done.stderr
    assert "warning: 3 values too large for f16 became infinite, in 2 tensors: `a`, `b`\n" in done.stderr
    document = json.loads(run("--dtype", "f16", "--json").stdout)
    assert document["unusual"] == {"a": {"nan": 1, "infinite": 0, "too_large": 2},
                                   "b": {"nan": 0, "infinite": 1, "too_large": 1}}  # fmt: skip
    assert run("--rounding", "up").returncode == 7
