"""Targets in buckets without a disk on the way: parts from threads, all or nothing, against moto's S3."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot as mg
from modelglot.cli.main import run
from modelglot.core.errors import DamagedFileError, ModelFileError, PlanError, TargetExistsError
from modelglot.engine.run import Progress
from modelglot.formats import registry
from modelglot.sources.remote import uploads

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tensor of several parts, small ones, and one of a part and a bit, 70 MB in all."""
    path = tmp_path_factory.mktemp("source") / "a.safetensors"
    state = {"large": RNG.standard_normal((3000, 3000)).astype("f4"), "bias": np.ones(7, "f4")}
    state |= {f"small.{n}": RNG.standard_normal((100, 33)).astype("f4") for n in range(900)}
    state |= {"scalar": np.float32(3), "none": np.zeros((0, 4), "f4"), "last": RNG.standard_normal((2100, 1111))}
    mg.save(state, path)
    return path


def under_way(bucket: Any) -> list[Any]:
    return bucket.list_multipart_uploads(Bucket="models").get("Uploads", [])  # type: ignore[no-any-return]


def keys(bucket: Any) -> list[str]:
    return [o["Key"] for o in bucket.list_objects_v2(Bucket="models").get("Contents", [])]


@pytest.mark.parametrize("name", ["b.safetensors", "b.gguf", "b.npy.safetensors", "shards/"])
def test_the_same_bytes_as_on_a_disk(name: str, source: Path, bucket: Any, tmp_path: Path) -> None:
    given: dict[str, Any] = {"to": "safetensors", "max_shard_size": "30MB"} if name.endswith("/") else {}
    mg.convert(source, tmp_path / "m" / name, **given)
    done = mg.convert(source, f"s3://models/out/{name}", **given)
    assert done.sent
    assert not done.verified
    for path in (p for p in (tmp_path / "m").rglob("*") if p.is_file()):
        key = f"out/{path.relative_to(tmp_path / 'm')}"
        assert bucket.get_object(Bucket="models", Key=key)["Body"].read() == path.read_bytes(), key
    assert under_way(bucket) == []
    assert "-" in bucket.head_object(Bucket="models", Key=keys(bucket)[0])["ETag"], "it came in parts"


def test_from_bucket_to_bucket_nothing_touches_the_disk(
    source: Path, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.upload_file(str(source), "models", "in/a.safetensors")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    most = []

    def look(_: Progress) -> None:
        most.append(sum(p.stat().st_blocks * 512 for p in tmp_path.rglob("*")))

    monkeypatch.chdir(tmp_path)
    mg.convert("s3://models/in/a.safetensors", "s3://models/out/b.gguf", on_event=look)
    assert len(most) > 10
    assert max(most) < 1 << 20, "headers only"
    assert list(tmp_path.iterdir()) == []
    assert mg.diff("s3://models/out/b.gguf", source).equal == 904  # GGUF has no scalars


def test_formats_with_checksums_before_their_data_are_staged(source: Path, bucket: Any) -> None:
    done = mg.convert(source, "s3://models/b.pt")
    assert done.verified
    assert not done.sent
    assert mg.diff("s3://models/b.pt", source).same


def test_a_failure_leaves_nothing(source: Path, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, count = uploads.send, [0]

    def failing(upload: uploads.Upload, number: int, data: bytes) -> str:
        count[0] += 1
        if count[0] == 3:
            raise DamagedFileError("the source ends")
        return honest(upload, number, data)

    monkeypatch.setattr(uploads, "send", failing)
    with pytest.raises(DamagedFileError):
        mg.convert(source, "s3://models/b.gguf")
    assert (keys(bucket), under_way(bucket)) == ([], [])


def test_an_old_object_stays_until_all_is_there(
    source: Path, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put_object(Bucket="models", Key="b.gguf", Body=b"old")
    with pytest.raises(TargetExistsError):
        mg.convert(source, "s3://models/b.gguf")
    assert under_way(bucket) == []

    def look(event: Progress) -> None:
        if event.tensor == "bias":
            seen.append(bucket.get_object(Bucket="models", Key="b.gguf")["Body"].read())

    seen: list[bytes] = []
    mg.convert(source, "s3://models/b.gguf", force=True, on_event=look)
    assert set(seen) == {b"old"}
    assert mg.diff("s3://models/b.gguf", source).equal == 904  # GGUF has no scalars


def test_a_layout_that_its_reader_reads_otherwise_is_not_sent(
    source: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of a writer, made here: the header and the steps have two tensors in each other's places."""
    writer = type(registry.get("safetensors"))
    honest, other = writer.layout, {"small.0": "small.1", "small.1": "small.0"}

    def wrong(self: Any, model: Any, options: Any) -> Any:
        made = honest(self, model, options)
        slots = tuple(s._replace(tensor=other.get(s.tensor, s.tensor)) for s in made.files[0].slots)
        return made._replace(files=(made.files[0]._replace(slots=slots),))

    monkeypatch.setattr(writer, "layout", wrong)
    with pytest.raises(PlanError, match="another place"):
        mg.convert(source, "s3://models/b.safetensors")
    assert (keys(bucket), under_way(bucket)) == ([], [])


def test_what_is_said(source: Path, bucket: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["convert", str(source), "s3://models/b.gguf"]) == 0
    assert "sent with checksums, not read back" in capsys.readouterr().out
    assert run(["convert", str(source), "s3://nowhere/b.gguf"]) == 9
    said = capsys.readouterr().err
    assert "NoSuchBucket" in said
    assert "secret-key" not in said


def test_refused_credentials(source: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        from botocore.exceptions import NoCredentialsError

        raise NoCredentialsError

    monkeypatch.setattr(uploads._client(), "create_multipart_upload", refuse)
    with pytest.raises(ModelFileError, match="the upload failed"):
        mg.convert(source, "s3://models/b.gguf")
    assert os.listdir(source.parent) == [source.name]
