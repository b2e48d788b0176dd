"""GPTQ, AWQ, FP8, compressed-tensors, bitsandbytes, MLX, MXFP4, NVFP4: decoded by the formula of each, number by number
in plain Python, and through `convert --dtype`. tests/oracle/test_methods.py asks the libraries."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import modelglot as mg

R = np.random.default_rng(0)
OUT, IN, SIZE = 32, 64, 32
E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]
Case = tuple[dict[str, np.ndarray], dict, np.ndarray]


def pack(numbers: np.ndarray, bits: int, axis: int) -> np.ndarray:
    """Numbers to int32 words, one number at a time: the first in the lowest bits."""
    moved = np.moveaxis(numbers, axis, -1)
    rows = moved.reshape(-1, moved.shape[-1])
    out = np.zeros((len(rows), moved.shape[-1] * bits // 32), np.uint32)
    for r, row in enumerate(rows):
        value = sum(int(n) << (bits * i) for i, n in enumerate(row))
        for w in range(out.shape[1]):
            out[r, w] = value >> (32 * w) & 0xFFFFFFFF
    return np.moveaxis(out.reshape(*moved.shape[:-1], -1), -1, axis).view(np.int32)


def gptq(bits: int, order: bool) -> Case:
    q = R.integers(0, 1 << bits, (IN, OUT))
    zeros = R.integers(1, 1 << bits, (IN // SIZE, OUT))
    scales = R.random((IN // SIZE, OUT)).astype(np.float16)
    index = R.permutation(np.arange(IN) // SIZE) if order else np.arange(IN) // SIZE
    weight = np.array(
        [[(q[i, o] - zeros[index[i], o]) * np.float32(scales[index[i], o]) for i in range(IN)] for o in range(OUT)]
    )
    group = {"qweight": pack(q, bits, 0), "qzeros": pack(zeros - 1, bits, 1), "scales": scales,
             "g_idx": index.astype(np.int32)}  # fmt: skip
    return group, {"quant_method": "gptq", "bits": bits}, weight


def awq() -> Case:
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    q, zeros = R.integers(0, 16, (IN, OUT)), R.integers(0, 16, (IN // SIZE, OUT))
    scales = R.random((IN // SIZE, OUT)).astype(np.float16)

    def shuffled(numbers: np.ndarray) -> np.ndarray:
        return numbers.reshape(len(numbers), -1, 8)[:, :, order].reshape(len(numbers), -1)

    weight = np.array(
        [[(q[i, o] - zeros[i // SIZE, o]) * np.float32(scales[i // SIZE, o]) for i in range(IN)] for o in range(OUT)]
    )
    return {"qweight": pack(shuffled(q), 4, 1), "qzeros": pack(shuffled(zeros), 4, 1), "scales": scales}, {}, weight


def fp8_blocks() -> Case:
    weight = R.normal(size=(200, 300)).astype(ml_dtypes.float8_e4m3fn)
    scale = R.random((2, 3)).astype(np.float32)
    wanted = np.array([[np.float32(weight[r, c]) * scale[r // 128, c // 128] for c in range(300)] for r in range(200)])
    return {"weight": weight, "weight_scale_inv": scale}, {"weight_block_size": [128, 128]}, wanted


def fp8_rows() -> Case:
    weight = R.normal(size=(OUT, IN)).astype(ml_dtypes.float8_e4m3fn)
    scale = R.random((OUT, 1)).astype(ml_dtypes.bfloat16)
    return {"weight": weight, "weight_scale": scale}, {}, weight.astype(np.float32) * scale.astype(np.float32)


def fp8_tensor() -> Case:
    weight = R.normal(size=(OUT, IN)).astype(ml_dtypes.float8_e5m2)
    scale = np.array(0.25, np.float32)
    return {"weight": weight, "weight_scale": scale, "input_scale": scale}, {}, weight.astype(np.float32) * scale


def int8_rows() -> Case:
    weight = R.integers(-128, 128, (OUT, IN)).astype(np.int8)
    scale = R.random((OUT, 1)).astype(np.float32)
    return {"weight": weight, "weight_scale": scale}, {}, weight * scale


def packed() -> Case:
    q = R.integers(-8, 8, (OUT, IN))
    scales = R.random((OUT, IN // SIZE)).astype(np.float16)
    weight = np.array([[q[o, i] * np.float32(scales[o, i // SIZE]) for i in range(IN)] for o in range(OUT)])
    group = {"weight_packed": pack(q + 8, 4, 1), "weight_scale": scales, "weight_shape": np.array([OUT, IN], np.int64)}
    return group, {"config_groups": {"group_0": {"weights": {"num_bits": 4}}}}, weight


def nvfp4() -> Case:
    q = R.integers(0, 16, (OUT, IN))
    scale = R.random((OUT, IN // 16)).astype(ml_dtypes.float8_e4m3fn)
    whole = np.array(0.5, np.float32)
    weight = np.array([[E2M1[q[o, i]] * np.float32(scale[o, i // 16]) * whole for i in range(IN)] for o in range(OUT)])
    packed_ = (q[:, ::2] | q[:, 1::2] << 4).astype(np.uint8)
    return {"weight": packed_, "weight_scale": scale, "weight_scale_2": whole}, {}, weight


def bnb8() -> Case:
    weight, maxima = R.integers(-127, 128, (OUT, IN)).astype(np.int8), R.random(OUT).astype(np.float32)
    return {"weight": weight, "SCB": maxima}, {}, weight * (maxima / np.float32(127))[:, None]


def bnb4() -> Case:
    table = np.sort(R.normal(size=16)).astype(np.float32)
    q, maxima = R.integers(0, 16, OUT * IN), R.random(OUT * IN // 64).astype(np.float32)
    state = json.dumps({"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [OUT, IN]}).encode()
    weight = np.array([table[q[i]] * maxima[i // 64] for i in range(OUT * IN)]).reshape(OUT, IN)
    group = {"weight": (q[::2] << 4 | q[1::2]).astype(np.uint8)[:, None], "weight.absmax": maxima,
             "weight.quant_map": table,
             "weight.quant_state.bitsandbytes__nf4": np.frombuffer(state, np.uint8)}  # fmt: skip
    return group, {}, weight


def mlx(bits: int) -> Case:
    q = R.integers(0, 1 << bits, (OUT, IN))
    scales, biases = (R.normal(size=(OUT, IN // SIZE)).astype(np.float16) for _ in range(2))
    weight = np.array(
        [
            [q[o, i] * np.float32(scales[o, i // SIZE]) + np.float32(biases[o, i // SIZE]) for i in range(IN)]
            for o in range(OUT)
        ]
    )
    words = pack(q, bits, 1).view(np.uint32)
    return {"weight": words, "scales": scales, "biases": biases}, {"group_size": SIZE, "bits": bits}, weight


CASES: dict[str, Callable[[], Case]] = {
    "gptq-4": lambda: gptq(4, False), "gptq-4-order": lambda: gptq(4, True), "gptq-8": lambda: gptq(8, False),
    "gptq-2": lambda: gptq(2, False), "gptq-3": lambda: gptq(3, False), "awq": awq, "fp8-blocks": fp8_blocks,
    "fp8-rows": fp8_rows, "fp8-tensor": fp8_tensor, "int8-rows": int8_rows, "packed": packed, "nvfp4": nvfp4,
    "bnb8": bnb8, "bnb4": bnb4, "mlx-4": lambda: mlx(4), "mlx-8": lambda: mlx(8), "mlx-2": lambda: mlx(2),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_decodes_by_the_formula(name: str, tmp_path: Path) -> None:
    group, config, wanted = CASES[name]()
    folder = tmp_path / "model"
    folder.mkdir()
    norm = np.ones(4, np.float32)
    state = {**{f"layers.0.proj.{k}": v for k, v in group.items()}, "norm.weight": norm}
    mg.save(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"quantization_config": config} if config else {}))
    assert "quantized" in [n.code for n in mg.inspect(folder).notes]
    mg.convert(folder, tmp_path / "out.safetensors", dtype=["f32"])
    loaded = mg.load(tmp_path / "out.safetensors")
    assert sorted(loaded) == ["layers.0.proj.weight", "norm.weight"]
    assert loaded["layers.0.proj.weight"].shape == wanted.shape
    assert np.array_equal(loaded["layers.0.proj.weight"], wanted.astype(np.float32))
    mg.convert(folder, tmp_path / "half.safetensors", dtype=["bf16"])
    half = mg.load(tmp_path / "half.safetensors")["layers.0.proj.weight"]
    assert np.array_equal(half, wanted.astype(np.float32).astype(ml_dtypes.bfloat16))


def test_experts_of_gpt_oss(tmp_path: Path) -> None:
    q = R.integers(0, 16, (2, 6, 3, 32))
    exponents = R.integers(120, 130, (2, 6, 3)).astype(np.uint8)
    wanted = np.array(E2M1)[q] * np.exp2(exponents.astype(float) - 127)[..., None]
    wanted = wanted.reshape(2, 6, 96).swapaxes(1, 2)
    state = {"mlp.experts.down_proj_blocks": (q[..., ::2] | q[..., 1::2] << 4).astype(np.uint8),
             "mlp.experts.down_proj_scales": exponents, "bias": np.zeros(2, np.float32)}  # fmt: skip
    mg.save(state, tmp_path / "a.safetensors")
    mg.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", dtype=["f32"])
    loaded = mg.load(tmp_path / "b.safetensors")
    assert sorted(loaded) == ["bias", "mlp.experts.down_proj"]
    assert np.array_equal(loaded["mlp.experts.down_proj"], wanted)


def test_without_a_dtype_the_packed_tensors_are_kept(tmp_path: Path) -> None:
    group, _, _ = awq()
    mg.save({f"a.{k}": v for k, v in group.items()}, tmp_path / "a.safetensors")
    mg.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert mg.diff(tmp_path / "a.safetensors", tmp_path / "b.safetensors").same


def test_parts_that_do_not_fit_are_an_error_with_the_name(tmp_path: Path) -> None:
    from modelglot.core.errors import ModelFileError

    group, _, _ = gptq(4, True)
    group["g_idx"] = group["g_idx"] + 99
    mg.save({f"a.{k}": v for k, v in group.items()}, tmp_path / "a.safetensors")
    with pytest.raises(ModelFileError) as caught:
        mg.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", dtype=["f32"])
    assert caught.value.tensor == "a.weight"


def test_an_unknown_home_made_scheme_is_left_alone(tmp_path: Path) -> None:
    """int8 with `weight.scale`, as one real model has it: not recognised, not touched, not called quantized."""
    state = {"w": np.zeros((2, 2), np.int8), "w.scale": np.ones(2, np.float32)}
    mg.save(state, tmp_path / "a.safetensors")
    assert "quantized" not in [n.code for n in mg.inspect(tmp_path / "a.safetensors").notes]


@pytest.mark.parametrize("change", ["packing", "shape", "scale", "words"])
def test_an_hqq_weight_whose_parts_disagree(change: str, tmp_path: Path) -> None:
    from modelglot.core.errors import ModelFileError

    one = np.ones((1, 8), np.float32)
    group = {"W_q": np.zeros((32, 8), np.uint8), "scale": one, "zero": one,
             "shape": np.array([16, 32]), "packing": np.frombuffer(b"4bit_u8", np.uint8)}  # fmt: skip
    mg.save({f"w.{k}": v for k, v in group.items()}, tmp_path / "a.safetensors")
    mg.convert(tmp_path / "a.safetensors", tmp_path / "good.safetensors", dtype=["f32"])
    assert mg.load(tmp_path / "good.safetensors")["w.weight"].tolist() == [[-1.0] * 32] * 16
    wrong = {"packing": np.frombuffer(b"5bit_u8", np.uint8), "shape": np.array([16, 33]), "scale": np.ones((3, 8)),
             "words": np.zeros((31, 8), np.uint8)}  # fmt: skip
    group["W_q" if change == "words" else change] = wrong[change]
    mg.save({f"w.{k}": v for k, v in group.items()}, tmp_path / "b.safetensors")
    with pytest.raises(ModelFileError) as caught:
        mg.convert(tmp_path / "b.safetensors", tmp_path / "c.safetensors", dtype=["f32"])
    assert caught.value.tensor == "w.weight"
    assert not (tmp_path / "c.safetensors").exists()


def test_torchao_with_scaled_activations_is_left_alone(tmp_path: Path) -> None:
    group = {"_weight_qdata": np.ones((2, 4), np.int8), "_weight_scale": np.ones((2, 1), np.float32)}
    mg.save({f"a.{k}": v for k, v in group.items()}, tmp_path / "a.safetensors")
    mg.save({f"a.{k}": v for k, v in {**group, "_weight_act_pre_scale": np.ones(4, np.float32)}.items()},
            tmp_path / "b.safetensors")  # fmt: skip
    assert "quantized" in [n.code for n in mg.inspect(tmp_path / "a.safetensors").notes]
    assert "quantized" not in [n.code for n in mg.inspect(tmp_path / "b.safetensors").notes]
