"""Made the checkpoints in megatron/: GPT models of Megatron Core on the CPU (`pip install --no-deps megatron-core`).

Each once whole and once on two tensor-parallel processes; its initialization gives both the same weights. Biases are
set here.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing


def build(ranks: int, gated: bool) -> Any:
    from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
    from megatron.core.models.gpt.gpt_model import GPTModel
    from megatron.core.transformer.transformer_config import TransformerConfig

    config = TransformerConfig(
        num_layers=1,
        hidden_size=8,
        num_attention_heads=4,
        num_query_groups=2,
        ffn_hidden_size=12,
        use_cpu_initialization=True,
        tensor_model_parallel_size=ranks,
        gated_linear_unit=gated,
        activation_func=torch.nn.functional.silu if gated else torch.nn.functional.gelu,
        params_dtype=torch.float32,
        pipeline_dtype=torch.float32,
        bias_activation_fusion=False,
        add_bias_linear=not gated,
    )
    return GPTModel(
        config=config,
        transformer_layer_spec=get_gpt_layer_local_spec(),
        vocab_size=16,
        max_sequence_length=8,
        share_embeddings_and_output_weights=False,
        position_embedding_type="learned_absolute",
    )


def run(rank: int, ranks: int, out: str, gated: bool) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(29810 + ranks))
    dist.init_process_group("gloo", rank=rank, world_size=ranks)
    from megatron.core import parallel_state

    parallel_state.initialize_model_parallel(ranks, 1)
    torch.manual_seed(7)
    model = build(ranks, gated)
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            cut = bool(getattr(weight, "tensor_model_parallel", False))
            numbers = torch.arange(weight.numel() * (ranks if cut else 1), dtype=torch.float32)
            weight.data = numbers[rank * weight.numel() :][: weight.numel()] if cut else numbers
    state = {name: value for name, value in model.state_dict().items() if torch.is_tensor(value)}
    folder = Path(out) / "iter_0000005" / f"mp_rank_{rank:02}"
    folder.mkdir(parents=True)
    args = argparse.Namespace(tensor_model_parallel_size=ranks, pipeline_model_parallel_size=1, swiglu=gated)
    torch.save({"args": args, "checkpoint_version": 3.0, "iteration": 5, "model": state}, folder / "model_optim_rng.pt")
    (Path(out) / "latest_checkpointed_iteration.txt").write_text("5")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    for gated in (False, True):
        for ranks in (1, 2):
            name = f"{sys.argv[1]}/{'gated' if gated else 'plain'}-{ranks}"
            torch.multiprocessing.spawn(run, args=(ranks, name, gated), nprocs=ranks)
