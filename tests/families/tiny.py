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

_DATA = Path(__file__).parent / "data"
COMMON: dict[str, Any] = {
    "vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "bos_token_id": 0, "eos_token_id": 2,
    "pad_token_id": 2,
}  # fmt: skip
_LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 64, "rope_theta": 500000.0}  # fmt: skip

_PIECES = {**COMMON, "vocab_size": 456, "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}  # for SentencePiece
_MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
_YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "rope_theta": 10000.0,
         "beta_fast": 32.0, "beta_slow": 1.0}  # fmt: skip
_LONG = {"rope_type": "longrope", "original_max_position_embeddings": 1024, "rope_theta": 10000.0,
         "short_factor": [1.0 + n / 8 for n in range(8)], "long_factor": [1.5 + n for n in range(8)]}  # fmt: skip
_GPT2 = {"vocab_size": 320, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128, "n_ctx": 128,
         "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 2}  # fmt: skip
_MLA = {"q_lora_rank": None, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16,
        "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "n_shared_experts": 1,
        "first_k_dense_replace": 1, "num_key_value_heads": 4}  # fmt: skip

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
    "qwen3": ("Qwen3ForCausalLM", {**COMMON, "head_dim": 32}, "bpe"),
    "qwen3-yarn": ("Qwen3ForCausalLM", {**COMMON, "head_dim": 16, "rope_parameters": _YARN}, "bpe"),
    "gemma2": (
        "Gemma2ForCausalLM", {**_PIECES, "head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 16}, "gemma"
    ),
    "gemma3": (
        "Gemma3ForCausalLM",
        {**_PIECES, "num_hidden_layers": 7, "head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 16,
         "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1000000.0},
                             "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}},
        "gemma",
    ),
    "phi3": ("Phi3ForCausalLM", {**_PIECES, "sliding_window": 64, "original_max_position_embeddings": 128}, "phi3"),
    "phi3-long": (
        "Phi3ForCausalLM",
        {**_PIECES, "max_position_embeddings": 4096, "original_max_position_embeddings": 1024,
         "rope_parameters": _LONG},
        "phi3",
    ),
    "phi4": ("Phi3ForCausalLM", {**COMMON, "original_max_position_embeddings": 128}, "gpt2"),
    "qwen2moe": (
        "Qwen2MoeForCausalLM", {**COMMON, **_MOE, "shared_expert_intermediate_size": 48, "sliding_window": None}, "bpe"
    ),
    "qwen3moe": ("Qwen3MoeForCausalLM", {**COMMON, **_MOE, "head_dim": 32, "norm_topk_prob": True}, "bpe"),
    "gpt2": ("GPT2LMHeadModel", _GPT2, "bpe"),
    "gpt-oss": (
        "GptOssForCausalLM",
        {**COMMON, "intermediate_size": 64, "num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 16,
         "sliding_window": 16, "rope_parameters": {**_YARN, "beta_slow": 0.5094, "truncate": False}},
        "bpe",
    ),
    "gpt-oss-mxfp4": (
        "GptOssForCausalLM",
        {**COMMON, "intermediate_size": 64, "num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 16,
         "sliding_window": 16, "rope_parameters": {**_YARN, "beta_slow": 0.5094, "truncate": False}},
        "bpe",
    ),
    "olmo2": ("Olmo2ForCausalLM", COMMON, "bpe"),
    "granite": (
        "GraniteForCausalLM",
        {**COMMON, "attention_multiplier": 0.25, "embedding_multiplier": 12.0, "residual_multiplier": 0.22,
         "logits_scaling": 8.0, "tie_word_embeddings": True},
        "bpe",
    ),
    "cohere": ("CohereForCausalLM", {**COMMON, "logit_scale": 0.0625}, "bpe"),
    "cohere2": (
        "Cohere2ForCausalLM",
        {**COMMON, "num_hidden_layers": 4, "head_dim": 16, "logit_scale": 0.25, "sliding_window": 16,
         "rotary_pct": 1.0},
        "bpe",
    ),
    "starcoder2": (
        "Starcoder2ForCausalLM",
        {**COMMON, "intermediate_size": 256, "use_bias": True, "sliding_window": None, "tie_word_embeddings": True},
        "bpe",
    ),
    "stablelm": (
        "StableLmForCausalLM", {**COMMON, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0,
                                "partial_rotary_factor": 0.25}, "use_qkv_bias": True}, "bpe"
    ),
    "stablelm-2": (
        "StableLmForCausalLM", {**COMMON, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0,
                                "partial_rotary_factor": 0.5}, "use_parallel_residual": True, "qk_layernorm": True},
        "bpe",
    ),
    "falcon": (
        "FalconForCausalLM",
        {"vocab_size": 320, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "multi_query": True,
         "parallel_attn": True, "bias": False, "alibi": False, "new_decoder_architecture": False,
         "max_position_embeddings": 2048, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 2},
        "bpe",
    ),
    "falcon-40b": (
        "FalconForCausalLM",
        {"vocab_size": 320, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_kv_heads": 2,
         "new_decoder_architecture": True, "bias": False, "alibi": False, "max_position_embeddings": 2048,
         "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 2},
        "bpe",
    ),
    "bloom": (
        "BloomForCausalLM",
        {"vocab_size": 320, "hidden_size": 64, "n_layer": 2, "n_head": 4, "seq_length": 128, "bos_token_id": 0,
         "eos_token_id": 2, "pad_token_id": 2},
        "bpe",
    ),
    "bert": (
        "BertModel",
        {"vocab_size": 96, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
         "num_attention_heads": 4, "max_position_embeddings": 128, "pad_token_id": 0},
        "wordpiece",
    ),
    "deepseek2-lite": ("DeepseekV2ForCausalLM", {**COMMON, **_MLA, "num_hidden_layers": 27}, "bpe"),
    "deepseek3": (
        "DeepseekV3ForCausalLM",
        {**COMMON, **_MLA, "q_lora_rank": 24, "n_group": 2, "topk_group": 1, "n_routed_experts": 8,
         "routed_scaling_factor": 2.5, "norm_topk_prob": True, "scoring_func": "sigmoid",
         "rope_parameters": {**_YARN, "mscale": 1.0, "mscale_all_dim": 1.0}},
        "bpe",
    ),
    "mamba": (
        "MambaForCausalLM",
        {"vocab_size": 320, "hidden_size": 64, "state_size": 16, "num_hidden_layers": 2, "bos_token_id": 0,
         "eos_token_id": 2, "pad_token_id": 2},
        "bpe",
    ),
    "t5": (
        "T5ForConditionalGeneration",
        {"vocab_size": 328, "d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4,
         "relative_attention_num_buckets": 8, "n_positions": 128, "decoder_start_token_id": 0, "pad_token_id": 0,
         "eos_token_id": 1, "tie_word_embeddings": True},
        "t5",
    ),
    "t5-gated": (
        "T5ForConditionalGeneration",
        {"vocab_size": 328, "d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 3, "num_decoder_layers": 2,
         "num_heads": 4, "feed_forward_proj": "gated-gelu", "n_positions": 128, "decoder_start_token_id": 0,
         "pad_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": False},
        "t5",
    ),
    "glm": ("GlmForCausalLM", {**COMMON, "head_dim": 16, "attention_bias": True, "partial_rotary_factor": 0.5}, "glm"),
    "glm4": ("Glm4ForCausalLM", {**COMMON, "head_dim": 16, "partial_rotary_factor": 0.5}, "glm"),
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
    codes = _mxfp4(model) if case.endswith("mxfp4") else {}
    deepcopy(model).to(getattr(torch, dtype)).save_pretrained(folder)
    if codes:
        _replace_experts(folder, codes)
    TOKENIZERS[tokenizer](folder)
    if kind == "BertModel":
        (folder / "1_Pooling").mkdir()
        _write(
            folder / "modules.json", [{"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
        )
        _write(folder / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True})
    return model


_E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def _mxfp4(model: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Codes and exponents drawn for the experts, whose weights become what they mean."""
    import torch

    made: dict[str, np.ndarray[Any, Any]] = {}
    for name, parameter in model.named_parameters():
        if not name.endswith(("gate_up_proj", "down_proj")):
            continue
        experts, width, rows = parameter.shape
        rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        codes = rng.integers(0, 256, (experts, rows, width // 32, 16), dtype=np.uint8)
        exponents = rng.integers(119, 125, codes.shape[:-1], dtype=np.uint8)
        values = _E2M1[np.stack((codes & 15, codes >> 4), -1)].reshape(*exponents.shape, 32)
        values = np.ldexp(values, exponents[..., None].astype(np.int32) - 127).reshape(experts, rows, width)
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(values.swapaxes(1, 2).copy()))
        made |= {f"{name}_blocks": codes, f"{name}_scales": exponents}
    return made


def _replace_experts(folder: Path, codes: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """The folder as gpt-oss was published: codes in the weights, and a word on them in config.json."""
    import torch
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    kept = {n: t for n, t in load_file(path).items() if f"{n}_blocks" not in codes}
    save_file(kept | {n: torch.from_numpy(a) for n, a in codes.items()}, path, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    whole = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]
    config["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": whole}
    _write(folder / "config.json", config)


def byte_letters() -> list[str]:
    """GPT-2's letters for the 256 bytes, in the order of the bytes: printable ones as they are, others from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {b: chr(b) for b in printable}
    rest = iter(range(256, 512))
    return [letters.get(b) or chr(next(rest)) for b in range(256)]


_MERGES = ("Ġ t", "h e", "Ġt he", "i n", "Ġ a", "e r", "o n", "r e", "Ġ s", "Ġ w", "a t", "Ġ o", "Ġ c", "e n", "o u",
           "s t", "Ġ p", "in g", "Ġ f", "Ġ b", "Ġa n", "Ġan d", "Ġ m", "o r", "l l", "Ġ in", "Ġo f")  # fmt: skip
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def _bpe(folder: Path, kind: str = "PreTrainedTokenizerFast", more: tuple[str, ...] = ()) -> None:
    """Byte-level BPE of the GPT-2 kind, with special tokens in front and one that is only added behind."""
    tokens = [*_SPECIAL, *byte_letters(), *(m.replace(" ", "") for m in _MERGES)]
    vocab = {text: number for number, text in enumerate(dict.fromkeys(tokens))}
    added = [_added(n, text, True) for n, text in enumerate(_SPECIAL)] + [
        _added(len(vocab) + n, text, text != "<tool>") for n, text in enumerate(("<tool>", *more))
    ]
    plain = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocab,
             "merges": [m.split(" ") for m in _MERGES if m.replace(" ", "") in vocab]}  # fmt: skip
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
             "pre_tokenizer": plain, "post_processor": None, "decoder": plain, "model": model}  # fmt: skip
    _write(folder / "tokenizer.json", whole)
    _write(folder / "tokenizer_config.json", {
        "tokenizer_class": kind, "bos_token": "<|endoftext|>", "eos_token": "<|im_end|>",
        "pad_token": "<|im_end|>",
        "chat_template": "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}",
    })  # fmt: skip


def _added(number: int, text: str, special: bool) -> dict[str, Any]:
    return {"id": number, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": special}  # fmt: skip


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), "utf-8")


def _pieces(folder: Path, prefix: bool) -> None:
    """SentencePiece's BPE with byte fallback: Gemma's way without, Llama's with a space before the text.

    tokenizer.json is what transformers makes of data/bpe.model, with the text's beginning added.
    """
    made = json.loads((_DATA / "bpe.json").read_text("utf-8"))
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    normalizer = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, replace]}
    bos = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    a, b = ({"Sequence": {"id": name, "type_id": number}} for name, number in (("A", 0), ("B", 1)))
    template = {"type": "TemplateProcessing", "single": [bos, a], "pair": [bos, a, bos, b],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [2], "tokens": ["<s>"]}}}  # fmt: skip
    made |= {"normalizer": normalizer if prefix else replace, "post_processor": template}
    made |= {"pre_tokenizer": None} if prefix else {}
    _write_pieces(folder, "tokenizer.model", "bpe.model", made, {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>",
        "unk_token": "<unk>", "add_bos_token": True, "add_eos_token": False,
    })  # fmt: skip


