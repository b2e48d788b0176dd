from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .server import Server


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts a server for a folder; all are closed at the end."""
    running: list[Server] = []

    def one(folder: Path, fault: str | None = None, times: int | None = None) -> Server:
        running.append(Server(folder, fault, times))
        return running[-1]

    yield one
    for server in running:
        server.close()
