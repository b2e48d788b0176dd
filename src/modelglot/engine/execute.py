"""execute(): run a plan's steps, prove the result, publish it. After an error nothing is left but what was before."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from modelglot.core.errors import CannotOpenError, DamagedFileError, ModelFileError, PlanError, located
from modelglot.core.notes import Note
from modelglot.core.unusual import Unusual
from modelglot.engine.journal import Journal
from modelglot.engine.plan import Plan, Step
from modelglot.engine.pool import Pool, SourcePool
from modelglot.engine.stream import CHUNK, chunks
from modelglot.engine.unusual import unusual_notes
from modelglot.sources.checksums import Checksum, checksum
from modelglot.sources.opening import is_remote, open_sink
from modelglot.sources.sink import Sink, start_writeback, write_all, writing

FLUSH_EVERY = 1 << 30  # bytes between syncs that let a killed run go on


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes of tensors written so far, of how many, and the tensor at hand, or what is done instead."""

    done: int
    total: int
    tensor: str


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

    @property
    def notes(self) -> tuple[Note, ...]:
        """What `unusual` means, in sentences."""
        goals = {s.tensor.name: s.tensor.dtype.name for s in self.plan.steps if s.tensor.name in self.unusual}
        return unusual_notes(self.unusual, goals)

    def document(self) -> dict[str, Any]:
        return {
            "schema": "modelglot.receipt/1", "format": self.plan.format, "outputs": list(self.outputs),
            "bytes": self.nbytes, "verified": self.verified, "resumed_steps": self.resumed,
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
    threads: int | None = None,
    verify: Verify | None = None,
    on_event: Callable[[Progress], None] | None = None,
    sources: Pool | None = None,
) -> Receipt:
    """Write the plan's files to ``target`` atomically.

    ``verify`` reads the written files back, with the target's own reader, before they are published. Raises
    TargetExistsError, CannotWriteError, PlanError, DamagedFileError, CannotOpenError; a run that was interrupted or
    could not read on keeps its work folder for ``resume``.
    """
    names = [f.name for f in plan.layout.files]
    _check_not_source(plan, target, names)
    pool = sources or SourcePool(plan.sources)
    with open_sink(target, names, folder=plan.folder, force=force) as sink:
        _check_not_below(plan, sink.work)
        resuming = sink.open(resume=resume)
        sink.keep = (
            resuming  # `--resume` with other options is refused, and takes nothing from a run with the right ones
        )
        run = _Run(plan, sink, pool, on_event, resuming)
        sink.keep = False
        try:
            run.write(threads or _threads(plan))
            pool.check_unchanged()
            with ThreadPoolExecutor(1) as background:  # the disk catches up while the bytes are read back and compared
                syncing = background.submit(run.sync)
                if verify is not None:
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
    return Receipt(tuple(sink.outputs()), plan.nbytes, run.digests(), verify is not None, plan, resumed, run.unusual())


def _threads(plan: Plan) -> int:
    """Of a disk as many as there is work for; a server is waited for, so more of them."""
    return 4 if any(is_remote(ref.path) for ref in plan.sources) else min(4, os.cpu_count() or 1)


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


