"""Tables of jobs: checked first, run in order of what they need, never twice, and no failure ends the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot as mg
from modelglot.api import batching
from modelglot.api.batch_jobs import Job
from modelglot.api.batch_verbs import VERBS
from modelglot.api.batching import Outcome, Summary, batch
from modelglot.cli.main import run
from modelglot.core.errors import CannotOpenError, CannotWriteError, InvalidFileError, UnsupportedError
from modelglot.engine.executors.processes import Processes
from modelglot.engine.executors.threads import Threads

RNG = np.random.default_rng(0)
STATE = {f"layer.{n}.weight": RNG.standard_normal((8, 256)).astype("f4") for n in range(4)}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        mg.save(STATE, tmp_path / f"{name}.safetensors")
    (tmp_path / "jobs.toml").write_text(
        """
        [defaults]
        allow_loss = ["metadata"]
        to = "gguf"

        [[job]]
        name = "check"
        verb = "scan"
        paths = ["out/a.gguf", "a.safetensors"]

        [[job]]
        verb = "quantize"
        source = "out/a.gguf"
        target = "out/a-q8_0.gguf"
        type = "q8_0"
        receipt = "out/receipt.json"

        [[job]]
        verb = "convert"
        source = "*.safetensors"
        target = "out/{stem}.gguf"

        [[job]]
        verb = "verify"
        path = "out/a-q8_0.gguf"
        receipt = "out/receipt.json"

        [[job]]
        verb = "diff"
        left = "a.safetensors"
        right = "out/b.gguf"
        """
    )
    return tmp_path / "jobs.toml"


def outcomes(summary: Summary) -> dict[str, str]:
    return {o.job.name: o.outcome for o in summary.outcomes}


NAMES = ("check", "quantize a.gguf -> a-q8_0.gguf", "convert a.safetensors -> a.gguf",
         "convert b.safetensors -> b.gguf", "verify a-q8_0.gguf", "diff a.safetensors")  # fmt: skip


def write(folder: Path, text: str) -> Path:
    path = folder / "jobs.toml"
    path.write_text(text)
    return path


def test_jobs_run_after_what_makes_their_inputs(table: Path) -> None:
    done = batch(table)
    assert outcomes(done) == dict.fromkeys(NAMES, "done")
    order = [o.job.name for o in done.outcomes]
    assert order.index(NAMES[2]) < order.index(NAMES[1]) < order.index(NAMES[4])
    assert order.index(NAMES[2]) < order.index(NAMES[0])
    out = table.parent / "out"
    assert mg.diff(out / "a.gguf", table.parent / "a.safetensors").same
    assert mg.open(out / "a-q8_0.gguf").tensors["layer.0.weight"].dtype == "q8_0"
    assert mg.verify(out / "a-q8_0.gguf", receipt=out / "receipt.json").ok
    assert done.ok


def test_what_is_done_is_not_done_again(table: Path) -> None:
    batch(table)
    receipt = table.parent / "out" / "receipt.json"
    receipt.unlink()
    assert outcomes(batch(table))[NAMES[1]] == "done"
    assert receipt.exists()
    files = {p: p.stat().st_mtime_ns for p in (table.parent / "out").iterdir()}
    assert set(outcomes(batch(table)).values()) == {"skipped"}
    assert {p: p.stat().st_mtime_ns for p in (table.parent / "out").iterdir()} == files
    assert set(outcomes(batch(table, again=True)).values()) == {"done"}


def test_a_changed_input_or_job_is_done_again_with_all_that_follows(table: Path) -> None:
    batch(table)
    mg.save({**STATE, "layer.0.weight": STATE["layer.0.weight"] + 1}, table.parent / "a.safetensors", force=True)
    found = outcomes(batch(table))
    assert found[NAMES[3]] == "skipped"
    assert {found[n] for n in (NAMES[0], NAMES[1], NAMES[2], NAMES[4])} == {"done"}
    assert found["diff a.safetensors"] == "failed"
    assert mg.diff(table.parent / "out" / "a.gguf", table.parent / "a.safetensors").same
    table.write_text(table.read_text().replace('type = "q8_0"', 'type = "q8_0"\npure = true'))
    assert outcomes(batch(table))[NAMES[2]] == "skipped"


def test_only_what_the_batch_wrote_itself_is_replaced(table: Path) -> None:
    target = table.parent / "out" / "a.gguf"
    target.parent.mkdir()
    target.write_bytes(b"somebody's")
    found = batch(table)
    assert outcomes(found)[NAMES[2]] == "failed"
    assert outcomes(found)[NAMES[1]] == "blocked"
    assert target.read_bytes() == b"somebody's"
    target.unlink()
    assert batch(table).ok
    target.write_bytes(b"somebody's")
    assert outcomes(batch(table))[NAMES[2]] == "failed"
    assert target.read_bytes() == b"somebody's"


def test_shards_are_replaced_as_a_whole(table: Path) -> None:
    path = write(table.parent, '[[job]]\nverb = "convert"\nsource = "a.safetensors"\ntarget = "shards/"\n'
                               'to = "safetensors"\nmax_shard_size = 9000\n')  # fmt: skip
    assert batch(path).ok
    files = sorted((table.parent / "shards").iterdir())
    assert len(files) > 3
    files[1].unlink()
    assert set(outcomes(batch(path)).values()) == {"done"}
    assert mg.diff(table.parent / "shards", table.parent / "a.safetensors").same
    assert set(outcomes(batch(path)).values()) == {"skipped"}


def test_failures_end_only_what_needs_them(table: Path) -> None:
    whole = (table.parent / "a.safetensors").read_bytes()
    (table.parent / "a.safetensors").write_bytes(whole[:-5])
    found = outcomes(batch(table))
    assert found[NAMES[2]] == "failed"
    assert found[NAMES[1]] == found[NAMES[4]] == found["check"] == "blocked"
    assert found[NAMES[3]] == "done"
    assert not (table.parent / "out" / "a.gguf").exists()
    (table.parent / "a.safetensors").write_bytes(whole)
    again = outcomes(batch(table))
    assert again[NAMES[3]] == "skipped"
    assert again[NAMES[2]] == again[NAMES[1]] == "done"


def test_retries_are_for_what_a_moment_may_change(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching.time, "sleep", lambda _: None)
    tried: list[Job] = []

    def flaky(job: Job) -> Outcome:
        tried.append(job)
        if len(tried) < 4:
            return Outcome(job, "failed", error=CannotOpenError("gone for a moment").document())
        return real(job)

    real = batching.run_job
    monkeypatch.setattr(batching, "run_job", flaky)
    path = write(table.parent, '[[job]]\nverb = "convert"\nsource = "a.safetensors"\ntarget = "x.gguf"\n')
    assert outcomes(batch(path, retries=1)) == {"convert a.safetensors -> x.gguf": "failed"}
    (found,) = batch(path, retries=2).outcomes
    assert (found.outcome, found.attempts) == ("done", 2)


def test_what_no_moment_changes_is_tried_once(table: Path) -> None:
    (table.parent / "a.safetensors").write_bytes(b"")
    found = {o.job.name: o.attempts for o in batch(table, retries=5).outcomes}
    assert found[NAMES[2]] == 1


def test_a_torn_state_says_nothing(table: Path) -> None:
    batch(table)
    state = table.parent / "jobs.toml.state.jsonl"
    lines = state.read_bytes().splitlines(keepends=True)
    assert len(lines) == 6
    state.write_bytes(b"\xff\x00\n[]\n3\n" + b"".join(lines[:-1]) + lines[-1][:20])
    found = outcomes(batch(table))
    assert sorted(found.values()) == ["done"] + ["skipped"] * 5


def test_a_killed_run_is_gone_on_with(table: Path) -> None:
    """SIGKILL as soon as the first job has ended."""
    for number in range(6):
        mg.save({"w": RNG.standard_normal((512, 4096)).astype("f4")}, table.parent / f"large-{number}.safetensors")
    text = '[[job]]\nverb = "quantize"\nsource = "large-*.safetensors"\ntarget = "out/{stem}.gguf"\ntype = "q4_k_m"\n'
    path = write(table.parent, text)
    command = [sys.executable, "-m", "modelglot", "batch", str(path), "--json", "--jobs", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    found = outcomes(batch(path))
    assert set(found.values()) == {"done", "skipped"}
    names = sorted(os.listdir(table.parent / "out"))
    assert names == [f"large-{number}.gguf" for number in range(6)]
    assert all(mg.verify(table.parent / "out" / name).ok for name in names)


def test_two_runs_of_one_table(table: Path) -> None:
    import fcntl

    with (table.parent / "jobs.toml.state.jsonl").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(CannotWriteError, match="another run"):
            batch(table)


WRONG = {
    '[[job]]\nverb = "convert"\nsource = "a"\n': "needs `target`",
    '[[job]]\nverb = "run"\n': "no verb `run`",
    '[[job]]\nsource = "a"\n': "has no `verb`",
    '[[job]]\nverb = "convert"\nsource = "a"\ntarget = "b"\ncommand = "rm"\n': "takes no `command`",
    '[[job]]\nverb = "convert"\nsource = "a"\ntarget = "b"\nwishes = {}\n': "takes no `wishes`",
    '[[job]]\nverb = "convert"\nsource = 3\ntarget = "b"\n': "`source` is a path",
    '[[job]]\nverb = "convert"\nsource = "a"\ntarget = "b"\nlimits = {headers = 3}\n': "no limit",
    '[[job]]\nverb = "convert"\nsource = "*.safetensors"\ntarget = "b"\n': "write the same target",
    '[[job]]\nverb = "convert"\nsource = "*.none"\ntarget = "b"\n': "nothing fits",
    'job = [{verb = "convert", source = "x", target = "y"}, {verb = "convert", source = "y", target = "x"}]': "wait",
    '[[job]]\nverb = "convert"\nsource = "x"\ntarget = "x"\n': "wait",
    "[jobs]\n": "`jobs` is not",
    "job = 3\n": "is not what",
    "[[job]\n": "is not TOML",
    "job = [3]\n": "is not a table",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_table_runs_nothing(table: Path, text: str) -> None:
    good = '[[job]]\nverb = "convert"\nsource = "a.safetensors"\ntarget = "first.gguf"\n'
    path = write(table.parent, text if text[:4] in ("job ", "[job") or "[[job]\n" in text else good + text)
    with pytest.raises(InvalidFileError, match=WRONG[text]):
        batch(path)
    assert not (table.parent / "first.gguf").exists()


def test_every_verb_knows_its_arguments() -> None:
    for verb in VERBS.values():
        known, needed = verb.arguments()
        assert set(verb.inputs) - {"receipt"} <= known | {"receipt"}
        assert verb.output is None or verb.output in needed
        assert not known & {"on_event", "wishes", "choices"}
        assert verb.output is None or {"threads", "force"} <= known


def test_what_looks_at_a_folder_waits_for_what_is_written_in_it(table: Path) -> None:
    table.write_text(
        '[[job]]\nverb = "scan"\npaths = ["out"]\n[[job]]\nverb = "digest"\npath = "out/b/c.gguf"\n'
        + "".join(
            f'[[job]]\nverb = "convert"\nsource = "{n}.safetensors"\ntarget = "out/b/{t}.gguf"\nallow_loss=["all"]\n'
            for n, t in (("a", "c"), ("b", "d"))
        )
    )
    assert batch(table, jobs=1).outcomes[0].job.verb == "convert"
    assert batch(table, jobs=1, again=True).outcomes[-1].job.verb == "scan"
    assert batch(table).count("skipped") == 4
    table.write_text(
        "".join(f'[[job]]\nverb = "convert"\nsource = "out/b"\nto = "npz"\ntarget = "out/b/{t}.npz"\n' for t in "ef")
    )
    assert batch(table).count("blocked") == 0, "a folder may get what is made of it"


def test_unknown_executor_and_missing_table(table: Path) -> None:
    with pytest.raises(UnsupportedError):
        batch(table, executor="cluster")
    with pytest.raises(CannotOpenError):
        batch(table.parent / "none.toml")


def test_bytes_under_way_are_bounded() -> None:
    lock, load, most = threading.Lock(), [0], [0]
    sizes = [5, 5, 5, 30, 1, 1, 1, 1, 8, 8]

    def work(size: int) -> int:
        with lock:
            load[0] += size
            most[0] = max(most[0], load[0])
        threading.Event().wait(0.01)
        with lock:
            load[0] -= size
        return size

    done = list(Threads(4, most_bytes=10).run(work, deque(sizes), lambda size: size))
    assert sorted(d.value for d in done) == sorted(sizes)
    assert most[0] == 30  # the one that is larger ran alone


def square(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    if number == 5:
        os._exit(1)
    return number * number


@pytest.mark.parametrize("executor", [Threads(2), Processes(2)], ids=["threads", "processes"])
def test_executors(executor: Any) -> None:
    numbers = deque([1, 2, 3, 4])
    if isinstance(executor, Processes):
        numbers.append(5)
    found = {}
    for done in executor.run(square, numbers):
        found[done.item] = done.error or done.value
        if done.item == 2:
            numbers.append(6)
    assert {n: found[n] for n in (1, 2, 4, 6)} == {1: 1, 2: 4, 4: 16, 6: 36}
    assert isinstance(found[3], ValueError)
    assert 5 not in found or isinstance(found[5], UnsupportedError)
    assert (5 in found) == isinstance(executor, Processes)


def test_the_command(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = table.parent / "modelglot.prom"
    assert run(["batch", str(table), "--json", "--metrics", str(metrics)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["schema"] for line in lines] == ["modelglot.batch-job/1"] * 6 + ["modelglot.batch/1"]
    assert lines[-1]["done"] == 6
    text = metrics.read_text()
    assert 'modelglot_batch_jobs{batch="jobs.toml",outcome="done"} 6\n' in text
    parsed = pytest.importorskip("prometheus_client.parser", reason="the oracle of the text format")
    families = {f.name: f for f in parsed.text_string_to_metric_families(text)}
    assert families["modelglot_batch_jobs"].type == "gauge"


def test_exit_code_of_a_failed_job(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (table.parent / "b.safetensors").write_bytes(b"")
    assert run(["batch", str(table)]) == 1
    assert "failed: convert b.safetensors -> b.gguf" in capsys.readouterr().out


def test_below_is_the_folders_that_a_pattern_found(tmp_path: Path) -> None:
    for name in ("in/a.npz", "in/x/y/a.npz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        mg.save(STATE, tmp_path / name)
    text = '[[job]]\nverb = "convert"\nsource = "in/**/*.npz"\ntarget = "out/{below}/{stem}.safetensors"\n'
    assert batch(write(tmp_path, text)).ok
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.glob("out/**/*.safetensors")) == [
        "out/a.safetensors",
        "out/x/y/a.safetensors",
    ]
