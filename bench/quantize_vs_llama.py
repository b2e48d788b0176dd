"""0.5 B weights, f16 GGUF to q4_k_m: the whole command against llama.cpp's llama_model_quantize in libllama.

Needs ``MODELGLOT_LLAMA_LIB``: a folder with libllama and libggml of llama.cpp (the npm package
``@node-llama-cpp/linux-x64`` has one in ``bins/linux-x64``). Without it the row says so and counts as not reached.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.measure import PYTHON, modelglot, pairs
from bench.models import WORK, settle, warm

MODEL = """
import sys
import gguf, numpy as np
writer = gguf.GGUFWriter(sys.argv[1], "llama")
layers, dim, ff, vocab, kv = 16, 1536, 4096, 32000, 512
writer.add_block_count(layers); writer.add_context_length(2048); writer.add_embedding_length(dim)
writer.add_feed_forward_length(ff); writer.add_head_count(12); writer.add_head_count_kv(4)
writer.add_layer_norm_rms_eps(1e-5); writer.add_rope_dimension_count(128); writer.add_vocab_size(vocab)
random = np.random.default_rng(0)
def add(name, *shape):
    values = random.standard_normal(shape, np.float32) * 0.02
    writer.add_tensor(name, values if len(shape) == 1 else values.astype(np.float16))
add("token_embd.weight", vocab, dim); add("output_norm.weight", dim); add("output.weight", vocab, dim)
for i in range(layers):
    for name, *shape in (("attn_norm", dim), ("ffn_norm", dim), ("attn_q", dim, dim), ("attn_k", kv, dim),
                         ("attn_v", kv, dim), ("attn_output", dim, dim), ("ffn_gate", ff, dim), ("ffn_up", ff, dim),
                         ("ffn_down", dim, ff)):
        add(f"blk.{i}.{name}.weight", *shape)
writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_tensors_to_file(); writer.close()
"""
PEER = """
import ctypes, glob, sys
folder = sys.argv[1]
ctypes.CDLL(folder + "/libggml-base.so", ctypes.RTLD_GLOBAL)
ctypes.CDLL(glob.glob(folder + "/libggml.v*.so")[0], ctypes.RTLD_GLOBAL)
llama = ctypes.CDLL(glob.glob(folder + "/libllama.v*.so")[0])
class Params(ctypes.Structure):
    _fields_ = [("nthread", ctypes.c_int32), ("ftype", ctypes.c_int), ("output", ctypes.c_int),
                ("embedding", ctypes.c_int), *((f"flag{i}", ctypes.c_bool) for i in range(6)),
                *((f"pointer{i}", ctypes.c_void_p) for i in range(4)), ("buffer", ctypes.c_size_t)]
llama.llama_model_quantize_default_params.restype = Params
params = llama.llama_model_quantize_default_params()
llama.llama_backend_init()
params.ftype, params.nthread = 15, int(sys.argv[4])
sys.exit(llama.llama_model_quantize(sys.argv[2].encode(), sys.argv[3].encode(), ctypes.byref(params)))
"""


def run() -> Iterator[dict]:
    WORK.mkdir(exist_ok=True)
    source, ours, theirs = WORK / "half-b-f16.gguf", WORK / "ours.gguf", WORK / "theirs.gguf"
    if not source.exists():
        subprocess.run([sys.executable, "-c", MODEL, str(source)], check=True)
    warm(source)
    library = os.environ.get("MODELGLOT_LLAMA_LIB")
    if not library:
        yield {"case": "quantize 0.5 B", "ok": False, "measured": "no MODELGLOT_LLAMA_LIB", "bar": ">= 4x, <= 256 MB"}
        return
    os.environ["LD_LIBRARY_PATH"] = library
    for threads in (1, 2):
        quantize = modelglot(
            "quantize", "--force", "--threads", str(threads), "--type", "q4_k_m", str(source), str(ours)
        )
        peer = [PYTHON, "-c", PEER, library, str(source), str(theirs), str(threads)]
        row = pairs(quantize, peer, runs=2)
        same = _sha256(ours) == _sha256(theirs)
        peak = row["ours"]["peak_mb"]
        ok = row["ratio"] >= 4 and peak <= 256 and same
        equal = "identical files" if same else "DIFFERENT FILES"
        case = f"quantize 0.5 B to q4_k_m, {threads} threads"
        bar = ">= 4x, <= 256 MB, identical"
        measured = f"{row['ratio']}x faster, {peak} MB, {equal}"
        yield {"case": case, **row, "identical": same, "ok": ok, "measured": measured, "bar": bar}
    settle(ours)
    settle(theirs)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
