"""Names of code in settings, and names of files that leave their folder."""

from __future__ import annotations

import re
import sys

from modelglot.containers.pickle.allowlist import severity
from modelglot.features.scan.report import UNKNOWN, UNSAFE

URL = re.compile(r"(?i)^[a-z][a-z0-9+.-]{1,20}://")
_DRIVE = re.compile(r"^[A-Za-z]:")
_DOTTED = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")
# of the standard library, what settings of models name for its values
_VALUES = ("collections", "datetime", "decimal", "enum", "fractions", "math", "pathlib", "typing", "uuid")


def is_dotted(name: str) -> bool:
    return _DOTTED.match(name) is not None


def code_severity(name: str) -> str:
    """Of a dotted name that is going to be imported and called: the standard library has no models."""
    top = name.split(".")[0]
    if severity(name) == UNSAFE:
        return UNSAFE
    if (top in sys.stdlib_module_names or top in ("__builtin__", "nt", "posix")) and top not in _VALUES:
        return UNSAFE
    return UNKNOWN


def escapes(name: str) -> str | None:
    """How a name of a file leaves the folder, in words; None where it stays."""
    plain = name.replace("\\", "/")
    if "\0" in name:
        return "has a NUL in it"
    if URL.match(name):
        return "is an address"
    if plain.startswith("//"):
        return "is on another machine"
    if plain.startswith("/") or _DRIVE.match(name):
        return "is absolute"
    if plain.startswith("~"):
        return "is in somebody's home"
    if ".." in plain.split("/"):
        return "leaves the folder"
    return None
