"""Orbax and TensorStore: what they write, in every form, read as they read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
import tensorstore as ts

import modelglot as mg
from modelglot.containers import ocdbt
from modelglot.containers.zarr import Store
from modelglot.core.limits import Limits
from modelglot.sources.file import LocalFiles

RNG = np.random.default_rng(0)
TREE: dict[str, Any] = {
    "params": {
        "Dense_0": {"kernel": RNG.standard_normal((300, 70)).astype(np.float32), "bias": np.ones(70, np.float32)},
        "half": np.asarray(jnp.arange(1000, dtype=jnp.bfloat16).reshape(10, 100)),
        "layers": [np.arange(6, dtype=np.int32), np.full((3, 3), 2, np.float16)],
        "zeros": np.zeros((64, 64), np.float32),
        "scalar": np.float32(2.5),
        "flag": np.array([True, False]),
    },
}
FLAT = {
    "params.Dense_0.kernel": TREE["params"]["Dense_0"]["kernel"],
    "params.Dense_0.bias": TREE["params"]["Dense_0"]["bias"],
    "params.half": TREE["params"]["half"],
    "params.layers.0": TREE["params"]["layers"][0],
    "params.layers.1": TREE["params"]["layers"][1],
    "params.zeros": TREE["params"]["zeros"],
    "params.scalar": np.asarray(TREE["params"]["scalar"]),
    "params.flag": TREE["params"]["flag"],
}


def same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert sorted(found) == sorted(wanted)
    for name, array in wanted.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        assert found[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("chunk", [None, 4096])
@pytest.mark.parametrize("zarr3", [False, True])
@pytest.mark.parametrize("store", [False, True])
def test_every_form_that_orbax_writes(tmp_path: Path, store: bool, zarr3: bool, chunk: int | None) -> None:
    import jax

    handler = ocp.PyTreeCheckpointHandler(use_ocdbt=store, use_zarr3=zarr3)
    save = jax.tree.map(lambda _: ocp.SaveArgs(chunk_byte_size=chunk), TREE)
    ocp.Checkpointer(handler).save(tmp_path / "c", args=ocp.args.PyTreeSave(TREE, save_args=save))
    same(mg.load(tmp_path / "c"), FLAT)
    receipt = mg.convert(tmp_path / "c", tmp_path / "out.safetensors")
    assert receipt.verified
    same(mg.load(tmp_path / "out.safetensors"), FLAT)


def test_a_manager_keeps_steps_and_items_and_the_newest_is_read(tmp_path: Path) -> None:
    manager = ocp.CheckpointManager(tmp_path / "run")
    for step in (9, 10):
        tree = {**TREE, "opt_state": {"mu": np.ones(3, np.float32)}, "step": np.int32(step)}
        manager.save(step, args=ocp.args.Composite(state=ocp.args.StandardSave(tree), info=ocp.args.JsonSave({"a": 1})))
    manager.wait_until_finished()
    report = mg.inspect(tmp_path / "run")
    assert "step 10 is read" in " ".join(n.text for n in report.notes)
    assert [(p.role, p.path) for p in report.parts] == [("model", "model"), ("optimizer", "opt_state")]
    receipt = mg.convert(tmp_path / "run", tmp_path / "out.safetensors")
    assert sorted(receipt.digests) == sorted(FLAT)
    assert {loss.kind for loss in receipt.plan.losses} == {"component", "training-state", "side-files"}
    assert mg.load(tmp_path / "run" / "10" / "state", component="optimizer")["mu"].shape == (3,)


@pytest.mark.parametrize("compression", [None, {"id": "zstd", "level": 3}])
@pytest.mark.parametrize("inline", [0, 100, 100_000])
def test_a_store_with_many_keys_and_deep_trees(tmp_path: Path, inline: int, compression: Any) -> None:
    config = {"max_decoded_node_bytes": 500, "max_inline_value_bytes": inline, "compression": compression}
    spec = {"driver": "ocdbt", "base": f"file://{tmp_path}/", "config": config}
    store = ts.KvStore.open(spec).result()
    values = {f"layer.{n % 7}/é{n:04}" + "x" * (n % 50): RNG.bytes(n % 300) for n in range(400)}
    for begin in range(0, 400, 100):  # several commits, each with data files of its own
        with ts.Transaction() as transaction:
            for key in list(values)[begin : begin + 100]:
                store.with_transaction(transaction)[key] = values[key]
    files = LocalFiles(str(tmp_path))
    found = ocdbt.read(files, "", Limits())
    reader = Store(files, found, Limits())
    assert sorted(found) == sorted(values)
    assert {key: reader.get(key) for key in found} == values


@pytest.mark.parametrize("driver", ["zarr", "zarr3"])
@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int8", "uint64", "bool", "complex64", "float8_e4m3fn"])
def test_arrays_of_tensorstore(tmp_path: Path, driver: str, kind: str) -> None:
    folder = tmp_path / "model" / "w"
    spec: dict[str, Any] = {"driver": driver, "kvstore": f"file://{folder}/"}
    if driver == "zarr":
        spec["metadata"] = {"compressor": {"id": "zlib", "level": 1}, "order": "F", "chunks": [4, 5]}
    else:
        spec["metadata"] = {
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [8, 10]}},
            "codecs": [
                {
                    "name": "sharding_indexed",
                    "configuration": {
                        "chunk_shape": [4, 5],
                        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "gzip"}],
                    },
                }
            ],
        }
    array = ts.open(spec, create=True, dtype=getattr(ts, kind), shape=[9, 11]).result()
    value = RNG.integers(0, 2, (9, 11)).astype(array.dtype.numpy_dtype)
    array.write(value).result()
    same(mg.load(tmp_path / "model"), {"w": value})
