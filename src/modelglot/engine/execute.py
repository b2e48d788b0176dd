"""execute(): run a plan's steps, prove the result, publish it. After an error nothing is left but what was before."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from modelglot.core.errors import CannotOpenError, DamagedFileError, PlanError, UnsupportedError
from modelglot.core.notes import Note
from modelglot.core.unusual import Unusual
from modelglot.engine.executors.interface import Executor
from modelglot.engine.executors.threads import Threads
from modelglot.engine.plan import Plan
from modelglot.engine.pool import Pool, SourcePool
from modelglot.engine.run import Outline, Progress, Run
from modelglot.engine.spans import can_stream
from modelglot.engine.unusual import unusual_notes
from modelglot.sources.opening import is_remote, open_sink


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was written: ``digests`` are BLAKE3 of each tensor's contiguous little-endian bytes."""

    outputs: tuple[str, ...]
    nbytes: int
    digests: dict[str, str]
    verified: bool
    plan: Plan = field(repr=False)
    resumed: int = 0
    unusual: dict[str, Unusual] = field(default_factory=dict)  # by tensor: what casts met and could not keep
    sent: bool = False  # to a store, in parts that it held against their checksums, and not read back

    @property
    def notes(self) -> tuple[Note, ...]:
        """What `unusual` means, in sentences."""
        goals = {s.tensor.name: s.tensor.dtype.name for s in self.plan.steps if s.tensor.name in self.unusual}
        return unusual_notes(self.unusual, goals)

    def document(self) -> dict[str, Any]:
        return {
            "schema": "modelglot.receipt/1", "format": self.plan.format, "outputs": list(self.outputs),
            "bytes": self.nbytes, "verified": self.verified, "sent": self.sent, "resumed_steps": self.resumed,
            "route": list(self.plan.route),
            "losses": [{"kind": x.kind, "what": x.what} for x in self.plan.losses],
            "notes": [{"code": n.code, "text": n.text, "level": n.level} for n in self.notes],
            "unusual": {name: u._asdict() for name, u in self.unusual.items()},
            "tensors": self.digests,
        }  # fmt: skip


Verify = Callable[[str, list[str]], dict[str, str]]  # (folder, output names) -> digest of each tensor read back


def execute(
    plan: Plan,
    target: str,
    *,
    force: bool = False,
    resume: bool = False,
    executor: Executor | None = None,
    verify: Verify | None = None,
    outline: Outline | None = None,
    on_event: Callable[[Progress], None] | None = None,
    sources: Pool | None = None,
) -> Receipt:
    """Write the plan's files to ``target`` atomically.

    Steps run on ``executor``, by default in threads of this process; one that is elsewhere opens sources and outputs by
    their paths. ``verify`` reads the written files back, with the target's own reader, before they are published. Where
    ``outline`` can take its place, outputs may go to a store with no disk on the way: each part with its checksum.
    Raises TargetExistsError, CannotWriteError, PlanError, DamagedFileError, CannotOpenError, UnsupportedError; a run
    that was interrupted or could not read on keeps its work folder for ``resume``.
    """
    names = [f.name for f in plan.layout.files]
    _check_not_source(plan, target, names)
    if sources is not None and executor is not None and executor.elsewhere:
        raise UnsupportedError("what is in the memory of this process cannot be written from others")
    pool = sources or SourcePool(plan.sources)
    stream = (verify is None or outline is not None) and can_stream(plan.layout)
    with open_sink(target, names, folder=plan.folder, force=force, stream=stream) as sink:
        _check_not_below(plan, sink.work)
        resuming = sink.open(resume=resume)
        sink.keep = (
            resuming  # `--resume` with other options is refused, and takes nothing from a run with the right ones
        )
        run = Run(plan, sink, pool, on_event, resuming)
        sink.keep = False
        try:
            run.write(executor or Threads(_threads(plan, target)), outline)
            pool.check_unchanged()
            with ThreadPoolExecutor(1) as background:  # the disk catches up while the bytes are read back and compared
                syncing = background.submit(run.sync)
                if verify is not None and not sink.streams:
                    run.report(0, "reading back")
                    _compare(run.digests(), verify(sink.work, names))
                syncing.result()
            sink.check_in_place()
            sink.publish()
        except KeyboardInterrupt:
            sink.keep = True
            raise
        except CannotOpenError as error:  # a disk or a network that may be back later
            sink.keep = run.hold()
            error.hint = error.hint or ("`--resume` goes on from here" if sink.keep else None)
            raise
        finally:
            run.close()
            pool.close()
        resumed = run.resumed
    read_back = verify is not None and not sink.streams
    return Receipt(
        tuple(sink.outputs()), plan.nbytes, run.digests(), read_back, plan, resumed, run.unusual(), sent=sink.streams
    )


def _threads(plan: Plan, target: str) -> int:
    """Of a disk as many as there is work for; a server is waited for, so more of them."""
    return 4 if any(map(is_remote, (target, *(ref.path for ref in plan.sources)))) else min(4, os.cpu_count() or 1)


def _check_not_source(plan: Plan, target: str, names: list[str]) -> None:
    sources = {os.path.realpath(ref.path) for ref in plan.sources}
    outputs = [os.path.join(target, n) for n in names] if plan.folder else [target]
    for path in outputs:
        if os.path.realpath(path) in sources or any(_same(path, s) for s in sources):
            raise PlanError("the target is one of the files that are read", path=path, hint="write to another name")


def _check_not_below(plan: Plan, work: str) -> None:
    """The work folder of a run that was killed holds a file that somebody wants: it would be cleared first."""
    for ref in plan.sources:
        if os.path.realpath(ref.path).startswith(os.path.realpath(work) + os.sep):
            hint = "move it, or write to another name"
            raise PlanError("a file that is read lies in the work folder of the target", path=ref.path, hint=hint)


def _same(a: str, b: str) -> bool:
    try:
        return os.path.samefile(a, b)
    except OSError:
        return False


def _compare(written: dict[str, str], found: dict[str, str]) -> None:
    for name, digest in written.items():
        if found.get(name) != digest:
            raise DamagedFileError(
                "what was read back differs from what was written",
                tensor=name,
                hint="check the disk and the memory of this machine; nothing was published",
            )
