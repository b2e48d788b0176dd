"""A proxy on 127.0.0.1 before a store: what it lets through, and what goes wrong on the way."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .server import Faulty, Handler

_ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{0}</Code><Message>{0} for key-of-nobody</Message></Error>'
_STATUS = {"500": "InternalError", "503": "SlowDown", "403": "ExpiredToken"}


class Proxy(Faulty):
    """``fault`` befalls the operation ``on`` after ``after`` of them went well; ``meanwhile`` is what is done then."""

    def __init__(
        self, upstream: str, on: str, fault: str, times: int | None = None, after: int = 0,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        self.upstream, self.on, self.after, self.meanwhile = urlsplit(upstream).netloc, on, after, meanwhile
        self.seen: list[str] = []
        self.extra: dict[str, str] = {}  # headers that the store gets as well
        super().__init__(_handler(self), fault, times)

    def befalls(self, operation: str) -> str | None:
        self.seen.append(operation)
        if operation != self.on:
            return None
        if self.after:
            self.after -= 1
            return None
        return self.faulty()


def operation(method: str, path: str) -> str:
    """What S3 calls a request; `get` for all that are not told apart here."""
    asked = parse_qs(urlsplit(path).query, keep_blank_values=True)
    if "uploadId" in asked:
        return {"PUT": "part", "POST": "complete", "DELETE": "abort"}.get(method, "parts")
    if "uploads" in asked:
        return "begin" if method == "POST" else "uploads"
    if "list-type" in asked:
        return "list"
    return method.lower()


def _handler(proxy: Proxy) -> type[Handler]:
    class Through(Handler):
        def one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            proxy.requests.append((self.path, self.headers.get("Range")))
            fault = proxy.befalls(operation(self.command, self.path))
            if fault in _STATUS:
                self.answer(int(fault), _ERROR.format(_STATUS[fault]).encode(), "application/xml")
            elif fault == "error in 200":
                self.answer(200, _ERROR.format("InternalError").encode(), "application/xml")
            elif fault == "refused":
                self.reset()
            else:
                if fault == "meanwhile":
                    proxy.meanwhile()
                self.through(body, fault)

        def through(self, body: bytes, fault: str | None) -> None:
            upstream = http.client.HTTPConnection(proxy.upstream)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in proxy.extra}
            upstream.request(self.command, self.path, body, headers | proxy.extra)
            answer = upstream.getresponse()
            data = answer.read()
            upstream.close()
            if fault == "answer lost":
                self.reset()
                return
            self.send_response(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                    self.send_header(key, value)
            length = answer.headers.get("Content-Length") if self.command == "HEAD" else len(data)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.give(data, fault)

        def give(self, data: bytes, fault: Any) -> None:
            if fault in ("reset", "short"):
                data = data[: len(data) // 2]
            elif fault == "nothing":
                data = b""
            for at in range(0, len(data), 64 << 10):
                if fault == "slow":
                    time.sleep(0.005)
                self.wfile.write(data[at : at + (64 << 10)])
            proxy.sent += len(data)
            if fault in ("reset", "short", "nothing"):
                self.close_connection = True
            if fault == "reset":
                self.reset()

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        setattr(Through, f"do_{method}", Through.one)
    return Through
