"""``params.json`` of Meta's llama layout and Hugging Face's ``config.json``: what each says, and what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelglot.core.errors import InvalidFileError, UnsupportedError, printable
from modelglot.core.notes import Loss
from modelglot.core.tensor import Tensor
from modelglot.families import rope
from modelglot.families.family import Config

_OTHERS = ("moe", "sliding_window", "quantization_args", "lora_args", "vision_chunk_size")  # marks of other models
_SCALED = {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 8192}  # fmt: skip
_SMALL = (2048, 3072)  # widths of llama 3.2's text models, whose factor is another one
_DTYPES = {"f16": "float16", "bf16": "bfloat16"}
_THETA = 10000.0


def numbers(params: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that tensors must fit, each at least 1; ``head_dim`` is that of a head.

    Raises UnsupportedError for params.json of another model, InvalidFileError where a number is missing or wrong.
    """
    params = _inner(params)
    other = next((name for name in _OTHERS if params.get(name) is not None), None)
    if other is not None:
        raise UnsupportedError(f"params.json has `{other}`: not one of Meta's llama text models")
    found: dict[str, int] = {}
    for name in ("dim", "n_layers", "n_heads", "n_kv_heads", "head_dim"):
        value = params.get(name)
        if value is None and name == "n_kv_heads":
            value = found["n_heads"]
        if value is None and name == "head_dim":
            value = found["dim"] // found["n_heads"]
        found[name] = _whole({name: value}, name, "params.json")
    return found


def config_of(params: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """config.json; sizes are those of the tensors, what params.json leaves out is that of the published models."""
    found, params = numbers(params), _inner(params)
    embedding, gate = tensors["model.embed_tokens.weight"], tensors["model.layers.0.mlp.gate_proj.weight"]
    head = tensors.get("lm_head.weight")
    made = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "attention_bias": False,
        "mlp_bias": False, "hidden_size": found["dim"], "num_hidden_layers": found["n_layers"],
        "num_attention_heads": found["n_heads"], "num_key_value_heads": found["n_kv_heads"],
        "head_dim": found["head_dim"], "intermediate_size": gate.shape[0], "vocab_size": embedding.shape[0],
        "rms_norm_eps": _number(params, "norm_eps", 1e-5), "rope_theta": _number(params, "rope_theta", _THETA),
        "tie_word_embeddings": head is None or head.data == embedding.data,
        "torch_dtype": _DTYPES.get(embedding.dtype.name, "float32"),
    }  # fmt: skip
    return made | _generation(params, made)


def _generation(params: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """Context, scaling and ids, by which llama it is: only 1 has norms of 1e-06, only 3 rotates with base 500,000."""
    three = made["rope_theta"] == 500000.0 or made["vocab_size"] >= 128000
    found: dict[str, Any] = {"bos_token_id": 128000, "eos_token_id": 128001} if made["vocab_size"] >= 128000 else {
        "bos_token_id": 1, "eos_token_id": 2
    }  # fmt: skip
    if params.get("use_scaled_rope"):
        factor = _number(params, "rope_scaling_factor", 32.0 if made["hidden_size"] in _SMALL else 8.0)
        return found | {"max_position_embeddings": 131072, "rope_scaling": {"factor": factor, **_SCALED}}
    if three:
        return found | {"max_position_embeddings": 8192}
    if made["rope_theta"] != _THETA:  # Code Llama
        return found | {"max_position_embeddings": 16384}
    return found | {"max_position_embeddings": 2048 if made["rms_norm_eps"] == 1e-6 else 4096}


def params_of(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> tuple[dict[str, Any], list[Loss]]:
    """params.json, and what of config.json it cannot say. ``defaults`` are for absent keys.

    Raises UnsupportedError where the model would be another, InvalidFileError for values of the wrong kind.
    """
    needed = ("hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size", "vocab_size")
    dim, heads, layers, inner, vocab = (_whole(given, name, "config.json") for name in needed)
    config = Config(given, defaults)
    scaling = rope.parameters(config)
    kv_heads, head = (_whole(config, name, "config.json") for name in ("num_key_value_heads", "head_dim"))
    theta = _number(scaling, "rope_theta", _THETA, "config.json")
    epsilon = _number(config, "rms_norm_eps", 1e-6, "config.json")
    made: dict[str, Any] = {
        "dim": dim,
        "n_layers": layers,
        "n_heads": heads,
        "vocab_size": vocab,
        **_feed_forward(dim, inner),
        "norm_eps": epsilon,
    }
    if kv_heads != heads:  # what the first models' code does not know is left out where it changes nothing
        made["n_kv_heads"] = kv_heads
    if theta != _THETA:
        made["rope_theta"] = theta
    if scaling.get("rope_type", "default") != "default":
        made["use_scaled_rope"] = True
    if head * heads != dim:
        raise UnsupportedError(f"heads of {head:,}: in Meta's layout they are `dim / n_heads` wide")
    if config.first("hidden_act") not in (None, "silu"):
        raise UnsupportedError(f"the activation {printable(str(config['hidden_act']), code=True)} is not llama's")
    back = {"rope_theta": theta, "vocab_size": vocab, "hidden_size": dim, "rms_norm_eps": epsilon}
    back |= _generation(made, back)
    _same_rope(scaling, back)
    return made, list(_unsaid(config, back))


def _same_rope(given: Mapping[str, Any], back: Mapping[str, Any]) -> None:
    for key, value in (back.get("rope_scaling") or {"rope_type": "default"}).items():
        if given.get(key, "default" if key == "rope_type" else None) != value:
            raise UnsupportedError(
                f"rotary scaling with `{key}` {printable(str(given.get(key)))}: params.json only says whether "
                f"`use_scaled_rope`, which here means {value}"
            )


def _unsaid(config: Config, back: Mapping[str, Any]) -> Iterator[Loss]:
    for key in ("max_position_embeddings", "bos_token_id", "eos_token_id"):
        value = config.get(key)
        if value is not None and value != back[key]:
            text = f"`{key}` {printable(str(value))}: params.json has no such key, and readers take {back[key]}"
            yield Loss("config", text, stops=False)


def _feed_forward(dim: int, wanted: int) -> dict[str, Any]:
    """``multiple_of`` and, where needed, ``ffn_dim_multiplier`` that give this inner width; published values first."""
    steps = (256, 1024, 4096, 512, 128, 64, 32, 16, 8, 4, 2, 1)
    for factor in (None, 1.3, 1.2, 1.5, wanted / (8 * dim // 3), (wanted + 0.5) / (8 * dim // 3)):
        for step in steps:
            inner = 8 * dim // 3 if factor is None else int(factor * (8 * dim // 3))
            if -(-inner // step) * step == wanted:
                return {"multiple_of": step} | ({} if factor is None else {"ffn_dim_multiplier": factor})
    raise UnsupportedError(f"no `ffn_dim_multiplier` gives the inner width {wanted:,}")


def _inner(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Some tools keep the model's parameters one level down."""
    inner = params.get("model")
    return inner if isinstance(inner, dict) else params


def _whole(values: Mapping[str, Any], name: str, where: str) -> int:
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 1 << 31:
        raise InvalidFileError(f"`{name}` is {printable(repr(value), limit=60)} in {where}, not a number from 1 on")
    return value


def _number(values: Mapping[str, Any], name: str, otherwise: float, where: str = "params.json") -> float:
    value = values.get(name, otherwise)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidFileError(f"`{name}` is {printable(repr(value), limit=60)} in {where}, not a number")
    return float(value)
