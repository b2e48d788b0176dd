"""The small files that the transcripts work on. Same bytes every time."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

import modelglot as mg
from modelglot.containers.protobuf_write import delimited, integer


def weights(layers: int = 4) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    state = {"embed.weight": random.normal(size=(10, 8)).astype(np.float32)}
    for i in range(layers):
        for part in ("q", "k", "v"):
            state[f"layers.{i}.attn.{part}_proj.weight"] = random.normal(size=(8, 8)).astype(np.float32)
        state[f"layers.{i}.norm.weight"] = random.normal(size=(8,)).astype(np.float32)
    state["head.bias"] = random.normal(size=(10,)).astype(np.float32)
    return state


def make(folder: Path) -> None:
    state = weights()
    mg.save(state, folder / "model.safetensors", metadata={"format": "pt", "author": "a\x1b[31mb"})
    mg.save(state, folder / "model.pth")
    changed = {**state, "head.bias": state["head.bias"] + 1}
    del changed["embed.weight"]
    mg.save(changed, folder / "changed.safetensors")
    checkpoint = {
        "epoch": 3, "global_step": 1000, "loss": 0.25,
        "state_dict": state,
        "optimizer": {"state": {0: {"exp_avg": state["embed.weight"] * 0, "step": 10}}, "param_groups": [{"lr": 1e-3}]},
    }  # fmt: skip
    mg.save(checkpoint, folder / "epoch=3-step=1000.ckpt")
    mg.save(state, str(folder / "hf") + "/", to="torch-zip", max_shard_size=1500)
    (folder / "hf" / "config.json").write_text('{"model_type": "toy", "auto_map": {"AutoModel": "modeling_toy.Toy"}}')
    (folder / "hf" / "modeling_toy.py").write_text("raise SystemExit('never run')")
    (folder / "cut.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100])
    (folder / "empty.bin").write_bytes(b"")
    (folder / "page.bin").write_text("<!DOCTYPE html><html><head><title>404 Not Found</title></head></html>")
    (folder / "lfs.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\n"
        "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
    )
    (folder / "graph.onnx").write_bytes(onnx_graph())
    (folder / "noise.xyz").write_bytes(struct.pack("<8Q", *range(77, 85)))
    evil = b"\x80\x02cposix\nsystem\nX\x09\x00\x00\x00echo evil\x85R."
    (folder / "evil.pkl").write_bytes(evil)


def onnx_graph() -> bytes:
    """One product with a weight of four numbers, by hand."""
    node = delimited(1, "x") + delimited(1, "w") + delimited(2, "y") + delimited(3, "/fc") + delimited(4, "MatMul")
    weight = integer(1, 2) + integer(1, 2) + integer(2, 1) + delimited(8, "w") + delimited(9, bytes(16))
    port = delimited(1, integer(1, 1) + delimited(2, delimited(1, delimited(2, "n")) + delimited(1, integer(1, 2))))
    ports = [delimited(number, delimited(1, name) + delimited(2, port)) for number, name in ((11, "x"), (12, "y"))]
    graph = delimited(1, node) + delimited(2, "g") + delimited(5, weight) + b"".join(ports)
    return integer(1, 8) + delimited(2, "hand") + delimited(7, graph) + delimited(8, integer(2, 17))
