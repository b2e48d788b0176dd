"""Which globals are plain data in which role. Exact names: a package re-exports whatever it likes.

`modelglot.containers.pickle.allowlist` lists what is data whatever is done with it. `STRUCTURES` are classes of
frameworks that may be made and given a state, but not called: their constructors may open files.
"""

from __future__ import annotations

from collections.abc import Iterable

from modelglot.containers.pickle.allowlist import HARMFUL, PLAIN, folded
from modelglot.core.errors import UnsupportedError, printable
from modelglot.features.scan.report import UNKNOWN, UNSAFE
from modelglot.features.scan.structures import FUNCTIONS, STRUCTURES
from modelglot.features.scan.trace import CALLED, MADE, NAMED, STORAGE, Use

ROLES = (CALLED, MADE, NAMED, STORAGE)
Allowed = frozenset[tuple[str, str]]  # (name, role) pairs that a person vouches for


def judge(use: Use, allowed: Allowed, *, torchscript: bool = False) -> str | None:
    """The severity of a use, None where it is known to be data."""
    name = folded(use.name)
    if (name, use.role) in allowed:
        return None
    if name in HARMFUL:
        return UNSAFE
    if name in PLAIN or (torchscript and name.startswith("__torch__.")):
        return None
    if use.role in (MADE, NAMED) and name in STRUCTURES:
        return None
    if name in FUNCTIONS and use.role in (CALLED, NAMED):
        return None
    return UNKNOWN


def allowances(texts: Iterable[str]) -> Allowed:
    """``module.name`` (made and referenced) or ``module.name=called``, as `--allow` has them.

    Raises UnsupportedError for a role that is none.
    """
    made = set()
    for text in texts:
        name, _, role = text.partition("=")
        if role and role not in ROLES:
            raise UnsupportedError(f"{printable(role, code=True)} is no role", hint=f"one of {', '.join(ROLES)}")
        made |= {(folded(name), r) for r in ((role,) if role else (MADE, NAMED))}
    return frozenset(made)