class _Run:
    """The state of one execution: descriptors, digests by step, progress."""

    def __init__(self, plan: Plan, sink: Sink, sources: Pool, on_event: Any, resuming: bool) -> None:
        self.plan, self.sources, self.on_event = plan, sources, on_event
        self.steps = (*plan.steps, *plan.copies)
        files = plan.layout.files
        self.fds = [-1] * len(files)
        self.journal = Journal(sink.journal(), plan, resume=resuming)
        self._digests: dict[int, str] = {}
        self._unusual: dict[int, Unusual] = {}
        self._lock = Lock()
        self._bytes = self._unsynced = self.resumed = 0
        self._total = sum(s.length for s in self.steps)
        self._writeback = start_writeback()
        self._checked = {(n, f.offset, f.length): f.kind for n, file in enumerate(files) for f in file.fixups}
        self._sums: dict[tuple[int, int, int], bytes] = {}  # of steps that are all a fix-up covers
        if not resuming:
            sink.check_space(plan.nbytes)
        self.sink = sink

    def write(self, threads: int) -> None:
        for number, file in enumerate(self.plan.layout.files):
            self.fds[number] = self.sink.create(file.name, file.size)
            with writing(file.name, need=file.size):
                for piece in file.pieces:
                    write_all(self.fds[number], piece.data, piece.offset)
        todo = [n for n in range(len(self.steps)) if not self._already(n)]
        if threads == 1 or len(todo) < 2:
            for number in todo:
                self._step(number)
        else:
            self._spread(todo, threads)
        self._fix()

    def _fix(self) -> None:
        """Fill in the checksums, now that what they cover is written."""
        numbers = {file.name: n for n, file in enumerate(self.plan.layout.files)}
        for number, file in enumerate(self.plan.layout.files):
            for fixup in file.fixups:
                value = self._sums.get((number, fixup.offset, fixup.length))
                if value is None:
                    value = checksum(fixup.kind, _read_back(self.fds[number], fixup.offset, fixup.length))
                into = number if fixup.into is None else numbers[fixup.into]
                with writing(self.plan.layout.files[into].name):
                    for at in fixup.targets:
                        write_all(self.fds[into], value, at)

    def _spread(self, todo: list[int], threads: int) -> None:
        """Workers take steps in order, a batch at a time, so that 100,000 small tensors are not 100,000 tasks."""
        batches = _batches(self.steps, todo)
        with ThreadPoolExecutor(threads) as pool:
            futures: list[Future[None]] = [pool.submit(self._batch, b) for b in batches]
            try:
                finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in finished:
                    future.result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _batch(self, numbers: list[int]) -> None:
        for number in numbers:
            self._step(number)

    def _step(self, number: int) -> None:
        from blake3 import blake3

        step = self.steps[number]
        fd = self.fds[step.file]
        hasher = blake3()
        place = (step.file, step.offset, step.length)
        summed = Checksum(self._checked[place]) if place in self._checked else None
        covered = 0
        met = [Unusual()]
        with located(tensor=step.tensor.name), writing(self.plan.layout.files[step.file].name, need=step.length):
            for offset, data in chunks(step.tensor, self.sources, seen=lambda more: met.append(met.pop().plus(more))):
                if offset + len(data) > step.length:
                    raise PlanError(f"the tensor has more than the {step.length:,} bytes that were planned")
                hasher.update(data)
                if summed is not None:
                    summed.update(data)
                write_all(fd, data, step.offset + offset)
                self._writeback(fd, step.offset + offset, len(data))
                covered += len(data)
                self.report(len(data), step.tensor.name)
            if covered != step.length:
                raise PlanError(f"the tensor has {covered:,} bytes and {step.length:,} were planned")
        if summed is not None:
            self._sums[place] = summed.stored()
        self._done(number, hasher.hexdigest(), step, met[0])

    def _done(self, number: int, digest: str, step: Step, unusual: Unusual) -> None:
        with self._lock:
            self._digests[number], self._unusual[number] = digest, unusual
            self.journal.finished(number, digest, unusual)
            self._unsynced += step.length
            if self._unsynced >= FLUSH_EVERY:
                self._unsynced = 0
                self.sync()

    def report(self, count: int, what: str) -> None:
        """Tell the caller that so many more bytes were written."""
        with self._lock:
            self._bytes += count
            if self.on_event is not None:
                self.on_event(Progress(self._bytes, self._total, what))

    def _already(self, number: int) -> bool:
        """A step that the journal has, and whose bytes are still what it says."""
        step, digest = self.steps[number], self.journal.done.get(number)
        if digest is None or _hash(self.fds[step.file], step.offset, step.length) != digest:
            return False
        self._digests[number] = digest
        self._unusual[number] = self.journal.unusual[number]
        self._bytes += step.length
        self.resumed += 1
        return True

    def sync(self) -> None:
        """Data first, then the journal that vouches for it."""
        with writing("output"):
            for fd in self.fds:
                os.fsync(fd)
        self.journal.flush()

    def hold(self) -> bool:
        """Write down how far it came, for another run to go on; False where there is nothing to go on from."""
        try:
            self.sync()
        except ModelFileError:
            return False
        return bool(self._digests)

    def digests(self) -> dict[str, str]:
        """By tensor name; side files have none."""
        return {self.steps[n].tensor.name: d for n, d in sorted(self._digests.items()) if n < len(self.plan.steps)}

    def unusual(self) -> dict[str, Unusual]:
        return {self.steps[n].tensor.name: u for n, u in sorted(self._unusual.items()) if any(u)}

    def close(self) -> None:
        for fd in self.fds:
            if fd >= 0:
                os.close(fd)
        self.fds = [-1] * len(self.fds)


def _batches(steps: tuple[Step, ...], todo: list[int], most: int = 32 << 20) -> list[list[int]]:
    batches: list[list[int]] = [[]]
    size = 0
    for number in todo:
        if batches[-1] and (size + steps[number].length > most or len(batches[-1]) >= 256):
            batches.append([])
            size = 0
        batches[-1].append(number)
        size += steps[number].length
    return batches


def _read_back(fd: int, offset: int, length: int) -> Any:
    buffer = memoryview(bytearray(min(CHUNK, length)))
    for at in range(0, length, CHUNK):
        piece = buffer[: min(CHUNK, length - at)]
        got = os.preadv(fd, [piece], offset + at)
        if got != len(piece):
            raise ModelFileError(f"read back {got:,} of {len(piece):,} bytes")
        yield piece


def _hash(fd: int, offset: int, length: int) -> str:
    from blake3 import blake3

    hasher = blake3()
    for piece in _read_back(fd, offset, length):
        hasher.update(piece)
    return hasher.hexdigest()
