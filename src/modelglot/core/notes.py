"""What a reader noticed (`Note`), what a target cannot keep (`Loss`), and what is dangerous (`Finding`)."""

from __future__ import annotations

from typing import NamedTuple


class Note(NamedTuple):
    """Noticed while reading; ``code`` is kebab-case and stable, ``text`` one plain sentence.

    ``level`` is ``info``, or ``warning`` where the model is not whole or not what it says.
    """

    code: str
    text: str
    level: str = "info"


class Loss(NamedTuple):
    """One thing the target cannot hold.

    ``kind`` is what ``--allow-loss`` takes. ``stops`` is False for what the request itself left out or changed (the
    optimizer when the model was asked for): it is still printed and kept in the receipt.
    """

    kind: str
    what: str
    hint: str | None = None
    stops: bool = True


class Finding(NamedTuple):
    """A construct that would run or fetch something: rule id, ``severity`` unsafe|unknown, place, meaning, advice."""

    rule: str
    severity: str
    what: str
    path: str | None = None
    member: str | None = None
    offset: int | None = None
    hint: str | None = None
