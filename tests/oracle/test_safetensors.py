"""Against the safetensors library: it reads what we write, we read what it writes, and the bytes are the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import modelglot as mg
from modelglot.api.reading import read_model

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool, torch.float8_e4m3fn, torch.float8_e5m2,
    torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.float8_e8m0fnu, torch.complex64,
]  # fmt: skip


def values(dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    count = int(np.prod(shape))
    if dtype is torch.bool:
        return torch.arange(count).reshape(shape) % 2 == 0
    raw = np.random.default_rng(0).bytes(count * torch.empty(0, dtype=dtype).element_size())
    return torch.frombuffer(bytearray(raw), dtype=dtype).reshape(shape)


def raw(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def state() -> dict[str, torch.Tensor]:
    made = {f"t.{str(d).split('.')[1]}": values(d, (3, 5)) for d in DTYPES}
    return {**made, "scalar": torch.tensor(1.5), "empty": torch.empty(0, 4), "Ünï cöde/name": torch.ones(2)}


def test_we_read_what_it_writes(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "a.safetensors", {"a": "b", "ü": "\n"})
    with mg.open(tmp_path / "a.safetensors") as model:
        assert dict(model.metadata) == {"a": "b", "ü": "\n"}
        assert sorted(model.tensors) == sorted(state())
        for name, tensor in state().items():
            assert bytes(model.tensors[name].bytes()) == raw(tensor), name
            assert model.tensors[name].torch().dtype == tensor.dtype


def test_it_reads_what_we_write(tmp_path: Path) -> None:
    mg.save(state(), tmp_path / "a.safetensors", metadata={"a": "b"})
    loaded = load_file(tmp_path / "a.safetensors")
    for name, tensor in state().items():
        assert raw(loaded[name]) == raw(tensor), name
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata() == {"a": "b"}


def test_the_bytes_are_the_same(tmp_path: Path) -> None:
    floats = {k: v for k, v in state().items() if "float8_e8m0" not in k}
    save_file(floats, tmp_path / "theirs.safetensors", {"format": "pt"})
    mg.save(floats, tmp_path / "ours.safetensors", metadata={"format": "pt"})
    assert (tmp_path / "ours.safetensors").read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()


@pytest.mark.parametrize(("stored", "bits"), [("F4", 4), ("F6_E2M3", 6), ("F6_E3M2", 6)])
def test_elements_smaller_than_a_byte(tmp_path: Path, stored: str, bits: int) -> None:
    import json

    data = bytes(range(bits * 4))
    header = json.dumps({"w": {"dtype": stored, "shape": [4, 8], "data_offsets": [0, len(data)]}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    with safe_open(path, "np") as file:
        assert file.get_slice("w").get_shape() == [4, 8]
    model = read_model(str(path))
    assert model.tensors["w"].shape == (4, 8)
    mg.convert(path, tmp_path / "b.safetensors")
    with mg.open(tmp_path / "b.safetensors") as again:
        assert bytes(again.tensors["w"].bytes()) == data
        assert again.tensors["w"].numpy().shape == (4, 8)


def test_it_refuses_what_we_refuse(tmp_path: Path) -> None:
    """Every malformed header of our own tests is refused by the reference reader as well, or we say why not."""
    from modelglot.core.errors import ModelFileError

    save_file({"w": torch.zeros(4)}, tmp_path / "a.safetensors")
    whole = (tmp_path / "a.safetensors").read_bytes()
    for cut in range(0, len(whole), 3):
        (tmp_path / "b.safetensors").write_bytes(whole[:cut])
        with pytest.raises(ModelFileError):
            read_model(str(tmp_path / "b.safetensors"), format="safetensors")
        with pytest.raises(Exception):  # noqa: B017
            load_file(tmp_path / "b.safetensors")
