"""What is left of damaged files: each tensor that is whole, equal to what it was, and the names of the others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import modelglot
from modelglot.core.errors import DamagedFileError, ModelFileError, UnsupportedError

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

STATE = {f"layer.{n}.weight": torch.full((40 + n, 16), float(n)) + torch.arange(16) for n in range(12)}
STATE["tied"] = STATE["layer.3.weight"]


def written(kind: str, path: Path) -> Path:
    if kind == "safetensors":
        safetensors.save_file({n: t.clone() for n, t in STATE.items()}, path)
    elif kind in ("torch", "legacy"):
        torch.save({"state_dict": STATE, "epoch": 3}, path, _use_new_zipfile_serialization=kind == "torch")
    elif kind == "npz":
        np.savez(path, **{n: t.numpy() for n, t in STATE.items()})
    else:
        modelglot.save({n: t.numpy() for n, t in STATE.items()}, path)
    return path


SUFFIX = {"safetensors": ".safetensors", "torch": ".ckpt", "legacy": ".pth", "npz": ".npz", "gguf": ".gguf"}


def rescued(source: Path, target: Path) -> dict[str, np.ndarray]:
    modelglot.convert(source, target, salvage=True, force=True)
    return modelglot.load(target)


@pytest.mark.parametrize("kind", SUFFIX)
def test_a_file_cut_anywhere(kind: str, tmp_path: Path) -> None:
    """More bytes never give fewer tensors, and each is what it was."""
    whole = written(kind, tmp_path / f"whole{SUFFIX[kind]}").read_bytes()
    cut, counts = tmp_path / f"cut{SUFFIX[kind]}", []
    for length in np.linspace(40, len(whole) - 1, 40).astype(int):
        cut.write_bytes(whole[:length])
        try:
            found = rescued(cut, tmp_path / "out.safetensors")
        except ModelFileError:
            counts.append(0)
            continue
        counts.append(len(found))
        for name, value in found.items():
            np.testing.assert_array_equal(value, STATE[name].numpy())
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] >= len(STATE) - 2  # the last byte is of the last tensor, or of the directory


def test_what_is_lost_is_named(tmp_path: Path) -> None:
    whole = written("torch", tmp_path / "m.ckpt").read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    receipt = modelglot.convert(tmp_path / "cut.ckpt", tmp_path / "out.safetensors", salvage=True)
    (said,) = [loss.what for loss in receipt.plan.losses if loss.kind == "missing"]
    kept = modelglot.load(tmp_path / "out.safetensors")
    for name in STATE:
        assert (f"`{name}`" in said) != (name in kept) or f"`state_dict.{name}`" in said
    with pytest.raises(ModelFileError):
        modelglot.convert(tmp_path / "cut.ckpt", tmp_path / "no.safetensors")
    assert not (tmp_path / "no.safetensors").exists()


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_shards_in_one_file(kind: str, tmp_path: Path) -> None:
    """Files that somebody put one after another, the last one cut off."""
    names = sorted(STATE)
    parts = [names[:5], names[5:9], names[9:]]
    data = b""
    for number, part in enumerate(parts):
        path = tmp_path / f"{number}{SUFFIX[kind]}"
        state = {n: STATE[n].clone() for n in part}
        safetensors.save_file(state, path) if kind == "safetensors" else torch.save(state, path)
        data += path.read_bytes()
    joined = tmp_path / f"joined{SUFFIX[kind]}"
    joined.write_bytes(data)
    assert set(rescued(joined, tmp_path / "out.safetensors")) == set(STATE)
    joined.write_bytes(data[:-4000])
    found = rescued(joined, tmp_path / "out.safetensors")
    assert set(parts[0] + parts[1]) < set(found) < set(STATE)
    for name, value in found.items():
        np.testing.assert_array_equal(value, STATE[name].numpy())


def test_a_set_with_a_missing_shard(tmp_path: Path) -> None:
    modelglot.save({n: t.numpy() for n, t in STATE.items()}, tmp_path / "m", to="safetensors", max_shard_size=12_000)
    index = json.loads((tmp_path / "m/model.safetensors.index.json").read_text())["weight_map"]
    gone = sorted(set(index.values()))[1]
    (tmp_path / "m" / gone).unlink()
    found = rescued(tmp_path / "m", tmp_path / "out.safetensors")
    assert set(found) == {name for name, shard in index.items() if shard != gone}


def test_nothing_whole_is_an_error(tmp_path: Path) -> None:
    whole = written("safetensors", tmp_path / "m.safetensors").read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    (tmp_path / "cut.safetensors").write_bytes(whole[: start + 10])
    with pytest.raises(DamagedFileError, match="no tensor of it is whole"):
        rescued(tmp_path / "cut.safetensors", tmp_path / "out.npz")


@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_a_set_with_a_shard_cut_off(kind: str, tmp_path: Path) -> None:
    to = {"safetensors": "safetensors", "torch": "torch-zip"}[kind]
    modelglot.save({n: t.numpy() for n, t in STATE.items()}, tmp_path / "m", to=to, max_shard_size=12_000)
    (index,) = (tmp_path / "m").glob("*.index.json")
    weights = json.loads(index.read_text())["weight_map"]
    shard = sorted(set(weights.values()))[1]
    whole = (tmp_path / "m" / shard).read_bytes()
    inside, counts = {name for name, where in weights.items() if where == shard}, []
    for length in np.linspace(0, len(whole) - 1, 12).astype(int):
        (tmp_path / "m" / shard).write_bytes(whole[:length])
        found = rescued(tmp_path / "m", tmp_path / "out.npz")
        assert set(weights) - inside <= set(found) <= set(weights)
        for name, value in found.items():
            np.testing.assert_array_equal(value, STATE[name].numpy())
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[0] == len(weights) - len(inside) < counts[-1]


def test_a_cut_torchscript_archive_says_that_code_is_lost(tmp_path: Path) -> None:
    """Its pickle comes after the tensors: cut before it nothing has a name, after it all is there but the code."""
    module = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Linear(16, 4))
    torch.jit.trace(module, torch.ones(1, 8)).save(str(tmp_path / "m.pt"))
    whole, said = (tmp_path / "m.pt").read_bytes(), []
    for length in np.linspace(40, len(whole) - 1, 30).astype(int):
        (tmp_path / "cut.pt").write_bytes(whole[:length])
        try:
            receipt = modelglot.convert(tmp_path / "cut.pt", tmp_path / "out.npz", salvage=True, force=True)
        except ModelFileError:
            assert not said
            continue
        found = modelglot.load(tmp_path / "out.npz")
        assert set(found) == set(module.state_dict())
        for name, value in found.items():
            np.testing.assert_array_equal(value, module.state_dict()[name].numpy())
        said.append([loss.what for loss in receipt.plan.losses])
    assert len(said) > 3
    assert "the archive is cut off: constants and code that followed are lost" in said[-1]


def test_formats_that_are_not_mended_say_so(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.ones(1000, np.float32))
    whole = (tmp_path / "m.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-100])
    with pytest.raises(UnsupportedError, match="are not mended") as caught:
        rescued(tmp_path / "cut.npy", tmp_path / "out.npz")
    assert "TensorFlow checkpoint" in (caught.value.hint or "")
