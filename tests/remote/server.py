"""An HTTP server on 127.0.0.1 for one folder: ranges, ETags, and the faults of real ones; it counts what it gives.

`Faulty` is also what the proxy before other servers is made of (`proxy.py`).
"""

from __future__ import annotations

import hashlib
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Faulty:
    """``fault`` names what goes wrong; ``times`` how often, counted down (None: always)."""

    def __init__(self, handler: type[BaseHTTPRequestHandler], fault: str | None, times: int | None) -> None:
        self.fault, self.times = fault, times
        self.requests: list[tuple[str, str | None]] = []
        self.sent = 0
        self.http = Quiet(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def faulty(self) -> str | None:
        if self.fault is None or self.times == 0:
            return None
        if self.times is not None:
            self.times -= 1
        return self.fault

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


class Quiet(ThreadingHTTPServer):
    """A client that goes away is no error: conversions close answers that they need no more of."""

    daemon_threads = True

    def handle_error(self, request: Any, address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, address)


class Server(Faulty):
    """A folder."""

    def __init__(self, folder: Path, fault: str | None = None, times: int | None = None) -> None:
        self.folder, self.version = folder, ""
        super().__init__(_handler(self), fault, times)


class Handler(BaseHTTPRequestHandler):
    """What both kinds of servers do."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reset(self) -> None:
        """End the connection as one that breaks off."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Folder(Handler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            server.requests.append((self.path, wanted))
            path = server.folder / self.path.partition("?")[0].lstrip("/")
            if not path.is_file():
                self.answer(404, b"nothing here")
                return
            fault = server.faulty()
            if fault in ("500", "503", "403", "401", "429"):
                self.answer(int(fault), b"no")
            elif fault == "redirect":
                self.send_response(302)
                self.send_header("Location", f"{self.path}{'&' if '?' in self.path else '?'}moved=1")
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self.give(path, wanted, fault)

        def give(self, path: Path, wanted: str | None, fault: str | None) -> None:
            size = path.stat().st_size
            etag = '"' + hashlib.md5(f"{path.name}{size}{server.version}".encode()).hexdigest() + '"'
            if fault == "changes":
                etag = f'"{len(server.requests)}"'
            if self.headers.get("If-Match", etag) != etag:
                self.answer(412, b"")
                return
            found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "")
            if fault == "no ranges":
                found = None
            start = int(found[1]) if found else 0
            stop = min(size, int(found[2]) + 1) if found and found[2] else size
            if found and start >= size:
                self.answer(416, b"")
                return
            self.send_response(206 if found else 200)
            length = stop - start
            if fault == "long":
                length += 1000
            self.send_header("Content-Length", str(length))
            self.send_header("Content-Type", "application/octet-stream")
            if fault != "no etag":
                self.send_header("ETag", etag)
            self.send_header("Last-Modified", "Thu, 26 Nov 2026 00:00:00 GMT")
            if found:
                shift = 7 if fault == "wrong place" else 0
                self.send_header("Content-Range", f"bytes {start + shift}-{stop - 1 + shift}/{size}")
            self.end_headers()
            if self.command != "HEAD":
                self.body(path, start, stop, fault)

        def body(self, path: Path, start: int, stop: int, fault: str | None) -> None:
            with open(path, "rb") as file:
                file.seek(start)
                left = (stop - start) // 2 if fault in ("reset", "short") else stop - start
                while left:
                    piece = file.read(min(left, 1 << 20))
                    left -= len(piece)
                    if fault == "slow":
                        time.sleep(0.02)
                    self.wfile.write(piece)
                    server.sent += len(piece)
            if fault in ("reset", "short", "long"):
                if fault == "reset":
                    self.reset()
                self.close_connection = True

    return Folder
