"""Which steps of a plan are done and synced, on disk, so that a killed conversion can go on."""

from __future__ import annotations

import json
import os
from typing import Any

from modelglot.core.errors import PlanError
from modelglot.core.unusual import Unusual
from modelglot.engine.plan import Plan
from modelglot.sources.sink import writing


def fingerprint(plan: Plan) -> str:
    """A digest of what the plan reads and writes; two plans with the same one have the same steps."""
    import blake3

    hasher = blake3.blake3()
    for ref in plan.sources:
        hasher.update(repr((ref.path, ref.stamp)).encode())
    for file in plan.layout.files:
        hasher.update(repr((file.name, file.size, file.fixups)).encode())
        for piece in file.pieces:
            hasher.update(piece.data)
    for step in (*plan.steps, *plan.copies):
        hasher.update(repr((step.tensor, step.file, step.offset)).encode())
    return hasher.hexdigest()


class Journal:
    """Lines of JSON: the plan's fingerprint, then [step number, digest, what was lost] for each finished step."""

    def __init__(self, fd: int, plan: Plan, *, resume: bool) -> None:
        self._fd = fd
        self.done: dict[int, str] = {}
        self.unusual: dict[int, Unusual] = {}  # of steps that are done
        self._pending: list[tuple[int, str, Unusual]] = []
        print_of = fingerprint(plan)
        if resume:
            self.done = self._load(print_of)
        if not self.done:
            with writing("journal"):
                os.ftruncate(fd, 0)
            self._write([print_of])

    def _load(self, expected: str) -> dict[int, str]:
        with writing("journal"):
            raw = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
        lines = raw.split(b"\n")[:-1]  # a torn last line has no newline
        if not lines:
            return {}
        try:
            if json.loads(lines[0]) != expected:
                raise PlanError(
                    "the unfinished conversion was of another model or with other options",
                    hint="run it without `--resume` to start again",
                )
            rows = [json.loads(line) for line in lines[1:]]
            self.unusual = {int(n): Unusual(*map(int, counts)) for n, _, counts in rows}
            return {int(n): str(d) for n, d, _ in rows}
        except (ValueError, TypeError):
            return {}

    def finished(self, number: int, digest: str, unusual: Unusual) -> None:
        """Remember a step; it is only trusted after `flush`, which comes after the data was synced."""
        self._pending.append((number, digest, unusual))

    def flush(self) -> None:
        self._write(self._pending)
        self._pending = []

    def _write(self, rows: list[Any]) -> None:
        if rows:
            with writing("journal"):
                os.write(self._fd, "".join(json.dumps(r) + "\n" for r in rows).encode())
                os.fsync(self._fd)
