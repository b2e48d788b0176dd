"""A hub on 127.0.0.1: the tree of one repository as its API tells it, and its files."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Hub:
    """``owner/model`` is the folder. Files from 1 kB on are large ones, which the hub knows by their SHA-256."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.requests = folder, list[str]()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def etag(self, path: Path) -> str:
        data = path.read_bytes()
        git = b"blob %d\0" % len(data) + data
        return hashlib.sha256(data).hexdigest() if len(data) >= 1000 else hashlib.sha1(git).hexdigest()

    def tree(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for path in sorted(self.folder.rglob("*")):
            name, size = path.relative_to(self.folder).as_posix(), path.stat().st_size
            if path.is_dir():
                rows.append({"type": "directory", "oid": "0" * 40, "size": 0, "path": name})
                continue
            row = {"type": "file", "oid": "0" * 40, "size": size, "path": name}
            if size >= 1000:
                row["lfs"] = {"oid": self.etag(path), "size": size, "pointerSize": 130}
            else:
                row["oid"] = self.etag(path)
            rows.append(row)
        return rows

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            hub.requests.append(self.path)
            if self.path.startswith("/api/models/owner/model/tree/main"):
                self.answer(200, json.dumps(hub.tree()).encode(), {"Content-Type": "application/json"})
                return
            path = hub.folder / self.path.partition("/resolve/main/")[2]
            if "/resolve/main/" not in self.path or not path.is_file():
                self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
                return
            data = path.read_bytes()
            found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            more = {"ETag": f'"{hub.etag(path)}"', "Last-Modified": "Thu, 26 Nov 2026 00:00:00 GMT"}
            if found:
                start, stop = int(found[1]), min(len(data), int(found[2]) + 1)
                more["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
                data = data[start:stop]
            self.answer(206 if found else 200, data, more)

        def answer(self, status: int, body: bytes, more: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    return Handler
