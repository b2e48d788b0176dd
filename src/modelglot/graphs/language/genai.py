"""``genai_config.json``: what ONNX Runtime GenAI needs to know to run a decoder's folder.

Keys as onnxruntime-genai 0.18 reads them (src/config.cpp of that project).
"""

from __future__ import annotations

import json
from typing import Any

from modelglot.families.family import Config
from modelglot.graphs.language.shape import Shape

NAME, GRAPH = "genai_config.json", "model.onnx"
_OWN = ("llama", "qwen2", "qwen3", "phi3", "gemma2", "granite", "chatglm")  # types that it calls as GGUF does
_TYPES = {"gemma3": "gemma3_text"}  # and one that it calls otherwise; the rest are its general `decoder`
_EXACT = {"session.qdq_matmulnbits_accuracy_level": "1"}  # activations stay float32


def config(shape: Shape, given: Config) -> bytes:
    ids = {key: given[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id") if given.get(key) is not None}
    end = ids.get("eos_token_id")
    ids.setdefault("pad_token_id", end[0] if isinstance(end, list) else end if end is not None else 0)
    model: dict[str, Any] = {
        "type": _TYPES.get(shape.arch, shape.arch if shape.arch in _OWN else "decoder"),
        "vocab_size": shape.vocabulary,
        "context_length": shape.context,
        **ids,
        "decoder": {
            "filename": GRAPH,
            "session_options": {"log_id": "onnxruntime-genai", **_EXACT, "provider_options": []},
            "head_size": shape.head,
            "hidden_size": shape.width,
            "num_attention_heads": shape.heads,
            "num_hidden_layers": shape.layers,
            "num_key_value_heads": shape.kv_heads,
            "inputs": {
                "input_ids": "input_ids",
                "attention_mask": "attention_mask",
                "position_ids": "position_ids",
                "past_key_names": "past_key_values.%d.key",
                "past_value_names": "past_key_values.%d.value",
            },
            "outputs": {
                "logits": "logits",
                "present_key_names": "present.%d.key",
                "present_value_names": "present.%d.value",
            },
        },
    }
    search = {
        "max_length": shape.context,
        "past_present_share_buffer": False,
        "do_sample": bool(given.get("do_sample")),
        "top_k": given.get("top_k") or 1,
        "top_p": given.get("top_p") or 1.0,
        "temperature": given.get("temperature") or 1.0,
        "repetition_penalty": given.get("repetition_penalty") or 1.0,
    }
    return (json.dumps({"model": model, "search": search}, indent=2) + "\n").encode()
