"""The files that are measured, made once in ``bench/work`` (a few GB; `make clean` removes them)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

WORK = Path(__file__).parent / "work"


def torch_bin(gigabytes: int) -> Path:
    """A bf16 state dict of about that size as `torch.save` writes it: 32 MB matrices and 200 small norms."""
    path = WORK / f"model-{gigabytes}g.bin"
    _made(path, TORCH, str(gigabytes))
    return path


def tf_checkpoint(gigabytes: int) -> Path:
    """The same tensors as a TensorFlow checkpoint, which tests/oracle holds byte for byte against TensorFlow's own."""
    path = WORK / f"model-{gigabytes}g.index"
    _made(path, "import sys, modelglot; modelglot.convert(sys.argv[2], sys.argv[1])", str(torch_bin(gigabytes)))
    warm(bulk(path))
    return path


def bulk(path: Path) -> Path:
    """The file that has the bytes of a model's tensors."""
    return path.with_name(f"{path.stem}.data-00000-of-00001") if path.suffix == ".index" else path


def onnx_inline(gigabytes: int) -> Path:
    """The same tensors as initializers inside one ONNX file, each with a node that uses it: messages by the onnx
    package, put together by hand, since it cannot write more than 2 GiB."""
    path = WORK / f"model-{gigabytes}g.onnx"
    _made(path, ONNX, str(gigabytes))
    return path


def safetensors_of(source: Path) -> Path:
    """The same tensors as safetensors, converted once."""
    path = source.with_suffix(".safetensors")
    _made(path, "import sys, modelglot; modelglot.convert(sys.argv[2], sys.argv[1])", str(source))
    return path


# formats whose reading is measured beside PyTorch's: about 2 GB, and about 8
LARGE: dict[str, Callable[[int], Path]] = {"onnx": onnx_inline, "TF checkpoint": tf_checkpoint}


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
ONNX = """
import sys, numpy as np
from onnx import TensorProto, helper
random = np.random.default_rng(0)
base = random.integers(0, 1 << 16, 1 << 24, dtype="u2")
shapes = [(f"model.layers.{i}.w", (4096, 4096)) for i in range(32 * int(sys.argv[2]))]
shapes += [(f"model.norms.{i}.weight", (4096,)) for i in range(200)]
def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)
def heads():
    for name, shape in shapes:
        size = 2 * int(np.prod(shape))
        head = TensorProto(name=name, dims=shape, data_type=TensorProto.BFLOAT16).SerializeToString()
        head += b"\\x4a" + varint(size)
        yield b"\\x2a" + varint(len(head) + size) + head, size
nodes = [helper.make_node("MatMul" if len(s) == 2 else "Mul", ["x", n], [f"y.{n}"], name=f"/{n}") for n, s in shapes]
graph = helper.make_graph(nodes, "g", [], []).SerializeToString()
total = len(graph) + sum(len(head) + size for head, size in heads())
with open(sys.argv[1], "wb") as file:
    file.write(b"\\x08\\x08\\x3a" + varint(total) + graph)
    for number, (head, size) in enumerate(heads()):
        file.write(head)
        file.write((base[: size // 2] + np.uint16(number)).tobytes())
    file.write(b"\\x42\\x02\\x10\\x11")
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
