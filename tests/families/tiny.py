"""Tiny language models of every family, as transformers makes them: real classes, weights drawn by name.

Weights depend on nothing but their names, so that what the reference converter made of them could be recorded.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

COMMON: dict[str, Any] = {
    "vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "bos_token_id": 0, "eos_token_id": 2,
    "pad_token_id": 2,
}  # fmt: skip
_LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 64, "rope_theta": 500000.0}  # fmt: skip

# case -> (class of transformers, configuration, tokenizer)
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "llama": ("LlamaForCausalLM", {**COMMON, "rms_norm_eps": 1e-5}, "bpe"),
    "llama-3": ("LlamaForCausalLM", {**COMMON, "rope_parameters": _LLAMA3, "head_dim": 32}, "bpe"),
    "llama-tied-bias": (
        "LlamaForCausalLM", {**COMMON, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True}, "bpe"
    ),
    "mistral": ("MistralForCausalLM", {**COMMON, "sliding_window": 64}, "bpe"),
    "mixtral": ("MixtralForCausalLM", {**COMMON, "num_local_experts": 4, "num_experts_per_tok": 2}, "bpe"),
    "qwen2": ("Qwen2ForCausalLM", {**COMMON, "tie_word_embeddings": True}, "bpe"),
}  # fmt: skip


def weights(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """float32, exact in bfloat16, small; near 1 for norms, so that a lost shift or permutation shows."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    values = rng.standard_normal(shape).astype(np.float32) * np.float32(0.15)
    if len(shape) == 1 and "norm" in name and name.endswith("weight"):
        values += 1
    raw = values.view(np.uint32)
    return ((raw + 0x8000) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def build(case: str, folder: Path, dtype: str = "float32") -> Any:
    """Write the folder as `save_pretrained` does, with a tokenizer; the model itself, in float32."""
    import torch
    import transformers

    kind, settings, tokenizer = CASES[case]
    model_class = getattr(transformers, kind)
    torch.manual_seed(0)
    model = model_class(model_class.config_class(**settings)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weights(name, tuple(parameter.shape))))
    if getattr(model.config, "tie_word_embeddings", False):
        model.tie_weights()
    deepcopy(model).to(getattr(torch, dtype)).save_pretrained(folder)
    TOKENIZERS[tokenizer](folder)
    return model


def byte_letters() -> list[str]:
    """GPT-2's letters for the 256 bytes, in the order of the bytes: printable ones as they are, others from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {b: chr(b) for b in printable}
    rest = iter(range(256, 512))
    return [letters.get(b) or chr(next(rest)) for b in range(256)]


_MERGES = ("Ġ t", "h e", "Ġt he", "i n", "Ġ a", "e r", "o n", "r e", "Ġ s", "Ġ w", "a t", "Ġ o", "Ġ c", "e n", "o u",
           "s t", "Ġ p", "in g", "Ġ f", "Ġ b", "Ġa n", "Ġan d", "Ġ m", "o r", "l l", "Ġ in", "Ġo f")  # fmt: skip
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def _bpe(folder: Path) -> None:
    """Byte-level BPE of the GPT-2 kind, with special tokens in front and one that is only added behind."""
    tokens = [*_SPECIAL, *byte_letters(), *(m.replace(" ", "") for m in _MERGES)]
    vocab = {text: number for number, text in enumerate(dict.fromkeys(tokens))}
    added = [_added(n, text, True) for n, text in enumerate(_SPECIAL)] + [_added(len(vocab), "<tool>", False)]
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocab,
             "merges": [m.split(" ") for m in _MERGES if m.replace(" ", "") in vocab]}  # fmt: skip
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
             "pre_tokenizer": plain, "post_processor": None, "decoder": plain, "model": model}  # fmt: skip
    _write(folder / "tokenizer.json", whole)
    _write(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|endoftext|>", "eos_token": "<|im_end|>",
        "pad_token": "<|im_end|>",
        "chat_template": "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}",
    })  # fmt: skip


def _added(number: int, text: str, special: bool) -> dict[str, Any]:
    return {"id": number, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": special}  # fmt: skip


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), "utf-8")


TOKENIZERS = {"bpe": _bpe}
