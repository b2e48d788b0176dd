"""Receipts of conversions as files: digests of every tensor and of every file that was written."""

from __future__ import annotations

import json
import os
from typing import Any

from modelglot.api.reading import PathLike
from modelglot.core.errors import CannotOpenError, CannotWriteError, InvalidFileError, located
from modelglot.engine.execute import Receipt
from modelglot.sources.file import reason
from modelglot.sources.opening import is_remote

SCHEMA = "modelglot.receipt/1"
FILES, TENSORS = "files", "tensors"


def file_digest(path: str) -> str:
    """BLAKE3 (hex) of a whole file. Raises CannotOpenError."""
    from blake3 import blake3

    hasher = blake3(max_threads=blake3.AUTO)
    try:
        if os.path.getsize(path):
            hasher.update_mmap(path)
    except OSError as error:
        raise CannotOpenError(reason(error), path=path) from None
    return hasher.hexdigest()


def check_place(path: PathLike) -> None:
    """Raises CannotWriteError where no file can be made there: better known before the work than after."""
    folder = os.path.dirname(os.fspath(path)) or "."
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise CannotWriteError("the receipt cannot be written there: no such folder, or no right to", path=folder)


def write_receipt(receipt: Receipt, path: PathLike) -> None:
    """The receipt as JSON, with digests of the files as they are now. Raises CannotWriteError."""
    here = [path for path in receipt.outputs if not is_remote(path)]  # of uploads there are the tensors' digests
    files = {os.path.basename(p): {"size": os.path.getsize(p), "blake3": file_digest(p)} for p in here}
    try:
        with open(path, "w", encoding="utf-8") as file:
            json.dump({**receipt.document(), FILES: files}, file, indent=1)
            file.write("\n")
    except OSError as error:
        raise CannotWriteError(reason(error), path=os.fspath(path)) from None


def read_receipt(path: PathLike) -> dict[str, Any]:
    """Raises CannotOpenError, InvalidFileError."""
    text = os.fspath(path)
    try:
        with open(text, encoding="utf-8") as file, located(path=text):
            found = json.load(file)
    except OSError as error:
        raise CannotOpenError(reason(error), path=text) from None
    except (ValueError, RecursionError) as error:
        raise InvalidFileError(f"no receipt: {error}", path=text) from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA or not isinstance(found.get(TENSORS), dict):
        hint = "`modelglot convert --receipt FILE` writes one"
        raise InvalidFileError("no receipt of a conversion", path=text, hint=hint)
    return found
