"""What a batch has done already: a file of JSON lines beside the table, one a job that ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import IO, Any

from modelglot.api.batch_files import Files, Inputs
from modelglot.api.batch_jobs import Job
from modelglot.core.errors import CannotWriteError
from modelglot.sources.sink import writing

SCHEMA = "modelglot.batch-state/1"


@dataclass(slots=True)
class State:
    """Open for the whole run; a lock keeps a second run of the same table away."""

    path: str
    files: Files = field(default_factory=Files)
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

    def look(self, jobs: Iterable[Job]) -> None:
        """At all that these jobs read and have written, at once: a store is asked for folders, not for each file."""
        self.files.look(path for job in jobs for path in (*job.inputs, *self._outputs(job)))

    def is_done(self, job: Job, now: Inputs) -> bool:
        """Done before, from the same inputs, and what it wrote is still there as it was."""
        entry = self._done.get(job.key)
        if entry is None or entry.get("outcome") != "done":
            return False
        outputs = self._outputs(job)
        there = all(self.files.mark(path) == mark for path, mark in outputs.items())
        same = now.stamp is not None and now.stamp == entry.get("inputs")
        return same and there and bool(outputs or job.output is None)

    def may_replace(self, job: Job) -> bool:
        """What is left of what this batch wrote for the job is as it was: nobody else has put anything there."""
        outputs = self._outputs(job)
        return bool(outputs) and all(self.files.mark(path) in (mark, None) for path, mark in outputs.items())

    def _outputs(self, job: Job) -> dict[str, str]:
        found = self._done.get(job.key, {}).get("outputs")
        return found if isinstance(found, dict) else {}

    def add(self, job: Job, outcome: str, inputs: str | None, more: dict[str, Any]) -> None:
        outputs: dict[str, Any] = self._outputs(job)
        if job.output and outcome == "done":
            outputs = {path: self.files.mark(path) for path in (*more["result"]["outputs"], *job.made[1:])}
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
