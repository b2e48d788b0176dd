"""Up to 10,000 lines to tokenize: many scripts, code, numbers, spaces, emoji, odd bytes. Made by rule, no file."""

from __future__ import annotations

import os
import random
from functools import cache

_TEXT = """the of and to in is that for it as was with be by on not he his but at are this have from or had an they
which one you were all her she there would their we him been has when who will no more if out so up said what its about
than into them can only other time new some could these two may first then do any like my now over such our man me even
most made after also well before must through years where much your way down should because long each just state those
L'été où naïve façade Straße über größer señor año corazón ação não então είναι και της για что это как привет мир если
нещо на Български היא של את هذا من على في है में और की का নমস্কার தமிழ் ภาษาไทย ตัวอย่าง tiếng Việt không được 한국어 안녕하세요
日本語 こんにちは 世界 中文 你好 测试 漢字 ქართული հայերեն Ελλάδα İstanbul ığdır"""
_WORDS = _TEXT.split()
_EMOJI = ["😀", "🦙🦙", "👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇫🇷", "✅", "❤️", "😶‍🌫️", "🚀"]
_CODE = [
    "def f(x: int) -> int:\n    return x ** 2  # squared", "for (int i = 0; i < n; ++i) { a[i] += b[i]; }",
    "SELECT * FROM t WHERE a >= 10.5 AND b != 'x';", "<div class=\"a\">&nbsp;</div>", "if(!(a&&b)||c==0x1F){return;}",
    "\tfmt.Println(\"%d\\n\", 1e-9)", "λ x → x ∘ f ≠ ∅ ∑ √2 ≤ ∞", "http://example.com/a?b=c&d=%20#e",
    "{\"k\": [1, 2.5, null]}",
    "I'm we've they'll you'd he's IT'S DON'T I'LL", "...!!!???---===```''\"\"<<>>$$%%^^~~||", "a_b-c.d/e\\f:g;h@i",
]  # fmt: skip
_SPACES = ["  ", "    ", "\t", " \t ", "\u00a0", "\u3000", "        ", "\u2009"]


@cache
def lines(count: int = int(os.environ.get("MODELGLOT_CORPUS_LINES", "1500"))) -> tuple[str, ...]:
    """The first ``count`` lines; `MODELGLOT_CORPUS_LINES=10000` is the whole corpus."""
    rng = random.Random(20261122)
    return tuple(_line(rng, n) for n in range(count))


def _line(rng: random.Random, number: int) -> str:
    kind = number % 10
    if kind < 5:
        words = [rng.choice(_WORDS) for _ in range(rng.randint(1, 14))]
        for _ in range(rng.randint(0, 2)):
            words.insert(
                rng.randint(0, len(words)), rng.choice([*_EMOJI, str(rng.randint(0, 10 ** rng.randint(1, 9)))])
            )
        words = [w.upper() if rng.random() < 0.05 else w.capitalize() if rng.random() < 0.15 else w for w in words]
        return "".join(w + rng.choice([" ", " ", " ", " ", ", ", ". ", "! ", " - ", "… "]) for w in words).rstrip()
    if kind == 5:
        return rng.choice(_CODE) + rng.choice(["", "\n", "  ", "\r\n"]) + rng.choice(_CODE)
    if kind == 6:
        return "".join(rng.choice([*_SPACES, *_WORDS[:20]]) for _ in range(rng.randint(2, 10))) + "."
    if kind == 7:
        number_text = f"{rng.uniform(-1e6, 1e6):.{rng.randint(0, 6)}f}"
        date = f"{rng.randint(1, 31)}/{rng.randint(1, 12)}/2026"
        return f"{number_text} {rng.randint(0, 10**12)} {date} {rng.randint(0, 999):,}"
    if kind == 8:
        start = rng.choice([0xA1, 0x180, 0x370, 0x400, 0x530, 0x5D0, 0x620, 0x904, 0xE01, 0x10A0, 0x1E00, 0x2190,
                            0x3041, 0x30A1, 0x4E00, 0xAC00, 0x1F300, 0x1F600])  # fmt: skip
        return "".join(chr(start + rng.randint(0, 40)) + (" " if rng.random() < 0.2 else "") for _ in range(24)).strip()
    return rng.choice(_EMOJI) + rng.choice(_WORDS) + rng.choice(_SPACES) + rng.choice(_CODE) + rng.choice(_EMOJI)
