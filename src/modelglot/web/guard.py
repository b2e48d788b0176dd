"""Who may ask: this machine, by the name of this machine, with the token of this run.

A page of another site can send requests to 127.0.0.1. Its answer stays unread without CORS, and with DNS rebinding its
Host header is not ours. The token keeps other users of the machine away.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

HOSTS = ("127.0.0.1", "localhost")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Everything under ``/TOKEN/`` goes to ``app``, with that prefix taken off; all else is refused."""

    def __init__(self, app: App, token: str) -> None:
        self.app, self.prefix = app, f"/{token}"

    async def __call__(self, scope: Scope, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        why = self._refused(scope)
        if why is not None:
            await _refuse(send, *why)
            return
        inner = dict(scope)
        inner["path"] = scope["path"][len(self.prefix) :]
        inner["raw_path"] = None
        await self.app(inner, receive, _with_headers(send))

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        hosts = [value for key, value in scope["headers"] if key == b"host"]
        host = hosts[0].decode("latin-1").rpartition(":")[0] or hosts[0].decode("latin-1") if len(hosts) == 1 else ""
        if scope["type"] != "http" or host not in HOSTS:
            return 421, "this server is for this machine, as 127.0.0.1 or localhost"
        path = scope["path"]
        given = path[: len(self.prefix)]
        if not secrets.compare_digest(given.encode(), self.prefix.encode()) or not path.startswith(self.prefix + "/"):
            return 404, "the address is the whole one that `modelglot view` printed"
        if scope["method"] not in ("GET", "HEAD"):
            return 405, "this server is only read from"
        return None


def _with_headers(send: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    async def more(message: Any) -> None:
        if message["type"] == "http.response.start":
            there = {key for key, _ in message["headers"]}
            extra = [(k.encode(), v.encode()) for k, v in _HEADERS.items() if k.encode() not in there]
            message["headers"] = [*message["headers"], *extra]
        await send(message)

    return more


async def _refuse(send: Callable[[Any], Awaitable[None]], status: int, why: str) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        *((k.encode(), v.encode()) for k, v in _HEADERS.items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": (why + "\n").encode()})
