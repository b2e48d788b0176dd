"""Pre-tokenizers by name: which one a tokenizer.json uses, and the tokenizer.json part that a name means."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

# What llama.cpp's converter encodes to tell pre-tokenizers apart; the hash of the ids is looked up.
PROBE = (
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫️ (multiple emojis concatenated) ✅ 🦙🦙 "
    "3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3 កាន់តែពិសេសអាច😁 ?我想在apple工作1314151天～ "
    "------======= нещо на Български ''''''```````\"\"\"\"......!!!!!!?????? I've been 'told he's there, 'RE you sure? "
    "'M not sure I'll make it, 'D you like some tea? We'Ve a'lL"
)
_BYTES = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

_FORMS = {"bytes": _BYTES, "digits": r"\p{N}", "numbers": r"\p{N}+", "punctuation": r"[\p{P}\$\+<=>\^~\|`]+"}


@dataclass(frozen=True)
class Group:
    """Names that cut text alike, and how."""

    names: tuple[str, ...]
    steps: tuple[str, ...]
    ignore_merges: bool = False
    add_bos: bool = False
    normalizer: str | None = None


@cache
def groups() -> tuple[Group, ...]:
    table = tomllib.loads(files(__package__).joinpath("pre_types.toml").read_text("utf-8"))["group"]
    return tuple(
        Group(
            tuple(g["names"]),
            tuple(g["steps"]),
            g.get("ignore_merges", False),
            g.get("add_bos", False),
            g.get("normalizer"),
        )
        for g in table
    )


def group(name: str) -> Group | None:
    return next((g for g in groups() if name in g.names), None)


@cache
def _hashes() -> Mapping[str, str]:
    lines = files(__package__).joinpath("pre_hashes.txt").read_text("utf-8").splitlines()
    return dict(line.split() for line in lines if line and not line.startswith("#"))


def name_by_probe(tokenizer: Mapping[str, Any]) -> str | None:
    """The name by the hash of the probe's ids; None where it is not in the list or `tokenizers` is not installed."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return None
    try:
        encoder = Tokenizer.from_str(json.dumps(tokenizer))
    except Exception:  # the library raises plain Exception for what it cannot read; the rules still decide
        return None
    for special in (True, False):
        ids = encoder.encode(PROBE, add_special_tokens=special).ids
        found = _hashes().get(hashlib.sha256(str(ids).encode()).hexdigest())
        if found is not None:
            return found
    return None


def name_by_rules(tokenizer: Mapping[str, Any]) -> str | None:
    """The first name whose steps are those of the tokenizer.json; how merges are used breaks a tie."""
    wanted = _steps(tokenizer.get("pre_tokenizer"))
    if wanted is None:
        return None
    fitting = [g for g in groups() if tuple(map(_plain, _canonical(g.steps))) == wanted]
    ignore = bool((tokenizer.get("model") or {}).get("ignore_merges"))
    best = [g for g in fitting if g.ignore_merges == ignore] or fitting
    return best[0].names[0] if best else None


def pre_tokenizer(steps: tuple[str, ...]) -> dict[str, Any]:
    """The ``pre_tokenizer`` of a tokenizer.json."""
    *before, last = steps
    made = [_step(step) for step in before]
    made += [_byte_level(True)] if last == "bytes" else [_step(last), _byte_level(False)]
    return made[0] if len(made) == 1 else {"type": "Sequence", "pretokenizers": made}


def _step(step: str) -> dict[str, Any]:
    if step == "digits":
        return {"type": "Digits", "individual_digits": True}
    pattern = _FORMS.get(step, step)
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _byte_level(cut: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": cut}


def _steps(value: Any) -> tuple[str, ...] | None:
    """The cuts of a tokenizer.json's ``pre_tokenizer`` in one form; None where it has another kind of step."""
    if not isinstance(value, dict):
        return None
    if value.get("type") == "Sequence":
        parts = [_steps(p) for p in value.get("pretokenizers") or ()]
        return None if None in parts else tuple(s for p in parts if p for s in p)
    kind = value.get("type")
    if kind == "ByteLevel":
        return (_plain(_BYTES),) if value.get("use_regex", True) else ()
    if kind == "Digits":
        return (_plain(r"\p{N}" if value.get("individual_digits") else r"\p{N}+"),)
    if kind == "Punctuation":
        return (_plain(_FORMS["punctuation"]),)
    if kind == "Split" and value.get("behavior") in ("Isolated", "Removed"):
        pattern = value.get("pattern") or {}
        text = pattern.get("Regex") if "Regex" in pattern else re.escape(pattern.get("String") or "")
        return (_plain(text),) if text else None
    return None


def _canonical(steps: tuple[str, ...]) -> list[str]:
    return [_FORMS.get(step, step) for step in steps]


def _plain(pattern: str) -> str:
    """One spelling of what means the same: real control characters as escapes, contractions in any case."""
    text = pattern.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    text = text.replace("(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])", "(?i:'s|'t|'re|'ve|'m|'ll|'d)")
    return re.sub(r"\{1\}", "", text.replace("\\x20", " "))
