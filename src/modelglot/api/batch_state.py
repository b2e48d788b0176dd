"""What a batch has done already: a file of JSON lines beside the table, one a job that ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO, Any

from modelglot.api.batch_jobs import Job
from modelglot.core.errors import CannotWriteError, ModelFileError
from modelglot.features.catalog.names import has_kin, stem
from modelglot.features.catalog.tree import Entry, listing, walk
from modelglot.sources.opening import is_remote, open_source
from modelglot.sources.sink import writing

SCHEMA = "modelglot.batch-state/1"


@dataclass(slots=True)
class State:
    """Open for the whole run; a lock keeps a second run of the same table away."""

    path: str
    _done: dict[str, dict[str, Any]] = field(default_factory=dict)
    _file: IO[str] | None = None

    def open(self) -> None:
        """Raises CannotWriteError, also where another run has it open."""
        with writing(self.path):
            self._file = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115  # until `close`
        try:
            import fcntl

            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass
        except OSError:
            self.close()
            raise CannotWriteError("another run of this batch is under way", path=self.path) from None
        self.load()

    def load(self) -> None:
        """Lines that are not whole, such as the last one before a power cut, say nothing."""
        if not os.path.exists(self.path):
            return
        with open(self.path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                    self._done[entry["key"]] = entry
                except (ValueError, KeyError, TypeError):
                    continue

    def is_done(self, job: Job) -> bool:
        """Done before, from the same inputs, and what it wrote is still there as it was."""
        entry = self._done.get(job.key)
        if entry is None or entry.get("outcome") != "done":
            return False
        now, outputs = stamp(job.inputs), self._outputs(job)
        there = all(_file(path) == mark for path, mark in outputs.items())
        return now is not None and now == entry.get("inputs") and there and bool(outputs or job.output is None)

    def may_replace(self, job: Job) -> bool:
        """What is left of what this batch wrote for the job is as it was: nobody else has put anything there."""
        outputs = self._outputs(job)
        return bool(outputs) and all(_file(path) in (mark, None) for path, mark in outputs.items())

    def _outputs(self, job: Job) -> dict[str, str]:
        found = self._done.get(job.key, {}).get("outputs")
        return found if isinstance(found, dict) else {}

    def add(self, job: Job, outcome: str, inputs: str | None, more: dict[str, Any]) -> None:
        outputs: dict[str, Any] = self._outputs(job)
        if job.output and outcome == "done":
            outputs = {path: _file(path) for path in (*more["result"]["outputs"], *job.made[1:])}
        entry = {
            "schema": SCHEMA,
            "key": job.key,
            "name": job.name,
            "outcome": outcome,
            "inputs": inputs,
            "outputs": outputs,
            **more,
        }
        self._done[job.key] = entry
        if self._file is None:
            return
        with writing(self.path):
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _file(path: str) -> str | None:
    """Size, time and inode of a file of this machine, None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return f"{found.st_size}:{found.st_mtime_ns}:{found.st_ino}"


def stamp(paths: Iterable[str]) -> str | None:
    """Changes when a file does: of folders everything below counts, of a file those that its name belongs to.

    None where one is not there.
    """
    found = []
    for path in paths:
        one = _one(path)
        if one is None:
            return None
        found.append(one)
    return " ".join(found)


def nbytes(paths: Iterable[str]) -> int:
    """Bytes of the files of inputs, 0 for what is not there."""
    return sum(_size(path) for path in paths)


def _one(path: str) -> str | None:
    if is_remote(path):
        try:
            return json.dumps(open_source(path).stamp)
        except ModelFileError:
            return None
    if os.path.isdir(path):
        return dict(walk(os.path.abspath(path)))[os.path.abspath(path)].hex()
    if not os.path.exists(path):
        return None
    return ",".join(f"{n}:{e.size}:{e.mtime_ns}:{e.inode}" for n, e in _kin(path).items())


def _kin(path: str) -> dict[str, Entry]:
    """The file; of an index or a shard also what has its name beside it."""
    folder, name = os.path.split(os.path.abspath(path))
    if not has_kin(name):
        found = os.stat(path)
        return {name: Entry(found.st_size, found.st_mtime_ns, found.st_ino)}
    return {n: e for n, e in listing(folder).files.items() if n == name or stem(n) == stem(name)}


def _size(path: str) -> int:
    if is_remote(path):
        try:
            return open_source(path).size
        except ModelFileError:
            return 0
    if os.path.isdir(path):
        return sum(e.size for folder, _ in walk(os.path.abspath(path)) for e in listing(folder).files.values())
    return sum(e.size for e in _kin(path).values()) if os.path.exists(path) else 0
