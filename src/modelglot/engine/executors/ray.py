"""Tasks of a Ray cluster: each on a machine that has a core and the memory for it, and again where that is lost."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, TypeVar, cast
from weakref import WeakSet

from modelglot.core.errors import CannotOpenError, MissingExtraError, UnsupportedError
from modelglot.engine.executors.flight import fly
from modelglot.engine.executors.interface import Done, Results, Size, Work, nothing

T = TypeVar("T")
R = TypeVar("R")
_AHEAD = 2  # tasks a core that wait for it, so that none idles
_MEMORY = 512 << 20  # bytes that a task asks its machine for
_RETRIES = 5  # of a task whose machine or process died
_ANSWER = 5.0  # seconds for a port to answer
_GRACE = 30.0  # seconds for tasks that are told to stop


@dataclass(frozen=True, slots=True)
class Ray:
    """Work on the cluster that `connected` led to; ``jobs`` items at a time, by default twice its cores, and
    ``most_bytes`` of them.

    Ray runs the tasks of a lost machine on another one. Work and items are pickled; all machines need the same
    modelglot, and see files under the same paths.
    """

    elsewhere: ClassVar[bool] = True
    jobs: int | None = None
    most_bytes: int | None = None

    def width(self) -> int:
        """Cores of the cluster at the moment, at least one; or ``jobs``."""
        return self.jobs or max(1, int(_ray().cluster_resources().get("CPU", 1)))

    def _most(self) -> int:
        return self.jobs or _AHEAD * self.width()

    def run(self, work: Work[T, R], queue: deque[T], size: Size[T] = nothing, *, repeatable: bool = False) -> Results:
        ray = _ray()
        call = ray.remote(
            num_cpus=1, memory=_MEMORY, max_retries=_RETRIES, retry_exceptions=False, scheduling_strategy="SPREAD"
        )(_call)
        shared, version = ray.put(work), _version()
        begun: WeakSet[Future[Any]] = WeakSet()

        def submit(item: T) -> Future[Any]:
            future: Future[Any] = call.remote(shared, item, version).future()
            begun.add(future)
            return future

        try:
            with closing(fly(submit, queue, self._most, size, self.most_bytes, again=repeatable)) as results:
                for done in results:
                    yield _unpacked(done)
        finally:
            _stop([f.object_ref for f in begun if f.cancelled()], force=repeatable)  # type: ignore[attr-defined]


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to a cluster, or to one of this machine alone that is started for it; nothing where that was done before.

    ``address`` as Ray has it: ``HOST:PORT``, ``auto`` or ``ray://HOST:PORT``. Raises CannotOpenError,
    MissingExtraError.
    """
    ray = _ray()
    if ray.is_initialized():
        yield
        return
    _check(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    given: dict[str, Any] = {"address": address} if address else {"include_dashboard": False}
    try:
        ray.init(log_to_driver=False, logging_level="error", **given)
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreachable(address, error) from None
    try:
        yield
    finally:
        ray.shutdown()


def _check(address: str | None) -> None:
    """Ask the port first: Ray itself tries for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER).close()
        except (OSError, OverflowError) as error:
            raise _unreachable(address, error) from None


def _unreachable(address: str | None, error: Exception) -> CannotOpenError:
    return CannotOpenError(
        "no Ray cluster answers there", path=address, detail=str(error).strip().split("\n")[0][:200],
        hint="`ray start --head` begins one; without `--address` one of this machine is used",
    )  # fmt: skip


def _call(work: Callable[[T], R], item: T, version: str) -> tuple[R | None, Exception | None]:
    """In the worker. Errors are handed back as they are: the cluster has none of them to repeat."""
    if version != _version():
        return None, UnsupportedError(
            f"a worker has modelglot {_version()}, and {version} asks it", hint="install the same version everywhere"
        )
    try:
        return work(item), None
    except Exception as error:
        return None, error


def _unpacked(done: Done) -> Done:
    if done.error is None:
        value, raised = cast("tuple[object, Exception | None]", done.value)
        return Done(done.item, value, raised)
    said = str(done.error).strip().split("\n")[-1][:200]
    hint = "install the same modelglot on every machine" if "modelglot" in said else None
    lost = UnsupportedError(f"the cluster could not run it: {type(done.error).__name__}", detail=said, hint=hint)
    return Done(done.item, None, lost)


def _stop(refs: list[Any], *, force: bool) -> None:
    """Tasks whose results nobody waits for any more. What may run twice is killed; what may not ends by itself."""
    ray = _ray()
    for ref in refs:
        ray.cancel(ref, force=force)
    if refs:
        ray.wait(refs, num_returns=len(refs), timeout=_GRACE)


def _version() -> str:
    from importlib.metadata import version

    return version("modelglot")


def _ray() -> Any:
    try:
        return import_module("ray")
    except ImportError:
        raise MissingExtraError("clusters are reached through `ray`", hint="pip install 'modelglot[ray]'") from None
