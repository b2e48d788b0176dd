"""The application: a route for each document, the page's files, and Netron's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from modelglot import __version__
from modelglot.api.viewing import View, spectrum_apart
from modelglot.core.errors import ModelFileError
from modelglot.engine.window import Line
from modelglot.report.json_text import json_text
from modelglot.sources.opening import base_name
from modelglot.web.netron import Netron

STATIC = Path(__file__).parent / "static"
MOST_VALUES = 1 << 20  # of one window
_MOST_ROWS = 5000  # of one table

Answer = Callable[[Request], Any]


class Pages:
    """The handlers. Each runs in a thread; files are opened when a page first asks for them."""

    def __init__(self, views: list[View]) -> None:
        self.views = views
        self.netron = [Netron(view) for view in views]

    def routes(self) -> list[Any]:
        number = "{file:int}"
        documents: dict[str, Answer] = {
            "files": self._files,
            f"summary/{number}": self._summary,
            f"scan/{number}": lambda r: self._view(r).scan(),
            f"tensors/{number}": lambda r: self._view(r).tensors(),
            f"tensor/{number}": lambda r: self._view(r).tensor(_text(r, "name")),
            f"stats/{number}": lambda r: self._view(r).stats(_text(r, "name")),
            f"window/{number}": self._window,
            f"spectrum/{number}": self._spectrum,
            f"metadata/{number}": lambda r: self._view(r).metadata(_text(r, "key"), *_part(r)),
            f"templates/{number}": lambda r: self._view(r).templates(),
            f"tokens/{number}": lambda r: self._view(r).tokens(*_part(r)),
            f"compare/{number}/{{other:int}}": lambda r: self._view(r).against(self._view(r, "other")),
            f"compare/{number}/{{other:int}}/tensor": self._error_of,
        }
        return [
            Route("/", lambda request: FileResponse(STATIC / "index.html")),
            *(Route(f"/api/{path}", _answering(answer)) for path, answer in documents.items()),
            Route(f"/netron/{number}/{{path:path}}", self._netron),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    def _view(self, request: Request, key: str = "file") -> View:
        number: int = request.path_params[key]
        if number >= len(self.views):
            raise HTTPException(404, "there is no such file here")
        return self.views[number]

    def _files(self, request: Request) -> dict[str, Any]:
        files = [{"name": base_name(v.path), "path": v.report.path} for v in self.views]
        return {"version": __version__, "files": files}

    def _summary(self, request: Request) -> dict[str, Any]:
        document, netron = self._view(request).summary(), self.netron[request.path_params["file"]]
        page = f"netron/{request.path_params['file']}/" if netron.why is None else None
        return document | {
            "graph_view": {"kind": netron.kind, "page": page, "why": netron.why} if netron.kind else None
        }

    def _window(self, request: Request) -> Response:
        rows = Line(
            *(_number(request, key, least) for key, least in (("rows", -1), ("r0", 0), ("rn", 1), ("rstep", 1)))
        )
        cols = Line(
            *(_number(request, key, least) for key, least in (("cols", -1), ("c0", 0), ("cn", 1), ("cstep", 1)))
        )
        if rows.length * cols.length > MOST_VALUES:
            raise HTTPException(400, f"more than {MOST_VALUES:,} values")
        at = [int(part) for part in request.query_params.get("at", "").split(",") if part.isdecimal()]
        try:
            found = self._view(request).window(_text(request, "name"), rows, cols, at)
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        return Response(found.astype("<f4").tobytes(), media_type="application/octet-stream")

    def _spectrum(self, request: Request) -> dict[str, Any]:
        view = self._view(request)
        return spectrum_apart(view.path, _text(request, "name"), view.limits)

    def _error_of(self, request: Request) -> dict[str, Any]:
        return self._view(request).error_of(self._view(request, "other"), _text(request, "name"))

    def _netron(self, request: Request) -> Response:
        self._view(request)
        netron: Netron = self.netron[request.path_params["file"]]
        return netron.answer(request.path_params["path"])


def application(views: list[View]) -> Starlette:
    """An ASGI application, without its guard."""
    handlers = {ModelFileError: _told, HTTPException: _told, Exception: _told}
    return Starlette(routes=Pages(views).routes(), exception_handlers=handlers)


def _answering(answer: Answer) -> Callable[[Request], Response]:
    def handler(request: Request) -> Response:
        found = answer(request)
        return found if isinstance(found, Response) else _json(found)

    return handler


def _json(document: Any, status: int = 200) -> Response:
    return Response(json_text(document), status, media_type="application/json")


def _told(request: Request, error: Exception) -> Response:
    """An error as the page shows it."""
    if isinstance(error, ModelFileError):
        return _json({"error": str(error), "hint": error.hint}, 422)
    if isinstance(error, HTTPException):
        return _json({"error": error.detail, "hint": None}, error.status_code)
    return _json({"error": f"a defect in modelglot: {type(error).__name__}", "hint": "please report it"}, 500)


def _text(request: Request, key: str) -> str:
    found = request.query_params.get(key)
    if found is None:
        raise HTTPException(400, f"`{key}` is missing")
    return found


def _number(request: Request, key: str, least: int) -> int:
    text = request.query_params.get(key, str(least))
    if not (text.removeprefix("-").isdecimal() and len(text) < 16 and int(text) >= least):
        raise HTTPException(400, f"`{key}` is no number from {least}")
    return int(text)


def _part(request: Request) -> tuple[int, int, str]:
    count = int((request.query_params.get("count") and _number(request, "count", 1)) or 200)
    return _number(request, "from", 0), min(count, _MOST_ROWS), request.query_params.get("search", "")[:200]
