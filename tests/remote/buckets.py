"""A bucket on 127.0.0.1 (moto) whose requests are counted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from modelglot.sources.remote import stores

_NUMBERS = count(1)


class Bucket:
    """``root`` is its URL: moto keeps the buckets of a process for all servers, so each has another name. ``requests``
    are (method, path with query) in the order of their arrival, without those of `client`."""

    def __init__(self) -> None:
        self.name, self.requests = f"models{next(_NUMBERS)}", list[tuple[str, str]]()
        self.root = f"s3://{self.name}"
        self.fault: Callable[[str], int | None] = lambda path: None  # the status of an answer that is none
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=_Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def start(self) -> None:
        self.client = boto3.client("s3")
        self.client.create_bucket(Bucket=self.name)

    def _serve(self, environ: dict[str, Any], start: Any) -> Any:
        if "Boto3" not in environ.get("HTTP_USER_AGENT", ""):
            query = environ.get("QUERY_STRING", "")
            path = environ["PATH_INFO"] + (f"?{query}" if query else "")
            self.requests.append((environ["REQUEST_METHOD"], path))
            status = self.fault(path)
            if status is not None:
                start(f"{status} No", [("Content-Length", "0")])
                return [b""]
        return self._app(environ, start)

    def upload(self, folder: Path, prefix: str = "") -> None:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            self.put(f"{prefix}{path.relative_to(folder).as_posix()}", path.read_bytes())

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def asked(self) -> tuple[int, int]:
        """How many listings and how many other requests since the last time."""
        listings = sum("list-type" in path for _, path in self.requests)
        others = len(self.requests) - listings
        self.requests.clear()
        return listings, others

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:
        pass


@contextmanager
def serving(patch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    bucket = Bucket()
    for key, value in {
        "AWS_ENDPOINT_URL": bucket.url, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret-key",
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        patch.setenv(key, value)
    stores._bucket.cache_clear()
    try:
        bucket.start()
        yield bucket
    finally:
        bucket.close()
        stores._bucket.cache_clear()
