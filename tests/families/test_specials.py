"""Special tokens and chat templates against the `gguf` package's own reading of the same folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelglot.families.tokenizer import specials
from modelglot.families.tokenizer.folder import Folder

gguf = pytest.importorskip("gguf")

ADDED = [{"id": n, "content": t} for n, t in enumerate(("<s>", "</s>", "<unk>", "<pad>", "[CLS]", "[SEP]", "<|eot|>"))]


def template(*single: str, pair: tuple[str, ...] = ()) -> dict[str, Any]:
    def piece(name: str) -> dict[str, Any]:
        return (
            {"Sequence": {"id": name, "type_id": 0}} if name in "AB" else {"SpecialToken": {"id": name, "type_id": 0}}
        )

    return {"type": "TemplateProcessing", "single": [piece(p) for p in single], "pair": [piece(p) for p in pair]}


def tokenizer(post: Any) -> dict[str, Any]:
    return {"added_tokens": ADDED, "post_processor": post, "model": {"type": "BPE", "vocab": {}, "merges": []}}


SETTINGS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": {"content": "<unk>"}, "pad_token": None}
CASES: dict[str, dict[str, Any]] = {
    "config-only": {"config.json": {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}},
    "text-config": {"config.json": {"text_config": {"bos_token_id": 5}}, "tokenizer_config.json": {}},
    "settings": {"tokenizer.json": tokenizer(None), "tokenizer_config.json": {**SETTINGS, "add_bos_token": True}},
    "bos-before": {"tokenizer.json": tokenizer(template("<s>", "A")), "tokenizer_config.json": SETTINGS},
    "eos-behind": {"tokenizer.json": tokenizer(template("A", "</s>")), "tokenizer_config.json": SETTINGS},
    "another-end": {"tokenizer.json": tokenizer(template("<s>", "A", "<|eot|>")), "tokenizer_config.json": SETTINGS},
    "cls-and-sep": {
        "tokenizer.json": tokenizer(template("[CLS]", "A", "[SEP]", pair=("[CLS]", "A", "[SEP]", "B", "[SEP]"))),
        "tokenizer_config.json": {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "<mask>"},
    },
    "roberta": {
        "tokenizer.json": tokenizer({"type": "RobertaProcessing", "cls": ["<s>", 0], "sep": ["</s>", 1]}),
        "tokenizer_config.json": {**SETTINGS, "mask_token": "<pad>"},
    },
    "one-template": {"tokenizer.json": tokenizer(None), "tokenizer_config.json": {**SETTINGS, "chat_template": "T"}},
    "several-templates": {
        "tokenizer.json": tokenizer(None),
        "tokenizer_config.json": {
            "chat_template": [{"name": "default", "template": "D"}, {"name": "rag", "template": "R"}]
        },
    },
    "jinja-file": {"tokenizer_config.json": SETTINGS, "chat_template.jinja": "J"},
    "jinja-files": {
        "tokenizer_config.json": SETTINGS, "chat_template.jinja": "J", "additional_chat_templates/tool_use.jinja": "U",
    },
    "json-file": {"tokenizer_config.json": SETTINGS, "chat_template.json": {"chat_template": "JJ"}},
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_as_the_reference_reads_it(case: str, tmp_path: Path) -> None:
    files = {n: v if isinstance(v, str) else json.dumps(v) for n, v in CASES[case].items()}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    writer = gguf.GGUFWriter(path=None, arch="llama")
    gguf.SpecialVocab(tmp_path, load_merges=False, n_vocab=100).add_to_gguf(writer, quiet=True)
    expected = {k: v.value for k, v in writer.kv_data[0].items() if k != "general.architecture"}
    folder = Folder(lambda name: files[name].encode() if name in files else None, tuple(files))
    found = {k: e.value for k, e in specials.entries(folder, 100).items()}
    assert found == expected
    assert list(found) == list(expected)


def test_the_post_processor_decides_against_the_settings() -> None:
    """As newer readers than the published `gguf` package have it: what is added in fact is what tokenizer.json adds."""
    settings = {**SETTINGS, "add_bos_token": False}
    given = {"tokenizer.json": tokenizer(template("<s>", "A")), "tokenizer_config.json": settings}
    files = {n: json.dumps(v).encode() for n, v in given.items()}
    assert specials.entries(Folder(files.get, tuple(files)))["tokenizer.ggml.add_bos_token"].value is True


def test_a_post_processor_that_adds_nothing_is_said() -> None:
    """Newer than the published `gguf` package: llama.cpp would add a first token by the name of the pre-tokenizer."""
    files = {"tokenizer.json": json.dumps(tokenizer({"type": "ByteLevel"})).encode()}
    found = {k: e.value for k, e in specials.entries(Folder(files.get, tuple(files))).items()}
    assert found == {"tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.add_eos_token": False}


def test_ids_out_of_range_are_left_out() -> None:
    files = {"config.json": b'{"bos_token_id": 100, "eos_token_id": 99, "pad_token_id": -1, "unk_token_id": true}'}
    found = {k: e.value for k, e in specials.entries(Folder(files.get, tuple(files)), 100).items()}
    assert found == {"tokenizer.ggml.eos_token_id": 99}