def _unigram(folder: Path) -> None:
    made = json.loads((_DATA / "unigram.json").read_text("utf-8"))
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    a, b = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    made["post_processor"] = {
        "type": "TemplateProcessing", "single": [a, end], "pair": [a, end, b, end],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
    }  # fmt: skip
    _write_pieces(folder, "spiece.model", "unigram.model", made, {
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
    })  # fmt: skip


def _write_pieces(folder: Path, name: str, source: str, made: dict[str, Any], settings: dict[str, Any]) -> None:
    (folder / name).write_bytes((_DATA / source).read_bytes())
    head = {"version": "1.0", "truncation": None, "padding": None, "normalizer": None}
    _write(folder / "tokenizer.json", head | made)
    settings["added_tokens_decoder"] = {
        str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in made["added_tokens"]
    }
    _write(folder / "tokenizer_config.json", settings)


def _wordpiece(folder: Path) -> None:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["the", "cat", "dog", "##s", "and", "in", "end", "##ing", "of", "them", ",", ".", "!", "<", ">", ";"]
    tokens = [*special, *letters, *(f"##{c}" for c in letters), *words]
    vocab = {text: number for number, text in enumerate(tokens)}
    first, last = ({"SpecialToken": {"id": text, "type_id": 0}} for text in ("[CLS]", "[SEP]"))
    a, b = ({"Sequence": {"id": name, "type_id": number}} for name, number in (("A", 0), ("B", 1)))
    end = {"SpecialToken": {"id": "[SEP]", "type_id": 1}}
    _write(folder / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [_added(n, text, True) for n, text in enumerate(special)],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing", "single": [first, a, last], "pair": [first, a, last, b, end],
            "special_tokens": {t: {"id": t, "ids": [vocab[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocab},
    })  # fmt: skip
    _write(folder / "tokenizer_config.json", {
        "tokenizer_class": "BertTokenizer", "do_lower_case": True, "unk_token": "[UNK]", "sep_token": "[SEP]",
        "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]",
    })  # fmt: skip


TOKENIZERS = {
    "bpe": _bpe,
    "gpt2": lambda folder: _bpe(folder, "GPT2Tokenizer"),
    "glm": lambda folder: _bpe(folder, more=("<|user|>",)),
    "gemma": lambda folder: _pieces(folder, False),
    "phi3": lambda folder: _pieces(folder, True),
    "t5": _unigram,
    "wordpiece": _wordpiece,
}
