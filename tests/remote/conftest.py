from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelglot.sources.remote import stores

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


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of an S3 server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an S3 server with nothing in it but the empty bucket `models`."""
    import boto3

    for key, value in {
        "AWS_ENDPOINT_URL": moto, "AWS_ACCESS_KEY_ID": "key-of-nobody", "AWS_SECRET_ACCESS_KEY": "secret-key",
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST")).close()
    stores._bucket.cache_clear()
    client = boto3.client("s3", endpoint_url=moto)
    client.create_bucket(Bucket="models")
    yield client
    stores._bucket.cache_clear()
