"""SmolLM2-135M from its Q4_1 file to ONNX, against onnxruntime-genai's own builder for the same weights.

The builder knows GGUF of whole floats only, so it gets the decoded folder and makes a float32 graph; both folders are
run by onnxruntime-genai in turn. The peer of the export itself is the builder's whole command.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

from bench.language import SMOLLM
from bench.measure import PYTHON, modelglot
from bench.measure import run as run_once
from bench.models import WORK, settle

SPEED = """
import json, statistics, sys, time
import onnxruntime_genai as og
models = [og.Model(path) for path in sys.argv[1:]]
ids = og.Tokenizer(models[0]).encode("Once upon a time, in a small village by the sea, there lived")
def speed(model, count=96):
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=len(ids) + count, min_length=len(ids) + count, do_sample=False)
    generator = og.Generator(model, params)
    generator.append_tokens(ids)
    generator.generate_next_token()
    began, made = time.perf_counter(), 0
    while not generator.is_done():
        generator.generate_next_token()
        made += 1
    return made / (time.perf_counter() - began), [int(n) for n in generator.get_sequence(0)]
rounds = [[speed(model) for model in models] for _ in range(6)][1:]
print(json.dumps({"tokens": [statistics.median(r[n][0] for r in rounds) for n in (0, 1)],
                  "ratio": statistics.median(r[0][0] / r[1][0] for r in rounds),
                  "same": rounds[0][0][1] == rounds[0][1][1]}))
"""


def run() -> Iterator[dict]:
    ours, folder, theirs = WORK / "smollm-onnx", WORK / "smollm-hf", WORK / "smollm-builder"
    for place in (ours, folder, theirs):
        settle(place)
    subprocess.run(modelglot("convert", str(SMOLLM), f"{folder}/"), check=True, capture_output=True)
    export = run_once(modelglot("convert", str(SMOLLM), f"{ours}/", "--to", "onnx"))
    builder = [PYTHON, "-m", "onnxruntime_genai.models.builder", "-i", str(folder), "-o", str(theirs)]
    peer = run_once([*builder, "-p", "fp32", "-e", "cpu", "-c", str(WORK / "cache")])
    yield {
        "case": "export of SmolLM2-135M Q4_1",
        "wall_s": round(export.wall, 2),
        "peak_mb": round(export.peak / 1e6, 1),
        "peer_wall_s": round(peer.wall, 2),
        "peer_peak_mb": round(peer.peak / 1e6, 1),
        "ratio": round(peer.wall / export.wall, 2),
        "ok": export.peak <= 256e6,
        "measured": f"{export.peak / 1e6:.0f} MB, {export.wall:.1f} s; builder {peer.peak / 1e6:.0f}, {peer.wall:.1f}",
        "bar": "<= 256 MB",
    }
    said = subprocess.run([PYTHON, "-c", SPEED, str(ours), str(theirs)], check=True, capture_output=True, text=True)
    found = json.loads(said.stdout.splitlines()[-1])
    mine, other = found["tokens"]
    yield {
        "case": "tokens a second in onnxruntime-genai, float32 activations",
        "tokens_per_s": round(mine, 1),
        "peer_tokens_per_s": round(other, 1),
        "ratio": round(found["ratio"], 2),
        "same_tokens": found["same"],
        "ok": found["ratio"] >= 1.0,
        "measured": f"{mine:.1f} against {other:.1f}, {'the same' if found['same'] else 'other'} tokens",
        "bar": ">= 1.0 times the builder's",
    }
