"""A GGUF model with a template of chat settings for LLM Farm."""

from __future__ import annotations

import json
from typing import Any

from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.targets.chat_families import recognise
from modelglot.targets.package import Package, context, sampling, text_side, token

_PHONE = 2048  # tokens of context that a phone has room for
_SAMPLING = {
    "temp": "temp", "top_k": "top_k", "top_p": "top_p", "penalty_repeat": "repeat_penalty",
    "penalty_last_n": "repeat_last_n",
}  # fmt: skip


def pack(model: Model, name: str) -> Package:
    metadata, stem = model.metadata, name.removesuffix(".gguf")
    jinja = metadata.get("tokenizer.chat_template")
    turns = recognise(jinja) if isinstance(jinja, str) else None
    notes: tuple[Note, ...] = ()
    if turns is None:
        notes = (Note("template", "the chat template is of no family known here: the prompt format is `{{prompt}}`"),)
    settings: dict[str, Any] = {
        "template_name": stem, "model_inference": "llama", "context": min(context(metadata) or _PHONE, _PHONE),
        "n_batch": 512, "numberOfThreads": 0, "use_metal": True, "flash_attn": False, "mlock": False, "mmap": True,
        "prompt_format": f"{turns.user[0]}{{{{prompt}}}}{turns.user[1]}{turns.answer}" if turns else "{{prompt}}",
        "reverse_prompt": token(metadata, "eot") or token(metadata, "eos") or "",
        "skip_tokens": ",".join(turns.stops) if turns else "",
        "parse_special_tokens": True, "add_eos_token": False, "save_load_state": True, "grammar": "<None>",
        "add_bos_token": metadata.get("tokenizer.ggml.add_bos_token", metadata.get("tokenizer.ggml.model") == "llama"),
        "temp": 0.9, "top_k": 40, "top_p": 0.95, "repeat_last_n": 64, "repeat_penalty": 1.1, "tfs_z": 1,
        "typical_p": 1, "mirostat": 0, "mirostat_tau": 5, "mirostat_eta": 0.1,
        **sampling(metadata, _SAMPLING),
    }  # fmt: skip
    data = json.dumps(settings, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    read = (
        f"# {stem} for LLM Farm\n\nCopy `{name}` to the app's folder `models`, and `{stem}.json` to\n"
        "`model_setting_templates` (Files > On My iPhone > LLMFarm). Add a chat, choose the model, then the template.\n"
    )
    sides = (text_side(f"{stem}.json", "chat settings", data), text_side("README.md", "where the files go", read))
    return Package(sides, notes, f"copy {{out}}/{name} to the app's folder `models`")
