"""Which part of a checkpoint is the model, on the layouts that training code writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.reading import read_model
from modelglot.core.errors import UnsupportedError
from modelglot.passes.component import choose, components

W = {"a.weight": np.ones((2, 2), np.float32), "a.bias": np.zeros(2, np.float32)}
OPTIMIZER = {"state": {0: {"exp_avg": np.zeros((2, 2), np.float32)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
LAYOUTS = {
    "flat": (W, ""),
    "lightning": ({"epoch": 1, "state_dict": W, "optimizer_states": [OPTIMIZER], "lr_schedulers": []}, "state_dict"),
    "by hand": ({"epoch": 1, "model_state_dict": W, "optimizer_state_dict": OPTIMIZER, "loss": 1}, "model_state_dict"),
    "timm": ({"arch": "x", "state_dict": W, "state_dict_ema": W, "optimizer": OPTIMIZER}, "state_dict"),
    "nested": ({"model": {"args": {"dim": 2}, "state_dict": W}, "optimizer": OPTIMIZER}, "model.state_dict"),
    "one unusual key": ({"my_net": W, "optimizer": OPTIMIZER, "step": 3}, "my_net"),
    "esrgan": ({"params": W, "params_ema": W}, "params"),
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.ckpt"


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_model_is_found(name: str, path: Path) -> None:
    state, where = LAYOUTS[name]
    mg.save(state, path)
    model, _, said = choose(read_model(str(path)), None)
    assert list(model.tensors) == list(W)
    assert (f"`{where}`" in (said or "")) == bool(where)
    assert list(mg.load(path)) == list(W)


@pytest.mark.parametrize(("name", "wanted"), [("timm", "ema"), ("timm", "state_dict_ema"), ("esrgan", "params_ema")])
def test_the_moving_average_can_be_asked_for(name: str, wanted: str, path: Path) -> None:
    mg.save(LAYOUTS[name][0], path)
    assert list(mg.load(path, component=wanted)) == list(W)


def test_a_moving_average_beside_the_weights_by_prefix(path: Path) -> None:
    mg.save({**W, **{f"model_ema.{k}": v + 1 for k, v in W.items()}}, path)
    assert len(mg.load(path)) == 4
    ema = mg.load(path, component="ema")
    assert list(ema) == list(W)
    assert ema["a.bias"].tolist() == [1, 1]


def test_several_models_must_be_named(path: Path) -> None:
    mg.save({"generator": W, "encoder": W, "step": 1}, path)
    with pytest.raises(UnsupportedError, match="several") as caught:
        mg.load(path)
    assert "`generator`" in str(caught.value)
    assert list(mg.load(path, component="encoder")) == list(W)


def test_what_is_left_out_is_named(path: Path) -> None:
    mg.save(LAYOUTS["by hand"][0], path)
    _, losses, _ = choose(read_model(str(path)), None)
    said = " ".join(x.what for x in losses)
    assert "optimizer_state_dict" in said
    assert "epoch" in said
    assert "loss" in said
    assert not any(x.stops for x in losses)


def test_roles(path: Path) -> None:
    mg.save(LAYOUTS["timm"][0], path)
    assert [(c.role, c.path) for c in components(read_model(str(path)))] == [
        ("model", "state_dict"), ("ema", "state_dict_ema"), ("optimizer", "optimizer")]  # fmt: skip


def test_averages_of_latent_diffusion_take_the_places_of_the_weights(tmp_path):
    """LitEma joins names without their dots: ``model_ema.diffusion_modelab`` is ``model.diffusion_model.a.b``."""
    names = ["diffusion_model.a.weight", "diffusion_model.b.0.bias"]
    state = {f"model.{n}": np.full(2, i, np.float32) for i, n in enumerate(names)}
    averages = {"model_ema." + n.replace(".", ""): np.full(2, 10 + i, np.float32) for i, n in enumerate(names)}
    own = {"model_ema.decay": np.float32([0.9]), "model_ema.num_updates": np.int32([7])}
    rest = {"first_stage_model.w": np.ones(3, np.float32)}
    mg.save({**state, **averages, **own, **rest}, tmp_path / "sd.ckpt")
    ema = mg.load(tmp_path / "sd.ckpt", component="ema")
    assert sorted(ema) == sorted([*state, *rest])
    assert ema["model.diffusion_model.a.weight"].tolist() == [10, 10]
    assert ema["model.diffusion_model.b.0.bias"].tolist() == [11, 11]
    mg.convert(tmp_path / "sd.ckpt", tmp_path / "out.safetensors", exclude=["model_ema.*"])
    assert sorted(mg.load(tmp_path / "out.safetensors")) == sorted([*state, *rest])
