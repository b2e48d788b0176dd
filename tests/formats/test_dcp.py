"""Distributed checkpoints of PyTorch as folders, and metadata that lies."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata

import modelglot as mg
from modelglot.core.errors import ModelFileError
from modelglot.core.limits import Limits
from modelglot.formats import registry
from modelglot.sources.file import LocalFiles
from modelglot.testing.folders import FolderConformance

STATE = {"model": {"w": torch.arange(12.0).reshape(3, 4), "b": torch.ones(4, dtype=torch.bfloat16)}, "step": 3}


def saved(folder: Path) -> None:
    dcp.save(copy.deepcopy(STATE), checkpoint_id=folder, no_dist=True)


class TestConformance(FolderConformance):
    format = "dcp"

    def make(self, folder: Path) -> None:
        saved(folder)


def changed(folder: Path, change: Any) -> Path:
    """A checkpoint whose metadata was tampered with by its own classes."""
    import pickle

    saved(folder)
    with (folder / ".metadata").open("rb") as file:
        metadata = pickle.load(file)
    change(metadata)
    with (folder / ".metadata").open("wb") as out:
        pickle.dump(metadata, out)
    return folder


def move(metadata: Any, **values: Any) -> None:
    for info in metadata.storage_data.values():
        for key, value in values.items():
            setattr(info, key, value)


def entry(metadata: Any) -> Any:
    return metadata.state_dict_metadata["model.w"]


def chunk(offsets: tuple[int, ...], sizes: tuple[int, ...]) -> Any:
    return ChunkStorageMetadata(torch.Size(offsets), torch.Size(sizes))


ROWS = {
    "a file outside of the folder": (lambda m: move(m, relative_path="../x.distcp"), "outside its folder"),
    "an absolute file": (lambda m: move(m, relative_path="/etc/passwd"), "outside its folder"),
    "a part past the end of its file": (lambda m: move(m, length=1 << 60), "after the end of the file"),
    "a negative offset": (lambda m: move(m, offset=-1), "no path, offset and length"),
    "a path that is none": (lambda m: move(m, relative_path=7), "no path, offset and length"),
    "a part that is no archive": (lambda m: move(m, offset=1), "."),
    "a compressed part": (lambda m: move(m, transform_descriptors=["zstd"]), "transformed"),
    "no storage": (lambda m: setattr(m, "storage_data", None), "does not say where"),
    "no tensors": (lambda m: setattr(m, "state_dict_metadata", [1]), "lists no tensors"),
    "a part outside of the tensor": (lambda m: setattr(entry(m), "chunks", [chunk((2, 0), (3, 4))]), "lies outside"),
    "a part of another rank": (lambda m: setattr(entry(m), "chunks", [chunk((0,), (3,))]), "lies outside"),
    "a part that nobody stored": (lambda m: setattr(entry(m), "chunks", [chunk((1, 0), (2, 4))]), "has no place"),
    "a part of another shape": (lambda m: setattr(entry(m), "chunks", [chunk((0, 0), (2, 4))]), "has the shape"),
    "parts that do not cover": (lambda m: setattr(entry(m), "size", torch.Size([9, 4])), "do not cover"),
    "no parts at all": (lambda m: setattr(entry(m), "chunks", []), "do not cover"),
    "sizes of text": (lambda m: setattr(entry(m), "size", "34"), "no row of numbers"),
}


@pytest.mark.parametrize("story", ROWS)
def test_hostile(tmp_path: Path, story: str) -> None:
    change, words = ROWS[story]
    with pytest.raises(ModelFileError, match=words) as caught:
        mg.open(changed(tmp_path / "c", change))
    assert str(tmp_path) in str(caught.value)


def test_the_metadata_is_not_run(tmp_path: Path) -> None:
    """A pickle that would call something is read as what it is."""
    (tmp_path / ".metadata").write_bytes(b"cos\nsystem\n(X\x04\0\0\0echo" + b"tR.")
    with pytest.raises(ModelFileError, match="no `Metadata`"):
        mg.open(tmp_path)


def test_a_file_name_as_target_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "c")
    with pytest.raises(ModelFileError, match="is a folder"):
        mg.convert(tmp_path / "c", tmp_path / "x.distcp", to="dcp")


def test_written_twice_it_is_the_same(tmp_path: Path) -> None:
    saved(tmp_path / "c")
    for name in ("one", "two"):
        mg.convert(tmp_path / "c", tmp_path / name, to="dcp")
    files = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert files == [".metadata", "__0_0.distcp"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert mg.diff(tmp_path / "one", tmp_path / "c").same


def test_accelerate_keeps_it_in_a_folder_of_its_own(tmp_path: Path) -> None:
    saved(tmp_path / "pytorch_model_fsdp_0")
    saved(tmp_path / "optimizer_0")
    assert "model.w" in mg.open(tmp_path).tensors


class _Harm:
    def __reduce__(self) -> Any:
        return print, ("harm",)


def test_hazards_are_found_in_the_metadata_and_in_the_parts(tmp_path: Path) -> None:
    def found(folder: Path) -> list[tuple[str, str | None]]:
        reader = registry.get("dcp")
        return [(Path(f.path).name, f.member) for f in reader.hazards(LocalFiles(str(folder)), Limits())]

    saved(tmp_path / "plain")
    assert found(tmp_path / "plain") == []
    metadata = changed(tmp_path / "metadata", lambda m: setattr(m, "planner_data", _Harm()))
    assert found(metadata) == [(".metadata", None)]
    dcp.save({"harm": _Harm()}, checkpoint_id=tmp_path / "part", no_dist=True)
    assert found(tmp_path / "part") == [("__0_0.distcp", "archive/data.pkl")]
