"""SentencePiece vocabularies, from ``tokenizer.model`` or from the tokenizer.json that was made of one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from modelglot.containers.protobuf import fields
from modelglot.core.errors import InvalidFileError, UnsupportedError, located
from modelglot.core.metadata import Entry
from modelglot.families.tokenizer import specials
from modelglot.families.tokenizer.bpe import SPACE, added_tokens, looks_special
from modelglot.families.tokenizer.folder import Folder
from modelglot.families.tokenizer.kinds import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED
from modelglot.families.tokenizer.specials import PREFIX

TIKTOKEN_HINT = "put tokenizer.json and tokenizer_config.json of the model's Hugging Face folder beside it"
_TIKTOKEN = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+\r?\n")
NAMES = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
UNIGRAM, BPE = 1, 2
_ADDED_SCORE, _PAD_SCORE = -1000.0, -10000.0
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


@dataclass
class Pieces:
    """What a SentencePiece model holds. ``kind`` is its model type; ``charsmap`` the compiled normalization."""

    kind: int = UNIGRAM
    tokens: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    charsmap: bytes = b""
    prefix: bool = True
    squeeze: bool = True


def stored(folder: Folder) -> Pieces | None:
    """The model file of the folder, whatever its usual name; None where there is none, or tiktoken's of that name.

    Raises UnsupportedError for tiktoken's alone: the rules by which it cuts text are in no file.
    """
    for name in NAMES:
        raw = folder.read(name)
        if raw is not None and not is_tiktoken(raw):
            with located(member=name):
                return parse(raw)
        if raw is not None and not folder.tokenizer:
            raise UnsupportedError(
                f"`{name}` is a tiktoken file: it has tokens, not the rules that cut text", hint=TIKTOKEN_HINT
            )
    return None


def is_tiktoken(raw: bytes) -> bool:
    """Lines of a token in base64 and its rank, as llama 3 has them under SentencePiece's name."""
    return _TIKTOKEN.match(raw) is not None


def parse(raw: bytes) -> Pieces:
    """A ``ModelProto`` of SentencePiece's sentencepiece_model.proto. Raises InvalidFileError, DamagedFileError."""
    found = Pieces()
    for part in fields(raw):
        if part.number == 1:
            piece, score, kind = "", 0.0, NORMAL
            for item in fields(part.bytes, part.at):
                if item.number == 1:
                    piece = item.text
                elif item.number == 2:
                    score = item.float32
                elif item.number == 3:
                    kind = item.number_value
            found.tokens.append(piece)
            found.scores.append(score)
            found.types.append(kind if kind in (NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE) else NORMAL)
        elif part.number == 2:
            for item in fields(part.bytes, part.at):
                if item.number == 3:
                    found.kind = item.number_value
        elif part.number == 3:
            for item in fields(part.bytes, part.at):
                if item.number == 2:
                    found.charsmap = bytes(item.bytes)
                elif item.number == 3:
                    found.prefix = bool(item.number_value)
                elif item.number == 4:
                    found.squeeze = bool(item.number_value)
    if not found.tokens:
        raise InvalidFileError("no SentencePiece model: it has no pieces")
    return found


def from_json(folder: Folder) -> Pieces:
    """A tokenizer.json with byte fallback, or a unigram one, as the pieces it was made of.

    Scores fall with the rank of the merge that makes a piece: SentencePiece joins the pair with the best score first.
    """
    whole = folder.tokenizer
    model = whole.get("model") or {}
    found = Pieces()
    if model.get("type") == "Unigram":
        pairs = model.get("vocab") or []
        if not all(isinstance(p, list) and len(p) == 2 for p in pairs):
            raise InvalidFileError("tokenizer.json has no list of pieces and scores")
        found.tokens = [str(p[0]) for p in pairs]
        found.scores = [float(p[1]) for p in pairs]
        found.types = [_type(t, n == model.get("unk_id")) for n, t in enumerate(found.tokens)]
        found.charsmap, found.prefix, found.squeeze = _normalizers(whole)
        return found
    vocab = model.get("vocab")
    if not isinstance(vocab, dict):
        raise InvalidFileError("tokenizer.json has no vocabulary")
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(model.get("merges") or ()):
        parts = (
            merge if isinstance(merge, list) else [merge[:1] + merge[1:].partition(" ")[0], merge[1:].partition(" ")[2]]
        )
        ranks.setdefault("".join(parts), rank)
    by_id = {number: text for text, number in vocab.items()}
    count = max(by_id, default=-1) + 1
    if count > 4 * len(by_id) + 4096:
        raise InvalidFileError(f"ids up to {count - 1:,} for {len(by_id):,} tokens")
    unknown = model.get("unk_token")
    found.kind = BPE
    found.tokens = [by_id.get(n, f"[PAD{n}]") for n in range(count)]
    found.types = [_type(t, t == unknown) if n in by_id else UNUSED for n, t in enumerate(found.tokens)]
    last = len(ranks)
    found.scores = [
        0.0 if k != NORMAL else float(-ranks.get(t, last)) for t, k in zip(found.tokens, found.types, strict=True)
    ]
    return found


