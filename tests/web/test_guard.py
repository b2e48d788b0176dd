"""Who gets an answer: this machine, by its own name, with the token; and only the files that were given."""

from __future__ import annotations

import http.client
import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from .conftest import Server


def raw(server: Server, path: str, host: str | None = None, method: str = "GET") -> tuple[int, bytes]:
    parts = urlsplit(server.address)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or parts.netloc)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read()


def token(server: Server) -> str:
    return urlsplit(server.address).path


def test_the_address_has_a_long_token_and_is_of_this_machine(server: Server) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{24}/", server.address)
    port = urlsplit(server.address).port
    other = socket.gethostbyname(socket.gethostname())
    if not other.startswith("127."):
        with pytest.raises(OSError):
            socket.create_connection((other, port or 0), timeout=2)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::1]", "0.0.0.0"])
def test_other_names_are_refused(server: Server, host: str) -> None:
    assert raw(server, token(server), host)[0] == 421
    assert raw(server, token(server) + "api/files", host)[0] == 421


def test_localhost_is_this_machine(server: Server) -> None:
    assert raw(server, token(server), f"localhost:{urlsplit(server.address).port}")[0] == 200


@pytest.mark.parametrize("path", ["/", "/api/files", "/static/main.js", "/x/api/files", "//", "/%2e%2e/"])
def test_without_the_token_there_is_nothing(server: Server, path: str) -> None:
    assert raw(server, path)[0] == 404


def test_nothing_can_be_written(server: Server) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
        assert raw(server, token(server) + "api/files", method=method)[0] == 405


@pytest.mark.parametrize(
    "path",
    [
        "static/../../../../../etc/passwd", "static/%2e%2e/%2e%2e/app.py", "static/..%2fapp.py",
        "netron/0/../../secret.txt", "netron/0/%2e%2e/__init__.py", "netron/0/data/secret.txt",
        "netron/0/data//etc/passwd", "api/summary/7", "api/summary/-1", "secret.txt",
    ],
)  # fmt: skip
def test_only_the_files_given_are_reachable(server: Server, path: str) -> None:
    status, body = raw(server, token(server) + path)
    assert status in (404, 400)
    assert b"root:" not in body
    assert b"secret" not in body or b"secret.txt" in path.encode()
    assert b"import" not in body


def test_headers_of_every_answer(server: Server) -> None:
    for path in ("", "api/files", "api/tensor/0", "nothing"):
        _, _, headers = server.get(path)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["access-control-allow-origin"] is None
        assert headers["cache-control"] == "no-store"
