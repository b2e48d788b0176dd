"""Faults around a conversion: after each the target is the old file or the whole new one, and the next run leaves no
litter. What `test_execute` has (kill, disk full at the start, links, two writers) is not repeated."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot as mg
from modelglot.core.errors import (
    CannotOpenError,
    CannotWriteError,
    DamagedFileError,
    ModelFileError,
    PlanError,
    TargetExistsError,
)
from modelglot.engine import move as move_module
from modelglot.engine.run import Progress

COUNT, SHAPE = 12, (64, 64)


def weights(seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {f"w{i:02}": random.normal(size=SHAPE).astype(np.float32) for i in range(COUNT)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "a.safetensors"
    path.parent.mkdir()
    mg.save(weights(0), path)
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An old file that must stay until the new one is whole."""
    path = tmp_path / "out" / "b.safetensors"
    path.parent.mkdir()
    mg.save(weights(1), path)
    return path


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def at(tensor: int, act: Callable[[], object]) -> Callable[[Progress], None]:
    """Do something once, when so many tensors were written; `COUNT` is before reading back."""
    done = [False]

    def event(progress: Progress) -> None:
        if not done[0] and progress.done >= tensor * 4 * SHAPE[0] * SHAPE[1]:
            done[0] = True
            act()

    return event


def convert(source: Path, target: Path, **options: Any) -> Any:
    return mg.convert(source, target, **{"force": True, "threads": 1, **options})


def finishes(source: Path, target: Path, **options: Any) -> None:
    """The next run does, and leaves what a run without a fault leaves."""
    convert(source, target, **options)
    assert mg.diff(source, target).same
    assert names(target.parent) == [target.name]


# --- reading


@pytest.mark.parametrize("call", ["pread", "preadv"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE])
def test_a_read_error_says_where_and_resume_goes_on(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    whole, old = target.with_name("whole.safetensors"), target.read_bytes()
    place = source.stat().st_size - 5 * 4 * 64 * 64 + 7  # in the fifth tensor from the end
    convert(source, whole)
    expected = whole.read_bytes()
    whole.unlink()
    honest, inode = getattr(os, call), source.stat().st_ino

    def failing(fd: int, what: Any, offset: int) -> Any:
        length = what if call == "pread" else sum(map(len, what))
        if os.fstat(fd).st_ino == inode and offset <= place < offset + length:
            raise OSError(code, os.strerror(code))
        return honest(fd, what, offset)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing)
        if call == "pread":  # as strided tensors are read
            patched.setattr(move_module, "chunks", _by_pread)
        with pytest.raises(CannotOpenError, match="read error") as caught:
            convert(source, target)
    error = caught.value
    assert error.path == str(source)
    assert error.offset is not None
    assert error.offset <= place
    assert error.tensor
    assert "--resume" in (error.hint or "")
    assert target.read_bytes() == old
    receipt = convert(source, target, resume=True)
    assert receipt.resumed == COUNT - 5
    assert target.read_bytes() == expected
    assert names(target.parent) == [target.name]


def _by_pread(tensor: Any, pool: Any, **_: Any) -> Iterator[tuple[int, bytes]]:
    (extent,) = tensor.data.extents
    yield 0, pool(extent.file).pread(extent.offset, extent.length)


