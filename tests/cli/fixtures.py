"""The small files that the transcripts work on. Same bytes every time."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

import modelglot as mg


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
    (folder / "noise.xyz").write_bytes(struct.pack("<8Q", *range(77, 85)))
    evil = b"\x80\x02cposix\nsystem\nX\x09\x00\x00\x00echo evil\x85R."
    (folder / "evil.pkl").write_bytes(evil)
