"""A catalog of 10,000 small models that other libraries wrote, from nothing and again, and its duplicates."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench import measure
from bench.measure import modelglot
from bench.models import WORK

COUNT = 10_000
COPIED = 20  # every so many models there is one again, in another format, under another name, elsewhere
Arrays = dict[str, np.ndarray]


def _safetensors(arrays: Arrays, place: Path) -> Path:
    from safetensors.numpy import save_file

    path = place.with_suffix(".safetensors")
    save_file(arrays, path)
    return path


def _torch(arrays: Arrays, place: Path) -> Path:
    import torch

    path = place.with_suffix(".pt")
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    return path


def _npz(arrays: Arrays, place: Path) -> Path:
    path = place.with_suffix(".npz")
    np.savez(path, **arrays)
    return path


def _gguf(arrays: Arrays, place: Path) -> Path:
    from gguf import GGUFWriter

    path = place.with_suffix(".gguf")
    writer = GGUFWriter(path, "llama")
    for name, array in arrays.items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _shards(arrays: Arrays, place: Path) -> Path:
    """A folder as the hub has it, with an index and two shards."""
    from safetensors.numpy import save_file

    place.mkdir()
    where = {}
    for number, names in enumerate((list(arrays)[::2], list(arrays)[1::2]), 1):
        shard = f"model-{number:05}-of-00002.safetensors"
        save_file({name: arrays[name] for name in names}, place / shard)
        where |= dict.fromkeys(names, shard)
    (place / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    (place / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}))
    (place / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    return place


WRITERS: tuple[Callable[[Arrays, Path], Path], ...] = (_safetensors, _torch, _gguf, _npz, _shards)


def make(root: Path, count: int) -> set[frozenset[str]]:
    """Models in folders of 100, and the groups of equal ones."""
    random = np.random.default_rng(7)
    groups: defaultdict[int, set[str]] = defaultdict(set)
    made = 0
    while made < count:
        rows = 8 + made % 24
        arrays = {f"model.layers.{i}.weight": random.standard_normal((rows, 32)).astype(np.float32) for i in range(6)}
        for copy in range(2 if made % COPIED == 0 and made + 1 < count else 1):
            folder = root / f"team-{made // 100}"
            folder.mkdir(parents=True, exist_ok=True)
            write = WRITERS[(made // COPIED + made + copy) % len(WRITERS)]
            groups[made - copy].add(str(write(arrays, folder / f"{'copy' if copy else 'model'}-{made}")))
            made += 1
    return {frozenset(group) for group in groups.values() if len(group) > 1}


def _duplicates(catalog: Path) -> set[frozenset[str]]:
    from modelglot.api.cataloguing import duplicates

    return {frozenset(group.paths) for group in duplicates(catalog)}


def _build(root: Path, catalog: Path) -> measure.Run:
    return measure.run(modelglot("catalog", "build", str(root), "-o", str(catalog), "--jobs", "2"))


def run(count: int = COUNT) -> Iterator[dict]:
    root, catalog = WORK / "catalog", WORK / "catalog.parquet"
    shutil.rmtree(root, ignore_errors=True)
    catalog.unlink(missing_ok=True)
    wanted = make(root, count)
    try:
        first = _build(root, catalog)
        exact = _duplicates(catalog) == wanted
        second = _build(root, catalog)
        changed = next(root.glob("team-0/*.safetensors"))
        time.sleep(0.01)
        changed.write_bytes(changed.read_bytes())
        third = _build(root, catalog)
        models = _count(catalog)
    finally:
        shutil.rmtree(root)
        catalog.unlink(missing_ok=True)
    yield _row(f"catalog of {count:,} models", first, 60, ok=models == count)
    yield _row("the same again, nothing changed", second, 5)
    yield _row("the same again, one file of 100 beside it changed", third, 5)
    yield {
        "case": f"duplicates of {count:,} models in five formats",
        "ok": exact,
        "measured": f"{len(wanted)} groups, {'exactly' if exact else 'not'} those that were made",
        "bar": "exact",
    }
    yield _flat(count)


def _flat(count: int) -> dict:
    """All in one folder, where whatever looks around costs most."""
    root, catalog = WORK / "flat", WORK / "catalog.parquet"
    shutil.rmtree(root, ignore_errors=True)
    catalog.unlink(missing_ok=True)
    root.mkdir(parents=True)
    random = np.random.default_rng(7)
    for number in range(count):
        _safetensors({f"{i}.weight": random.standard_normal((8, 8)).astype(np.float32) for i in range(4)},
                     root / f"model-{number}")  # fmt: skip
    try:
        found = _build(root, catalog)
        return _row(f"catalog of {count:,} files in one folder", found, 60, ok=_count(catalog) == count)
    finally:
        shutil.rmtree(root)
        catalog.unlink(missing_ok=True)


def _row(case: str, found: measure.Run, bar: float, *, ok: bool = True) -> dict:
    """Seconds of CPU are of all processes, memory is of the largest one."""
    said = f"{found.wall:.1f} s ({found.cpu:.1f} s of CPU), {found.peak / 1e6:.0f} MB"
    load = round(os.getloadavg()[0], 1)
    return {"case": case, "load": load, "ok": found.wall <= bar and ok, "measured": said, "bar": f"<= {bar} s"}


def _count(catalog: Path) -> int:
    from modelglot.api.cataloguing import query_catalog

    return int(query_catalog(catalog, "select count(*) from catalog where error is null").rows[0][0])
