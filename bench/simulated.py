"""A cluster in virtual time, and a checkpoint of 1.5 TB that is headers only: for `bench/cluster.py`."""

from __future__ import annotations

import heapq
import itertools
import json
import os
import resource
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

TENSORS, SHARDS = 100_000, 300
ROWS, COLUMNS = 1024, 7424  # of bf16: 15.2 MB a tensor, 1.52 TB in all


class Simulated:
    """``workers`` that take ``seconds(size)`` for an item by a clock that jumps; ``answer`` is what work returns."""

    elsewhere = True

    def __init__(self, workers: int, seconds: Callable[[int], float], answer: Callable[[Any], Any] = id) -> None:
        self.workers, self.seconds, self.answer = workers, seconds, answer
        self.now = 0.0

    def width(self) -> int:
        return self.workers

    def run(
        self, work: Any, queue: deque[Any], size: Callable[[Any], int] = lambda _: 0, *, repeatable: bool = False
    ) -> Any:
        from modelglot.engine.executors.flight import fly

        clock = _Clock(self)
        free = [0.0] * self.workers
        number = itertools.count()

        def submit(item: Any) -> Future[Any]:
            future: Future[Any] = Future()
            begins = max(heapq.heappop(free), self.now)
            ends = begins + self.seconds(size(item))
            heapq.heappush(free, ends)
            heapq.heappush(clock.ends, (ends, next(number), future, item))
            return future

        return fly(submit, queue, lambda: 2 * self.workers, size, ready=clock)


class _Clock(SimpleQueue):  # type: ignore[type-arg]
    """Whoever waits for the next that is done moves the time to its end."""

    def __init__(self, cluster: Simulated) -> None:
        self.cluster = cluster
        self.ends: list[tuple[float, int, Future[Any], Any]] = []

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if self.ends:
            self.cluster.now, _, future, item = heapq.heappop(self.ends)
            future.set_result(self.cluster.answer(item))  # which puts it here
        return super().get(block, timeout)


def make_huge(folder: str) -> None:
    """Shards of 5 GB and their index, as a model of this size is published."""
    nbytes, places = ROWS * COLUMNS * 2, {}
    for shard in range(SHARDS):
        name = f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors"
        names = [f"model.layers.{i // 1000}.mlp.experts.{i % 1000}.w.weight" for i in range(shard, TENSORS, SHARDS)]
        kind = {"dtype": "BF16", "shape": [ROWS, COLUMNS]}
        entries = {n: {**kind, "data_offsets": [k * nbytes, (k + 1) * nbytes]} for k, n in enumerate(names)}
        header = json.dumps(entries).encode()
        with open(Path(folder) / name, "wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            file.truncate(8 + len(header) + len(names) * nbytes)
        places |= dict.fromkeys(names, name)
    index = {"metadata": {"total_size": TENSORS * nbytes}, "weight_map": places}
    (Path(folder) / "model.safetensors.index.json").write_text(json.dumps(index))


def convert_huge(folder: str, target: str) -> None:
    """Plan and run with a cluster whose workers answer at once; prints seconds and the peak of memory."""
    from modelglot.api.converting import make_plan
    from modelglot.api.finishing import finish
    from modelglot.api.reading import read_model
    from modelglot.sources.sink import Sink

    Sink.check_space = lambda self, need: None  # type: ignore[method-assign]  # the outputs are sparse as well
    out = f"{folder}/out/" if "shards" in target else f"{folder}/out.gguf"
    given = {"to": "safetensors", "max_shard_size": "5GB"} if "shards" in target else {}
    began = time.perf_counter()
    read_model(folder)
    read = time.perf_counter() - began
    began = time.perf_counter()
    made, place = make_plan(folder, out, plain=True, **given)
    planned = time.perf_counter() - began
    began = time.perf_counter()
    done = finish(made, place, executor=Simulated(100, lambda size: 1 + size / 1e9, _answer))
    ran = time.perf_counter() - began
    assert len(done.digests) == TENSORS
    assert done.verified
    with suppress(OSError):
        os.sync()
    print(json.dumps({
        "seconds": round(planned + ran, 2), "read_s": round(read, 2), "plan_s": round(planned - read, 2),
        "run_s": round(ran, 2), "bytes": made.nbytes, "steps": len(made.steps), "files": len(made.layout.files),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }))  # fmt: skip


def _answer(part: Any) -> Any:
    """What a worker would return for steps, and for tensors that are read back; a name stands for its digest."""
    from modelglot.core.unusual import Unusual
    from modelglot.engine.move import Item, Written

    if isinstance(part[0], Item):
        return [Written(item.number, _digest(item.step.tensor.name), Unusual(), None) for item in part]
    return {tensor.name: _digest(tensor.name) for group in part for tensor in group}


def _digest(name: str) -> str:
    return name.encode().hex().rjust(64, "0")[-64:]
