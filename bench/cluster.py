"""Clusters: a machine that dies, one worker and two, 10,000 models on 1,000 workers, 1.5 TB of headers.

Two Ray machines of one core each, as real processes here. The schedule runs in virtual time: the loop is the real one,
its workers are a clock. The 1.5 TB are sparse files, and no byte of theirs is moved: what is left is all the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import PYTHON, modelglot
from bench.measure import run as measured
from bench.models import WORK
from bench.simulated import Simulated

ROOT = Path(__file__).parents[1]
LARGE = """
import sys
import ml_dtypes, modelglot, numpy as np
layers, dim, ff, vocab, kv = 28, 2560, 6912, 32000, 640
shapes = {"token_embd": (vocab, dim), "output": (vocab, dim)}
for i in range(layers):
    shapes |= {f"blk.{i}.{n}": s for n, s in (("attn_q", (dim, dim)), ("attn_k", (kv, dim)), ("attn_v", (kv, dim)),
        ("attn_output", (dim, dim)), ("ffn_gate", (ff, dim)), ("ffn_up", (ff, dim)), ("ffn_down", (dim, ff)))}
base = np.random.default_rng(0).standard_normal(vocab * dim, np.float32) * 0.02
state = {f"{n}.weight": (base[: r * c].reshape(r, c) * (1 + i / 999)).astype(ml_dtypes.bfloat16)
         for i, (n, (r, c)) in enumerate(shapes.items())}
modelglot.save(state, sys.argv[1])
"""
MANY = """
import sys
import modelglot, numpy as np
base = np.random.default_rng(0).standard_normal((8192, 2048), np.float32)
for number in range(int(sys.argv[2])):
    modelglot.save({f"blk.{n}.ffn_up.weight": base + number for n in range(1 + number % 3)},
                   f"{sys.argv[1]}/m{number}.safetensors")
"""


def run() -> Iterator[dict]:
    WORK.mkdir(exist_ok=True)
    yield _machine_dies()
    yield _efficiency()
    yield _schedule()
    yield _batch_of_many()
    yield from _large_checkpoints()


@contextmanager
def cluster(workers: int) -> Iterator[object]:
    """A head without cores and ``workers`` machines of one core."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.machines = [made.add_node(num_cpus=1) for _ in range(workers)]
    made.wait_for_nodes()
    try:
        yield made
    finally:
        made.shutdown()


def _machine_dies() -> dict:
    import modelglot
    from modelglot.api.executing import executor

    source, here, there = WORK / "bf16.safetensors", WORK / "here.gguf", WORK / "there.gguf"
    if not source.exists():
        subprocess.run([PYTHON, "-c", LARGE, str(source)], check=True)
    serial = measured(modelglot_command("quantize", source, here, "--type", "q4_k_m"))
    killed: list[float] = []
    with cluster(2) as made, executor("ray", address=made.address) as workers:  # type: ignore[attr-defined]

        def kill(event: object) -> None:
            if not killed and event.done >= event.total // 2:  # type: ignore[attr-defined]
                killed.append(event.done / event.total)  # type: ignore[attr-defined]
                made.remove_node(made.machines[0], allow_graceful=False)  # type: ignore[attr-defined]

        began = time.perf_counter()
        modelglot.quantize(source, there, "q4_k_m", allow_loss=["all"], force=True, executor=workers, on_event=kill)
        took = time.perf_counter() - began
    same = _digest(here) == _digest(there)
    size = source.stat().st_size
    for path in (source, here, there):
        path.unlink()
    return {
        "case": "4 GB of bf16 to q4_k_m on two machines, one killed half-way", "bytes": size,
        "serial_s": round(serial.wall, 1), "cluster_s": round(took, 1), "killed_at": killed,
        "ok": same and bool(killed),
        "measured": f"byte-identical: {same}, one machine killed at {killed[0]:.0%}; {took:.1f} s, "
                    f"threads of one process without a death {serial.wall:.1f} s",
        "bar": "finished, byte-identical to the serial run",
    }  # fmt: skip


