"""What casts met and could not keep, in sentences for the receipt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelglot.core.dtype import DTYPES
from modelglot.core.errors import printable
from modelglot.core.notes import Note
from modelglot.core.unusual import Unusual

_NAMED = 3  # tensors named in a sentence


def unusual_notes(unusual: Mapping[str, Unusual], goals: Mapping[str, str]) -> tuple[Note, ...]:
    """One sentence for each dtype cast to (``goals``, by tensor) and kind of loss, warnings all."""
    notes = []
    for goal in dict.fromkeys(goals[name] for name in unusual):
        mine = {name: u for name, u in unusual.items() if goals[name] == goal}
        large = {name: u.too_large for name, u in mine.items() if u.too_large}
        if large:
            text = (
                f"{_count(sum(large.values()), 'value')} too large for {goal} became {_large(goal)}, in {_where(large)}"
            )
            notes.append(Note("too-large", text, "warning"))
        odd = [name for name, u in mine.items() if u.nan or u.infinite]
        if odd:
            nan, infinite = sum(u.nan for u in mine.values()), sum(u.infinite for u in mine.values())
            what = " and ".join(f"{n:,} {kind}" for n, kind in ((nan, "NaN"), (infinite, "infinite")) if n)
            text = f"{what} in the source, in {_where(odd)}{_became(goal, nan, infinite)}"
            notes.append(Note("nan-or-infinite", text, "warning"))
    return tuple(notes)


def _large(goal: str) -> str:
    if DTYPES[goal].kind != "float":
        return "the nearest that fits"
    return "448, the largest" if goal == "f8_e4m3" else "NaN" if goal.endswith("fnuz") else "infinite"


def _became(goal: str, nan: int, infinite: int) -> str:
    """What NaN and infinities are in dtypes that have none."""
    changed = []
    if nan and DTYPES[goal].kind != "float":
        changed.append("NaN became 0")
    if infinite and _large(goal) != "infinite":
        changed.append(f"infinities became {_large(goal)}")
    return f"; {' and '.join(changed)}" if changed else ""


def _where(names: Iterable[str]) -> str:
    listed = list(names)
    more = ", ..." if len(listed) > _NAMED else ""
    return f"{_count(len(listed), 'tensor')}: {', '.join(printable(n, code=True) for n in listed[:_NAMED])}{more}"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"
