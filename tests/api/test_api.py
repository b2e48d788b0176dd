"""The functions that programs call, with torch on the other side."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

import modelglot as mg
from modelglot.core.errors import CannotOpenError, LossError, MissingExtraError, UnsupportedError


class Net(torch.nn.Module):
    """Tied embeddings, a buffer, a norm in bf16 and a transposed parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(10, 4)
        self.head = torch.nn.Linear(4, 10, bias=False)
        self.head.weight = self.embed.weight
        self.norm = torch.nn.LayerNorm(4).to(torch.bfloat16)
        self.register_buffer("steps", torch.tensor(7))
        self.turned = torch.nn.Parameter(torch.randn(3, 5).t())


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


def equal(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return list(a) == list(b) and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "ckpt", "bin"])
def test_state_dicts_go_out_and_come_back(net: Net, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model.{suffix}"
    mg.save(net.state_dict(), path)
    state = mg.load(path, framework="torch")
    assert sorted(state) == sorted(net.state_dict())
    other = Net()
    other.load_state_dict(state)
    assert equal(other.state_dict(), net.state_dict())


def test_torch_loads_what_was_saved(net: Net, tmp_path: Path) -> None:
    mg.save(net.state_dict(), tmp_path / "a.pt")
    state = torch.load(tmp_path / "a.pt", weights_only=True, mmap=True)
    assert equal(state, dict(net.state_dict()))
    assert state["embed.weight"].data_ptr() == state["head.weight"].data_ptr()


def test_safetensors_loads_what_was_saved(net: Net, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    mg.save(net.state_dict(), tmp_path / "a.safetensors")
    state = load_file(tmp_path / "a.safetensors")
    assert all(torch.equal(state[k], v) for k, v in net.state_dict().items())


def test_a_training_checkpoint_keeps_its_structure(net: Net, tmp_path: Path) -> None:
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    sum(p.float().sum() for p in net.parameters()).backward()
    optimizer.step()
    checkpoint = {"epoch": 3, "loss": 0.5, "model_state_dict": net.state_dict(), "betas": (0.9, 0.999),
                  "optimizer_state_dict": optimizer.state_dict(), "name": "größe", "flags": [True, None]}  # fmt: skip
    mg.save(checkpoint, tmp_path / "a.ckpt")
    loaded = torch.load(tmp_path / "a.ckpt", weights_only=True)
    assert loaded["epoch"] == 3
    assert loaded["betas"] == (0.9, 0.999)
    assert loaded["flags"] == [True, None]
    other = Net()
    other.load_state_dict(loaded["model_state_dict"])
    torch.optim.AdamW(other.parameters()).load_state_dict(loaded["optimizer_state_dict"])
    assert equal(dict(mg.load(tmp_path / "a.ckpt", framework="torch")), dict(net.state_dict()))
    optimizer_state = mg.load(tmp_path / "a.ckpt", component="optimizer")
    assert any(n.endswith("exp_avg") for n in optimizer_state)


def test_open_is_lazy_and_reads_one_tensor(net: Net, tmp_path: Path) -> None:
    torch.save({"state_dict": net.state_dict()}, tmp_path / "a.ckpt")
    with mg.open(tmp_path / "a.ckpt") as model:
        assert "state_dict.embed.weight" in model.tensors
        handle = model.tensors["state_dict.turned"]
        assert (handle.shape, handle.dtype) == ((5, 3), "f32")
        assert np.array_equal(handle.numpy(), net.turned.detach().numpy())
        assert torch.equal(handle.torch(), net.turned)
        norm = model.tensors["state_dict.norm.weight"]
        assert norm.numpy().dtype == ml_dtypes.bfloat16
        assert norm.torch().dtype == torch.bfloat16
        assert "turned" in repr(handle)


def test_only_what_is_asked_for_is_read(net: Net, tmp_path: Path) -> None:
    torch.save(net.state_dict(), tmp_path / "a.pt")
    assert list(mg.load(tmp_path / "a.pt", include=["norm.*"], exclude=["*.bias"])) == ["norm.weight"]


def test_ties_share_memory_when_loaded(net: Net, tmp_path: Path) -> None:
    torch.save(net.state_dict(), tmp_path / "a.pt")
    state = mg.load(tmp_path / "a.pt", framework="torch")
    assert state["embed.weight"].data_ptr() == state["head.weight"].data_ptr()


def test_ties_become_copies_in_safetensors_and_that_is_said(net: Net, tmp_path: Path) -> None:
    torch.save(net.state_dict(), tmp_path / "a.pt")
    receipt = mg.convert(tmp_path / "a.pt", tmp_path / "a.safetensors")
    assert [x.kind for x in receipt.plan.losses] == ["ties"]
    assert "+160 bytes" in receipt.plan.losses[0].what


def test_numpy_views_are_saved_as_they_look(tmp_path: Path) -> None:
    base = np.arange(24, dtype=np.int32).reshape(4, 6)
    state = {
        "t": base.T,
        "step": base[::2, ::3],
        "big": base.astype(">i4"),
        "flip": base[::-1],
        "scalar": np.float16(2),
    }
    mg.save(state, tmp_path / "a.safetensors")
    loaded = mg.load(tmp_path / "a.safetensors")
    for name, array in state.items():
        assert np.array_equal(loaded[name], array), name


@pytest.mark.parametrize("bad", [{"w": object()}, {"w": np.array(["text"])}, {"w": np.array([None])}])
def test_what_is_no_tensor_is_refused_by_name(bad: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises((UnsupportedError, LossError)) as caught:
        mg.save(bad, tmp_path / "a.safetensors")
    assert "w" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_nested_values_have_no_place_in_safetensors(tmp_path: Path) -> None:
    with pytest.raises(LossError) as caught:
        mg.save({"model": {"w": np.zeros(2)}, "epoch": 3}, tmp_path / "a.safetensors")
    assert "epoch" in str(caught.value)


def test_a_nested_dict_of_tensors_only_is_flattened(tmp_path: Path) -> None:
    mg.save({"a": {"b": np.zeros(2)}, "c": np.ones(1)}, tmp_path / "a.safetensors")
    assert sorted(mg.load(tmp_path / "a.safetensors")) == ["a.b", "c"]


def test_ordered_dicts_stay_ordered_dicts(tmp_path: Path) -> None:
    inner = collections.OrderedDict(b=torch.zeros(1), a=torch.ones(1))
    mg.save({"epoch": 1, "model": inner}, tmp_path / "a.pt")
    loaded = torch.load(tmp_path / "a.pt", weights_only=True)
    assert type(loaded["model"]) is collections.OrderedDict
    assert list(loaded["model"]) == ["b", "a"]


def test_missing_files_and_frameworks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CannotOpenError):
        mg.open(tmp_path / "no.pt")
    mg.save({"w": np.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(UnsupportedError):
        mg.load(tmp_path / "a.safetensors", framework="theano")
    monkeypatch.setitem(__import__("sys").modules, "tensorflow", None)
    with pytest.raises(MissingExtraError, match="tensorflow"):
        mg.load(tmp_path / "a.safetensors", framework="tensorflow")


def test_convert_from_python_with_choices(net: Net, tmp_path: Path) -> None:
    torch.save(net.state_dict(), tmp_path / "a.pt")
    receipt = mg.convert(tmp_path / "a.pt", tmp_path / "b.safetensors", dtype=["f16"], include=["head.*", "norm.*"],
                         rename_rules=[(r"^head\.", "lm_head.")])  # fmt: skip
    assert receipt.verified
    state = mg.load(tmp_path / "b.safetensors", framework="torch")
    assert sorted(state) == ["lm_head.weight", "norm.bias", "norm.weight"]
    assert torch.equal(state["lm_head.weight"], net.head.weight.half())
