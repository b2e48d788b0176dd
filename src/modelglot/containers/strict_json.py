"""JSON as the strictest reader takes it: UTF-8, no duplicate keys, no NaN, bounded depth and digits."""

from __future__ import annotations

import json
from typing import Any

from modelglot.core.errors import InvalidFileError, LimitError, printable


def loads(data: bytes, *, what: str = "JSON") -> Any:
    """The value in ``data``. Raises InvalidFileError (offset relative to ``data``) or LimitError for its nesting."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"{what} is not UTF-8", offset=error.start) from None
    if data[:3] == b"\xef\xbb\xbf":
        raise InvalidFileError(f"{what} starts with a byte order mark", offset=0)
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        at = len(text[: error.pos].encode())
        raise InvalidFileError(f"{what} is not valid: {error.msg.lower()}", offset=at) from None
    except _DuplicateKeyError as error:
        raise InvalidFileError(f"{what} has the key {printable(error.key, code=True)} twice") from None
    except ValueError as error:
        raise InvalidFileError(f"{what} is not valid: {error}") from None
    except RecursionError:
        raise LimitError(f"{what} is nested too deep") from None


class _DuplicateKeyError(Exception):
    def __init__(self, key: str) -> None:
        self.key = key


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key)
            seen.add(key)
    return made


def _constant(name: str) -> float:
    raise ValueError(f"`{name}` is not a JSON number")
