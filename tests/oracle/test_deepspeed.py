"""Checkpoints that DeepSpeed wrote on two processes, against what its own ``zero_to_fp32`` made of them.

Both are recorded (``data/make_deepspeed.py``): the package is built from source and takes minutes to install.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import modelglot as mg
from modelglot.core.errors import DamagedFileError, InvalidFileError, UnsupportedError

DATA = Path(__file__).parent / "data" / "deepspeed"


def same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert sorted(found) == sorted(wanted)
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_every_stage_gives_the_weights_of_deepspeeds_script(stage: int, tmp_path: Path) -> None:
    wanted = load_file(DATA / f"zero{stage}.safetensors")
    same(mg.load(DATA / f"zero{stage}", framework="torch"), wanted)
    mg.convert(DATA / f"zero{stage}", tmp_path / "out.safetensors")
    same(load_file(tmp_path / "out.safetensors"), wanted)
    mg.convert(DATA / f"zero{stage}" / "global_step1", tmp_path / "out", to="safetensors")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_the_optimizer_in_the_shapes_of_the_weights(stage: int) -> None:
    """exp_avg after the first step of Adam is a tenth of the gradient, exp_avg_sq a thousandth of its square."""
    state = mg.load(DATA / f"zero{stage}", framework="torch", component="optimizer")
    weights = load_file(DATA / f"zero{stage}.safetensors")
    trained = {n for n in weights if not n.startswith(("frozen", "tied")) and n not in ("scale", "count")}
    assert {n.removeprefix("exp_avg.") for n in state if n.startswith("exp_avg.")} == trained
    for name in trained:
        first, second = state[f"exp_avg.{name}"], state[f"exp_avg_sq.{name}"]
        assert first.shape == second.shape == weights[name].shape
        assert torch.allclose((first * 10) ** 2 / 1000, second, rtol=1e-4, atol=1e-12), name


@pytest.mark.parametrize("stage", [2, 3])
def test_through_a_plain_checkpoint(stage: int, tmp_path: Path) -> None:
    mg.convert(DATA / f"zero{stage}", tmp_path / "out.pt")
    loaded = torch.load(tmp_path / "out.pt", weights_only=True)
    same(loaded["model"], load_file(DATA / f"zero{stage}.safetensors"))
    assert loaded["epoch"] == 2
    assert loaded["model"]["a.weight"].data_ptr() == loaded["model"]["tied.weight"].data_ptr()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(DATA / "zero3", tmp_path / "c")
    return tmp_path / "c"


def test_a_missing_rank_is_an_error(copied: Path) -> None:
    (copied / "global_step1" / "bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt").unlink()
    with pytest.raises(DamagedFileError, match="1 partitions are there, 2 were written"):
        mg.open(copied)
    (copied / "global_step1" / "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt").rename(
        copied / "global_step1" / "bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt"
    )
    with pytest.raises(DamagedFileError, match="rank 0 is missing"):
        mg.open(copied)


def test_the_latest_step_is_read_and_others_are_named(copied: Path) -> None:
    shutil.copytree(copied / "global_step1", copied / "global_step20")
    assert any("global_step1 is read" in n.text for n in mg.inspect(copied).notes)
    (copied / "latest").unlink()
    assert any("global_step20 is read" in n.text for n in mg.inspect(copied).notes)


def test_tensor_parallel_slices_are_refused_by_name(copied: Path) -> None:
    folder = copied / "global_step1"
    shutil.copy(
        folder / "zero_pp_rank_0_mp_rank_00_model_states.pt", folder / "zero_pp_rank_0_mp_rank_01_model_states.pt"
    )
    with pytest.raises(UnsupportedError, match="tensor-parallel"):
        mg.open(copied)


def changed(folder: Path, change: Any, kind: str = "optim") -> Path:
    for path in (folder / "global_step1").glob(f"*{kind}*"):
        state = torch.load(path, weights_only=False) if kind == "model" else None
        if state is not None:
            change(state)
            torch.save(state, path)
    return folder


@pytest.mark.parametrize(("change", "words"), [
    (lambda s: s["param_shapes"][0].update({"a.weight": torch.Size([700, 5])}), "elements 0 to 1,750 of 43"),
    (lambda s: s["param_shapes"][0].update({"a.weight": torch.Size([7, 5, 1 << 50])}), "elements 0 to .* of 43"),
    (lambda s: s["param_shapes"][0].update({"a.weight": torch.Size([7])}), "need 29 numbers a rank, there are 43"),
    (lambda s: s.update(param_shapes=[]), "need 0 numbers a rank, there are 43"),
    (lambda s: s.update(param_shapes="x"), "is no map"),
    (lambda s: s.update(module=3), "is no map"),
    (lambda s: s.update(buffer_names=["nothing"]), "is no tensor"),
])  # fmt: skip
def test_shapes_that_do_not_fit(copied: Path, change: Any, words: str) -> None:
    with pytest.raises((InvalidFileError, UnsupportedError), match=words):
        mg.convert(changed(copied, change, "model"), copied / "out.safetensors")
