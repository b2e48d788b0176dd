"""The files that are measured, made once in ``bench/work`` (a few GB; `make clean` removes them)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

WORK = Path(__file__).parent / "work"


def torch_bin(gigabytes: int) -> Path:
    """A bf16 state dict of about that size as `torch.save` writes it: 32 MB matrices and 200 small norms."""
    path = WORK / f"model-{gigabytes}g.bin"
    _made(path, TORCH, str(gigabytes))
    return path


def tf_checkpoint(gigabytes: int) -> Path:
    """The same tensors as a TensorFlow checkpoint, which tests/oracle holds byte for byte against TensorFlow's own."""
    return _converted(torch_bin(gigabytes), WORK / f"model-{gigabytes}g.index", "--to", "tf-checkpoint")


def safetensors(gigabytes: int) -> Path:
    """The same tensors as safetensors."""
    return _converted(torch_bin(gigabytes), WORK / f"model-{gigabytes}g.safetensors")


def _converted(source: Path, target: Path, *options: str) -> Path:
    """By modelglot, in a process of its own."""
    if not target.exists():
        subprocess.run(
            [sys.executable, "-m", "modelglot", "convert", *options, str(source), str(target)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    for part in sorted(WORK.glob(f"{target.stem}.*")) if target.suffix == ".index" else [target]:
        warm(part)
    return target


def big_vocabulary() -> Path:
    """A GGUF with 152,064 tokens, types and 151,387 merges, as of a Qwen2.5 model, and a handful of tensors."""
    path = WORK / "vocabulary.gguf"
    _made(path, VOCABULARY)
    return path


TORCH = """
import sys, torch
torch.manual_seed(0)
base = torch.randn(4096, 4096).to(torch.bfloat16)
state = {f"model.layers.{i}.w": base + i * 0.01 for i in range(32 * int(sys.argv[2]))}
state |= {f"model.norms.{i}.weight": torch.randn(4096).to(torch.bfloat16) for i in range(200)}
torch.save(state, sys.argv[1])
"""
VOCABULARY = """
import sys, gguf, numpy as np
writer = gguf.GGUFWriter(sys.argv[1], "qwen2")
writer.add_tokenizer_model("gpt2")
writer.add_token_list([f"tok{i:06d}\u00e9" for i in range(152_064)])
writer.add_token_types([1] * 152_064)
writer.add_token_merges([f"t{i} ok{i}" for i in range(151_387)])
for i in range(100):
    writer.add_tensor(f"blk.{i}.attn_q.weight", np.zeros((32, 32), np.float32))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
"""


def _made(path: Path, script: str, *arguments: str) -> None:
    """Make a file in a process of its own: a measured child is charged with its parent's memory at the fork."""
    WORK.mkdir(exist_ok=True)
    if not path.exists():
        subprocess.run([sys.executable, "-c", script, str(path), *arguments], check=True)
    warm(path)


def warm(path: Path) -> None:
    """Into the page cache, so that the disk's reading speed does not decide."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def settle(target: Path) -> None:
    """Remove an output and let the disk finish what earlier runs left to write."""
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    os.sync()
