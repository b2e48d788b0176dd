"""Shared by all tests: no colour, no network settings from outside, one small model a format."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

os.environ.setdefault("NO_COLOR", "1")
os.environ.pop("COLUMNS", None)


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of an S3 server."""
    if "MODELGLOT_REQUIRE_ORACLES" not in os.environ:
        pytest.importorskip("moto", reason="an S3 server")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def settings(moto: str) -> dict[str, str]:
    """The environment in which S3 is that server."""
    return {"AWS_ENDPOINT_URL": moto, "AWS_ACCESS_KEY_ID": "key-of-nobody", "AWS_SECRET_ACCESS_KEY": "secret-key",
            "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}  # fmt: skip


@pytest.fixture
def bucket(moto: str, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an S3 server with nothing in it but the empty bucket `models`."""
    import boto3

    from modelglot.sources.remote import stores

    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST")).close()
    stores._bucket.cache_clear()
    client = boto3.client("s3", endpoint_url=moto)
    client.create_bucket(Bucket="models")
    yield client
    stores._bucket.cache_clear()