def test_a_read_error_at_once_leaves_nothing(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, honest, inode = target.read_bytes(), os.preadv, source.stat().st_ino

    def failing(fd: int, buffers: Any, offset: int) -> int:
        if os.fstat(fd).st_ino == inode:
            raise OSError(errno.EIO, "Input/output error")
        return honest(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", failing)
    with pytest.raises(CannotOpenError):
        convert(source, target)
    assert target.read_bytes() == old
    assert names(target.parent) == [target.name]


def overwritten(path: Path) -> None:
    with open(path, "r+b") as stream:
        stream.seek(-100, os.SEEK_END)
        stream.write(b"other")


def longer(path: Path) -> None:
    with open(path, "ab") as stream:
        stream.write(b"more")


def shorter(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def touched(path: Path) -> None:
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [overwritten, longer, shorter, touched])
@pytest.mark.parametrize("when", [1, COUNT - 1])
def test_a_source_that_changes_while_it_is_read(
    source: Path, target: Path, change: Callable[[Path], None], when: int
) -> None:
    old = target.read_bytes()
    with pytest.raises((PlanError, DamagedFileError), match=r"changed|shorter"):
        convert(source, target, on_event=at(when, lambda: change(source)))
    assert target.read_bytes() == old
    assert names(target.parent) == [target.name]


def test_a_source_that_is_replaced_while_it_is_read(source: Path, target: Path) -> None:
    """By a rename, as downloads do it: what was opened is read to its end, and no tensor comes from the other file."""
    other = source.with_name("other.safetensors")
    mg.save(weights(2), other)
    convert(source, target, on_event=at(3, lambda: os.replace(other, source)))
    found = mg.load(target)
    assert all(np.array_equal(value, found[name]) for name, value in weights(0).items())
    assert names(target.parent) == [target.name]


def test_a_shard_that_is_replaced_before_it_is_opened(tmp_path: Path, target: Path) -> None:
    """Planned with one file, executed with another: nothing is written."""
    mg.save(weights(0), tmp_path / "set", to="safetensors", max_shard_size=50_000)
    last = sorted((tmp_path / "set").glob("*.safetensors"))[-1]
    other, old = tmp_path / "other", target.read_bytes()
    shutil.copy(last, other)

    with pytest.raises(PlanError, match="changed"):
        convert(tmp_path / "set", target, on_event=at(1, lambda: os.replace(other, last)))
    assert target.read_bytes() == old
    assert names(target.parent) == [target.name]


# --- the target is what is read


def test_the_source_by_any_of_its_names(source: Path, tmp_path: Path) -> None:
    before = source.read_bytes()
    (tmp_path / "link").symlink_to(source.parent)
    (tmp_path / "in" / "sub").mkdir()
    for name in (tmp_path / "link" / source.name, tmp_path / "in" / "sub" / ".." / source.name):
        with pytest.raises(PlanError, match="one of the files that are read"):
            convert(source, name)
        with pytest.raises(PlanError, match="one of the files that are read"):
            convert(name, source)
    assert source.read_bytes() == before
    assert names(source.parent) == [source.name, "sub"]


@pytest.mark.parametrize("name", ["model-00002-of-00004.safetensors", "model.safetensors.index.json"])
def test_a_file_of_the_set_as_the_target(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "set"
    mg.save(weights(0), folder, to="safetensors", max_shard_size=50_000)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert name in before
    with pytest.raises((PlanError, TargetExistsError)):  # the index is no name of a file of weights, so a folder's
        convert(folder, folder / name, to="safetensors")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_a_folder_onto_itself(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    mg.save(weights(0), folder, to="safetensors", max_shard_size=50_000)
    (folder / "config.json").write_text("{}")
    (tmp_path / "link").symlink_to(folder)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    for options in ({"max_shard_size": 50_000}, {"max_shard_size": 70_000}, {}, {"to": "torch-zip"}):
        for path in (folder, tmp_path / "link"):
            with pytest.raises(PlanError, match="of the files that are read"):
                convert(folder, path, **options)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_a_file_in_the_work_folder_of_a_run_that_was_killed(source: Path, target: Path) -> None:
    work = target.parent / f".{target.name}.modelglot"
    work.mkdir()
    shutil.copy(source, work / "saved.safetensors")
    with pytest.raises(PlanError, match="work folder"):
        convert(work / "saved.safetensors", target)
    assert (work / "saved.safetensors").read_bytes() == source.read_bytes()


def test_names_that_differ_in_case_are_one_file_where_the_system_says_so(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such file system can be mounted here; `samefile` is what tells, so it is told."""
    other, honest = source.with_name("A.SAFETENSORS"), os.path.samefile
    monkeypatch.setattr(os.path, "samefile", lambda a, b: honest(str(a).lower(), str(b).lower()))
    with pytest.raises(PlanError, match="one of the files that are read"):
        convert(source, other)


# --- writing


def test_a_target_that_appears_meanwhile_is_not_overwritten(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "new.safetensors"
    with pytest.raises(TargetExistsError):
        convert(source, target, force=False, on_event=at(COUNT, lambda: target.write_bytes(b"mine")))
    assert target.read_bytes() == b"mine"
    assert names(tmp_path) == ["in", f"in/{source.name}", "new.safetensors"]


def test_a_target_that_becomes_a_link_meanwhile(source: Path, target: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"victim")

    def swap() -> None:
        target.unlink()
        target.symlink_to(victim)

    with pytest.raises(CannotWriteError, match="is a link"):
        convert(source, target, on_event=at(COUNT, swap))
    assert victim.read_bytes() == b"victim"
    assert names(target.parent) == [target.name]


def test_links_as_folders(source: Path, tmp_path: Path) -> None:
    """A folder may be a link that the user names; it stays one. One that leads nowhere is refused, and so are links
    inside of the target."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    convert(source, link, to="safetensors")
    assert link.is_symlink()
    assert names(real) == ["model.safetensors"]
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(CannotWriteError, match="link to nothing"):
        convert(source, tmp_path / "dangling", to="safetensors")
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "dangling.safetensors").symlink_to(tmp_path / "nowhere")
    with pytest.raises(CannotWriteError, match="is a link"):
        convert(source, tmp_path / "dangling.safetensors")
    (source.parent / "sub").mkdir()
    (source.parent / "sub" / "vocab.txt").write_text("new")
    (source.parent / "config.json").write_text("{}")
    (tmp_path / "victim").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "victim")
    with pytest.raises(CannotWriteError, match="a folder of the target is a link"):
        convert(source.parent, tmp_path / "out", to="safetensors")
    assert names(tmp_path / "victim") == []


def test_a_work_folder_that_is_a_link(source: Path, target: Path, tmp_path: Path) -> None:
    """Somebody put it there: what it leads to is neither emptied nor written to."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("precious")
    (target.parent / f".{target.name}.modelglot").symlink_to(victim)
    old = target.read_bytes()
    for resume in (False, True):
        with pytest.raises(CannotWriteError, match="work folder is a link"):
            convert(source, target, resume=resume)
    assert names(victim) == ["precious"]
    assert target.read_bytes() == old


@pytest.mark.parametrize("when", [0, 5, COUNT])
@pytest.mark.parametrize("what", ["the work folder", "the folder of the target"])
@pytest.mark.parametrize("by", ["a link", "a folder"])
def test_a_folder_that_is_swapped_meanwhile(
    source: Path, target: Path, tmp_path: Path, what: str, by: str, when: int
) -> None:
    """Nothing is written through a link that somebody put in the place of a folder."""
    old, victim = target.read_bytes(), tmp_path / "victim"
    victim.mkdir()
    (victim / target.name).write_bytes(b"victim")
    work = target.parent / f".{target.name}.modelglot"
    place = work if what == "the work folder" else target.parent

    def swap() -> None:
        place.rename(tmp_path / "moved")
        if by == "a link":
            place.symlink_to(victim)
        else:
            shutil.copytree(victim, place)

    with pytest.raises(ModelFileError):
        convert(source, target, on_event=at(when, swap))
    assert names(victim) == [target.name]
    assert (victim / target.name).read_bytes() == b"victim"
    there = tmp_path / "moved" / target.name if place == target.parent else target
    assert there.read_bytes() == old


def test_a_folder_target_that_becomes_a_link_meanwhile(source: Path, tmp_path: Path) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "new"
    victim.mkdir()
    with pytest.raises(CannotWriteError, match="replaced while it was written"):
        convert(source, folder, to="safetensors", on_event=at(COUNT, lambda: folder.symlink_to(victim)))
    assert names(victim) == []
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("call", ["fsync", "pwrite", "ftruncate", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_an_error_of_the_disk(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    """The second call of its kind fails: in the middle of the data, at the last sync, at the rename."""
    old, honest, calls = target.read_bytes(), getattr(os, call), [0]

    def failing(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == (1 if call in ("replace", "ftruncate") else 2):
            raise OSError(code, os.strerror(code))
        return honest(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, failing)
        with pytest.raises(CannotWriteError):
            convert(source, target)
    assert target.read_bytes() == old
    assert names(target.parent) == [target.name]
    finishes(source, target)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True)
    if done.returncode:
        pytest.skip("only root mounts file systems")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("left", [0, 4096, 100_000, 150_000])
def test_a_disk_that_fills_up_in_the_middle(source: Path, small_disk: Path, left: int) -> None:
    """Somebody else writes to it: there was room when the conversion began."""
    target = small_disk / "b.safetensors"
    mg.save(weights(1), target)
    old = target.read_bytes()

    def fill() -> None:
        status = os.statvfs(small_disk)
        with open(small_disk / "filler", "wb") as stream:
            stream.write(bytes(max(0, status.f_bavail * status.f_frsize - left)))

    with pytest.raises(CannotWriteError, match="no space left"):
        convert(source, target, on_event=at(1, fill))
    assert target.read_bytes() == old
    (small_disk / "filler").unlink()
    finishes(source, target)


def test_a_full_disk_is_noticed_before_anything_is_written(source: Path, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(950_000))
    with pytest.raises(CannotWriteError, match="too full"):
        convert(source, small_disk / "b.safetensors")
    assert names(small_disk) == ["filler"]


NOBODY = """
import os, sys
import modelglot
source, target, warm, place = sys.argv[1:]
modelglot.convert(source, warm, threads=1)  # imports what is needed while it can be read
os.setuid(65534)
def close(event, closed=[]):
    if event.done and not closed:
        closed.append(os.chmod(place, 0o555))
from modelglot.core.errors import CannotWriteError
try:
    modelglot.convert(source, target, force=True, threads=1, on_event=close)
except CannotWriteError as error:
    print(error)
    sys.exit(9)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_a_folder_that_becomes_read_only(source: Path, tmp_path: Path) -> None:
    """As another user, whom modes bind."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "open"
        place.mkdir(mode=0o755)
        Path(name).chmod(0o755)
        readable, target = Path(name) / "a.safetensors", place / "b.safetensors"
        shutil.copy(source, readable)
        mg.save(weights(1), target)
        old = target.read_bytes()
        for path in (place, target):
            os.chown(path, 65534, 65534)
        command = [sys.executable, "-c", NOBODY, readable, target, tmp_path / "warm.safetensors", place]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 9, done.stderr
        assert "permission denied" in done.stdout
        assert target.read_bytes() == old
        place.chmod(0o755)
        finishes(readable, target)
        assert target.stat().st_mode & 0o777 == 0o644


# --- two at a time


def test_many_conversions_to_one_target(source: Path, target: Path, tmp_path: Path) -> None:
    """Four processes, started together, of two sources: each writes the whole file or says who is in its way."""
    other = tmp_path / "in" / "c.safetensors"
    mg.save(weights(3), other)
    code = "import sys; from modelglot.cli.main import run; sys.exit(run(sys.argv[1:]))"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, "convert", "--force", str((source, other)[n % 2]), str(target)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(4)
    ]
    said = [process.communicate()[1] for process in running]
    codes = [process.returncode for process in running]
    assert set(codes) <= {0, 9}, said
    assert 0 in codes
    assert all("another modelglot" in text for text, code in zip(said, codes, strict=True) if code)
    assert mg.diff(source, target).same or mg.diff(other, target).same
    assert names(target.parent) == [target.name]


def test_a_run_that_waited_for_one_that_ended_has_a_folder_of_its_own(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening the lock file and locking it, the run that had it took its folder away."""
    work, honest, once = target.parent / f".{target.name}.modelglot", fcntl.flock, [True]

    def late(fd: int, how: int) -> None:
        if once:
            once.clear()
            shutil.rmtree(work)
        honest(fd, how)

    monkeypatch.setattr(fcntl, "flock", late)
    finishes(source, target)


def test_resume_with_other_options_takes_nothing_away(source: Path, target: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, target, on_event=at(5, interrupt))
    with pytest.raises(PlanError, match="another model"):
        convert(source, target, resume=True, dtype=["f16"])
    convert(source, target, resume=True)
    assert mg.diff(source, target).same
    assert names(target.parent) == [target.name]
