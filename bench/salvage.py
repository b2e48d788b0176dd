"""Real files cut at 40 places each: is every tensor had whose bytes are there, and none that is not what it was?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from bench.models import WORK

REAL = Path.home() / ".cache/modelglot/real_models"
MOST, CUTS = 100_000_000, 40
SUFFIXES = (".pt", ".pth", ".jit", ".ckpt", ".onnx", ".safetensors", ".gguf", ".npz", ".index")
FORMATS = ("torch-legacy", "torch-zip", "torchscript", "onnx", "safetensors", "gguf", "npz", "tf-checkpoint")


def run() -> Iterator[dict]:
    from modelglot.api.reading import read_model
    from modelglot.core.errors import ModelFileError

    folder = WORK / "salvage"
    counts = {name: [0, 0, 0, 0, 0] for name in FORMATS}  # files, cuts, tensors there and had, there and lost, wrong
    for path in sorted(p for p in REAL.rglob("*") if p.name.endswith(SUFFIXES) and p.stat().st_size <= MOST):
        try:
            whole = read_model(str(path))
        except ModelFileError:
            continue
        if whole.format in counts and whole.tensors:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            found = counts[whole.format]
            found[0] += 1
            for kept, lost, wrong in _cuts(path, folder, whole):
                found[1:] = found[1] + 1, found[2] + kept, found[3] + lost, found[4] + wrong
    for name, (files, cuts, kept, lost, wrong) in counts.items():
        yield {
            "case": name,
            "measured": f"{files} files, {cuts} cuts: had {kept:,} of {kept + lost:,} tensors there, {wrong} wrong",
            "bar": "all, 0 wrong" if name != "torchscript" else "0 wrong (names come after the tensors)",
            "ok": wrong == 0 and files > 0 and (lost == 0 or name == "torchscript"),
            "files": files,
            "cuts": cuts,
            "had": kept,
            "there_and_lost": lost,
            "wrong": wrong,
        }


def _cuts(path: Path, folder: Path, whole) -> Iterator[tuple[int, int, int]]:
    from modelglot.api.salvaging import salvage
    from modelglot.core.errors import ModelFileError
    from modelglot.engine.digest import tensor_digests
    from modelglot.engine.pool import SourcePool

    pool = SourcePool(whole.files)
    digests = tensor_digests(whole.tensors.values(), pool)
    pool.close()
    by_key = {t.extra.get("tf:key", n): n for n, t in whole.tensors.items()}  # where the graph of objects is lost
    for ref in whole.files:
        shutil.copy(ref.path, folder / ref.name.rpartition("/")[2])
    data = max(range(len(whole.files)), key=lambda n: whole.files[n].size)  # the file with the tensors
    cut, size = folder / whole.files[data].name.rpartition("/")[2], whole.files[data].size
    for number in range(CUTS):
        length = size * (CUTS - number) // CUTS - 1
        with open(cut, "r+b") as stream:
            stream.truncate(length)
        there = {n for n, t in whole.tensors.items() if (end := _end(t, data)) is not None and end <= length}
        try:
            model, _ = salvage(str(folder / path.name), None, None)
        except ModelFileError:
            yield 0, len(there), 0
            continue
        pool = SourcePool(model.files)
        found = {by_key.get(n, n): d for n, d in tensor_digests(model.tensors.values(), pool).items()}
        empty = {by_key.get(n, n) for n, t in model.tensors.items() if not t.nbytes}
        pool.close()
        wrong = sum(digests.get(n) != d for n, d in found.items() if n not in empty)
        yield len(there & found.keys()), len(there - found.keys()), wrong


def _end(tensor, file: int) -> int | None:
    """Where its bytes end in the file that is cut; None for what does not lie there as it is."""
    from modelglot.core.tensor import Stored

    if not isinstance(tensor.data, Stored) or not tensor.nbytes:
        return None
    return max((e.offset + e.length for e in tensor.data.extents if e.file == file), default=0)
