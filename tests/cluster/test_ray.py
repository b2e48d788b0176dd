"""The same plans on a Ray cluster of real processes: equal bytes, also where a machine dies half-way."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.batching import batch
from modelglot.api.converting import make_plan
from modelglot.api.executing import executor
from modelglot.api.finishing import finish
from modelglot.cli.main import run
from modelglot.core.errors import CannotOpenError, DamagedFileError, PlanError, UnsupportedError
from modelglot.engine.run import Progress

from .conftest import Machines

RNG = np.random.default_rng(0)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files(folder: Path) -> dict[str, str]:
    return {p.name: digest(p) for p in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 MB: more than one part for each core."""
    path = tmp_path_factory.mktemp("source") / "a.safetensors"
    state = {f"blk.{n}.ffn_up.weight": RNG.standard_normal((512, 2048)).astype("f4") for n in range(25)}
    mg.save(state, path)
    return path


@pytest.mark.parametrize("target", ["b.gguf", "b.pt", "b.npz", "shards/"])
def test_equal_bytes(target: str, source: Path, machines: Machines, tmp_path: Path) -> None:
    """Checksums of whole files, sides and indexes are put in by the machine that asked."""
    here, there = tmp_path / "here", tmp_path / "there"
    given: dict[str, Any] = {"max_shard_size": "60MB", "to": "safetensors"} if target.endswith("/") else {}
    for folder in (here, there):
        folder.mkdir()
    mg.convert(source, here / target, **given)
    with executor("ray", address=machines.address) as cluster:
        done = mg.convert(source, there / target, executor=cluster, **given)
    assert done.verified
    assert files(there / target if given else there) == files(here / target if given else here)


