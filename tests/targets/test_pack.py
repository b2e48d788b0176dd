"""pack: folders that the runtimes take, from a GGUF file and from a Hugging Face folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from go_template import render

import modelglot
from modelglot.api.finishing import finish, plan_model
from modelglot.api.reading import read_model
from modelglot.api.target import resolve_target
from modelglot.cli.main import run
from modelglot.containers.modelfile import Modelfile, parse
from modelglot.core.errors import LossError, TargetExistsError, UnsupportedError
from modelglot.core.metadata import Entry, Metadata

pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
import tiny
from llama_runtime import Runtime

CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    path = tmp_path_factory.mktemp("pack") / "tiny-llama"
    path.mkdir()
    tiny.build("llama", path, "bfloat16")
    (path / "generation_config.json").write_text('{"temperature": 0.7, "top_k": 20, "do_sample": true}')
    return path


@pytest.fixture(scope="module")
def gguf(folder: Path) -> Path:
    modelglot.convert(folder, folder.parent / "tiny.gguf")
    return folder.parent / "tiny.gguf"


def changed(path: Path, out: Path, **keys: Any) -> Path:
    model = read_model(str(path))
    entries = dict(model.metadata.entries())
    for name, value in keys.items():
        key = name.replace("__", ".")
        if value is None:
            entries.pop(key, None)
        else:
            entries[key] = Entry(value, {bool: "bool", float: "f32", int: "u32"}.get(type(value), "str"))
    place = resolve_target(str(out), None, "gguf")
    finish(plan_model(replace(model, metadata=Metadata(entries)), place, (), [], ()), place)
    return out


def modelfile(path: Path) -> Modelfile:
    return parse((path / "Modelfile").read_bytes())


def test_ollama(gguf: Path, tmp_path: Path) -> None:
    modelglot.pack("ollama", gguf, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["Modelfile", "tiny.gguf"]
    assert (tmp_path / "out" / "tiny.gguf").read_bytes() == gguf.read_bytes()
    found = modelfile(tmp_path / "out")
    assert found.value("FROM") == "./tiny.gguf"
    assert found.values("PARAMETER", "stop") == ["<|im_end|>", "<|im_start|>"]
    assert found.value("PARAMETER", "num_ctx") == "128"
    assert found.value("PARAMETER", "temperature") == "0.7"
    assert found.value("PARAMETER", "top_k") == "20"
    template = found.value("TEMPLATE")
    assert template is not None
    messages = [{"Role": "user", "Content": "Hi"}]
    assert render(template, {"System": "", "Messages": messages}) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_ollama_again_is_equal(gguf: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        modelglot.pack("ollama", gguf, tmp_path / name)
    for name in ("Modelfile", "tiny.gguf"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with pytest.raises(TargetExistsError):
        modelglot.pack("ollama", gguf, tmp_path / "a")


def test_templates_that_are_not_known_are_left(gguf: Path, tmp_path: Path) -> None:
    odd = changed(gguf, tmp_path / "odd.gguf", tokenizer__chat_template="{{ messages[0].content }}")
    receipt = modelglot.pack("ollama", odd, tmp_path / "odd")
    assert modelfile(tmp_path / "odd").value("TEMPLATE") is None
    assert any("TEMPLATE is left out" in n.text for n in receipt.plan.notes if n.level == "warning")
    none = changed(gguf, tmp_path / "none.gguf", tokenizer__chat_template=None)
    modelglot.pack("ollama", none, tmp_path / "none")
    assert modelfile(tmp_path / "none").values("PARAMETER", "stop") == ["<|im_end|>"]


def test_the_systems_text_and_the_first_token(gguf: Path, tmp_path: Path) -> None:
    jinja = "{{ bos_token }}{% if x %}{{ '<|im_start|>system\nBe a poet.<|im_end|>\n' }}{% endif %}" + CHATML
    path = changed(gguf, tmp_path / "a.gguf", tokenizer__chat_template=jinja, tokenizer__ggml__add_bos_token=False)
    modelglot.pack("ollama", path, tmp_path / "out")
    found = modelfile(tmp_path / "out")
    assert found.value("SYSTEM") == "Be a poet."
    assert str(found.value("TEMPLATE")).startswith("<|endoftext|>{{ range")


def test_what_a_modelfile_cannot_hold_is_said(gguf: Path, tmp_path: Path) -> None:
    path = changed(gguf, tmp_path / "a.gguf", general__license="MIT\a", general__name="evil\nSYSTEM x")
    receipt = modelglot.pack("ollama", path, tmp_path / "out")
    found = modelfile(tmp_path / "out")
    assert found.value("SYSTEM") is None
    assert found.value("LICENSE") is None
    assert any(n.code == "left-out" for n in receipt.plan.notes)


def test_from_a_hugging_face_folder(folder: Path, tmp_path: Path) -> None:
    modelglot.pack("ollama", folder, tmp_path / "out", quantize="q8_0")
    path = tmp_path / "out" / "tiny-llama-Q8_0.gguf"
    assert modelfile(tmp_path / "out").value("FROM") == f"./{path.name}"
    assert modelglot.check(path, "ollama").ok
    with Runtime(path) as model:
        assert model.tokenize("the cat")


def test_llama_cpp(gguf: Path, tmp_path: Path) -> None:
    modelglot.pack("llama.cpp", gguf, tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    assert "llama-cli -m tiny.gguf -c 128 --temp 0.7 --top-k 20 -cnv" in text
    assert "llama-server -m tiny.gguf" in text


def test_llm_farm(gguf: Path, tmp_path: Path) -> None:
    modelglot.pack("llm-farm", gguf, tmp_path / "out")
    settings = json.loads((tmp_path / "out" / "tiny.json").read_text())
    assert settings["prompt_format"] == "<|im_start|>user\n{{prompt}}<|im_end|>\n<|im_start|>assistant\n"
    assert settings["reverse_prompt"] == "<|im_end|>"
    assert settings["context"] == 128
    assert settings["temp"] == 0.7
    assert (tmp_path / "out" / "tiny.gguf").read_bytes() == gguf.read_bytes()


def test_transformers(gguf: Path, tmp_path: Path) -> None:
    modelglot.pack("transformers", gguf, tmp_path / "out")
    assert modelglot.check(tmp_path / "out", "transformers").ok
    import transformers

    transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")


def test_what_would_not_load_is_not_packed(gguf: Path, tmp_path: Path) -> None:
    broken = changed(gguf, tmp_path / "a.gguf", tokenizer__ggml__pre="nobody")
    with pytest.raises(UnsupportedError, match="ollama will not load it"):
        modelglot.pack("ollama", broken, tmp_path / "out")
    (tmp_path / "cut.gguf").write_bytes(gguf.read_bytes()[:-100])
    with pytest.raises(LossError):
        modelglot.pack("ollama", tmp_path / "cut.gguf", tmp_path / "out")
    with pytest.raises(UnsupportedError, match="no package"):
        modelglot.pack("vllm", gguf, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def ollama(tmp_path: Path, monkeypatch: Any) -> Path:
    """A stand-in for the program, which writes down what it was asked."""
    program = tmp_path / "bin" / "ollama"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ntest "$2" != bad\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return tmp_path / "asked"


def test_create(gguf: Path, tmp_path: Path, ollama: Path, capfd: Any) -> None:
    assert run(["pack", "ollama", str(gguf), str(tmp_path / "out"), "--create", "tiny"]) == 0
    assert ollama.read_text() == f"create tiny -f {tmp_path}/out/Modelfile\n"
    assert run(["pack", "ollama", str(gguf), str(tmp_path / "out2"), "--create", "bad"]) == 1
    assert run(["pack", "llama.cpp", str(gguf), str(tmp_path / "out3"), "--create", "tiny"]) == 7


def test_create_without_ollama(gguf: Path, tmp_path: Path, monkeypatch: Any, capfd: Any) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["pack", "ollama", str(gguf), str(tmp_path / "out"), "--create", "tiny"]) == 7
    assert not (tmp_path / "out").exists()
