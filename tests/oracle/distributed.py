"""Two processes that save what FSDP and DTensors hold, for test_dcp.py: ``python distributed.py FOLDER``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing
from torch.distributed.checkpoint.state_dict import get_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, StateDictType, fully_shard
from torch.distributed.tensor import Shard, distribute_tensor

WORLD = 2


def net() -> Any:
    torch.manual_seed(0)
    layers = (torch.nn.Linear(5, 7), torch.nn.LayerNorm(7), torch.nn.Linear(7, 3))
    return torch.nn.Sequential(*layers)


def trained(model: Any) -> Any:
    """An optimizer after one step, so that it has a state."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.ones(4, 5)).sum().backward()
    optimizer.step()
    return optimizer


def run(rank: int, folder: str, port: int) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=WORLD)
    mesh = init_device_mesh("cpu", (WORLD,))
    out = Path(folder)

    model = net()
    for layer in model:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = trained(model)
    weights, state = get_state_dict(model, optimizer)
    dcp.save({"model": weights, "optim": state, "step": 1, "rates": [0.1, 0.2]}, checkpoint_id=out / "fsdp2")
    full = {name: value.full_tensor() for name, value in weights.items()}
    (out / "dtensors").mkdir(exist_ok=True)
    torch.save({"step": 1, "model": weights}, out / "dtensors" / f"model_world_size_2_rank_{rank}.pt")
    torch.save(state, out / "dtensors" / f"optim_world_size_2_rank_{rank}.pt")

    plain = torch.arange(35, dtype=torch.float32).reshape(5, 7)
    parts = {
        "rows": distribute_tensor(plain, mesh, [Shard(0)]),
        "columns": distribute_tensor(plain, mesh, [Shard(1)]),
        "half": distribute_tensor(plain.bfloat16(), mesh, [Shard(1)]),
        "same": plain.long(),
    }
    dcp.save(parts, checkpoint_id=out / "parts")
    (out / "parts_by_rank").mkdir(exist_ok=True)
    torch.save(parts, out / "parts_by_rank" / f"rank{rank}.pt")

    old = FullyShardedDataParallel(net(), device_id=torch.device("cpu"))
    trained(old)
    with FullyShardedDataParallel.state_dict_type(old, StateDictType.SHARDED_STATE_DICT):
        dcp.save(old.state_dict(), checkpoint_id=out / "fsdp1")
        (out / "shards").mkdir(exist_ok=True)
        torch.save(old.state_dict(), out / "shards" / f"rank_{rank}.pt")
    with FullyShardedDataParallel.state_dict_type(old, StateDictType.FULL_STATE_DICT):
        whole = old.state_dict()
    if rank == 0:
        torch.save({"fsdp2": full, "fsdp1": whole}, out / "full.pt")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.multiprocessing.spawn(run, args=(sys.argv[1], int(sys.argv[2])), nprocs=WORLD)
