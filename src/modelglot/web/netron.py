"""Netron's page (the `netron` package) with one model in it, behind the same guard as everything else.

The page loads its scripts from beside itself and the model from ``data/``. As version 0.0.0 it tells nobody about its
use, and does not ask to be updated after half a year; the cookie is its own sign that it need not ask for consent. The
policy would stop all of that as well, with errors in the console. A large ONNX file goes to it without its weights;
another large file does not go at all.
"""

from __future__ import annotations

import re
from functools import cached_property
from html import escape
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from modelglot.api.viewing import View
from modelglot.sources.opening import is_remote

MOST = 256 << 20  # bytes of a file that a browser is given whole
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self' data: blob:; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
_HEADERS = {"content-security-policy": _POLICY}
_GRAPHS = {
    "onnx": "onnx", "tflite": "tflite", "torchscript": "torchscript", "tf-saved-model": "saved model",
    "tf-graph": "graph", "keras": "keras", "keras-h5": "keras", "coreml": "coreml", "openvino": "openvino",
    "caffe": "caffe", "paddle": "paddle", "darknet": "darknet",
}  # fmt: skip
_TYPES = {".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".png": "image/png",
          ".ico": "image/x-icon", ".html": "text/html"}  # fmt: skip


class Netron:
    """``kind`` names the graph, or is None where there is none; ``why`` says why it cannot be shown."""

    def __init__(self, view: View) -> None:
        self.view, self.model = view, view.model
        self.kind = _GRAPHS.get(self.model.format) if self.model.graph is not None else None
        self.why = self._obstacle() if self.kind else None

    def _obstacle(self) -> str | None:
        if self._page is None:
            return "the graph is drawn by Netron: pip install 'modelglot[view]'"
        if self.kind != "onnx" and is_remote(self.view.path):
            return "the file is not on this machine"
        if self.kind != "onnx" and self.model.files[0].size > MOST:
            return f"the file is larger than {MOST >> 20} MB, which is much for Netron in a browser"
        return None

    def answer(self, path: str) -> Response:
        if self._page is None or self.kind is None or self.why is not None:
            raise HTTPException(404, self.why or "this file has no graph")
        if path == "":
            headers = _HEADERS | {"set-cookie": "consent=none; SameSite=Strict"}
            return Response(self._index(), media_type="text/html", headers=headers)
        if path.startswith("data/"):
            return self._data(path.removeprefix("data/"))
        file = self._page / path
        if "/" in path or path.startswith(".") or file.suffix not in _TYPES or not file.is_file():
            raise HTTPException(404, "no such file")
        return FileResponse(file, media_type=_TYPES[file.suffix], headers=_HEADERS)

    @cached_property
    def _page(self) -> Path | None:
        try:
            found = import_module("netron").__file__
        except ImportError:
            return None
        return Path(found).parent if found else None

    @cached_property
    def _files(self) -> dict[str, str]:
        """Of the model, by name: only these can be asked for."""
        return {ref.name: ref.path for ref in self.model.files}

    def _index(self) -> str:
        page = Path(self._page or "")
        name = self.model.files[0].name
        lines = (
            ["type", "Python"],
            ["version", "0.0.0"],
            ["file", f"data/{quote(name)}"],
            ["name", name],
            ["identifier", name],
        )
        made = "".join(f'<meta name="{key}" content="{escape(value)}">\n' for key, value in lines)
        text = (page / "index.html").read_text("utf-8")
        return re.sub(r'<meta name="version".*\n<meta name="date".*\n', lambda _: made, text, count=1)

    def _data(self, name: str) -> Response:
        if name not in self._files:
            raise HTTPException(404, "no such file")
        kind = "application/octet-stream"
        if self.kind == "onnx":
            return Response(self.view.graph_without_weights(), media_type=kind, headers=_HEADERS)
        return FileResponse(self._files[name], media_type=kind, headers=_HEADERS)
