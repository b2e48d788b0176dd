"""What goes wrong between us and a bucket: the right bytes or a clear error, never a wrong object."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot as mg
from modelglot.cli.main import run
from modelglot.sources import opening
from modelglot.sources.remote import sink, stores, uploads

from .proxy import Proxy

STATE = {f"w{n}": np.random.default_rng(n).standard_normal((512, 512)).astype(np.float32) for n in range(12)}
Before = Callable[..., Proxy]
QUICK = {
    "max_retries": 2, "retry_timeout": timedelta(seconds=10),
    "backoff": {"init_backoff": timedelta(milliseconds=5), "max_backoff": timedelta(milliseconds=20), "base": 2},
}  # fmt: skip


@pytest.fixture
def before(bucket: Any, moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Before]:
    """Puts a proxy with a fault between modelglot and the store."""
    running: list[Proxy] = []

    def one(*arguments: Any, **options: Any) -> Proxy:
        running.append(Proxy(moto, *arguments, **options))
        monkeypatch.setenv("AWS_ENDPOINT_URL", running[-1].url)
        stores._bucket.cache_clear()
        return running[-1]

    monkeypatch.setattr(stores, "_RETRIES", QUICK)
    monkeypatch.setattr(sink, "_PART", 5 << 20)
    monkeypatch.setattr(uploads, "_PART", 5 << 20)
    monkeypatch.setattr(uploads, "_ATTEMPTS", 3)
    yield one
    for proxy in running:
        proxy.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "a.safetensors"
    mg.save(STATE, path)
    return path


# the fault, how often (None: always), after how many answers, the exit code, what is said
READS = [
    ("reset", 3, 0, 0, ""),
    ("short", 3, 0, 0, ""),
    ("refused", 2, 1, 0, ""),
    ("500", 2, 0, 0, ""),
    ("503", 2, 1, 0, ""),
    ("slow", None, 0, 0, ""),
    ("nothing", None, 2, 3, "cannot be read"),
    ("refused", None, 2, 3, "cannot be read"),
    ("500", None, 1, 3, "cannot be read"),
    ("503", None, 2, 3, "cannot be read"),
    ("403", None, 0, 3, "access was refused"),
    ("403", None, 3, 3, "access was refused"),
]


@pytest.mark.parametrize(("fault", "times", "after", "code", "said"), READS)
def test_reading(
    fault: str, times: int | None, after: int, code: int, said: str,
    bucket: Any, before: Before, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    bucket.upload_file(str(model), "models", "a.safetensors")
    proxy = before("get", fault, times, after)
    target = tmp_path / "b.safetensors"
    assert run(["convert", "s3://models/a.safetensors", str(target)]) == code
    told = capsys.readouterr()
    if code:
        assert said in told.err
        assert "`s3://models/a.safetensors`" in told.err
        assert "hint:" in told.err
        assert not target.exists()
        proxy.fault = None  # what came before is not asked for again
        assert run(["convert", "--resume", "s3://models/a.safetensors", str(target)]) == 0
    assert target.read_bytes() == model.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["b.safetensors"]
    assert not any(word in told.out + told.err for word in ("key-of-nobody", "secret-key", "127.0.0.1", "Signature"))


@pytest.mark.parametrize(
    ("what", "said"),
    [("another", "changed while it was read"), ("shorter", "changed while it was read"), ("deleted", "was removed")],
)
def test_an_object_that_does_not_stay(
    what: str, said: str, bucket: Any, before: Before, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.upload_file(str(model), "models", "a.safetensors")
    data = model.read_bytes()

    def meanwhile() -> None:
        if what == "deleted":
            bucket.delete_object(Bucket="models", Key="a.safetensors")
        else:
            bucket.put_object(
                Bucket="models", Key="a.safetensors", Body=data[::-1] if what == "another" else data[:3_000_000]
            )

    before("get", "meanwhile", 1, after=4, meanwhile=meanwhile)
    assert run(["convert", "s3://models/a.safetensors", str(tmp_path / "b.safetensors")]) == 9
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# the operation, the fault, how often, after how many, the exit code
WRITES = [
    ("part", "500", 1, 0, 0),
    ("part", "503", 2, 1, 0),
    ("part", "refused", 1, 1, 0),
    ("part", "answer lost", 1, 0, 0),
    ("part", "slow", None, 0, 0),
    ("begin", "500", 1, 0, 0),
    ("complete", "500", 1, 0, 0),
    ("complete", "error in 200", 1, 0, 0),
    ("head", "500", 1, 0, 0),
    ("complete", "answer lost", 1, 0, 0),
    ("part", "500", None, 1, 9),
    ("part", "503", None, 0, 9),
    ("part", "403", None, 1, 9),
    ("part", "refused", None, 1, 9),
    ("begin", "403", None, 0, 9),
    ("begin", "500", None, 0, 9),
    ("complete", "500", None, 0, 9),
    ("complete", "403", None, 0, 9),
    ("complete", "error in 200", None, 0, 9),
    ("head", "403", None, 0, 9),
]


@pytest.mark.parametrize(("old", "way"), [(False, "sent"), (True, "sent"), (True, "staged")])
@pytest.mark.parametrize(("on", "fault", "times", "after", "code"), WRITES)
def test_writing(
    on: str, fault: str, times: int | None, after: int, code: int, old: bool, way: str,
    bucket: Any, before: Before, model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(opening, "in_parts", lambda url: way == "sent")
    if old and on == "head":
        pytest.skip("with `--force` nobody asks")
    if old:
        bucket.put_object(Bucket="models", Key="b.safetensors", Body=b"what was there before")
    before(on, fault, times, after)
    assert run(["convert", str(model), "s3://models/b.safetensors", *["--force"] * old]) == code
    told = capsys.readouterr()
    there = {o["Key"] for o in bucket.list_objects_v2(Bucket="models").get("Contents", ())}
    if code:
        assert "`s3://models/b.safetensors`" in told.err
        assert there == ({"b.safetensors"} if old else set())
    if there:
        found = bucket.get_object(Bucket="models", Key="b.safetensors")["Body"].read()
        assert found == (b"what was there before" if code else model.read_bytes())
    assert "Uploads" not in bucket.list_multipart_uploads(Bucket="models"), "no parts that somebody pays for"
    assert not any(word in told.out + told.err for word in ("key-of-nobody", "secret-key", "127.0.0.1", "Signature"))


def test_of_a_folder_the_index_comes_last(bucket: Any, before: Before, model: Path, tmp_path: Path) -> None:
    """Whoever finds the index finds all shards."""
    arguments = ["convert", str(model), "s3://models/m/", "--to", "safetensors", "--max-shard-size", "4MB"]
    before("complete", "500", None, after=2)
    assert run(arguments) == 9
    there = {o["Key"] for o in bucket.list_objects_v2(Bucket="models").get("Contents", ())}
    assert not any(key.endswith(".json") for key in there)
    before("complete", "500", 1)
    assert run([*arguments, "--force"]) == 0
    index = json.loads(bucket.get_object(Bucket="models", Key="m/model.safetensors.index.json")["Body"].read())
    assert mg.diff("s3://models/m/", model).same
    assert len(set(index["weight_map"].values())) == 4


@pytest.mark.parametrize(("how", "left"), [(signal.SIGINT, 0), (signal.SIGKILL, 1)])
def test_an_upload_that_is_ended(
    how: signal.Signals, left: int, bucket: Any, before: Before, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C takes the parts back. After a kill nobody can: a rule of the bucket for incomplete uploads does, later."""
    mg.save({f"w{n}": np.full((1 << 21,), n, np.float32) for n in range(20)}, tmp_path / "a.safetensors")
    bucket.put_object(Bucket="models", Key="b.safetensors", Body=b"old")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    proxy = before("part", "meanwhile", after=2, meanwhile=lambda: time.sleep(1))
    command = [sys.executable, "-m", "modelglot", "convert", "--force"]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # jobs in the background are started deaf to it
    run = subprocess.Popen([*command, str(tmp_path / "a.safetensors"), "s3://models/b.safetensors"], preexec_fn=heard)
    for _ in range(600):
        if proxy.seen.count("part") > 3:
            break
        time.sleep(0.05)
    run.send_signal(how)
    assert run.wait(60) == (130 if how == signal.SIGINT else -how)
    time.sleep(1.5)  # parts that were under way
    assert bucket.get_object(Bucket="models", Key="b.safetensors")["Body"].read() == b"old"
    assert len(bucket.list_multipart_uploads(Bucket="models").get("Uploads", ())) == left
    assert "complete" not in proxy.seen
