"""Byte-level BPE: tokens, types, merges and the name of the pre-tokenizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from modelglot.core.errors import InvalidFileError, UnsupportedError, printable
from modelglot.core.metadata import Entry
from modelglot.families.tokenizer import pre, specials
from modelglot.families.tokenizer.folder import Folder
from modelglot.families.tokenizer.kinds import CONTROL, NORMAL, UNUSED, USER_DEFINED

PREFIX = specials.PREFIX
SPACE = "\u2581"  # what SentencePiece writes for a space
_ALWAYS_SPECIAL = ("<pad>", "<mask>", "<2mass>", "[@BOS@]")


def entries(folder: Folder, vocab_size: int | None, settings: dict[str, str]) -> dict[str, Entry]:
    """``tokenizer.ggml.*`` of a byte-level BPE tokenizer; ``settings['gguf:pre']`` overrides what is found."""
    whole = folder.tokenizer or from_old_files(folder)
    model = whole.get("model") or {}
    tokens, types = vocabulary(folder, whole, vocab_size)
    name = settings.get("gguf:pre") or pre.name_by_probe(whole) or pre.name_by_rules(whole)
    if name is None:
        raise UnsupportedError(
            "the pre-tokenizer of tokenizer.json is none that llama.cpp knows",
            hint="if you know that it cuts text like a known one, name that: `--set gguf:pre=llama-bpe`",
        )
    made = {
        PREFIX + "model": Entry("gpt2", "str"),
        PREFIX + "pre": Entry(name, "str"),
        PREFIX + "tokens": Entry(tokens, "array[str]"),
        PREFIX + "token_type": Entry(types, "array[i32]"),
    }
    merged = [_merge(m) for m in model.get("merges") or ()]
    if merged:
        made[PREFIX + "merges"] = Entry(merged, "array[str]")
    return made | specials.entries(folder)


def vocabulary(folder: Folder, whole: dict[str, Any], vocab_size: int | None) -> tuple[list[str], list[int]]:
    """Tokens by id and their types; ids that nobody has become ``[PADi]``, up to ``vocab_size``."""
    model = whole.get("model") or {}
    given = model.get("vocab")
    if not isinstance(given, dict) or not all(isinstance(n, int) for n in given.values()):
        raise InvalidFileError("tokenizer.json has no vocabulary of text to ids")
    added = added_tokens(folder, whole)
    by_id = {number: text for text, number in given.items()} | {n: str(t["content"]) for n, t in added.items()}
    count = max(max(by_id, default=-1) + 1, vocab_size or 0)
    if vocab_size and count > vocab_size:
        raise InvalidFileError(f"tokenizer.json has ids up to {count - 1:,}, config.json says {vocab_size:,} tokens")
    if count > 4 * len(by_id) + 4096:
        raise InvalidFileError(f"ids up to {count - 1:,} for {len(by_id):,} tokens")
    tokens, types = [], []
    for number in range(count):
        text = by_id.get(number)
        if text is None:
            tokens.append(f"[PAD{number}]")
            types.append(UNUSED)
        elif number in added and not (added[number].get("special") or looks_special(text)):
            tokens.append(text.replace(SPACE, " "))
            types.append(USER_DEFINED)
        else:
            tokens.append(text)
            types.append(CONTROL if number in added else NORMAL)
    return tokens, types


def added_tokens(folder: Folder, whole: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """id -> token as tokenizer.json's ``added_tokens`` has it; those of tokenizer_config.json come after them."""
    found: dict[int, dict[str, Any]] = {}
    for token in whole.get("added_tokens") or ():
        found[_number(token.get("id"))] = token
    decoder = folder.settings.get("added_tokens_decoder")
    for number, token in decoder.items() if isinstance(decoder, dict) else ():
        found.setdefault(_number(number), token)
    for number, token in found.items():
        if not isinstance(token.get("content"), str):
            raise InvalidFileError(f"added token {number} has no text")
    return found


def _number(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise InvalidFileError(f"{printable(repr(value))} is no token id") from None
    if not 0 <= number < 1 << 31:
        raise InvalidFileError(f"{number} is no token id")
    return number


def looks_special(text: str) -> bool:
    """Tokens that some models leave unmarked though they steer: ``<|im_start|>``, ``<unused7>``."""
    return (
        text in _ALWAYS_SPECIAL
        or (text.startswith("<|") and text.endswith("|>"))
        or (text.startswith("<｜") and text.endswith("｜>"))
        or (text.startswith("<unused") and text.endswith(">"))
    )


def _merge(merge: Any) -> str:
    """``a b``, also from a pair; a space inside a part is written as the byte-level letter for it."""
    if isinstance(merge, str):
        return merge
    if isinstance(merge, list) and len(merge) == 2 and all(isinstance(p, str) for p in merge):
        return " ".join(part.replace(" ", "Ġ") for part in merge)
    raise InvalidFileError(f"{printable(repr(merge), limit=40)} is no merge")


def from_old_files(folder: Folder) -> dict[str, Any]:
    """What a tokenizer.json would say, from vocab.json and merges.txt."""
    vocab, merges = folder.json("vocab.json"), folder.text("merges.txt")
    if not vocab or merges is None:
        raise UnsupportedError(
            "the folder has no tokenizer: no tokenizer.json, tokenizer.model, or vocab.json with merges.txt",
            hint="copy the tokenizer files of the model beside the weights",
        )
    lines = [line for line in merges.splitlines() if line and not line.startswith("#version")]
    kind = str(folder.settings.get("tokenizer_class") or "")
    name = "qwen2" if "Qwen2" in kind else "gpt-2"
    added = [{"id": n, "content": t, "special": True} for t, n in folder.json("added_tokens.json").items()]
    return {
        "added_tokens": added,
        "model": {"type": "BPE", "vocab": vocab, "merges": list(_pairs(lines))},
        "pre_tokenizer": pre.pre_tokenizer((pre.group(name) or pre.groups()[0]).steps),
    }


def _pairs(lines: Iterable[str]) -> Iterable[str]:
    return (" ".join(line.split()) for line in lines if len(line.split()) == 2)
