"""batch(): a table of jobs, as many at a time as their inputs allow, each atomic, none done twice."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from modelglot.api.batch_jobs import Job, read_jobs
from modelglot.api.batch_state import State
from modelglot.api.batch_verbs import VERBS
from modelglot.api.executing import executor as named
from modelglot.api.reading import PathLike
from modelglot.core.errors import InvalidFileError, ModelFileError, printable
from modelglot.engine.executors.interface import Executor

MOST_BYTES = 64 << 30  # of inputs under way
DONE, SKIPPED, FAILED, BLOCKED = "done", "skipped", "failed", "blocked"
OUTCOMES = (DONE, SKIPPED, FAILED, BLOCKED)
_WORTH_AGAIN = ("cannot-open", "cannot-write", "plan", "defect")  # what may be otherwise a moment later


class Outcome(NamedTuple):
    """What came of a job. ``result`` is plain data of its verb; ``error`` is the error as a document."""

    job: Job
    outcome: str  # done | skipped | failed | blocked
    seconds: float = 0.0
    attempts: int = 0
    nbytes: int = 0
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        return {"name": self.job.name, "verb": self.job.verb, "outcome": self.outcome,
                "seconds": round(self.seconds, 3), "attempts": self.attempts, "bytes": self.nbytes,
                "result": self.result, "error": self.error}  # fmt: skip


class Summary(NamedTuple):
    outcomes: tuple[Outcome, ...]
    seconds: float

    def count(self, outcome: str) -> int:
        return sum(o.outcome == outcome for o in self.outcomes)

    @property
    def ok(self) -> bool:
        return not self.count(FAILED) and not self.count(BLOCKED)


def run_job(job: Job) -> Outcome:
    """Run one job here. Errors of the file are an outcome; a defect is raised."""
    began = time.monotonic()
    try:
        result, no = VERBS[job.verb].run(job.arguments)
    except ModelFileError as error:
        return Outcome(job, FAILED, time.monotonic() - began, error=error.document())
    said = {"code": "no", "what": no} if no is not None else None
    return Outcome(job, FAILED if no else DONE, time.monotonic() - began, result=result, error=said)


def batch(
    table: PathLike,
    *,
    executor: str | Executor = "threads",
    address: str | None = None,
    jobs: int | None = None,
    most_bytes: int = MOST_BYTES,
    retries: int = 0,
    again: bool = False,
    on_event: Callable[[Outcome], None] | None = None,
) -> Summary:
    """Run the jobs of a TOML file. A job whose input is the output of another waits for it.

    At most ``jobs`` at a time (by default 2 in threads, as many as a cluster takes), and ``most_bytes`` of inputs, the
    largest first. ``executor`` is ``threads``, ``ray`` (with the ``address`` of its cluster) or one's own. What was
    done before, from inputs and with arguments that are the same, is skipped unless ``again``; what failed is tried
    again, in this run ``retries`` times where a moment may change it. What this batch wrote itself it may replace;
    anything else only with ``force``. Raises CannotOpenError and InvalidFileError for the table, CannotWriteError for
    its state, UnsupportedError and CannotOpenError for the executor; errors of jobs are in the summary.
    """
    path = os.fspath(table)
    with ExitStack() as stack:
        began, wanted = time.monotonic(), read_jobs(path)
        waits = _waits(wanted, path)
        if isinstance(executor, str):
            executor = stack.enter_context(named(executor, jobs=jobs, most_bytes=most_bytes, address=address))
        state = State(f"{path}.state.jsonl")
        state.open()
        stack.callback(state.close)
        threads = 1 if executor.elsewhere else max(1, (os.cpu_count() or 1) // executor.width())
        run = _Run(wanted, state, retries, again, threads, on_event, waits)
        run.all(executor)
    return Summary(tuple(run.outcomes), time.monotonic() - began)


@dataclass(slots=True)
class _Task:
    """A job on its way: as it is run, what it was when it began, how often it was tried."""

    number: int
    job: Job
    inputs: str | None
    nbytes: int
    attempts: int = 1


@dataclass(slots=True)
class _Run:
    jobs: list[Job]
    state: State
    retries: int
    again: bool
    threads: int
    on_event: Callable[[Outcome], None] | None
    waits: dict[int, set[int]]
    outcomes: list[Outcome] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)
    after: dict[int, list[int]] = field(default_factory=dict)
    queue: deque[_Task] = field(default_factory=deque)

    def all(self, executor: Executor) -> None:
        for number, needed in self.waits.items():
            for maker in needed:
                self.after.setdefault(maker, []).append(number)
        self.state.look(self.jobs[n] for n, needed in self.waits.items() if not needed)
        for number in [n for n, needed in self.waits.items() if not needed]:
            self._start(number)
        self.queue = deque(sorted(self.queue, key=_weight, reverse=True))  # so that the last to end is a small one
        for done in executor.run(_work, self.queue, _weight):
            task: _Task = done.item  # type: ignore[assignment]
            found: Outcome = done.value if done.error is None else _defect(task.job, done.error)  # type: ignore[assignment]
            code = (found.error or {}).get("code")
            if found.outcome == FAILED and code in _WORTH_AGAIN and task.attempts <= self.retries:
                self.queue.append(replace(task, attempts=task.attempts + 1))
                continue
            job = self.jobs[task.number]
            found = found._replace(job=job, attempts=task.attempts, nbytes=task.nbytes)
            self.state.add(job, found.outcome, task.inputs, _kept(found))
            self._end(task.number, found)

    def _start(self, number: int) -> None:
        job = self.jobs[number]
        inputs = self.state.files.inputs(job.inputs)
        if not self.again and self.state.is_done(job, inputs):
            self._end(number, Outcome(job, SKIPPED))
            return
        verb, arguments = VERBS[job.verb], dict(job.arguments)
        if verb.output is not None:
            arguments.setdefault("threads", self.threads)
            if self.state.may_replace(job):
                arguments["force"] = True
        task = replace(job, arguments=arguments)
        self.queue.append(_Task(number, task, *inputs))

    def _end(self, number: int, found: Outcome) -> None:
        self.outcomes.append(found)
        self.ended.add(number)
        if self.on_event is not None:
            self.on_event(found)
        for other in self.after.get(number, ()):
            self.waits[other].discard(number)
            if other in self.ended:
                continue
            if found.outcome in (FAILED, BLOCKED):
                said = {"code": "blocked", "what": f"{printable(found.job.name, code=True)} did not make its input"}
                self._end(other, Outcome(self.jobs[other], BLOCKED, error=said))
            elif not self.waits[other]:
                self._start(other)


def _work(task: _Task) -> Outcome:
    if task.attempts > 1:
        time.sleep(min(30.0, 0.5 * 2**task.attempts))
    return run_job(task.job)


def _weight(task: _Task) -> int:
    return task.nbytes


def _defect(job: Job, error: Exception) -> Outcome:
    what = error.what if isinstance(error, ModelFileError) else f"{type(error).__name__}: {error}, please report it"
    return Outcome(job, FAILED, error={"code": "defect", "what": what})


def _kept(found: Outcome) -> dict[str, Any]:
    return {"verb": found.job.verb, "seconds": round(found.seconds, 3), "result": found.result, "error": found.error,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}  # fmt: skip


def _waits(jobs: list[Job], path: str) -> dict[int, set[int]]:
    """Number of a job -> numbers of those that make its inputs. Raises InvalidFileError for a circle.

    What only looks at a folder waits for all that is written below it; a model's folder may well get its own outputs.
    """
    makers = {path.rstrip("/"): number for number, job in enumerate(jobs) for path in job.made}
    below: dict[str, set[int]] = {}  # folder -> the jobs that write something in it
    for path_made, number in makers.items():
        for folder in _folders(path_made):
            below.setdefault(folder, set()).add(number)
    waits: dict[int, set[int]] = {}
    for number, job in enumerate(jobs):
        found = set[int]()
        for place in (p.rstrip("/") for p in job.inputs):
            above = next((makers[f] for f in (place, *_folders(place)) if f in makers), None)
            found |= {above} if above is not None else set()
            found |= below.get(place, set()) if job.output is None else set()
        waits[number] = found
    try:
        TopologicalSorter(waits).prepare()
    except CycleError as error:
        names = " <- ".join(printable(jobs[n].name, code=True) for n in dict.fromkeys(error.args[1]))
        raise InvalidFileError(f"jobs wait for one another: {names}", path=path) from None
    return waits


def _folders(path: str) -> Iterator[str]:
    """Those that a path or the key of a URL lies in, the nearest first."""
    while (shorter := path.rpartition("/")[0]) and not shorter.endswith(("/", ":")):
        path = shorter
        yield path
