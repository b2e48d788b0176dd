"""What of S3 a reader needs (ListObjectsV2, GET with a range, HEAD) for a folder, with a pause before each answer.

``python -m bench.s3_server FOLDER SECONDS`` prints its address; each line it reads makes it print how many listings and
how many other requests there were since the last, and the bytes it gave.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

PAGE = 1000
_WHEN = "2026-11-26T00:00:00.000Z"
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class _Bucket:
    def __init__(self, folder: Path, pause: float) -> None:
        self.folder, self.pause, self.lock = folder, pause, threading.Lock()
        self.counts = [0, 0, 0]
        found = sorted(p for p in folder.rglob("*") if p.is_file())
        self.keys = {p.relative_to(folder).as_posix(): self._entry(p) for p in found}

    def _entry(self, path: Path) -> tuple[int, str]:
        status = path.stat()
        return status.st_size, hashlib.md5(f"{path}{status.st_size}{status.st_mtime_ns}".encode()).hexdigest()

    def count(self, which: int, number: int = 1) -> None:
        with self.lock:
            self.counts[which] += number

    def take(self) -> list[int]:
        with self.lock:
            taken, self.counts = self.counts, [0, 0, 0]
        return taken


def _handler(bucket: _Bucket) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # head and body in one packet

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            time.sleep(bucket.pause)
            parts = urlsplit(self.path)
            _, _, key = unquote(parts.path).lstrip("/").partition("/")
            if not key:
                bucket.count(0)
                self._list(parse_qs(parts.query))
                return
            bucket.count(1)
            if key not in bucket.keys:
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
                return
            size, etag = bucket.keys[key]
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            start, stop = (int(wanted[1]), min(size, int(wanted[2]) + 1)) if wanted else (0, size)
            with open(bucket.folder / key, "rb") as file:
                data = os.pread(file.fileno(), stop - start, start)
            bucket.count(2, len(data))
            more = {"ETag": f'"{etag}"', "Last-Modified": "Thu, 26 Nov 2026 00:00:00 GMT"}
            if wanted:
                more["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
            self._answer(206 if wanted else 200, data, more)

        def _list(self, query: dict[str, list[str]]) -> None:
            prefix, after = query.get("prefix", [""])[0], query.get("continuation-token", [""])[0]
            fitting = [k for k in bucket.keys if k.startswith(prefix) and k > after]
            page = fitting[:PAGE]
            rows = "".join(
                f"<Contents><Key>{escape(k)}</Key><LastModified>{_WHEN}</LastModified><ETag>&quot;{bucket.keys[k][1]}"
                f"&quot;</ETag><Size>{bucket.keys[k][0]}</Size></Contents>"
                for k in page
            )
            token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if fitting[PAGE:] else ""
            text = f"<KeyCount>{len(page)}</KeyCount><IsTruncated>{'true' if token else 'false'}</IsTruncated>"
            body = f'<ListBucketResult xmlns="{_NAMESPACE}">{text}{token}{rows}</ListBucketResult>'
            self._answer(200, body.encode(), {"Content-Type": "application/xml"})

        def _answer(self, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(more or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.wfile.flush()

    return Handler


def main() -> None:
    bucket = _Bucket(Path(sys.argv[1]), float(sys.argv[2]))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(bucket))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    for _ in sys.stdin:
        print(json.dumps(bucket.take()), flush=True)


if __name__ == "__main__":
    main()
