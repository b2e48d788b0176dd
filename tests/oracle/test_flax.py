"""Flax and msgpack: they read what we write, byte for byte what they write themselves; we read what they write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import msgpack
import numpy as np
import pytest
from flax import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

import modelglot as mg
from modelglot.api.memory import MemorySource
from modelglot.containers.msgpack import Reader, Span
from modelglot.core.limits import Limits
from modelglot.core.tree import Node

RNG = np.random.default_rng(0)
CODES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"]
TREE: dict[str, Any] = {
    "params": {
        "Conv_0": {"kernel": RNG.standard_normal((3, 3, 4, 8), np.float32), "bias": np.zeros(8, np.float32)},
        "Dense_0": {"kernel": np.asarray(jnp.ones((70_000, 2), jnp.bfloat16)), "empty": np.zeros((0, 3), np.float32)},
        **{f"types_{code}": {"w": RNG.integers(0, 100, (2, 3)).astype(code)} for code in CODES},
        "rest": {"flag": np.array([True, False]), "z": np.array([1 + 2j], np.complex64), "scalar": np.float32(3)},
    },
    "batch_stats": {"BatchNorm_0": {"mean": np.zeros(8, np.float32), "var": np.ones(8, np.float32)}},
}


def flat(tree: Any, path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{path}.{key}" if path else key
        found |= flat(value, name) if isinstance(value, dict) else {name: np.asarray(value)}
    return found


def same(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert sorted(found) == sorted(wanted)
    for name, array in wanted.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        assert found[name].tobytes() == array.tobytes(), name


def test_what_flax_writes(tmp_path: Path) -> None:
    (tmp_path / "checkpoint_1").write_bytes(serialization.msgpack_serialize(TREE))
    same(mg.load(tmp_path / "checkpoint_1"), flat(TREE))


def test_flax_restores_what_we_write(tmp_path: Path) -> None:
    mg.save(flat(TREE), tmp_path / "a.msgpack")
    same(flat(serialization.msgpack_restore((tmp_path / "a.msgpack").read_bytes())), flat(TREE))


def test_the_bytes_are_those_of_flax(tmp_path: Path) -> None:
    arrays = {**TREE, "params": {k: v for k, v in TREE["params"].items() if k != "rest"}}
    mg.save(flat(arrays), tmp_path / "a.msgpack")
    assert (tmp_path / "a.msgpack").read_bytes() == serialization.msgpack_serialize(arrays)


def test_through_safetensors_and_back(tmp_path: Path) -> None:
    from safetensors.flax import load_file

    original = {k: v for k, v in flat(TREE).items() if v.dtype.name != "complex128"}
    (tmp_path / "a.msgpack").write_bytes(serialization.msgpack_serialize(TREE))
    mg.convert(tmp_path / "a.msgpack", tmp_path / "b.safetensors")
    read = load_file(tmp_path / "b.safetensors")  # jax holds 64-bit numbers in 32
    assert sorted(read) == sorted(original)
    mg.convert(tmp_path / "b.safetensors", tmp_path / "c.msgpack")
    same(flat(serialization.msgpack_restore((tmp_path / "c.msgpack").read_bytes())), original)


def test_arrays_that_flax_cuts_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serialization, "MAX_CHUNK_SIZE", 1000)
    raw = serialization.msgpack_serialize({"w": TREE["params"]["Conv_0"]["kernel"]})
    assert raw.count(b"__msgpack_chunked_array__") == 1
    (tmp_path / "a.msgpack").write_bytes(raw)
    same(mg.load(tmp_path / "a.msgpack"), {"w": TREE["params"]["Conv_0"]["kernel"]})


LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=300)
)
VALUES = st.recursive(
    LEAVES | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner, max_size=20),
    max_leaves=40,
)


def plain(value: Any, raw: bytes) -> Any:
    if isinstance(value, Span):
        return raw[value.offset : value.offset + value.length]
    if isinstance(value, Node):
        if value.kind == "list":
            return [plain(v, raw) for v in value.items]
        return {plain(k, raw): plain(v, raw) for k, v in value.items}
    return value


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_the_container_against_the_msgpack_library(value: Any) -> None:
    raw = msgpack.packb(value, use_bin_type=True)
    reader = Reader(MemorySource(memoryview(raw)), Limits())
    assert plain(reader.value(), raw) == value
    assert reader.at == len(raw)