def modelglot_command(*arguments: object) -> list[str]:
    return modelglot(*map(str, arguments), "--allow-loss", "all", "--force")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _efficiency() -> dict:
    """The same 24 models, quantized by one worker and by two, in turn."""
    from modelglot.api.batching import batch
    from modelglot.api.executing import executor

    folder = WORK / "many"
    folder.mkdir(exist_ok=True)
    subprocess.run([PYTHON, "-c", MANY, str(folder), "24"], check=True)
    table = folder / "jobs.toml"
    table.write_text('[[job]]\nverb = "quantize"\nsource = "*.safetensors"\ntarget = "out/{stem}.gguf"\n'
                     'type = "q4_k_m"\nallow_loss = ["all"]\n')  # fmt: skip
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(3):
        for workers in (1, 2):
            with cluster(workers) as made, executor("ray", address=made.address) as ray:  # type: ignore[attr-defined]
                list(ray.run(abs, deque([-1] * 4 * workers)))  # the workers are there
                shutil.rmtree(folder / "out", ignore_errors=True)
                assert batch(table, executor=ray).count("done") == 24 or batch(table, executor=ray, again=True).ok
                shutil.rmtree(folder / "out", ignore_errors=True)
                began = time.perf_counter()
                assert batch(table, executor=ray, again=True).count("done") == 24
                seconds[workers].append(time.perf_counter() - began)
    shutil.rmtree(folder)
    ratios = [a / (2 * b) for a, b in zip(seconds[1], seconds[2], strict=True)]
    found = round(statistics.median(ratios), 2)
    return {
        "case": "24 models quantized by one worker and by two", "seconds": seconds, "efficiency": ratios,
        "ok": found >= 0.85,
        "measured": f"{found} ({min(ratios):.2f} to {max(ratios):.2f}); {statistics.median(seconds[1]):.1f} s and "
                    f"{statistics.median(seconds[2]):.1f} s",
        "bar": ">= 0.85",
    }  # fmt: skip


def _schedule() -> dict:
    """10,000 models of 10 MB to 1 TB, most of them small, largest first; a second for 100 MB, and one to begin."""
    rng = random.Random(0)
    sizes = sorted((int(min(1e12, 10 ** rng.gauss(9.3, 0.8))) for _ in range(10_000)), reverse=True)
    cluster = Simulated(1000, lambda size: 1 + size / 1e8)
    began = time.perf_counter()
    done = sum(1 for _ in cluster.run(abs, deque(sizes), int))
    cost = (time.perf_counter() - began) / done
    seconds = [1 + size / 1e8 for size in sizes]
    best = max(max(seconds), sum(seconds) / 1000)
    return {
        "case": "schedule of 10,000 models on 1,000 workers (virtual time)", "makespan_s": round(cluster.now),
        "best_s": round(best), "cost_us": round(cost * 1e6, 1), "ok": done == 10_000 and cluster.now <= 1.05 * best,
        "measured": f"ends at {cluster.now / best:.3f} of the least possible time; {cost * 1e6:.0f} us a task",
        "bar": "cost per task; within 5 % of the least possible",
    }  # fmt: skip


def _batch_of_many() -> dict:
    """All of `batch` but the conversions: table, stamps of inputs, order, state on disk."""
    from modelglot.api.batching import DONE, Outcome, batch

    folder = WORK / "tenthousand"
    folder.mkdir(exist_ok=True)
    for number in range(10_000):
        (folder / f"m{number}.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}" + b" " * (number % 100))
    table = folder / "jobs.toml"
    table.write_text('[[job]]\nverb = "convert"\nsource = "*.safetensors"\ntarget = "out/{stem}.gguf"\n')

    def outcome(task: object) -> Outcome:
        return Outcome(task.job, DONE, 1.0, result={"outputs": [task.job.output], "bytes": 1})  # type: ignore[attr-defined]

    began = time.perf_counter()
    found = batch(table, executor=Simulated(1000, lambda size: 1 + size, outcome))
    cost = (time.perf_counter() - began) / 10_000
    shutil.rmtree(folder)
    return {
        "case": "a batch of 10,000 models on 1,000 workers, without the work (virtual time)",
        "cost_us": round(cost * 1e6), "ok": found.count(DONE) == 10_000 and cost <= 1e-3,
        "measured": f"{cost * 1e6:.0f} us a job in the process that asks", "bar": "cost per task (<= 1 ms)",
    }  # fmt: skip


def _large_checkpoints() -> Iterator[dict]:
    """In a process of its own, whose memory is its own."""
    for target in ("safetensors shards", "one GGUF"):
        folder = WORK / "huge"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        code = "import sys; from bench.simulated import make_huge; make_huge(sys.argv[1])"
        subprocess.run([PYTHON, "-c", code, str(folder)], check=True, cwd=ROOT)
        code = "import sys; from bench.simulated import convert_huge; convert_huge(*sys.argv[1:])"
        command = [PYTHON, "-c", code, str(folder), target]
        told = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
        found = json.loads(told.stdout.splitlines()[-1])
        shutil.rmtree(folder)
        yield {
            "case": f"1.5 TB in 100,000 tensors to {target}: plan and all bookkeeping, no bytes moved", **found,
            "ok": found["seconds"] <= 10 and found["peak_mb"] <= 512,
            "measured": f"{found['seconds']} s (reading headers {found['read_s']}, plan {found['plan_s']}, "
                        f"run {found['run_s']}), {found['peak_mb']} MB",
            "bar": "<= 10 s, <= 512 MB",
        }  # fmt: skip
