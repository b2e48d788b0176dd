"""An S3 server (moto) on 127.0.0.1: buckets, listings, folders of shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.cli.main import run
from modelglot.core.errors import CannotOpenError
from modelglot.sources.remote import stores

STATE = {f"layers.{n}.weight": np.random.default_rng(n).standard_normal((64, 64)).astype(np.float32) for n in range(6)}


def upload(client: object, folder: Path, prefix: str) -> None:
    for path in (p for p in folder.rglob("*") if p.is_file()):
        client.upload_file(str(path), "models", f"{prefix}{path.relative_to(folder)}")  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["a.safetensors", "a.gguf", "a.pt", "odd name #1.safetensors"])
def test_one_object(bucket: object, name: str, tmp_path: Path) -> None:
    mg.save(STATE, tmp_path / name)
    upload(bucket, tmp_path, "dir/")
    assert mg.diff(f"s3://models/dir/{name}", tmp_path / name).same
    mg.convert(f"s3://models/dir/{name}", tmp_path / "b.npz")
    assert mg.diff(tmp_path / "b.npz", tmp_path / name).same


def test_a_folder_of_shards_and_what_is_beside(bucket: object, tmp_path: Path) -> None:
    mg.save(STATE, tmp_path / "a.safetensors")
    mg.convert(tmp_path / "a.safetensors", tmp_path / "m", to="safetensors", max_shard_size=40_000)
    (tmp_path / "m" / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    upload(bucket, tmp_path / "m", "org/model/")
    found, want = mg.inspect("s3://models/org/model/").document(), mg.inspect(tmp_path / "m").document()
    assert found["tensors"] == want["tensors"]
    assert found["family"] == want["family"] == "llama (LlamaForCausalLM)"
    assert [s["name"] for s in found["sides"]] == [s["name"] for s in want["sides"]]
    mg.convert("s3://models/org/model/", tmp_path / "one.safetensors")
    assert mg.diff(tmp_path / "one.safetensors", tmp_path / "a.safetensors").same


@pytest.mark.parametrize("name", ["b.safetensors", "b.pt", "b.gguf"])
def test_an_upload(bucket: object, name: str, tmp_path: Path) -> None:
    mg.save(STATE, tmp_path / "a.safetensors")
    target = f"s3://models/out/{name}"
    assert run(["convert", str(tmp_path / "a.safetensors"), target]) == 0
    assert mg.diff(target, tmp_path / "a.safetensors").same
    assert run(["convert", str(tmp_path / "a.safetensors"), target]) == 9, "it is there already"
    assert run(["convert", str(tmp_path / "a.safetensors"), target, "--force"]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_from_bucket_to_bucket_in_shards(bucket: object, tmp_path: Path) -> None:
    mg.save(STATE, tmp_path / "a.pt")
    upload(bucket, tmp_path, "in/")
    receipt = str(tmp_path / "r.json")
    arguments = ["s3://models/in/a.pt", "s3://models/out/m/", "--to", "safetensors", "--max-shard-size", "40kB"]
    assert run(["convert", *arguments, "--receipt", receipt]) == 0
    assert mg.diff("s3://models/out/m/", tmp_path / "a.pt").same
    assert run(["verify", "s3://models/out/m/", "--receipt", receipt]) == 0


def test_web_servers_take_no_uploads(tmp_path: Path) -> None:
    mg.save(STATE, tmp_path / "a.safetensors")
    assert run(["convert", str(tmp_path / "a.safetensors"), "https://example.com/b.safetensors"]) == 9
    assert run(["pack", "transformers", str(tmp_path / "a.safetensors"), "s3://models/x"]) != 0
    assert not (Path.cwd() / "s3:").exists()
    assert run(["convert", "s3://models/a", "s3://models/a"]) != 0


def test_what_is_not_there(bucket: object) -> None:
    with pytest.raises(CannotOpenError, match="no such object"):
        mg.open("s3://models/nothing.safetensors")
    assert run(["inspect", "s3://models/nothing/"]) in (3, 4, 5)


def test_secrets_are_not_shown(
    bucket: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    stores._bucket.cache_clear()
    assert run(["inspect", "s3://models/a.safetensors"]) == 3
    said = capsys.readouterr()
    assert "secret-key" not in said.out + said.err
