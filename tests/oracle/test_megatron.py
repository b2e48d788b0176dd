"""Megatron Core's own models on one and on two tensor-parallel processes, recorded by ``data/make_megatron.py``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import modelglot as mg
from modelglot.core.errors import DamagedFileError, InvalidFileError, UnsupportedError
from modelglot.testing.folders import FolderConformance

DATA = Path(__file__).parent / "data" / "megatron"


class TestConformance(FolderConformance):
    format = "megatron"

    def make(self, folder: Path) -> None:
        shutil.copytree(DATA / "plain-2", folder, dirs_exist_ok=True)


@pytest.mark.parametrize("kind", ["plain", "gated"])
def test_two_ranks_are_the_model_on_one(kind: str, tmp_path: Path) -> None:
    whole = torch.load(DATA / f"{kind}-1" / "iter_0000005" / "mp_rank_00" / "model_optim_rng.pt", weights_only=False)
    found = mg.load(DATA / f"{kind}-2", framework="torch")
    assert sorted(found) == sorted(whole["model"])
    for name, tensor in whole["model"].items():
        assert torch.equal(found[name], tensor), name
    mg.convert(DATA / f"{kind}-2", tmp_path / "out.safetensors")
    assert mg.diff(DATA / f"{kind}-1", tmp_path / "out.safetensors").same


def test_the_halves_of_a_gated_layer_stay_together() -> None:
    """What both ranks compute together, as Megatron's layer does it on each, is what the joined layer computes."""
    ranks = [
        torch.load(DATA / "gated-2" / "iter_0000005" / f"mp_rank_0{n}" / "model_optim_rng.pt", weights_only=False)
        for n in (0, 1)
    ]
    x, mlp = torch.randn(5, 8), "decoder.layers.0.mlp"

    def layer(state: dict[str, torch.Tensor]) -> torch.Tensor:
        gate, up = torch.chunk(x @ state[f"{mlp}.linear_fc1.weight"].T, 2, dim=-1)
        return (torch.nn.functional.silu(gate) * up) @ state[f"{mlp}.linear_fc2.weight"].T

    together = sum(layer(rank["model"]) for rank in ranks)
    assert torch.allclose(layer(mg.load(DATA / "gated-2", framework="torch")), together, atol=1e-5)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(DATA / "plain-2", tmp_path / "c")
    return tmp_path / "c"


def test_missing_ranks_and_pipeline_stages(copied: Path) -> None:
    step = copied / "iter_0000005"
    step.joinpath("mp_rank_01").rename(step / "mp_rank_02")
    with pytest.raises(DamagedFileError, match="mp_rank_01 is missing"):
        mg.open(copied)
    shutil.rmtree(step / "mp_rank_02")
    with pytest.raises(DamagedFileError, match="1 ranks are there, 2 were written"):
        mg.open(copied)
    step.joinpath("mp_rank_00").rename(step / "mp_rank_00_000")
    with pytest.raises(UnsupportedError, match="pipeline"):
        mg.open(copied)


def test_a_replicated_weight_that_differs_in_shape(copied: Path) -> None:
    path = copied / "iter_0000005" / "mp_rank_01" / "model_optim_rng.pt"
    state = torch.load(path, weights_only=False)
    state["model"]["decoder.final_layernorm.weight"] = torch.ones(3)
    torch.save(state, path)
    with pytest.raises(InvalidFileError, match=r"\[8\], \[3\] on the ranks"):
        mg.open(copied)


def test_the_iteration_that_is_latest(copied: Path) -> None:
    shutil.copytree(copied / "iter_0000005", copied / "iter_0000010")
    assert any("iter_0000005 is read" in n.text for n in mg.inspect(copied).notes)
    (copied / "latest_checkpointed_iteration.txt").write_text("10")
    assert any("iter_0000010 is read" in n.text for n in mg.inspect(copied).notes)
