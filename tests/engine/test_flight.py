"""The loop that hands work out: bounds, errors, and what is late begun once more."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress

import pytest

from modelglot.engine.executors import flight
from modelglot.engine.executors.flight import fly


def elsewhere(work: Callable[[int], int], item: int) -> Future[int]:
    """As of a cluster: a future that can be given up while the work goes on."""
    future: Future[int] = Future()

    def call() -> None:
        with suppress(InvalidStateError):
            try:
                future.set_result(work(item))
            except OSError as error:
                future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future


@pytest.mark.parametrize("first", ["hangs", "fails late"])
def test_what_is_late_is_begun_once_more(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Item 3 does not come back the first time, as on a machine that froze; the others take no time."""
    monkeypatch.setattr(flight, "_LEAST_WAIT", 0.2)
    begun: list[int] = []
    thaw = threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        if item == 3 and begun.count(3) == 1:
            thaw.wait(1.0 if first == "fails late" else 30)
            raise OSError("lost")
        return item

    began = time.monotonic()
    done = list(fly(lambda i: elsewhere(work, i), deque(range(8)), lambda: 2, lambda _: 1, again=True))
    took = time.monotonic() - began
    thaw.set()
    assert sorted(d.value for d in done) == list(range(8))  # type: ignore[type-var]
    assert begun.count(3) == 2
    assert len(begun) == 9
    assert took < 1


def test_the_second_of_an_item_may_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both copies fail: one error, from the last."""
    monkeypatch.setattr(flight, "_LEAST_WAIT", 0.1)
    futures: list[Future[int]] = []

    def submit(item: int) -> Future[int]:
        future: Future[int] = Future()
        futures.append(future)
        if item == 0:
            future.set_result(0)
        elif len(futures) == 3:
            futures[1].set_exception(OSError("first"))
            future.set_exception(OSError("second"))
        return future

    done = list(fly(submit, deque([0, 1]), lambda: 2, again=True))
    assert [str(d.error) for d in done] == ["None", "second"]


def test_nothing_is_begun_twice_where_it_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flight, "_LEAST_WAIT", 0.0)
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        time.sleep(0.3 if item == 0 else 0)

    with ThreadPoolExecutor(4) as pool:
        assert len(list(fly(lambda i: pool.submit(work, i), deque(range(6)), lambda: 4))) == 6
    assert sorted(begun) == list(range(6))