def _type(token: str, unknown: bool) -> int:
    return UNKNOWN if unknown else BYTE if _BYTE.fullmatch(token) else NORMAL


def _normalizers(whole: dict[str, Any]) -> tuple[bytes, bool, bool]:
    """The compiled table, whether a space is put in front, whether runs of spaces become one."""
    from base64 import b64decode

    top = whole.get("normalizer") or {}
    steps = top.get("normalizers") or [top]
    table = next((s.get("precompiled_charsmap") for s in steps if s.get("type") == "Precompiled"), None)
    squeeze = any(s.get("type") == "Replace" and "{2,}" in str(s.get("pattern")) for s in steps)
    cut = whole.get("pre_tokenizer") or {}
    parts = cut.get("pretokenizers") or [cut]
    space: dict[str, Any] = next((p for p in parts if p.get("type") == "Metaspace"), {})
    scheme = space.get("prepend_scheme") or space.get("add_prefix_space", True)
    return b64decode(table) if table else b"", scheme not in (False, "never"), squeeze


def entries(folder: Folder, pieces: Pieces, vocab_size: int | None) -> dict[str, Entry]:
    """``tokenizer.ggml.*``: kind `llama` for SentencePiece's BPE, `t5` for its unigram models."""
    tokens, scores, types = _filled(folder, pieces, vocab_size)
    unigram = pieces.kind == UNIGRAM
    made = {
        PREFIX + "model": Entry("t5" if unigram else "llama", "str"),
        PREFIX + "pre": Entry("default", "str"),
        PREFIX + "tokens": Entry(tokens, "array[str]"),
        PREFIX + "scores": Entry(scores, "array[f32]"),
        PREFIX + "token_type": Entry(types, "array[i32]"),
    }
    if unigram:
        made[PREFIX + "add_space_prefix"] = Entry(pieces.prefix, "bool")
        made[PREFIX + "remove_extra_whitespaces"] = Entry(pieces.squeeze, "bool")
        if pieces.charsmap:
            made[PREFIX + "precompiled_charsmap"] = Entry(list(pieces.charsmap), "array[u8]")
    return made | specials.entries(folder, len(tokens))


def _filled(folder: Folder, pieces: Pieces, vocab_size: int | None) -> tuple[list[str], list[float], list[int]]:
    """Pieces, tokens that were added later over them, and padding up to the size of the matrices."""
    added = {}
    for text, number in folder.json("added_tokens.json").items():
        if isinstance(number, int) and number >= 0:
            added[number] = (text, USER_DEFINED)
    for number, token in added_tokens(folder, folder.tokenizer).items():
        text = token["content"]
        special = bool(token.get("special")) or looks_special(text)
        added[number] = (text, CONTROL) if special else (text.replace(SPACE, " "), USER_DEFINED)
    count = vocab_size or max(len(pieces.tokens), max(added, default=-1) + 1)
    if count > 2 * (len(pieces.tokens) + len(added)) + 65536:
        raise InvalidFileError(f"{count:,} tokens in config.json, {len(pieces.tokens):,} in the tokenizer")
    short = max(0, count - len(pieces.tokens))
    first = len(pieces.tokens)
    tokens = [*pieces.tokens[:count], *(f"[PAD{n}]" for n in range(first, first + short))]
    scores = [*pieces.scores[:count], *[_PAD_SCORE] * short]
    types = [*pieces.types[:count], *[UNUSED] * short]
    for number, (text, kind) in added.items():
        known = types[number] in (CONTROL, UNKNOWN) and tokens[number] == text if number < count else False
        if number < count and not (known and pieces.kind == UNIGRAM):  # t5's converter leaves those as they are
            tokens[number], scores[number], types[number] = text, _ADDED_SCORE, kind
    return tokens, scores, types
