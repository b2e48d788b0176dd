"""`gs://` and `az://`: reading, listing, writing, against servers that speak as those services do.

Google's: fake-gcs-server reads in the XML dialect that is asked for, but takes no uploads in it; so uploads go to moto,
whose S3 is the same dialect but for the credentials. Microsoft's: azurite, its own emulator.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot as mg
from modelglot.cli.main import run
from modelglot.core.errors import CannotOpenError
from modelglot.sources.remote import sink, stores
from modelglot.sources.remote.files import list_names

from . import emulators
from .proxy import Proxy

STATE = {f"w{n}": np.random.default_rng(n).standard_normal((512, 512)).astype(np.float32) for n in range(12)}
SIGNED = "AWS4-HMAC-SHA256 Credential=k/20261126/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sink, "_PART", 5 << 20)
    stores._bucket.cache_clear()
    yield
    stores._bucket.cache_clear()


@pytest.fixture(scope="module")
def fake_gcs() -> Iterator[str]:
    with emulators.fake_gcs() as url:
        yield url


@pytest.fixture(scope="module")
def azurite() -> Iterator[str]:
    with emulators.azurite() as url:
        yield url


def folder_of(tmp_path: Path) -> Path:
    """A folder of shards with its index, and its model in one file beside it."""
    mg.save(STATE, tmp_path / "a.safetensors")
    mg.convert(tmp_path / "a.safetensors", tmp_path / "m", to="safetensors", max_shard_size=4_000_000)
    return tmp_path / "m"


def check_reading(root: str, tmp_path: Path) -> None:
    """A model in one object, whose name has to be quoted, and one in a folder of shards."""
    assert mg.inspect(f"{root}/one model #1.gguf").document()["tensors"]
    assert mg.diff(f"{root}/one model #1.gguf", tmp_path / "a.safetensors").same
    assert mg.diff(f"{root}/m/", tmp_path / "a.safetensors").same
    assert run(["convert", f"{root}/m/", str(tmp_path / "b.safetensors")]) == 0
    assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "a.safetensors").read_bytes()
    assert "model.safetensors.index.json" in list_names(f"{root}/m")
    with pytest.raises(CannotOpenError, match="no such object"):
        mg.open(f"{root}/nothing.safetensors")


def check_writing(root: str, tmp_path: Path) -> None:
    """In parts, once more, and as a folder."""
    mg.save(STATE, tmp_path / "a.safetensors")
    target = f"{root}/new/b c.pt"
    assert run(["convert", str(tmp_path / "a.safetensors"), target]) == 0
    assert mg.diff(target, tmp_path / "a.safetensors").same
    assert run(["convert", str(tmp_path / "a.safetensors"), target]) == 9, "it is there already"
    assert run(["convert", str(tmp_path / "a.safetensors"), target, "--force"]) == 0
    arguments = ["--to", "safetensors", "--max-shard-size", "4MB"]
    assert run(["convert", target, f"{root}/new/m/", *arguments]) == 0
    assert mg.diff(f"{root}/new/m/", tmp_path / "a.safetensors").same
    assert mg.digest(target).total == mg.digest(tmp_path / "a.safetensors").total


def test_google_reading(fake_gcs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", fake_gcs)
    for path in folder_of(tmp_path).iterdir():
        emulators.give_google(fake_gcs, f"dir/m/{path.name}", path.read_bytes())
    mg.save(STATE, tmp_path / "a.gguf")
    emulators.give_google(fake_gcs, "dir/one model #1.gguf", (tmp_path / "a.gguf").read_bytes())
    check_reading("gs://models/dir", tmp_path)


def test_google_both_ways(bucket: Any, moto: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy(moto, "nothing", "none")
    proxy.extra = {"authorization": SIGNED}
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url.removeprefix("http://"))  # as Google's libraries take it
    check_writing("gs://models/dir", tmp_path)
    for path in [*folder_of(tmp_path).iterdir()]:
        bucket.upload_file(str(path), "models", f"dir/m/{path.name}")
    mg.save(STATE, tmp_path / "a.gguf")
    bucket.upload_file(str(tmp_path / "a.gguf"), "models", "dir/one model #1.gguf")
    check_reading("gs://models/dir", tmp_path)
    assert {"begin", "part", "complete", "list"} <= set(proxy.seen)
    proxy.close()


def test_azure_both_ways(azurite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = f"AccountName={emulators.ACCOUNT};AccountKey={emulators.KEY}"
    connection = f"DefaultEndpointsProtocol=http;{account};BlobEndpoint={azurite};"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
    check_writing("az://models/dir", tmp_path)
    folder_of(tmp_path)
    arguments = ["--to", "safetensors", "--max-shard-size", "4MB"]
    assert run(["convert", str(tmp_path / "m"), "az://models/dir/m/", *arguments]) == 0
    assert run(["convert", str(tmp_path / "a.safetensors"), "az://models/dir/one model #1.gguf"]) == 0
    check_reading("az://models/dir", tmp_path)


def test_azure_as_its_emulator_is_set_up(azurite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
    monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", azurite.rpartition("/")[0])
    mg.save(STATE, tmp_path / "a.safetensors")
    assert run(["convert", str(tmp_path / "a.safetensors"), "az://models/x/a.npz"]) == 0
    assert mg.diff("az://models/x/a.npz", tmp_path / "a.safetensors").same


@pytest.mark.parametrize("status", ["500", "403"])
def test_azure_faults_show_no_key(
    status: str, azurite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from .test_s3_faults import QUICK

    monkeypatch.setattr(stores, "_RETRIES", QUICK)
    proxy = Proxy(azurite, "put", status)
    account = f"AccountName={emulators.ACCOUNT};AccountKey={emulators.KEY}"
    where = f"{proxy.url}/{emulators.ACCOUNT}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"{account};BlobEndpoint={where};")
    mg.save(STATE, tmp_path / "a.safetensors")
    assert run(["convert", str(tmp_path / "a.safetensors"), "az://models/faulty.safetensors"]) == 9
    said = capsys.readouterr().err
    assert "the upload failed" in said
    assert status in said
    assert emulators.KEY not in said
    assert list_names("az://models/faulty.safetensors") == ()
    proxy.close()


def test_what_is_missing_in_the_settings_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    assert run(["inspect", "az://models/a.safetensors"]) == 3
    assert "AZURE_STORAGE_CONNECTION_STRING" in capsys.readouterr().err
