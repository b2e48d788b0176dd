"""check(): will a runtime load this, and if not, why."""

from __future__ import annotations

import os

from modelglot.api.folders import folder_of
from modelglot.api.reading import PathLike, read_model
from modelglot.core.errors import CannotOpenError, LimitError, MissingExtraError, ModelFileError
from modelglot.core.limits import Limits
from modelglot.core.urls import public
from modelglot.families.tokenizer.folder import Folder
from modelglot.sources.file import LocalFiles
from modelglot.targets import registry
from modelglot.targets.report import CheckReport
from modelglot.targets.subject import Subject


def check(path: PathLike, target: str, *, format: str | None = None, limits: Limits | None = None) -> CheckReport:
    """What stands between a file or folder and the runtime ``target``; nothing is run and no tensor is read.

    ``target`` is one of ollama, llama.cpp, transformers, llm-farm and onnxruntime-genai. A file that cannot be read
    is an answer, not an error; CannotOpenError, LimitError and UnsupportedError (no such runtime) are raised.
    """
    registry.get(target)
    return registry.check(target, subject_of(os.fspath(path), format, limits or Limits()))


def subject_of(path: str, format: str | None, limits: Limits) -> Subject:
    """The model, or why there is none, and the folder around it."""
    try:
        model = read_model(path, format=format, limits=limits)
    except (CannotOpenError, LimitError, MissingExtraError):
        raise
    except ModelFileError as error:
        return Subject(public(path), None, error, _names(path, limits))
    folder = _names(path, limits) if os.path.isdir(path) else folder_of(model, path, limits)
    return Subject(public(path), model, None, folder)


def _names(path: str, limits: Limits) -> Folder:
    """The folder by its names alone; empty for a file."""
    if not os.path.isdir(path):
        return Folder(lambda name: None, ())
    names = tuple(LocalFiles(path).names())

    def read(name: str) -> bytes | None:
        if name not in names:
            return None
        files = LocalFiles(path)
        try:
            source = files.open(name)
            limits.check("header", source.size, f"`{name}`")
            return source.pread(0, source.size)
        finally:
            files.close()

    return Folder(read, names, os.path.basename(os.path.abspath(path)))
