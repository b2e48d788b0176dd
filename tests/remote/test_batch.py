"""Jobs over buckets: a pattern is a listing, what is done is known by ETags, and nothing is read to skip it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.batching import Summary, batch
from modelglot.core.errors import CannotOpenError, InvalidFileError, UnsupportedError

from .buckets import Bucket, serving

RNG = np.random.default_rng(0)
STATE = {f"layer.{n}.weight": RNG.standard_normal((8, 64)).astype("f4") for n in range(3)}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with serving(monkeypatch) as made:
        yield made


def table(bucket: Bucket, folder: Path, *jobs: str) -> Path:
    """Each job its lines; `BUCKET` is the bucket's URL."""
    text = "".join(f"[[job]]\n{job}\n" for job in jobs)
    (folder / "jobs.toml").write_text(text.replace("BUCKET", bucket.root))
    return folder / "jobs.toml"


def outcomes(summary: Summary) -> dict[str, str]:
    return {o.job.name: o.outcome for o in summary.outcomes}


def models(bucket: Bucket, folder: Path, *keys: str) -> None:
    for number, key in enumerate(keys):
        mg.save({**STATE, "layer.0.weight": STATE["layer.0.weight"] + number}, folder / "m.pt", force=True)
        bucket.put(key, (folder / "m.pt").read_bytes())


CONVERT = 'verb = "convert"\nsource = "BUCKET/models/**/*.pt"\ntarget = "BUCKET/out/{below}/{stem}.safetensors"'


def test_a_pattern_over_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    keys = ["models/a.pt", "models/x/b.pt", "models/x/y/b.pt"]
    models(bucket, tmp_path, *keys, "models/.git/c.pt", "other/d.pt")
    bucket.put("models/x/notes.txt", b"no model")
    path = table(bucket, tmp_path, CONVERT)
    assert set(outcomes(batch(path)).values()) == {"done"}
    for number, name in enumerate(("a", "x/b", "x/y/b")):
        with mg.open(f"{bucket.root}/out/{name}.safetensors") as made:
            assert np.array_equal(made.tensors["layer.0.weight"].numpy(), STATE["layer.0.weight"] + number)
    listed = bucket.client.list_objects_v2(Bucket=bucket.name, Prefix="out/")["Contents"]
    assert len(listed) == len(keys)


def test_what_is_done_is_skipped_without_reading_it(bucket: Bucket, tmp_path: Path) -> None:
    models(bucket, tmp_path, "models/a.pt", "models/b.pt")
    path = table(bucket, tmp_path, CONVERT)
    batch(path)
    bucket.asked()
    assert set(outcomes(batch(path)).values()) == {"skipped"}
    assert [method for method, _ in bucket.requests if method != "HEAD"] == ["GET"], "the listing of the pattern"
    models(bucket, tmp_path, "models/b.pt")  # with the bytes of the first, and of the same size
    assert outcomes(batch(path)) == {
        "convert a.pt -> a.safetensors": "skipped", "convert b.pt -> b.safetensors": "done",
    }  # fmt: skip
    with mg.open(f"{bucket.root}/out/b.safetensors") as made:
        assert np.array_equal(made.tensors["layer.0.weight"].numpy(), STATE["layer.0.weight"])
    bucket.delete("out/a.safetensors")
    assert sorted(outcomes(batch(path)).values()) == ["done", "skipped"]


def test_many_files_are_asked_for_by_listings(bucket: Bucket, tmp_path: Path) -> None:
    models(bucket, tmp_path, *(f"models/{n}.pt" for n in range(20)))
    path = table(bucket, tmp_path, CONVERT)
    assert batch(path).ok
    bucket.asked()
    assert batch(path).count("skipped") == 20
    assert bucket.asked() == (3, 0), "of the pattern, of the inputs, of the outputs"


def test_what_somebody_else_put_there_stays(bucket: Bucket, tmp_path: Path) -> None:
    models(bucket, tmp_path, "models/a.pt")
    path = table(bucket, tmp_path, CONVERT)
    batch(path)
    bucket.put("out/a.safetensors", b"of somebody else")
    (found,) = batch(path).outcomes
    assert found.outcome == "failed"
    assert (found.error or {})["code"] == "target-exists"
    body = bucket.client.get_object(Bucket=bucket.name, Key="out/a.safetensors")["Body"].read()
    assert body == b"of somebody else"


def test_folders_of_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    for name in ("one", "two"):
        mg.save(STATE, f"{tmp_path / name}/", to="safetensors", max_shard_size=2000)
        bucket.upload(tmp_path / name, f"models/{name}/")
    job = 'verb = "convert"\nsource = "BUCKET/models/*/"\ntarget = "{name}.gguf"\nallow_loss = ["metadata"]'
    path = table(bucket, tmp_path, job)
    assert set(outcomes(batch(path)).values()) == {"done"}
    assert mg.diff(tmp_path / "one.gguf", tmp_path / "one").same
    assert set(outcomes(batch(path)).values()) == {"skipped"}
    mg.save({"w": np.zeros(4, "f4")}, tmp_path / "new.safetensors")
    bucket.put("models/one/more.txt", b"changed")
    assert outcomes(batch(path)) == {"convert one -> one.gguf": "done", "convert two -> two.gguf": "skipped"}


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("BUCKET/none/*.pt", CannotOpenError, "no such folder"),
        ("BUCKET/models/*.gguf", InvalidFileError, "nothing fits"),
        ("https://example.com/*.pt", UnsupportedError, "does not list"),
        ("s3://*/a.pt", CannotOpenError, "needs a bucket"),
    ],
)
def test_patterns_that_lead_nowhere(
    bucket: Bucket, tmp_path: Path, source: str, error: type[Exception], said: str
) -> None:
    models(bucket, tmp_path, "models/a.pt")
    path = table(bucket, tmp_path, f'verb = "digest"\npath = "{source}"')
    with pytest.raises(error, match=said):
        batch(path)


def test_two_of_one_name_say_what_to_do(bucket: Bucket, tmp_path: Path) -> None:
    models(bucket, tmp_path, "models/a.pt", "models/x/a.pt")
    path = table(bucket, tmp_path, CONVERT.replace("{below}/", ""))
    with pytest.raises(InvalidFileError, match="write the same target") as caught:
        batch(path)
    assert "{below}" in (caught.value.hint or "")
