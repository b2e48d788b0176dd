"""The chat templates that are known, most particular first. To add one: its markers, its turns, a test."""

from __future__ import annotations

from modelglot.targets.turns import Turns

_CHATML = {
    "user": ("<|im_start|>user\n", "<|im_end|>\n"),
    "assistant": ("<|im_start|>assistant\n", "<|im_end|>\n"),
    "system": ("<|im_start|>system\n", "<|im_end|>\n"),
    "stops": ("<|im_start|>", "<|im_end|>"),
}
_THINK = "<|im_start|>assistant\\n<think>\\n' }}"
_OWN_SYSTEM = ("## Metadata", "You are a function calling AI", "<think></think>", "keep_past_thinking")
_HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"
_LLAMA3 = {
    "user": (_HEADER.format("user"), "<|eot_id|>"),
    "assistant": (_HEADER.format("assistant"), "<|eot_id|>"),
    "answer": _HEADER.format("assistant"),
    "stops": ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
}
_DATES = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
_HARMONY = (
    "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\n"
    "Current date: {{ currentDate }}\n\nReasoning: medium\n\n"
    "# Valid channels: analysis, commentary, final. Channel must be included for every message.<|end|>"
)

FAMILIES = (
    Turns(
        "phi4", ("<|im_start|>", "<|im_sep|>", "<|im_end|>"),
        user=("<|im_start|>user<|im_sep|>", "<|im_end|>"),
        assistant=("<|im_start|>assistant<|im_sep|>", "<|im_end|>"),
        answer="<|im_start|>assistant<|im_sep|>", system=("<|im_start|>system<|im_sep|>", "<|im_end|>"),
        stops=("<|im_start|>", "<|im_end|>", "<|im_sep|>"),
    ),
    Turns(
        "chatml-think", (_THINK,), without=(*_OWN_SYSTEM, "not enable_thinking"),
        answer="<|im_start|>assistant\n<think>\n",
        **_CHATML,  # type: ignore[arg-type]
    ),
    Turns(
        "chatml-think", ("<|im_start|>", "{%- else %}\n        {{- '<think>\\n' }}"), without=_OWN_SYSTEM,
        answer="<|im_start|>assistant\n<think>\n", **_CHATML,  # type: ignore[arg-type]
    ),
    Turns(
        "chatml", ("<|im_start|>", "<|im_end|>"), without=(*_OWN_SYSTEM, _THINK), answer="<|im_start|>assistant\n",
        **_CHATML,  # type: ignore[arg-type]
    ),
    Turns(
        "llama3.1", ("<|start_header_id|>", "<|eot_id|>", "Cutting Knowledge Date"),
        system=(_HEADER.format("system") + _DATES, "<|eot_id|>"), always=True, without=("<function=",), **_LLAMA3,  # type: ignore[arg-type]
    ),
    Turns(
        "llama3", ("<|start_header_id|>", "<|eot_id|>"), without=("functions", "Cutting Knowledge Date"),
        system=(_HEADER.format("system"), "<|eot_id|>"), **_LLAMA3,  # type: ignore[arg-type]
    ),
    Turns(
        "llama2", ("[INST]", "<<SYS>>"),
        user=("[INST] ", " [/INST]"), assistant=(" ", " </s><s>"), answer="",
        system=("<<SYS>>\n", "\n<</SYS>>\n\n"), fold="first", stops=("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
    ),
    Turns(
        "mistral-v7", ("[INST]", "[SYSTEM_PROMPT]"),
        user=("[INST]", "[/INST]"), assistant=("", "</s>"), answer="", system=("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
        stops=("[INST]", "[/INST]"),
    ),
    Turns(
        "mistral-v1", ("[INST] ", " [/INST]"),
        user=("[INST] ", " [/INST]"), assistant=(" ", "</s>"), answer="", system=("", "\n\n"), fold="first",
        stops=("[INST]", "[/INST]"),
    ),
    Turns(
        "mistral", ("[INST]", "[/INST]"),
        user=("[INST]", "[/INST]"), assistant=("", "</s>"), answer="", system=("", "\n\n"), fold="last",
        stops=("[INST]", "[/INST]"),
    ),
    Turns(
        "gemma", ("<start_of_turn>", "<end_of_turn>"),
        user=("<start_of_turn>user\n", "<end_of_turn>\n"), assistant=("<start_of_turn>model\n", "<end_of_turn>\n"),
        answer="<start_of_turn>model\n", system=("", "\n\n"), fold="first",
        stops=("<start_of_turn>", "<end_of_turn>"),
    ),
    Turns(
        "deepseek-r1", ("<｜User｜>", "<｜Assistant｜><think>\\n"),
        without=("not enable_thinking", "message['content'] + '<｜end▁of▁sentence｜>' -}}"),
        user=("<｜User｜>", ""), assistant=("<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
        answer="<｜Assistant｜><think>\n", system=("", ""), fold="top",
        stops=("<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
    ),
    Turns(
        "deepseek", ("<｜User｜>", "<｜Assistant｜>"), without=("</think>",),
        user=("<｜User｜>", ""), assistant=("<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
        answer="<｜Assistant｜>", system=("", ""), fold="top",
        stops=("<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>"),
    ),
    Turns(
        "command-r", ("<|START_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>"),
        user=("<|START_OF_TURN_TOKEN|><|USER_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        assistant=("<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        answer="<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
        system=("<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        without=("<|START_RESPONSE|>", "<|START_THINKING|>", "## Available Tools"),
        stops=("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
    ),
    Turns(
        "granite", ("<|start_of_role|>", "<|end_of_role|>"),
        user=("<|start_of_role|>user<|end_of_role|>", "<|end_of_text|>\n"),
        assistant=("<|start_of_role|>assistant<|end_of_role|>", "<|end_of_text|>\n"),
        answer="<|start_of_role|>assistant<|end_of_role|>",
        system=("<|start_of_role|>system<|end_of_role|>", "<|end_of_text|>\n"),
        stops=("<|start_of_role|>", "<|end_of_text|>"),
    ),
    Turns(
        "gpt-oss", ("<|start|>", "<|message|>", "<|channel|>", "You are ChatGPT"),
        user=("<|start|>user<|message|>", "<|end|>"),
        assistant=("<|start|>assistant<|channel|>final<|message|>", "<|end|>"), answer="<|start|>assistant",
        system=("<|start|>developer<|message|># Instructions\n\n", "\n\n<|end|>"), prefix=_HARMONY,
        stops=("<|return|>", "<|call|>"),
    ),
    Turns(
        "glm4", ("[gMASK]<sop>", "<|user|>", "<|assistant|>"), without=("<think>",),
        user=("<|user|>\n", ""), assistant=("<|assistant|>\n", ""), answer="<|assistant|>",
        system=("<|system|>\n", ""), prefix="[gMASK]<sop>", stops=("<|user|>", "<|observation|>", "<|system|>"),
    ),
    Turns(
        "glm4.6", ("[gMASK]<sop>", "<|user|>", "'\\n<think></think>'"),
        user=("<|user|>\n", ""), assistant=("<|assistant|>\n<think></think>\n", ""), answer="<|assistant|>",
        system=("<|system|>\n", ""), prefix="[gMASK]<sop>", stops=("<|user|>", "<|observation|>", "<|system|>"),
    ),
    Turns(
        "phi4-mini", ("'<|' + message['role'] + '|>'", "<|end|>"),
        user=("<|user|>", "<|end|>"), assistant=("<|assistant|>", "<|end|>"), answer="<|assistant|>",
        system=("<|system|>", "<|end|>"), stops=("<|user|>", "<|assistant|>", "<|end|>"),
    ),
    Turns(
        "phi3", ("<|user|>", "<|assistant|>", "<|end|>"), without=("[BEGIN FINAL RESPONSE]",),
        user=("<|user|>\n", "<|end|>\n"), assistant=("<|assistant|>\n", "<|end|>\n"), answer="<|assistant|>\n",
        system=("<|system|>\n", "<|end|>\n"), stops=("<|user|>", "<|assistant|>", "<|system|>", "<|end|>"),
    ),
    Turns(
        "zephyr", ("<|user|>", "<|assistant|>", "eos_token"), without=("<|end|>",),
        user=("<|user|>\n", "</s>\n"), assistant=("<|assistant|>\n", "</s>\n"), answer="<|assistant|>\n",
        system=("<|system|>\n", "</s>\n"), stops=("<|user|>", "<|assistant|>", "<|system|>", "</s>"),
    ),
)  # fmt: skip


def recognise(jinja: str) -> Turns | None:
    """The family of a Jinja chat template by the markers it writes."""
    for turns in FAMILIES:
        if all(m in jinja for m in turns.markers) and not any(m in jinja for m in turns.without):
            return turns
    return None
