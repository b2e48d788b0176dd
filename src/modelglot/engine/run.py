"""The state of one execution: descriptors, digests by step, progress, the journal."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, TypeVar

from modelglot.core.errors import ModelFileError, located
from modelglot.core.unusual import Unusual
from modelglot.engine.executors.interface import Executor
from modelglot.engine.journal import Journal
from modelglot.engine.move import Item, Written, move
from modelglot.engine.parts import Elsewhere, Part, largest, part_nbytes, parts
from modelglot.engine.plan import Plan
from modelglot.engine.pool import Pool
from modelglot.engine.spans import Sending, Sent, Span, send, span_nbytes, spans
from modelglot.engine.stream import CHUNK
from modelglot.sources.checksums import checksum
from modelglot.sources.remote.parts import PartSink
from modelglot.sources.sink import Sink, start_writeback, write_all, writing

T = TypeVar("T")
R = TypeVar("R")
Outline = Callable[[str, list[str]], None]  # (folder, output names); raises where a tensor has another place
FLUSH_EVERY = 1 << 30  # bytes between syncs that let a killed run go on


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes of tensors written so far, of how many, and the tensor at hand, or what is done instead."""

    done: int
    total: int
    tensor: str


class Run:
    """One plan on its way into one sink."""

    def __init__(
        self, plan: Plan, sink: Sink, sources: Pool, on_event: Callable[[Progress], None] | None, resuming: bool
    ) -> None:
        self.plan, self.sink, self.sources, self.on_event = plan, sink, sources, on_event
        self.steps = (*plan.steps, *plan.copies)
        files = plan.layout.files
        self.fds = [-1] * len(files)
        self.journal = Journal(sink.journal(), plan, resume=resuming)
        self._digests: dict[int, str] = {}
        self._unusual: dict[int, Unusual] = {}
        self._lock = Lock()
        self._bytes = self._unsynced = self.resumed = 0
        self._dirty: set[int] = set()  # files that this process wrote to since they were synced
        self._total = sum(s.length for s in self.steps)
        self._writeback = start_writeback()
        self._checked = {(n, f.offset, f.length): f.kind for n, file in enumerate(files) for f in file.fixups}
        self._sums: dict[tuple[int, int, int], bytes] = {}  # of steps that are all a fix-up covers
        if not resuming:
            sink.check_space(plan.nbytes)

    def write(self, executor: Executor, outline: Outline | None = None) -> None:
        """Everything but the steps that the journal has. Raises what the steps do.

        What is sent to a store is not read back: before that, ``outline`` gets the folder with the files as they will
        be, holes for tensors.
        """
        for number, file in enumerate(self.plan.layout.files):
            self.fds[number] = self.sink.create(file.name, file.size)
            self._dirty.add(number)
            with writing(file.name, need=file.size):
                for piece in file.pieces:
                    write_all(self.fds[number], piece.data, piece.offset)
        items = [self._item(n) for n in range(len(self.steps)) if not self._already(n)]
        if isinstance(self.sink, PartSink):
            if outline is not None:
                outline(self.sink.work, self.sink.names)
            self._send(items, self.sink, executor)
            return
        self._move(items, executor)
        self._fix()

    def _item(self, number: int) -> Item:
        step = self.steps[number]
        return Item(number, step, self._checked.get((step.file, step.offset, step.length)))

    def _move(self, items: list[Item], executor: Executor) -> None:
        work: Callable[[Part], list[Written]] = self._here
        if executor.elsewhere:
            outputs = tuple((self.sink.path(f.name), f.size) for f in self.plan.layout.files)
            work = Elsewhere(self.plan.sources, outputs)
            queue = deque(parts(items, largest(self._total, executor.width())))
        else:
            queue = deque(parts(items))
        for written in self._results(executor, work, queue, part_nbytes, repeatable=True):
            self._all_done(written)

    def _send(self, items: list[Item], sink: PartSink, executor: Executor) -> None:
        """Not repeatable: a part that comes twice has the name of the second."""
        queue = deque[Span]()
        for number, file in enumerate(self.plan.layout.files):
            held = [item for item in items if item.step.file == number]
            queue += spans(number, file, held, sink.upload(file.name, file.size))
        here = partial(send, sources=self.sources, report=self.report)
        work: Callable[[Span], Sent] = Sending(self.plan.sources) if executor.elsewhere else here
        for sent in self._results(executor, work, queue, span_nbytes):
            sink.sent(self.plan.layout.files[sent.file].name, sent.tags)
            self._all_done(sent.written, told=not executor.elsewhere)

    def _results(
        self,
        executor: Executor,
        work: Callable[[T], R],
        queue: deque[T],
        size: Callable[[T], int],
        repeatable: bool = False,
    ) -> Iterator[R]:
        """The first error ends it: what is under way is waited for, and nothing more is begun."""
        with closing(executor.run(work, queue, size, repeatable=repeatable)) as results:
            for done in results:
                if done.error is not None:
                    raise done.error
                yield done.value  # type: ignore[misc]

    def _all_done(self, all_written: list[Written], told: bool = False) -> None:
        for written in all_written:
            self._done(written)
            step = self.steps[written.number]
            self.report(0 if told else step.length, step.tensor.name)

    def _here(self, part: Part) -> list[Written]:
        """A part in a thread of this process: each step is remembered, and each chunk told, as it is there."""
        for item in part:
            file, name = item.step.file, item.step.tensor.name
            fd = self.fds[file]

            def put(offset: int, data: bytes | memoryview, fd: int = fd, name: str = name) -> None:
                write_all(fd, data, offset)
                self._writeback(fd, offset, len(data))
                self.report(len(data), name)

            with located(tensor=name), writing(self.plan.layout.files[file].name, need=item.step.length):
                written = move(item, self.sources, put)
            self._dirty.add(file)
            self._done(written)
        return []

    def _done(self, written: Written) -> None:
        number, step = written.number, self.steps[written.number]
        with self._lock:
            self._digests[number], self._unusual[number] = written.digest, written.unusual
            if written.stored_sum is not None:
                self._sums[step.file, step.offset, step.length] = written.stored_sum
            self.journal.finished(number, written.digest, written.unusual)
            self._unsynced += step.length
            if self._unsynced >= FLUSH_EVERY:
                self._unsynced = 0
                self.sync()

    def _fix(self) -> None:
        """Fill in the checksums, now that what they cover is written."""
        numbers = {file.name: n for n, file in enumerate(self.plan.layout.files)}
        for number, file in enumerate(self.plan.layout.files):
            for fixup in file.fixups:
                value = self._sums.get((number, fixup.offset, fixup.length))
                if value is None:
                    value = checksum(fixup.kind, _read_back(self.fds[number], fixup.offset, fixup.length))
                into = number if fixup.into is None else numbers[fixup.into]
                self._dirty.add(into)
                with writing(self.plan.layout.files[into].name):
                    for at in fixup.targets:
                        write_all(self.fds[into], value, at)

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
        """Data first, then the journal that vouches for it. What workers elsewhere wrote, they synced."""
        with writing("output"):
            while self._dirty:
                os.fsync(self.fds[self._dirty.pop()])
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


def _read_back(fd: int, offset: int, length: int) -> Iterator[Any]:
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
