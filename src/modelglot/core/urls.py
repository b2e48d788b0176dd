"""Addresses as they may be shown."""

from __future__ import annotations


def public(path: str) -> str:
    """A web address without what may be secret in it: user, password, query. Any other path as it is."""
    scheme, colon, rest = path.partition("://")
    if not colon or scheme.lower() not in ("http", "https"):
        return path
    host, slash, name = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{name.partition('?')[0]}"
