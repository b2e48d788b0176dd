"""Which globals are plain data in which role. Exact names: a package re-exports whatever it likes.

`modelglot.containers.pickle.allowlist` lists what is data whatever is done with it. `structures` has classes of
frameworks that may be made and given a state, but not called (their constructors may open files), and functions that
only make values.
"""

from __future__ import annotations

from collections.abc import Iterable

from modelglot.containers.pickle.allowlist import PLAIN, folded
from modelglot.containers.pickle.harmful import is_harmful
from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.tree import Inert
from modelglot.features.scan.code import is_plain
from modelglot.features.scan.report import UNKNOWN, UNSAFE
from modelglot.features.scan.roles import CALLED, CAREFUL, CODE, ENORMOUS, MADE, NAMED, ROLES, SIZED, Use
from modelglot.features.scan.structures import classes, functions

Allowed = frozenset[tuple[str, str]]  # (name, role) pairs that a person vouches for
_CONNECTS = frozenset(["torch.distributed.device_mesh.DeviceMesh"])  # made and filled it is data; called it connects


def judge(use: Use, allowed: Allowed, *, torchscript: bool = False) -> str | None:
    """The severity of a use, None where it is known to be data."""
    name = folded(use.name)
    if (name, use.role) in allowed:
        return None
    if name in CODE:
        return UNKNOWN if all(is_plain(a) for a in use.arguments if isinstance(a, str)) else UNSAFE
    if name in CAREFUL:
        return _careful(name, use)
    if name in PLAIN or (torchscript and name.startswith("__torch__.")):
        return UNKNOWN if _enormous(name, use) or (name in _CONNECTS and use.role == CALLED) else None
    if is_harmful(name):
        return UNSAFE
    if name in classes() and use.role in (MADE, NAMED):
        return None
    if name in functions() and use.role in (CALLED, NAMED):
        return None
    return UNKNOWN


def _careful(name: str, use: Use) -> str | None:
    """Attribute access and partial calls: unsafe where they reach Python's insides, or what nobody can tell."""
    if name == "builtins.type":  # of a value, or a class made of parts
        return None if use.role != CALLED or len(use.arguments) == 1 else UNSAFE
    if use.role != CALLED:
        return UNSAFE if name == "builtins.getattr" else UNKNOWN
    if name == "functools.partial":
        return UNKNOWN  # what it wraps is judged by its own name
    owner, *names = use.arguments if name == "builtins.getattr" else (None, *use.arguments)
    for attribute in names[:1] if name == "builtins.getattr" else names:
        if not isinstance(attribute, str) and name != "operator.itemgetter":
            return UNSAFE  # computed, or missing
        text = str(attribute)
        reached = f"{folded(owner.global_) if isinstance(owner, Inert) else 'x'}.{text}"
        if "__" in text or is_harmful(reached) or text in ("system", "popen", "eval", "exec"):
            return UNSAFE
    return UNKNOWN if names else UNSAFE


def _enormous(name: str, use: Use) -> bool:
    """Asks for memory that the file does not have."""
    return use.role == CALLED and name in SIZED and any(isinstance(a, int) and a >= ENORMOUS for a in use.arguments)


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
