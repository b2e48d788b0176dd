"""Models elsewhere: what `inspect` asks for, and conversions that equal those of local files."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

import modelglot as mg
from modelglot.cli.main import run

from .server import Server

Serve = Callable[..., Server]
COUNT, SIZE = 500, 16 << 20  # together 8 GB
KB = 1024


def sparse(path: Path, head: bytes, size: int) -> int:
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
    return len(head)


def large_safetensors(folder: Path) -> int:
    offsets = [[n * SIZE, (n + 1) * SIZE] for n in range(COUNT)]
    names = {
        f"layers.{n}.weight": {"dtype": "BF16", "shape": [2048, 4096], "data_offsets": o} for n, o in enumerate(offsets)
    }
    header = json.dumps(names).encode()
    return sparse(folder / "m.safetensors", struct.pack("<Q", len(header)) + header, COUNT * SIZE)


def large_gguf(folder: Path) -> int:
    """The header is of gguf's own writer: a vocabulary of 50,000 and the tensors' descriptions."""
    writer = gguf.GGUFWriter(folder / "m.gguf", "llama")
    writer.add_token_list([f"token {n * 7919 % 50_000}" for n in range(50_000)])
    writer.add_token_merges([f"tok en{n * 7919 % 50_000}" for n in range(50_000)])
    for n in range(COUNT):
        writer.add_tensor_info(f"blk.{n}.attn_q.weight", (2048, 4096), np.dtype(np.float16), SIZE)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    head = (folder / "m.gguf").read_bytes()
    return sparse(folder / "m.gguf", head + bytes(-len(head) % 32), COUNT * SIZE)


def large_onnx(folder: Path) -> int:
    weights = []
    for n in range(COUNT):
        tensor = TensorProto(name=f"w{n}", data_type=TensorProto.FLOAT16, dims=[2048, 4096], data_location=1)
        for key, value in (("location", "m.data"), ("offset", str(n * SIZE)), ("length", str(SIZE))):
            tensor.external_data.add(key=key, value=value)
        weights.append(tensor)
    nodes = [helper.make_node("MatMul", ["x", f"w{n}"], [f"y{n}"]) for n in range(COUNT)]
    ports = (
        helper.make_tensor_value_info("x", TensorProto.FLOAT16, [1, 2048]),
        helper.make_tensor_value_info("y0", 10, None),
    )
    model = helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:], weights))
    onnx.save(model, folder / "m.onnx")
    sparse(folder / "m.data", b"", COUNT * SIZE)
    return (folder / "m.onnx").stat().st_size


def large_torch(folder: Path) -> int:
    """torch writes it whole; as the values are zeros the file is not kept long, and 64 MB serve as well: the places of
    the data are what matters."""
    torch.save({f"layers.{n}.weight": torch.zeros(256, 256) for n in range(COUNT)}, folder / "m.pt")
    return 130 * COUNT + 60_000  # the directory, and data.pkl


@pytest.mark.parametrize(
    ("name", "make"),
    [("m.safetensors", large_safetensors), ("m.gguf", large_gguf), ("m.onnx", large_onnx), ("m.pt", large_torch)],
)
def test_inspect_asks_for_the_header_only(name: str, make: Callable[[Path], int], tmp_path: Path, serve: Serve) -> None:
    header = make(tmp_path)
    server = serve(tmp_path)
    found = mg.inspect(f"{server.url}/{name}").document()
    want = mg.inspect(tmp_path / name).document()
    assert found["tensors"] == want["tensors"]
    assert found["metadata"] == want["metadata"]
    assert len(server.requests) <= 6, server.requests
    assert server.sent <= header + 256 * KB


@pytest.mark.parametrize("source", ["a.safetensors", "a.pt", "a.gguf", "a.npz", "a.onnx"])
def test_convert_equals_that_of_the_local_file(source: str, tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "away").mkdir()
    rng = np.random.default_rng(0)
    state = {f"layers.{n}.weight": rng.standard_normal((64, 64 + n)).astype(np.float32) for n in range(8)}
    mg.save(state, tmp_path / "away" / source)
    server = serve(tmp_path / "away")
    mg.convert(tmp_path / "away" / source, tmp_path / "local.safetensors")
    mg.convert(f"{server.url}/{source}", tmp_path / "remote.safetensors")
    assert (tmp_path / "remote.safetensors").read_bytes() == (tmp_path / "local.safetensors").read_bytes()
    assert mg.diff(f"{server.url}/{source}", tmp_path / "local.safetensors").same
    assert mg.digest(f"{server.url}/{source}").total == mg.digest(tmp_path / "local.safetensors").total
    assert mg.scan(f"{server.url}/{source}").document()["verdict"] == "safe"


@pytest.mark.parametrize("fault", ["reset", "short", "500", "redirect"])
def test_convert_through_faults(fault: str, tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "away").mkdir()
    value = np.random.default_rng(0).standard_normal((1 << 10, 1 << 10)).astype(np.float32)
    mg.save({"w": value}, tmp_path / "away" / "a.safetensors")
    server = serve(tmp_path / "away", fault, times=3)
    mg.convert(f"{server.url}/a.safetensors", tmp_path / "b.safetensors")
    assert np.array_equal(mg.load(tmp_path / "b.safetensors")["w"], value)


@pytest.mark.parametrize(("fault", "code"), [("changes", 9), ("no ranges", 3), ("403", 3)])
def test_a_fault_that_stays_leaves_nothing(fault: str, code: int, tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "away").mkdir()
    mg.save({"w": np.zeros((512, 512), np.float32)}, tmp_path / "away" / "a.safetensors")
    server = serve(tmp_path / "away", fault)
    assert run(["convert", f"{server.url}/a.safetensors", str(tmp_path / "b.safetensors")]) == code
    assert [p.name for p in tmp_path.iterdir()] == ["away"]


def test_shards_that_an_index_names(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "away").mkdir()
    state = {f"w{n}": np.full((64, 64), n, np.float32) for n in range(6)}
    mg.save(state, tmp_path / "a.safetensors")
    mg.convert(tmp_path / "a.safetensors", tmp_path / "away" / "m", to="safetensors", max_shard_size=40_000)
    server = serve(tmp_path / "away" / "m")
    index = next((tmp_path / "away" / "m").glob("*.index.json"))
    assert mg.diff(f"{server.url}/{index.name}", tmp_path / "a.safetensors").same


def test_a_name_that_leads_away_is_not_followed(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": "../secret.safetensors"}}))
    server = serve(tmp_path)
    assert run(["inspect", f"{server.url}/m.safetensors.index.json"]) == 6
    assert not any("secret" in path for path, _ in server.requests)


def test_the_hub(tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "owner" / "model" / "resolve" / "main"
    place.mkdir(parents=True)
    mg.save({"w": np.arange(5, dtype=np.float32)}, place / "m.safetensors")
    monkeypatch.setenv("HF_ENDPOINT", serve(tmp_path).url)
    with mg.open("hf://owner/model/m.safetensors") as model:
        assert model.tensors["w"].numpy().tolist() == [0, 1, 2, 3, 4]
