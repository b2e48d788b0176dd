"""check's word on llama.cpp against llama.cpp: what it says loads does load, and what it refuses is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import modelglot
from modelglot.api.finishing import finish, plan_model
from modelglot.api.reading import read_model
from modelglot.api.target import resolve_target
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model

pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
import tiny
from llama_runtime import Runtime, library

Change = Callable[[Model], Model]


def keys(**changes: Any) -> Change:
    """Metadata with other values (names with ``__`` for dots); None takes a key away."""
    wanted = {name.replace("__", "."): value for name, value in changes.items()}

    def change(model: Model) -> Model:
        entries = {k: e for k, e in model.metadata.entries() if wanted.get(k, 0) is not None}
        entries |= {
            k: Entry(v, model.metadata.entry(k).type if k in model.metadata else "str")
            for k, v in wanted.items()
            if v is not None
        }
        return replace(model, metadata=Metadata(entries))

    return change


def without(*names: str) -> Change:
    return lambda model: replace(model, tensors={n: t for n, t in model.tensors.items() if n not in names})


def renamed(old: str, new: str) -> Change:
    def change(model: Model) -> Model:
        made = {new if n == old else n: replace(t, name=new if n == old else n) for n, t in model.tensors.items()}
        return replace(model, tensors=made)

    return change


def twice(name: str, new: str) -> Change:
    return lambda m: replace(m, tensors={**m.tensors, new: replace(m.tensors[name], name=new)})


VARIANTS: dict[str, tuple[str, Change, str | None]] = {
    # name: (family, what is changed, the code of the blocker or None where it loads)
    "llama": ("llama", keys(), None),
    "qwen2": ("qwen2", keys(), None),
    "qwen3": ("qwen3", keys(), None),
    "gemma2": ("gemma2", keys(), None),
    "phi3": ("phi3", keys(), None),
    "qwen2moe": ("qwen2moe", keys(), None),
    "gpt2": ("gpt2", keys(), None),
    "falcon": ("falcon", keys(), None),
    "stablelm": ("stablelm", keys(), None),
    "cohere": ("cohere", keys(), None),
    "bloom": ("bloom", keys(), None),
    "no template": ("llama", keys(tokenizer__chat_template=None), None),
    "no pre-tokenizer": ("llama", keys(tokenizer__ggml__pre=None), None),
    "tied": ("qwen2", without("output.weight"), None),
    "unknown architecture": ("llama", keys(general__architecture="lama"), "unknown-architecture"),
    "no architecture": ("llama", keys(general__architecture=None), "no-architecture"),
    "no layers": ("llama", keys(llama__block_count=None), "missing-key"),
    "no context": ("llama", keys(llama__context_length=None), "missing-key"),
    "no width": ("llama", keys(llama__embedding_length=None), "missing-key"),
    "no norm": ("llama", keys(llama__attention__layer_norm_rms_epsilon=None), "missing-key"),
    "no heads": ("llama", keys(llama__attention__head_count=None, llama__attention__head_count_kv=None),
                 "missing-key"),
    "no tokenizer": ("llama", keys(tokenizer__ggml__model=None), "no-tokenizer"),
    "unknown tokenizer": ("llama", keys(tokenizer__ggml__model="magic"), "unknown-tokenizer"),
    "no tokens": ("llama", keys(tokenizer__ggml__tokens=None), "no-tokens"),
    "no merges": ("llama", keys(tokenizer__ggml__merges=None), "no-merges"),
    "unknown pre-tokenizer": ("llama", keys(tokenizer__ggml__pre="nobody"), "unknown-pre-tokenizer"),
    "no embedding": ("llama", without("token_embd.weight"), "missing-tensor"),
    "no output norm": ("llama", without("output_norm.weight"), "missing-tensor"),
    "no query": ("llama", without("blk.1.attn_q.weight"), "missing-tensor"),
    "no query at all": ("llama", without("blk.0.attn_q.weight", "blk.1.attn_q.weight"), "missing-tensor"),
    "no norm in a layer": ("llama", without("blk.0.ffn_norm.weight"), "missing-tensor"),
    "no bias in a layer": ("qwen2", without("blk.1.attn_k.bias"), None),
    "more layers than there are": ("llama", keys(llama__block_count=3), "missing-tensor"),
    "a tensor nobody knows": ("llama", twice("output_norm.weight", "extra.weight"), "unused-tensor"),
    "another width": ("llama", keys(llama__embedding_length=128), "embedding-size"),
    "a long name": ("llama", renamed("output_norm.weight", "output_norm." + "x" * 60), "long-name"),
    "an adapter": ("llama", keys(general__type="adapter", general__architecture="clip"), "not-a-model"),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: Any) -> Callable[[str], Path]:
    """The GGUF file of a family, made once."""
    made: dict[str, Path] = {}

    def get(case: str) -> Path:
        if case not in made:
            folder = tmp_path_factory.mktemp(case) / "tiny"
            folder.mkdir()
            tiny.build(case, folder, "bfloat16")
            made[case] = folder.parent / "model.gguf"
            modelglot.convert(folder, made[case])
        return made[case]

    return get


def loads(path: Path) -> bool:
    try:
        with Runtime(path):
            return True
    except AssertionError:
        return False


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_verdicts(name: str, whole: Callable[[str], Path], tmp_path: Path) -> None:
    library()
    case, change, code = VARIANTS[name]
    path = tmp_path / "model.gguf"
    model = change(read_model(str(whole(case))))
    place = resolve_target(str(path), None, "gguf")
    finish(plan_model(model, place, ("all",), [], ()), place, verify=False)
    report = modelglot.check(path, "llama.cpp")
    blockers = [o.code for o in report.obstacles if o.level == "blocker"]
    assert blockers[:1] == ([code] if code else [])
    assert loads(path) is report.ok


def test_what_is_not_there(whole: Callable[[str], Path], tmp_path: Path) -> None:
    data = whole("llama").read_bytes()
    for name, cut in (
        ("data.gguf", data[:-4000]),
        ("header.gguf", data[:3000]),
        ("other.gguf", b"GGUF" + b"\xff" * 64),
    ):
        (tmp_path / name).write_bytes(cut)
        assert not modelglot.check(tmp_path / name, "llama.cpp").ok
        assert not loads(tmp_path / name)


def test_sets_of_files(whole: Callable[[str], Path], tmp_path: Path) -> None:
    out = modelglot.convert(whole("llama"), str(tmp_path / "s.gguf"), max_shard_size=60_000).outputs
    first, second = sorted(out)[:2]
    assert modelglot.check(first, "llama.cpp").ok
    assert loads(Path(first))
    assert [o.code for o in modelglot.check(second, "llama.cpp").obstacles] == ["not-first"]
    assert not loads(Path(second))
    assert "split" in [o.code for o in modelglot.check(first, "ollama").obstacles]
    os.unlink(sorted(out)[-1])
    assert not modelglot.check(first, "llama.cpp").ok
    assert not loads(Path(first))
