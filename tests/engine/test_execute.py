"""Writing: the old file or the whole new one, whatever happens in between."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.converting import make_plan
from modelglot.api.finishing import finish
from modelglot.core.errors import (
    CannotWriteError,
    DamagedFileError,
    LossError,
    ModelFileError,
    PlanError,
    TargetExistsError,
)
from modelglot.engine import run as run_module


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "a.safetensors"
    path.parent.mkdir()
    random = np.random.default_rng(0)
    mg.save({f"w{i}": random.normal(size=(64, 64)).astype(np.float32) for i in range(20)}, path)
    return path


def litter(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("."))


def test_an_existing_target_is_kept(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.safetensors"
    target.write_bytes(b"old")
    with pytest.raises(TargetExistsError):
        mg.convert(source, target)
    assert target.read_bytes() == b"old"
    mg.convert(source, target, force=True)
    assert mg.diff(source, target).same


def test_the_mode_of_a_replaced_file_is_kept(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.safetensors"
    target.write_bytes(b"old")
    target.chmod(0o640)
    mg.convert(source, target, force=True)
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_new_file_obeys_the_umask(source: Path, tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        mg.convert(source, tmp_path / "b.safetensors")
    finally:
        os.umask(old)
    assert (tmp_path / "b.safetensors").stat().st_mode & 0o777 == 0o640


def test_the_target_may_not_be_the_source(source: Path, tmp_path: Path) -> None:
    hard, soft = tmp_path / "hard.safetensors", tmp_path / "soft.safetensors"
    os.link(source, hard)
    soft.symlink_to(source)
    for target in (source, hard, soft):
        with pytest.raises((PlanError, CannotWriteError)):
            mg.convert(source, target, force=True)
    assert len(mg.open(source).tensors) == 20


def test_a_link_is_not_written_through(source: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"old")
    (tmp_path / "link.safetensors").symlink_to(tmp_path / "victim")
    with pytest.raises(CannotWriteError):
        mg.convert(source, tmp_path / "link.safetensors", force=True)
    assert (tmp_path / "victim").read_bytes() == b"old"


def test_a_source_that_changed_since_planning_is_noticed(source: Path, tmp_path: Path) -> None:
    made, place = make_plan(source, tmp_path / "b.safetensors")
    raw = bytearray(source.read_bytes())
    raw[-1] ^= 1
    source.write_bytes(raw)
    with pytest.raises(PlanError, match="changed"):
        finish(made, place)
    assert not (tmp_path / "b.safetensors").exists()
    assert litter(tmp_path) == []


def test_a_wrong_byte_on_disk_is_found_before_publishing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = run_module.write_all

    def corrupting(fd: int, data: bytes, offset: int) -> None:
        honest(fd, bytes([data[0] ^ 1]) + bytes(data[1:]) if len(data) > 5000 else data, offset)

    monkeypatch.setattr(run_module, "write_all", corrupting)
    with pytest.raises(DamagedFileError, match="differs"):
        mg.convert(source, tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()
    assert litter(tmp_path) == []


def test_a_full_disk_leaves_the_old_file(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.safetensors"
    target.write_bytes(b"old")
    for limit in (0, 100, 4096, 100_000, 300_000):
        code = (
            "import resource, signal, sys\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
            "from modelglot.cli.main import run\n"
            f"sys.exit(run(['convert', '--force', {str(source)!r}, {str(target)!r}]))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 9, done.stderr
        assert "file too large" in done.stderr
        assert target.read_bytes() == b"old"
        assert litter(tmp_path) == []


SCRIPT = """
import os, signal, sys, time
from modelglot.engine import move, run as running
from modelglot.sources import sink
KILL, PAUSE = int(sys.argv[1]), float(sys.argv[2])
seen = 0
def point():
    global seen
    seen += 1
    if seen == KILL:
        os.kill(os.getpid(), signal.SIGKILL)
def slow(*a, honest=move.chunks, **k):
    for item in honest(*a, **k):
        time.sleep(PAUSE)
        point()
        yield item
def fsync(fd, honest=os.fsync):
    point(); honest(fd); point()
def replace(a, b, honest=os.replace):
    point(); honest(a, b); point()
