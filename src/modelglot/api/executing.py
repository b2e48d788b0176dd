"""Where work runs, by the name that a person gives: this process, or a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from modelglot.core.errors import UnsupportedError, printable
from modelglot.engine.executors.interface import Executor
from modelglot.engine.executors.ray import Ray, connected
from modelglot.engine.executors.threads import Threads

EXECUTORS = ("threads", "ray")


@contextmanager
def executor(
    name: str, *, jobs: int | None = None, most_bytes: int | None = None, address: str | None = None
) -> Iterator[Executor]:
    """``jobs`` items at a time, of at most ``most_bytes`` together. ``address`` is that of a Ray cluster; without it
    one of this machine alone is started.

    Raises UnsupportedError for a name or an address that does not fit, CannotOpenError where no cluster answers,
    MissingExtraError.
    """
    if name not in EXECUTORS:
        raise UnsupportedError(
            f"there is no executor {printable(name, code=True)}", hint=f"one of {', '.join(EXECUTORS)}"
        )
    if name == "threads":
        if address is not None:
            raise UnsupportedError("threads have no address", hint="`--executor ray` runs on a cluster")
        yield Threads(jobs or 2, most_bytes)
        return
    with connected(address):
        yield Ray(jobs, most_bytes)
