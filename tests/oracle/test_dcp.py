"""torch.distributed.checkpoint: two real processes save, we read; we write, it loads."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

import modelglot as mg
from modelglot.core.errors import DamagedFileError, LossError


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name("distributed.py")
    subprocess.run([sys.executable, str(script), str(folder), str(port)], check=True, capture_output=True)
    return folder


def same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert sorted(found) == sorted(wanted)
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype, name
        assert found[name].shape == tensor.shape, name
        assert torch.equal(found[name].reshape(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8)), name


@pytest.mark.parametrize("kind", ["fsdp1", "fsdp2"])
def test_what_fsdp_saves_in_parts_is_whole_again(saved: Path, tmp_path: Path, kind: str) -> None:
    wanted = torch.load(saved / "full.pt", weights_only=True)[kind]
    same(mg.load(saved / kind, framework="torch"), wanted)
    receipt = mg.convert(saved / kind, tmp_path / "out.safetensors")
    assert receipt.verified
    same(mg.load(tmp_path / "out.safetensors", framework="torch"), wanted)


def test_parts_in_rows_and_columns(saved: Path) -> None:
    plain = torch.arange(35, dtype=torch.float32).reshape(5, 7)
    wanted = {"rows": plain, "columns": plain, "half": plain.bfloat16(), "same": plain.long()}
    same(mg.load(saved / "parts", framework="torch"), wanted)


@pytest.mark.parametrize(("folder", "kind"), [("dtensors", "fsdp2"), ("shards", "fsdp1")])
def test_files_of_single_ranks_are_whole_again(saved: Path, tmp_path: Path, folder: str, kind: str) -> None:
    """DTensors, and the ShardedTensors before them, as each process saves its own."""
    wanted = torch.load(saved / "full.pt", weights_only=True)[kind]
    assert mg.inspect(saved / folder).model.format == "torch-ranks"
    same(mg.load(saved / folder, framework="torch"), wanted)
    mg.convert(saved / folder, tmp_path / "out.safetensors")
    same(mg.load(tmp_path / "out.safetensors", framework="torch"), wanted)


def test_parts_by_rank_in_rows_and_columns(saved: Path) -> None:
    plain = torch.arange(35, dtype=torch.float32).reshape(5, 7)
    wanted = {"rows": plain, "columns": plain, "half": plain.bfloat16(), "same": plain.long()}
    same(mg.load(saved / "parts_by_rank", framework="torch"), wanted)


def test_a_missing_rank_is_an_error(saved: Path, tmp_path: Path) -> None:
    name = "model_world_size_2_rank_0.pt"
    (tmp_path / name).write_bytes((saved / "dtensors" / name).read_bytes())
    with pytest.raises(DamagedFileError, match="rank 1 is missing"):
        mg.open(tmp_path)


def test_everything_that_torch_reads_out_of_a_checkpoint(saved: Path, tmp_path: Path) -> None:
    """Optimizer state and plain values included, against PyTorch's own way out of the format."""
    dcp_to_torch_save(saved / "fsdp2", tmp_path / "theirs.pt")
    mg.convert(saved / "fsdp2", tmp_path / "ours.pt")
    theirs, ours = (torch.load(tmp_path / name, weights_only=True) for name in ("theirs.pt", "ours.pt"))
    assert ours["step"] == theirs["step"] == 1
    assert ours["rates"] == theirs["rates"] == [0.1, 0.2]
    assert ours["optim"]["param_groups"] == theirs["optim"]["param_groups"]
    same(ours["model"], theirs["model"])
    for name, state in theirs["optim"]["state"].items():
        same(ours["optim"]["state"][name], state)


KINDS = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
         "float8_e4m3fn", "float8_e5m2", "uint16"]  # fmt: skip


@pytest.mark.parametrize("shards", [None, "1KB"])
def test_torch_loads_what_we_write(tmp_path: Path, shards: str | None) -> None:
    state = {
        "model": {f"layer.{kind}": torch.arange(24).reshape(4, 6).to(getattr(torch, kind)) for kind in KINDS},
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "step": 7,
        "names": ["a", "b"],
        "list": [torch.ones(2), torch.zeros(3)],
    }
    torch.save(state, tmp_path / "a.pt")
    mg.convert(tmp_path / "a.pt", tmp_path / "out", to="dcp", max_shard_size=shards)
    files = {p.name for p in (tmp_path / "out").iterdir()}
    assert ".metadata" in files
    assert (len(files) > 2) == (shards is not None)
    dcp_to_torch_save(tmp_path / "out", tmp_path / "back.pt")
    back = torch.load(tmp_path / "back.pt", weights_only=True)
    same(back["model"], state["model"])
    same({k: back[k] for k in ("scalar", "empty")}, {k: state[k] for k in ("scalar", "empty")})
    assert (back["step"], back["names"]) == (7, ["a", "b"])
    assert torch.equal(back["list"][0], torch.ones(2))
    goal = {"model": {name: torch.zeros_like(value) for name, value in state["model"].items()}}
    dcp.load(goal, checkpoint_id=tmp_path / "out")  # in place, as a training run loads it
    same(goal["model"], state["model"])
    same(mg.load(tmp_path / "out", framework="torch", component="model"), state["model"])


def test_safetensors_to_a_checkpoint_of_plain_names(tmp_path: Path) -> None:
    mg.save({"w.a": np.ones((2, 3), np.float32)}, tmp_path / "a.safetensors")
    mg.convert(tmp_path / "a.safetensors", tmp_path / "out", to="dcp")
    goal = {"w.a": torch.zeros(2, 3)}
    dcp.load(goal, checkpoint_id=tmp_path / "out")
    assert torch.equal(goal["w.a"], torch.ones(2, 3))


def test_a_missing_part_is_said_and_not_written(saved: Path, tmp_path: Path) -> None:
    for path in (saved / "fsdp1").iterdir():
        if path.name != "__1_0.distcp":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    report = mg.inspect(tmp_path)
    assert any("`__1_0.distcp` is missing" in n.text for n in report.notes)
    with pytest.raises(LossError, match="is missing"):
        mg.convert(tmp_path, tmp_path / "out.safetensors")


def test_a_buffer_of_torch_save_is_what_each_part_is(saved: Path) -> None:
    raw = (saved / "fsdp1" / "__0_0.distcp").read_bytes()
    first = mg.inspect(saved / "fsdp1" / ".metadata").model.tensors["0.weight"]
    assert first.shape == (7, 5)
    assert raw[:2] == b"PK"
    assert torch.load(io.BytesIO(raw[: raw.index(b"PK\5\6") + 22]), weights_only=True).ndim <= 2
