"""Conversions killed at 200 points, full disks of 20 sizes, and files with one bit flipped, 300 times.

Each format in turn. A target is broken when it is neither what was there before nor the whole new model; litter is
whatever is left in the folder after the next run. Flips are looked for with the receipt of the conversion.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from bench.measure import PYTHON
from bench.models import WORK

MODEL = """
import sys
import modelglot, numpy as np
rng = np.random.default_rng(int(sys.argv[2]))
modelglot.save({f"layer.{n}.weight": rng.standard_normal((64, 512)).astype("f4") for n in range(16)}, sys.argv[1])
"""
KILLS, SIZES, FLIPS = 200, 20, 300
TARGETS = {
    "safetensors": ["m.safetensors"],
    "safetensors in shards": ["m/", "--to", "safetensors", "--max-shard-size", "600kB"],
    "torch-zip": ["m.pth"],
    "gguf": ["m.gguf"],
    "npz": ["m.npz"],
    "onnx": ["m.onnx"],
    "onnx with data beside": ["m.onnx", "--set", "onnx:external=m.data"],
    "tf-checkpoint": ["m.ckpt.index"],
    "keras-h5": ["m.weights.h5"],
    "flax": ["m.msgpack"],
}


def run() -> Iterator[dict]:
    _preload()
    WORK.mkdir(parents=True, exist_ok=True)
    old, new = WORK / "old.safetensors", WORK / "new.safetensors"
    for number, path in enumerate((old, new)):
        subprocess.run([PYTHON, "-c", MODEL, str(path), str(number)], check=True)
    for name, (target, *options) in TARGETS.items():
        yield _row(name, old, new, target, options)


def _row(name: str, old: Path, new: Path, target: str, options: list[str]) -> dict:
    folder = WORK / "faults"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    place = str(folder / target) + ("/" if target.endswith("/") else "")
    before = ["convert", "--force", str(old), place, *options]
    after = ["convert", "--force", str(new), place, *options]
    _whole(before)
    began = time.perf_counter()
    _whole(after)
    took = time.perf_counter() - began
    clean = {p.relative_to(folder) for p in folder.rglob("*")}
    random.seed(0)
    broken = litter = finished = 0
    for number in range(KILLS):  # each run replaces one model by the other
        command = (before, after)[number % 2]
        finished += _killed(command, took * 1.1 * number / KILLS)
        broken += not _is_one_of(place, (old, new))
        _whole(command)
        litter += {p.relative_to(folder) for p in folder.rglob("*")} != clean
    full = 0
    _whole(before)
    size = max(p.stat().st_size for p in folder.rglob("*") if p.is_file())  # the limit is one on each file
    for number in range(SIZES):
        _limited(after, size * number // SIZES)
        full += not _is_one_of(place, (old,))
        full += {p.relative_to(folder) for p in folder.rglob("*")} != clean
    found = _flips(folder, place, after)
    return {
        "case": name,
        "kills": KILLS,
        "finished_before_the_kill": finished,
        "broken": broken,
        "litter": litter,
        "disk_full_broken": full,
        "flips": FLIPS,
        "flips_found": found,
        "ok": not (broken or litter or full) and found == FLIPS,
        "measured": f"{broken} broken and {litter} littered of {KILLS} kills, {full} of {SIZES} full disks; "
        f"{found} of {FLIPS} flips found",
        "bar": "0 broken; all found",
    }


def _flips(folder: Path, place: str, after: list[str]) -> int:
    receipt = WORK / "receipt.json"
    _whole([*after, "--receipt", str(receipt)])
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    weights = [p.stat().st_size for p in files]
    found = 0
    for _ in range(FLIPS):
        (file,) = random.choices(files, weights)
        with open(file, "r+b") as stream:
            at, bit = random.randrange(file.stat().st_size), 1 << random.randrange(8)
            stream.seek(at)
            (value,) = stream.read(1)
            stream.seek(at)
            stream.write(bytes([value ^ bit]))
        found += _forked(lambda: None, ["verify", place, "--receipt", str(receipt)])[1] != 0
        with open(file, "r+b") as stream:
            stream.seek(at)
            stream.write(bytes([value]))
    return found


def _preload() -> None:
    """So that children begin with the work."""
    for package in ("api", "cli", "containers", "engine", "formats", "passes", "report", "sources"):
        for module in walk_packages(import_module(f"modelglot.{package}").__path__, f"modelglot.{package}."):
            if not module.name.endswith("hdf5.child"):
                import_module(module.name)
    for name in ("blake3", "h5py", "numpy"):
        import_module(name)


def _whole(arguments: list[str]) -> None:
    if _forked(lambda: None, arguments)[1] != 0:
        raise RuntimeError(f"{arguments} failed")


def _killed(arguments: list[str], delay: float) -> bool:
    """True where the run had ended before."""
    pid, _ = _forked(lambda: None, arguments, wait=False)
    time.sleep(delay)
    done, _ = os.waitpid(pid, os.WNOHANG)
    if not done:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return bool(done)


def _limited(arguments: list[str], size: int) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    _forked(limit, arguments)


def _forked(prepare: Callable[[], None], arguments: list[str], wait: bool = True) -> tuple[int, int]:
    """A child with everything imported, so that kills fall into the work. The parent starts no threads: a child
    could not go on with them."""
    from modelglot.cli.main import run as command

    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        try:
            prepare()
            code = command(arguments)
        except BaseException:
            code = 99
        os._exit(code)
    if not wait:
        return pid, 0
    return pid, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _is_one_of(place: str, models: tuple[Path, ...]) -> bool:
    """Read in a child: what the parent has open would hide nothing."""
    import modelglot

    pid = os.fork()
    if pid == 0:
        try:
            same = any(modelglot.diff(place, model).same for model in models)
        except BaseException:
            same = False
        os._exit(0 if same else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
