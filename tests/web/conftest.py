"""`modelglot view` as a process of its own, and what it answers."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot as mg

STATE = {
    "a.weight": np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32),
    "a.bias": np.arange(4, dtype=np.int64),
    "bad.<script>alert(1)</script>": np.array([np.nan, np.inf, 1, 2], np.float32),
}


class Server:
    def __init__(self, *paths: Path) -> None:
        command = [sys.executable, "-m", "modelglot", "view", "--no-browser", *map(str, paths)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> tuple[int, bytes, Any]:
        """(status, body, headers); ``path`` below the token, or a whole address."""
        address = path if path.startswith("http") else self.address + path
        address += "?" + urllib.parse.urlencode(query) if query else ""
        request = urllib.request.Request(address, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def document(self, path: str, **query: Any) -> Any:
        status, body, _ = self.get(path, **query)
        assert status == 200, body
        return json.loads(body)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def one(*paths: Path) -> Server:
        running.append(Server(*paths))
        return running[-1]

    yield one
    for server in running:
        server.stop()


@pytest.fixture(scope="session")
def server(start: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = tmp_path_factory.mktemp("view")
    mg.save(STATE, folder / "a.safetensors")
    changed = {**STATE, "a.weight": STATE["a.weight"] + np.float32(0.5), "new": np.zeros(2, np.float32)}
    del changed["a.bias"]
    mg.save(changed, folder / "b.safetensors")
    (folder / "secret.txt").write_text("secret")
    return start(folder / "a.safetensors", folder / "b.safetensors")
