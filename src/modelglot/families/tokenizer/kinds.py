"""The vocabulary in GGUF's metadata: tokens, types, scores and merges, checked to fit together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelglot.core.errors import InvalidFileError
from modelglot.core.lazy import lazy
from modelglot.families.tokenizer.specials import IDS, PREFIX

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


class Vocabulary:
    """Raises InvalidFileError where lists differ in length."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self.metadata = metadata
        self.tokens: list[str] = [str(t) for t in metadata.get(PREFIX + "tokens") or ()]
        count = len(self.tokens)
        types = metadata.get(PREFIX + "token_type")
        self.types: list[int] = [NORMAL] * count if types is None else [int(t) for t in types]
        scores = metadata.get(PREFIX + "scores")
        self.scores: list[float] = [0.0] * count if scores is None else [float(s) for s in scores]
        for name, values in (("token_type", self.types), ("scores", self.scores)):
            if len(values) != count:
                raise InvalidFileError(f"`{PREFIX}{name}` has {len(values):,} values for {count:,} tokens")

    def special(self, *roles: str) -> int | None:
        """The id of the first role that has one."""
        for role in roles:
            found = self.metadata.get(PREFIX + IDS[role])
            if isinstance(found, int) and 0 <= found < len(self.tokens):
                return found
        return None

    @lazy
    def unknown(self) -> int | None:
        found = self.special("unk")
        return self.types.index(UNKNOWN) if found is None and UNKNOWN in self.types else found

    def flag(self, role: str, default: bool) -> bool:
        """``add_bos_token`` and the like; ``default`` is what llama.cpp takes where the file does not say."""
        return bool(self.metadata.get(f"{PREFIX}add_{role}_token", default))

    @lazy
    def last_used(self) -> int:
        """One past the last token that is not padding."""
        return next((n + 1 for n in reversed(range(len(self.types))) if self.types[n] != UNUSED), 0)

    def numbered(self) -> dict[str, int]:
        """token -> id. Added tokens at the end stand in the list of added ones only, as the originals have them."""
        end = self.last_used
        while end and self.types[end - 1] in (CONTROL, USER_DEFINED):
            end -= 1
        made: dict[str, int] = {}
        for number, token in enumerate(self.tokens[:end]):
            made.setdefault(token, number)
        return made

    def merges(self) -> list[list[str]]:
        """Pairs in the order in which they are merged; from the scores where the file has no list of them."""
        stored = self.metadata.get(PREFIX + "merges")
        if stored is not None and len(stored):
            return [list(_pair(str(m))) for m in stored]
        return self._merges_by_score()

    def _merges_by_score(self) -> list[list[str]]:
        """Every way to put a token together from two others; the better token first, then the longer parts."""
        numbers = {t: n for n, (t, k) in enumerate(zip(self.tokens, self.types, strict=True)) if k == NORMAL}
        ranked = len({self.scores[n] for n in numbers.values()}) > 1
        found: list[tuple[float, int, int, str, str]] = []
        for token, number in numbers.items():
            score = self.scores[number] if ranked else -float(number)
            parts = [(token[:cut], token[cut:]) for cut in range(1, len(token))]
            known = [(a, b) for a, b in parts if a in numbers and b in numbers]
            found += [(score, len(a), len(b), a, b)
                      for a, b in sorted(known, key=lambda p: (numbers[p[0]], numbers[p[1]]))]  # fmt: skip
        found.sort(key=lambda m: m[:3], reverse=True)
        return [[a, b] for *_, a, b in found]


def _pair(merge: str) -> tuple[str, str]:
    """Two parts with a space between; the first part is never empty, so a leading space belongs to it."""
    left, space, right = merge[1:].partition(" ")
    if not space:
        raise InvalidFileError(f"the merge {merge[:40]!r} has no two parts")
    return merge[0] + left, right
