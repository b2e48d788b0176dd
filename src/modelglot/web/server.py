"""Serving an application on a free port of this machine."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable

import uvicorn

from modelglot.api.viewing import View
from modelglot.core.errors import CannotOpenError
from modelglot.sources.file import reason
from modelglot.web.app import application
from modelglot.web.guard import Guard


def serve(views: list[View], port: int, ready: Callable[[str], None]) -> None:
    """Until it is interrupted; ``ready`` gets the address, token included, once connections are taken.

    Raises CannotOpenError where the port is taken.
    """
    token = secrets.token_urlsafe(18)
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        raise CannotOpenError(
            f"cannot listen on port {port}: {reason(error)}", hint="another `--port`, or 0 for a free one"
        ) from None
    listening.listen(128)
    with listening:
        ready(f"http://127.0.0.1:{listening.getsockname()[1]}/{token}/")
        config = uvicorn.Config(
            Guard(application(views), token), log_level="critical", access_log=False, lifespan="off",
            server_header=False, date_header=False, ws="none", http="h11", loop="asyncio",
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[listening])
