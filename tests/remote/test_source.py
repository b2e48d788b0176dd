"""One object over HTTP: the right bytes or a clear error, whatever the server does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from modelglot.core.errors import CannotOpenError, DamagedFileError, ModelFileError, PlanError
from modelglot.sources.remote.source import RemoteSource

from .server import Server

Serve = Callable[..., Server]
DATA = np.random.default_rng(0).integers(0, 256, 1_000_000, np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "x.bin").write_bytes(DATA)
    return tmp_path


def check(source: RemoteSource) -> None:
    assert source.size == len(DATA)
    buffer = bytearray(400_000)
    source.readinto(300_000, memoryview(buffer))
    assert buffer == DATA[300_000:700_000]
    for offset, length in ((0, 100), (99_990, 50), (999_950, 50), (12, 300_000), (5, 0), (0, len(DATA))):
        assert source.pread(offset, length) == DATA[offset : offset + length]


def test_every_part(folder: Path, serve: Serve) -> None:
    server = serve(folder)
    check(RemoteSource(f"{server.url}/x.bin"))


def test_what_was_read_is_not_asked_for_again(folder: Path, serve: Serve) -> None:
    server = serve(folder)
    source = RemoteSource(f"{server.url}/x.bin")
    source.pread(0, 900_000)
    before = len(server.requests)
    for offset in range(0, 900_000, 1000):
        assert source.pread(offset, 900) == DATA[offset : offset + 900]
    assert len(server.requests) == before


def test_small_reads_in_a_row_become_few_requests(folder: Path, serve: Serve) -> None:
    server = serve(folder)
    source = RemoteSource(f"{server.url}/x.bin")
    for offset in range(0, len(DATA) - 100, 100):
        source.pread(offset, 100)
    assert len(server.requests) <= 12


@pytest.mark.parametrize("size", [0, 1, 3])
def test_small_objects(size: int, tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "x.bin").write_bytes(DATA[:size])
    source = RemoteSource(f"{serve(tmp_path).url}/x.bin")
    assert source.pread(0, size) == DATA[:size]
    with pytest.raises(DamagedFileError):
        source.pread(0, size + 1)


@pytest.mark.parametrize("fault", ["reset", "short", "long", "500", "503", "429", "redirect"])
def test_faults_that_pass(fault: str, folder: Path, serve: Serve) -> None:
    check(RemoteSource(f"{serve(folder, fault, times=2).url}/x.bin"))


@pytest.mark.parametrize("fault", ["slow", "no etag"])
def test_servers_that_are_only_odd(fault: str, folder: Path, serve: Serve) -> None:
    check(RemoteSource(f"{serve(folder, fault).url}/x.bin"))


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("no ranges", CannotOpenError, "does not give the part"),
        ("wrong place", CannotOpenError, "does not give the part"),
        ("changes", PlanError, "changed while it was read"),
        ("403", CannotOpenError, "access was refused"),
        ("401", CannotOpenError, "access was refused"),
        ("redirect", CannotOpenError, "cannot be read"),
    ],
)
def test_faults_that_stay(fault: str, error: type[ModelFileError], said: str, folder: Path, serve: Serve) -> None:
    server = serve(folder, fault)
    with pytest.raises(error, match=said):
        check(RemoteSource(f"{server.url}/x.bin"))


def test_answers_that_always_break_off(folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    from modelglot.sources.remote import stores

    quick = {"max_retries": 1, "retry_timeout": timedelta(seconds=1)}
    monkeypatch.setattr(stores, "_RETRIES", quick)
    for fault in ("reset", "short"):
        with pytest.raises(CannotOpenError, match="cannot be read"):
            check(RemoteSource(f"{serve(folder, fault).url}/x.bin"))


def test_another_version_in_the_middle(folder: Path, serve: Serve) -> None:
    server = serve(folder)
    source = RemoteSource(f"{server.url}/x.bin")
    server.version = "2"
    with pytest.raises(PlanError, match="changed"):
        source.pread(500_000, 10)


def test_nothing_there_and_nobody_there(folder: Path, serve: Serve) -> None:
    with pytest.raises(CannotOpenError, match="no such object"):
        RemoteSource(f"{serve(folder).url}/y.bin")
    with pytest.raises(CannotOpenError, match="cannot be read"):
        RemoteSource("http://127.0.0.1:9/x.bin")
    with pytest.raises(CannotOpenError, match="host"):
        RemoteSource("http:///x.bin")


def test_signed_addresses_work_and_are_never_shown(folder: Path, serve: Serve) -> None:
    server = serve(folder)
    check(RemoteSource(f"{server.url}/x.bin?signature=secret"))
    assert all("signature=secret" in path for path, _ in server.requests)
    for fault in ("403", "no ranges", "changes"):
        with pytest.raises(ModelFileError) as caught:
            check(RemoteSource(f"{serve(folder, fault).url}/x.bin?signature=secret"))
        assert "secret" not in f"{caught.value}{caught.value.detail}{caught.value.hint}"


def test_reports_do_not_show_what_is_signed(tmp_path: Path, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    import modelglot as mg
    from modelglot.cli.main import run

    mg.save({"w": np.zeros((8, 8), np.float32)}, tmp_path / "a.safetensors")
    (tmp_path / "bad.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:-50])
    url = f"{serve(tmp_path).url}/a.safetensors?signature=secret".replace("://", "://user:secret@")
    for verb in (
        ["inspect"], ["inspect", "--json"], ["scan"], ["scan", "--json"], ["digest"], ["digest", "--json"], ["verify"],
        ["check", "--for", "llama.cpp"], ["check", "--for", "transformers", "--json"], ["stats"],
    ):  # fmt: skip
        assert run([*verb, url]) in (0, 1), verb
    assert run(["convert", "--dry-run", "--json", url, str(tmp_path / "c.npz")]) == 0
    assert run(["diff", url, url]) == 0
    assert run(["compare", "--json", url, url]) == 0
    assert run(["convert", url, str(tmp_path / "b.npz")]) == 0
    assert run(["inspect", url.replace("a.saf", "bad.saf")]) == 5
    said = capsys.readouterr()
    assert "a.safetensors" in said.out
    assert "secret" not in said.out + said.err


def test_the_library_is_named_where_it_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from modelglot.core.errors import MissingExtraError
    from modelglot.sources.remote import stores

    stores._http.cache_clear()
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(MissingExtraError, match="obstore"):
        RemoteSource("https://example.com/x.bin")


def test_urls_of_every_scheme_are_taken_apart() -> None:
    from modelglot.sources.remote.stores import place

    assert place("https://h.example/a/b%20c.bin").key == "a/b%20c.bin"
    assert place("https://h.example/a.bin?x=1").key == ""
    assert place("s3://bucket/a b #1?x").key == "a b #1?x"
    assert place("hf://o/r/dir/model.safetensors").key == "dir/model.safetensors"
    assert "o/r/resolve/v1.0" in repr(place("hf://o/r@v1.0/m.gguf").store)


def test_runs_that_follow_one_another_are_few_requests(tmp_path: Path, serve: Serve) -> None:
    """Tensors of 100 kB with holes, as GGUF pads them: none is a request of its own, and nothing is sent twice."""
    data = np.random.default_rng(1).integers(0, 256, 20_000_000, np.uint8).tobytes()
    (tmp_path / "x.bin").write_bytes(data)
    server = serve(tmp_path)
    source = RemoteSource(f"{server.url}/x.bin")
    for offset in range(0, len(data) - 100_000, 100_032):
        assert b"".join(map(bytes, source.pieces(offset, 100_000, 30_000))) == data[offset : offset + 100_000]
    assert len(server.requests) <= 6, server.requests
    assert server.sent <= len(data) + 200_000


def test_runs_of_several_threads_and_in_any_order(tmp_path: Path, serve: Serve) -> None:
    from concurrent.futures import ThreadPoolExecutor

    data = np.random.default_rng(2).integers(0, 256, 30_000_000, np.uint8).tobytes()
    (tmp_path / "x.bin").write_bytes(data)
    server = serve(tmp_path)
    source = RemoteSource(f"{server.url}/x.bin")
    places = [(at, min(size, len(data) - at)) for at, size in zip(
        np.random.default_rng(3).integers(0, len(data), 300).tolist(), [7, 80_000, 500_000] * 100, strict=True
    )]  # fmt: skip
    places += [(at, 250_000) for at in range(0, 29_000_000, 250_000)]

    def right(place: tuple[int, int]) -> bool:
        offset, length = place
        return b"".join(map(bytes, source.pieces(offset, length, 1 << 20))) == data[offset : offset + length]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, places))


def test_an_answer_that_breaks_off_goes_on_where_it_ended(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "x.bin").write_bytes(DATA * 8)
    server = serve(tmp_path)
    source = RemoteSource(f"{server.url}/x.bin")
    server.fault, server.times = "short", 3
    assert b"".join(map(bytes, source.pieces(70_000, 7_000_000, 1 << 20))) == (DATA * 8)[70_000:7_070_000]
    assert server.sent <= 7_300_000, "what came is kept"
    server.version = "2"
    with pytest.raises(PlanError, match="changed"):
        list(source.pieces(70_000, 7_000_000, 1 << 20))