move.chunks, os.fsync, os.replace = slow, fsync, replace
running.FLUSH_EVERY = 50_000
from modelglot.cli.main import run
sys.exit(run(sys.argv[3:]))
"""


def start(arguments: list[str], kill_at: int = 0, pause: float = 0) -> subprocess.Popen[bytes]:
    """A conversion that kills itself at the given point: a chunk, or before and after a sync or a rename."""
    command = [sys.executable, "-c", SCRIPT, str(kill_at), str(pause), "convert", "--threads", "1", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("point", [1, 2, 10, 25, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52])
def test_kill_at_any_time_leaves_the_old_or_the_new_file(source: Path, tmp_path: Path, point: int) -> None:
    target = tmp_path / "b.safetensors"
    target.write_bytes(b"old")
    start(["--force", str(source), str(target)], point).wait()
    assert target.read_bytes() == b"old" or mg.diff(source, target).same
    mg.convert(source, target, force=True)
    assert mg.diff(source, target).same
    assert litter(tmp_path) == []


def test_resume_goes_on_and_the_bytes_are_those_of_a_whole_run(source: Path, tmp_path: Path) -> None:
    target, whole = tmp_path / "b.safetensors", tmp_path / "whole.safetensors"
    assert start([str(source), str(target)], 30).wait() == -signal.SIGKILL
    assert litter(tmp_path) == [".b.safetensors.modelglot"]
    receipt = mg.convert(source, target, resume=True)
    assert receipt.resumed > 0
    mg.convert(source, whole)
    assert target.read_bytes() == whole.read_bytes()
    assert litter(tmp_path) == []


def test_resume_of_another_conversion_is_refused(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.safetensors"
    start([str(source), str(target)], 30).wait()
    with pytest.raises(PlanError, match="another model"):
        mg.convert(source, target, resume=True, dtype=["f16"])
    mg.convert(source, target)
    assert litter(tmp_path) == []


def test_resume_without_anything_to_resume_is_a_whole_run(source: Path, tmp_path: Path) -> None:
    assert mg.convert(source, tmp_path / "b.safetensors", resume=True).resumed == 0


def test_two_writers_of_one_target(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.safetensors"
    process = start([str(source), str(target)], pause=0.05)
    work = tmp_path / ".b.safetensors.modelglot" / "b.safetensors"
    while not work.exists() and process.poll() is None:
        time.sleep(0.01)
    with pytest.raises(CannotWriteError, match="another modelglot"):
        mg.convert(source, target)
    assert process.wait() == 0
    assert mg.diff(source, target).same


def test_a_folder_target_appears_whole(source: Path, tmp_path: Path) -> None:
    folder = source.parent
    (folder / "config.json").write_text("{}")
    (folder / "sub").mkdir()
    (folder / "sub" / "vocab.txt").write_text("a")
    out = tmp_path / "out"
    receipt = mg.convert(folder, out, to="safetensors", max_shard_size=100_000)
    names = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert names[:2] == ["config.json", "model-00001-of-00004.safetensors"]
    assert "sub/vocab.txt" in names
    assert len(receipt.outputs) == 7
    assert mg.diff(folder, out).same
    assert litter(tmp_path) == []


def test_a_plan_is_data(source: Path, tmp_path: Path) -> None:
    made, _ = make_plan(source, tmp_path / "b.safetensors", dtype=["bf16"], include=["w1*"])
    document = json.loads(json.dumps(made.document()))
    assert document["schema"] == "modelglot.plan/1"
    assert {s["op"] for s in document["steps"]} == {"apply"}
    assert document["bytes"] == made.nbytes
    assert not (tmp_path / "b.safetensors").exists()


def test_a_loss_stops_until_it_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    mg.save({"w": np.zeros(3, np.float32), "b": np.zeros(3, np.bool_)}, path)
    with pytest.raises(LossError) as caught:
        mg.convert(path, tmp_path / "a.gguf")
    assert "bool" in str(caught.value)
    assert not (tmp_path / "a.gguf").exists()


def test_many_tensors_plan_in_linear_time(tmp_path: Path) -> None:
    def seconds(count: int) -> float:
        path = tmp_path / f"{count}.safetensors"
        size = 4
        entries = {
            f"layers.{i}.weight": {"dtype": "F32", "shape": [1], "data_offsets": [i * size, (i + 1) * size]}
            for i in range(count)
        }
        header = json.dumps(entries).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size * count))
        best = 1e9
        for _ in range(3):
            began = time.process_time()
            make_plan(path, tmp_path / "out.safetensors")
            best = min(best, time.process_time() - began)
        return best

    few, many = seconds(5_000), seconds(40_000)
    assert many < few * 8 * 2.5


def test_errors_are_of_one_family() -> None:
    for kind in (CannotWriteError, DamagedFileError, LossError, PlanError, TargetExistsError):
        assert issubclass(kind, ModelFileError)


def test_progress_counts_every_byte_once(source: Path, tmp_path: Path) -> None:
    events: list[tuple[int, int, str]] = []
    mg.convert(
        source, tmp_path / "b.safetensors", threads=1, on_event=lambda e: events.append((e.done, e.total, e.tensor))
    )
    done = [d for d, _, _ in events]
    assert done == sorted(done)
    assert done[-1] == events[0][1] == 20 * 64 * 64 * 4
    assert events[-1][2] == "reading back"


def test_names_inside_an_archive_never_become_paths(tmp_path: Path) -> None:
    """A TorchScript archive whose code member is called like a way out of the target folder."""
    import zipfile

    import torch

    good, bad = tmp_path / "good.pt", tmp_path / "bad.pt"
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(good))
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(bad, "w") as out:
        for info in archive.infolist():
            out.writestr(info.filename, archive.read(info))
        out.writestr("good/code/../../../escaped.py", "boom")
        out.writestr("good/code/plain.py", "boom")
    receipt = mg.convert(bad, tmp_path / "out", to="safetensors")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["model.safetensors"]
    assert "side-files" in [x.kind for x in receipt.plan.losses]
    assert not list(tmp_path.rglob("escaped.py"))


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a\\..\\x", "", "a\0b"])
def test_the_sink_refuses_names_that_leave_the_target(tmp_path: Path, name: str) -> None:
    from modelglot.sources.sink import Sink

    with pytest.raises(CannotWriteError):
        Sink(str(tmp_path / "out"), ["ok", name], folder=True)


def test_a_folder_that_is_there_may_be_another_volume(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No rename leads from beside a mounted folder into it, and what lies beside it may not be ours to write."""
    volume, honest = tmp_path / "volume", os.replace
    volume.mkdir()

    def replace(old: str, new: str) -> None:
        if volume in Path(old).parents or volume not in Path(new).parents:
            return honest(old, new)
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "replace", replace)
    mg.convert(source, volume, to="safetensors", max_shard_size="200kB")
    assert mg.diff(source, volume).same
    assert litter(tmp_path) == []
    assert litter(volume) == []
