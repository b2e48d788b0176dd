"""Made the checkpoints in deepspeed/: DeepSpeed 0.19.8 on two CPU processes, and what its own script makes of them.

``DS_BUILD_OPS=0 pip install deepspeed`` (in an environment of its own), then ``python make_deepspeed.py FOLDER``; the
scripts that DeepSpeed leaves in its folders were not kept.
"""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ["DS_ACCELERATOR"] = "cpu"

import torch
import torch.multiprocessing

STAGES = (1, 2, 3)


class Net(torch.nn.Module):
    """Two groups of weights, odd sizes, a tie, frozen weights, buffers of two types."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.b = torch.nn.Linear(5, 7), torch.nn.LayerNorm(7), torch.nn.Linear(7, 3)
        self.tied = torch.nn.Linear(5, 7, bias=False)
        self.tied.weight = self.a.weight
        self.frozen = torch.nn.Linear(3, 3).requires_grad_(False)
        self.register_buffer("scale", torch.arange(3.0))
        self.register_buffer("count", torch.tensor(7))

    def forward(self, x: Any) -> Any:
        return self.frozen(self.b(self.norm(self.a(x) + self.tied(x)))) * self.scale.to(x.dtype)


def run(rank: int, out: str) -> None:
    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT="29777", RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2"
    )
    import deepspeed

    deepspeed.init_distributed("gloo")
    for stage in STAGES:
        torch.manual_seed(0)
        net = Net()
        trained = [p for p in net.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim > 1]},
            {"params": [p for p in trained if p.ndim == 1], "weight_decay": 0.0},
        ]
        config = {
            "train_micro_batch_size_per_gpu": 4,
            "zero_optimization": {"stage": stage, "stage3_param_persistence_threshold": 0},
            "bf16": {"enabled": True},
            "zero_allow_untested_optimizer": True,
        }
        optimizer = torch.optim.AdamW(groups, lr=0.1)
        engine, *_ = deepspeed.initialize(model=net, optimizer=optimizer, config=config)
        engine.backward(engine(torch.arange(20.0).reshape(4, 5).bfloat16()).float().sum())
        engine.step()
        engine.save_checkpoint(f"{out}/zero{stage}", client_state={"epoch": 2})


if __name__ == "__main__":
    torch.multiprocessing.spawn(run, args=(sys.argv[1],), nprocs=2)
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint
    from safetensors.torch import save_file

    for stage in STAGES:
        found = get_fp32_state_dict_from_zero_checkpoint(f"{sys.argv[1]}/zero{stage}")
        save_file({n: t.contiguous().clone() for n, t in found.items()}, f"{sys.argv[1]}/zero{stage}.safetensors")
