"""The tokenizer in GGUF's metadata as the files transformers loads: tokenizer.json and tokenizer_config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from modelglot.core.errors import UnsupportedError, printable
from modelglot.families.tokenizer import pre
from modelglot.families.tokenizer.kinds import CONTROL, UNUSED, USER_DEFINED, Vocabulary
from modelglot.families.tokenizer.specials import IDS, PREFIX

_SPACE = "\u2581"


def files(metadata: Mapping[str, Any], context: int | None) -> dict[str, bytes]:
    """File name -> contents; empty where the metadata has no tokenizer. ``context`` is in tokens."""
    kind = metadata.get(PREFIX + "model")
    if kind in (None, "none", "no_vocab"):
        return {}
    makers = {"gpt2": _byte_level, "llama": _sentencepiece, "bert": _word_piece, "t5": _unigram}
    if kind not in makers:
        raise UnsupportedError(
            f"no tokenizer.json for a tokenizer of the kind {printable(str(kind), code=True)}",
            hint="copy the tokenizer files of the original model, or carry everything untranslated with `--plain`",
        )
    vocabulary = Vocabulary(metadata)
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": _added(vocabulary)}
    whole |= makers[kind](vocabulary)
    return {
        "tokenizer.json": json.dumps(whole, ensure_ascii=False, indent=1).encode("utf-8", "replace"),
        "tokenizer_config.json": json.dumps(
            _settings(vocabulary, context), ensure_ascii=False, indent=2, sort_keys=True
        ).encode("utf-8", "replace"),
    }


def special_ids(metadata: Mapping[str, Any]) -> dict[str, int]:
    """``bos_token_id`` and the like, as config.json has them."""
    found = {f"{role}_token_id": metadata.get(PREFIX + IDS[role]) for role in ("bos", "eos", "pad")}
    return {key: value for key, value in found.items() if isinstance(value, int)}


def _added(vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """Tokens found in the text before anything else is done to it."""
    return [
        {"id": number, "content": vocabulary.tokens[number], "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": kind != USER_DEFINED}
        for number, kind in enumerate(vocabulary.types)
        if kind in (CONTROL, USER_DEFINED) or number == vocabulary.unknown
    ]  # fmt: skip


def _template(vocabulary: Vocabulary, bos: bool, eos: bool) -> dict[str, Any] | None:
    """What is put before and behind a text, and between two."""
    first = vocabulary.special("bos") if bos else None
    last = vocabulary.special("eos") if eos else None
    if first is None and last is None:
        return None

    def around(name: str, number: int) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = [{"Sequence": {"id": name, "type_id": number}}]
        if first is not None and (number == 0 or not eos):
            made.insert(0, {"SpecialToken": {"id": vocabulary.tokens[first], "type_id": number}})
        if last is not None:
            made.append({"SpecialToken": {"id": vocabulary.tokens[last], "type_id": number}})
        return made

    used = sorted({n for n in (first, last) if n is not None})
    tokens = {vocabulary.tokens[n]: {"id": vocabulary.tokens[n], "ids": [n], "tokens": [vocabulary.tokens[n]]}
              for n in used}  # fmt: skip
    return {
        "type": "TemplateProcessing",
        "single": around("A", 0),
        "pair": [*around("A", 0), *around("B", 1)],
        "special_tokens": tokens,
    }


def _byte_level(vocabulary: Vocabulary) -> dict[str, Any]:
    name = vocabulary.metadata.get(PREFIX + "pre") or "default"
    group = pre.group(str(name))
    if group is None:
        raise UnsupportedError(
            f"how the pre-tokenizer {printable(str(name), code=True)} cuts text is not known as a tokenizer.json",
            hint="copy the tokenizer files of the original model",
        )
    model = {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": group.ignore_merges,
        "vocab": vocabulary.numbered(), "merges": vocabulary.merges(),
    }  # fmt: skip
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    added = _template(vocabulary, vocabulary.flag("bos", group.add_bos), vocabulary.flag("eos", False))
    return {
        "normalizer": {"type": group.normalizer} if group.normalizer else None,
        "pre_tokenizer": pre.pre_tokenizer(group.steps),
        "post_processor": added or {**plain, "trim_offsets": False},
        "decoder": {**plain, "add_prefix_space": True},
        "model": model,
    }


def _sentencepiece(vocabulary: Vocabulary) -> dict[str, Any]:
    """SentencePiece's BPE: spaces as letters, bytes for what has no token, merges in the order of the scores."""
    unknown = vocabulary.tokens[vocabulary.unknown] if vocabulary.unknown is not None else None
    prefix = bool(vocabulary.metadata.get(PREFIX + "add_space_prefix", True))
    model = {
        "type": "BPE", "dropout": None, "unk_token": unknown, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
        "vocab": vocabulary.numbered(), "merges": vocabulary.merges(),
    }  # fmt: skip
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
    back = {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "}
    steps = [{"type": "Prepend", "prepend": _SPACE}, spaces] if prefix else [spaces]
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []
    return {
        "normalizer": {"type": "Sequence", "normalizers": steps},
        "pre_tokenizer": None,
        "post_processor": _template(vocabulary, vocabulary.flag("bos", True), vocabulary.flag("eos", False)),
        "decoder": {"type": "Sequence", "decoders": [back, {"type": "ByteFallback"}, {"type": "Fuse"}, *strip]},
        "model": model,
    }


def _word_piece(vocabulary: Vocabulary) -> dict[str, Any]:
    """GGUF marks the beginnings of words, WordPiece their continuations."""
    lower = bool(vocabulary.metadata.get(PREFIX + "normalizer.lowercase", True))
    first, last = vocabulary.special("cls", "bos"), vocabulary.special("sep", "eos")
    names = [vocabulary.tokens[n] for n in (first, last) if n is not None]
    unknown = vocabulary.tokens[vocabulary.unknown] if vocabulary.unknown is not None else "[UNK]"
    pieces: dict[str, int] = {}
    for number, (token, kind) in enumerate(zip(vocabulary.tokens, vocabulary.types, strict=True)):
        if kind == UNUSED:
            continue
        plain = token[1:] if token.startswith(_SPACE) else token if kind == CONTROL else f"##{token}"
        pieces.setdefault(plain, number)
    added = None
    if len(names) == 2:
        tokens = {n: {"id": n, "ids": [i], "tokens": [n]} for n, i in zip(names, (first, last), strict=True)}
        start, end = ({"SpecialToken": {"id": n, "type_id": 0}} for n in names)
        single = [start, {"Sequence": {"id": "A", "type_id": 0}}, end]
        pair = [*single, {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": names[1], "type_id": 1}}]
        added = {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens}
    return {
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": vocabulary.metadata.get(PREFIX + "normalizer.strip_accents"),
                       "lowercase": lower},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": added,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": pieces},
    }  # fmt: skip


def _unigram(vocabulary: Vocabulary) -> dict[str, Any]:
    """SentencePiece's unigram model, with the table that normalizes the text."""
    from base64 import b64encode

    table = vocabulary.metadata.get(PREFIX + "precompiled_charsmap")
    steps: list[dict[str, Any]] = []
    if table:
        text = b64encode(bytes(b & 0xFF for b in table)).decode()
        steps.append({"type": "Precompiled", "precompiled_charsmap": text})
    if vocabulary.metadata.get(PREFIX + "remove_extra_whitespaces", True):
        steps.append({"type": "Strip", "strip_left": False, "strip_right": True})
        steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": _SPACE})
    prefix = bool(vocabulary.metadata.get(PREFIX + "add_space_prefix", True))
    spaces = {"type": "Metaspace", "replacement": _SPACE, "prepend_scheme": "always" if prefix else "never",
              "split": True}  # fmt: skip
    last = vocabulary.last_used
    return {
        "normalizer": {"type": "Sequence", "normalizers": steps} if steps else None,
        "pre_tokenizer": spaces,
        "post_processor": _template(vocabulary, vocabulary.flag("bos", False), vocabulary.flag("eos", True)),
        "decoder": spaces,
        "model": {"type": "Unigram", "unk_id": vocabulary.unknown, "byte_fallback": False,
                  "vocab": [[t, s] for t, s in zip(vocabulary.tokens[:last], vocabulary.scores[:last], strict=True)]},
    }  # fmt: skip


def _settings(vocabulary: Vocabulary, context: int | None) -> dict[str, Any]:
    made: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    if context:
        made["model_max_length"] = context
    for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"):
        number = vocabulary.special(role)
        if number is not None:
            made[f"{role}_token"] = vocabulary.tokens[number]
    decoder = {str(t.pop("id")): t for t in _added(vocabulary)}
    if decoder:
        made["added_tokens_decoder"] = decoder
    template = _chat_template(vocabulary.metadata)
    if template is not None:
        made["chat_template"] = template
    return made


def _chat_template(metadata: Mapping[str, Any]) -> Any:
    """One text, or the list of named ones."""
    default, names = metadata.get("tokenizer.chat_template"), list(metadata.get("tokenizer.chat_templates") or ())
    if not names:
        return default
    named = [{"name": n, "template": metadata.get(f"tokenizer.chat_template.{n}")} for n in sorted(names)]
    return [*([{"name": "default", "template": default}] if default else []), *named]