def test_from_outside_of_the_cluster(source: Path, machines: Machines, tmp_path: Path) -> None:
    given = [str(source), str(tmp_path / "b.gguf"), "--executor", "ray", "--address", machines.client]
    done = subprocess.run([sys.executable, "-m", "modelglot", "convert", *given], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "read back and equal" in done.stdout
    assert "ray" not in done.stderr.lower(), "what Ray says is not for those who convert"
    assert mg.diff(source, tmp_path / "b.gguf").equal == 25


def test_a_machine_dies_half_way(source: Path, machines: Machines, tmp_path: Path) -> None:
    killed = []

    def kill(event: Progress) -> None:
        if not killed and event.done >= event.total // 4:
            killed.append(event.done)
            machines.kill()

    want = mg.quantize(source, tmp_path / "here.gguf", "q4_k_m", allow_loss=["all"])
    try:
        with executor("ray", address=machines.address) as cluster:
            done = mg.quantize(
                source, tmp_path / "there.gguf", "q4_k_m", allow_loss=["all"], executor=cluster, on_event=kill
            )
    finally:
        machines.add()
    assert killed
    assert done.digests == want.digests
    assert digest(tmp_path / "there.gguf") == digest(tmp_path / "here.gguf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["here.gguf", "there.gguf"]


@pytest.mark.parametrize("dies", [False, True])
def test_from_bucket_to_bucket(dies: bool, source: Path, machines: Machines, bucket: Any, tmp_path: Path) -> None:
    """No disk is shared: workers read from the one and send parts to the other."""
    bucket.upload_file(str(source), "models", "in/a.safetensors")
    killed: list[int] = []

    def kill(event: Progress) -> None:
        if dies and not killed and event.done >= event.total // 4:
            killed.append(event.done)
            machines.kill()

    target = f"s3://models/out{dies}/b.gguf"
    try:
        with executor("ray", address=machines.address) as cluster:
            done = mg.convert("s3://models/in/a.safetensors", target, executor=cluster, on_event=kill)
    finally:
        if killed:
            machines.add()
    assert done.sent
    assert bool(killed) == dies
    mg.convert(source, tmp_path / "b.gguf")
    sent = bucket.get_object(Bucket="models", Key=f"out{dies}/b.gguf")["Body"].read()
    assert sent == (tmp_path / "b.gguf").read_bytes()
    assert "Uploads" not in bucket.list_multipart_uploads(Bucket="models")


KILLED = """
import os, signal, sys
import modelglot as mg
from modelglot.api.executing import executor
def die(event):
    if event.done > event.total // 2:
        os.kill(os.getpid(), signal.SIGKILL)
from modelglot.engine import run
run.FLUSH_EVERY = 1 << 20
with executor("ray", address=sys.argv[1]) as cluster:
    mg.convert(sys.argv[2], sys.argv[3], executor=cluster, on_event=die)
"""


def test_the_one_that_asks_dies_and_goes_on(source: Path, machines: Machines, tmp_path: Path) -> None:
    target = tmp_path / "b.gguf"
    killed = subprocess.run([sys.executable, "-c", KILLED, machines.address, source, target], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not target.exists()
    arguments = ["convert", str(source), str(target), "--resume", "--executor", "ray", "--address", machines.address]
    assert run(arguments) == 0
    mg.convert(source, tmp_path / "c.gguf")
    assert digest(target) == digest(tmp_path / "c.gguf")


def test_errors_are_those_of_a_run_here(source: Path, machines: Machines, tmp_path: Path) -> None:
    state = {f"w{n}": RNG.standard_normal((64, 64)).astype("f4") for n in range(30)}
    mg.save(state, tmp_path / "a.ckpt-1.index", to="tf-checkpoint")
    path = next(tmp_path.glob("*.data-*"))
    raw = bytearray(path.read_bytes())
    raw[1000] ^= 1
    path.write_bytes(raw)
    said = []
    with executor("ray", address=machines.address) as cluster:
        for given in (None, cluster):
            with pytest.raises(DamagedFileError, match="checksum") as caught:
                mg.convert(tmp_path / "a.ckpt-1.index", tmp_path / "b.npz", executor=given)
            said.append(str(caught.value))
        assert said[0] == said[1]
        assert not [p for p in tmp_path.iterdir() if p.name.startswith((".", "b"))]
        with pytest.raises(UnsupportedError, match="memory of this process"):
            finish(*_planned(source, tmp_path), sources=_nothing, executor=cluster)  # type: ignore[arg-type]


def test_a_source_that_changed_is_noticed_there(source: Path, machines: Machines, tmp_path: Path) -> None:
    mine = tmp_path / "a.safetensors"
    mine.write_bytes(source.read_bytes())
    made, place = _planned(mine, tmp_path)
    os.utime(mine)
    with executor("ray", address=machines.address) as cluster, pytest.raises(PlanError, match="changed"):
        finish(made, place, executor=cluster)
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def _planned(source: Path, folder: Path) -> Any:
    return make_plan(source, folder / "out.gguf")


def _nothing(number: int) -> None:
    raise AssertionError


def shout(number: int) -> int:
    if number == 1:
        raise ValueError("one")
    if number == 2:
        os._exit(3)
    return number * number


def test_what_becomes_of_work(machines: Machines) -> None:
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers have no tests to import
    with executor("ray", address=machines.address) as cluster:
        found = {d.item: d.error or d.value for d in cluster.run(shout, deque([0, 1, 2, 3]))}
    assert (found[0], found[3]) == (0, 9)
    assert isinstance(found[1], ValueError)
    assert isinstance(found[2], UnsupportedError)
    assert "could not run it" in str(found[2])


def test_a_batch(machines: Machines, tmp_path: Path) -> None:
    """Many models, one task each; the second run does nothing."""
    names = [f"m{n}" for n in range(12)]
    for name in names:
        mg.save({"w": RNG.standard_normal((64, 256)).astype("f4"), "name": np.frombuffer(name.encode(), "u1")},
                tmp_path / f"{name}.safetensors")  # fmt: skip
    (tmp_path / "jobs.toml").write_text(
        '[[job]]\nverb = "convert"\nsource = "*.safetensors"\ntarget = "out/{stem}.pt"\n'
        '[[job]]\nverb = "scan"\npaths = ["out"]\n'
    )
    done = batch(tmp_path / "jobs.toml", executor="ray", address=machines.address)
    assert done.ok
    assert done.count("done") == 13
    for name in names:
        assert mg.diff(tmp_path / f"{name}.safetensors", tmp_path / "out" / f"{name}.pt").same
    assert batch(tmp_path / "jobs.toml", executor="ray", address=machines.address).count("skipped") == 13


def test_no_cluster(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CannotOpenError, match="no Ray cluster answers"), executor("ray", address="127.0.0.1:1"):
        pass
    with pytest.raises(UnsupportedError, match="no address"), executor("threads", address="127.0.0.1:1"):
        pass
