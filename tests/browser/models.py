"""Small models that the page is shown with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import modelglot as mg

RANDOM = np.random.default_rng(8)
LAYERS, WIDTH = 6, 64
TEMPLATE = "{% for m in messages %}{{ m.content }}{# note #}\n{% endfor %}"
TOKENS = [f"token{i}" for i in range(500)] + ["<b>bold</b>", "naïve", "a\u202eb"]
HOSTILE = (
    "<script>window.hurt=1</script>",
    "<img src=x onerror=window.hurt=2>",
    "javascript:window.hurt=3",
    "right\u202eto\u2066left",
    "long." + "x" * 5000,
    "a/../../b?c=d&e=f#g%2F%00\"'`",
    "line\nbreak\ttab\x00nul",
    "\"><svg onload='window.hurt=4'>",
)


def normal(*shape: int, scale: float = 0.05) -> np.ndarray[Any, Any]:
    return (RANDOM.standard_normal(shape) * scale).astype(np.float32)


def plain() -> dict[str, np.ndarray[Any, Any]]:
    made = {
        f"model.layers.{i}.{name}.weight": normal(WIDTH, WIDTH)
        for i in range(LAYERS)
        for name in ("attn.q", "attn.k", "mlp.up")
    }
    odd = normal(8, 8)
    odd[0, :3] = [np.nan, np.inf, -np.inf]
    made |= {"embed.weight": normal(3000, 96), "conv.weight": normal(8, 4, 3, 5), "vector": normal(700), "odd": odd}
    return made | {"scalar": np.array(2.5, np.float32), "empty": np.zeros((0, 4), np.float32)}


def language(path: Path) -> Path:
    """A GGUF file by the `gguf` package, with a tokenizer and a template."""
    from gguf import GGUFWriter

    writer = GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([1] * len(TOKENS))
    writer.add_chat_template(TEMPLATE)
    writer.add_string("general.description", "word " * 400 + "the end")
    writer.add_tensor("token_embd.weight", normal(len(TOKENS), WIDTH))
    for i in range(LAYERS):
        for name in ("attn_q", "attn_k", "ffn_up", "ffn_down"):
            writer.add_tensor(f"blk.{i}.{name}.weight", normal(WIDTH, WIDTH))
        writer.add_tensor(f"blk.{i}.attn_norm.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def graph(path: Path) -> Path:
    from onnx import TensorProto, helper, numpy_helper, save

    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], name="first_gemm"),
        helper.make_node("HardSwish", ["h"], ["y"], name="the_end"),
    ]
    weights = [numpy_helper.from_array(normal(16, 8), "w"), numpy_helper.from_array(normal(8), "b")]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, s]) for n, s in (("x", 16), ("y", 8))]
    save(helper.make_model(helper.make_graph(nodes, "small", [ends[0]], [ends[1]], weights)), path)
    return path


def written(path: Path, names: Iterable[str], size: int, shape: list[int], metadata: dict[str, str]) -> Path:
    """safetensors by hand: zeros under names that no library would write, or not so many so fast."""
    names = list(names)
    entry = {"dtype": {2: "F16", 16: "F32"}[size], "shape": shape}
    head = {n: entry | {"data_offsets": [size * i, size * i + size]} for i, n in enumerate(names)}
    text = json.dumps({"__metadata__": metadata, **head}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(size * len(names)))
    return path


def hostile(path: Path) -> Path:
    return written(path, HOSTILE, 16, [2, 2], {name: name for name in HOSTILE})


def many() -> list[str]:
    """100,000 names as long as those of large models, as safetensors sorts them."""
    kinds = ("gate_proj", "up_proj", "down_proj", "norm")
    return sorted(f"model.layers.{x}.mlp.experts.{y}.{k}.weight" for x in range(250) for y in range(100) for k in kinds)


def family(folder: Path) -> dict[str, Path]:
    """By what they are for; the order is that in the page."""
    made = {"plain": folder / "plain.safetensors"}
    mg.save(plain(), made["plain"])
    made["original"] = language(folder / "original.gguf")
    made["quantized"] = folder / "quantized.gguf"
    mg.quantize(made["original"], made["quantized"], "q4_0", pure=True)
    made["graph"] = graph(folder / "graph.onnx")
    made["hostile"] = hostile(folder / "hostile.safetensors")
    return made
