"""Which type each tensor gets, against llama.cpp's own `llama_model_quantize`.

``recipes.json`` was recorded from libllama of llama.cpp's release v0.5.0 (dry runs, no importance matrix) on models of
the shapes below: for every recipe the first 16 hex digits of the SHA-256 of ``name=type`` lines in llama.cpp's order,
and how many tensors got each type.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from modelglot.core.dtype import DTYPES
from modelglot.core.errors import UnsupportedError
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import Model
from modelglot.core.tensor import Derived, Inline, Tensor
from modelglot.passes.quantize import quantize
from modelglot.passes.recipes.choose import Choices, Chooser, recipe_name
from modelglot.passes.recipes.mixtures import BASES

RECORDED = json.loads((Path(__file__).parent / "recipes.json").read_text())
SHAPES: dict[str, dict[str, Any]] = {
    "llama-plain": {"arch": "llama", "layers": 18, "heads": 8, "kv": 8},
    "llama-gqa-tied": {"arch": "llama", "layers": 17, "heads": 8, "kv": 2, "tied": True},
    "llama-odd": {"arch": "llama", "layers": 9, "heads": 3, "kv": 1, "dim": 288, "ff": 480, "tied": True},
    "llama-80": {"arch": "llama", "layers": 80, "heads": 8, "kv": 1, "ff": 256},
    "mixtral": {"arch": "llama", "layers": 12, "heads": 8, "kv": 2, "experts": 8},
    "qwen2": {"arch": "qwen2", "layers": 24, "heads": 7, "kv": 1, "dim": 448},
    "qwen3moe": {"arch": "qwen3moe", "layers": 10, "heads": 4, "kv": 2, "experts": 16},
    "falcon": {"arch": "falcon", "layers": 32, "heads": 8, "kv": 1, "qkv": True},
}


def model(
    arch: str, layers: int, heads: int, kv: int, experts: int = 0, tied: bool = False, dim: int = 256, ff: int = 512,
    qkv: bool = False, dtype: str = "f32",
) -> Model:  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (32, dim), "output_norm.weight": (dim,)}
    if not tied:
        shapes["output.weight"] = (32, dim)
    for i in range(layers):
        layer: dict[str, tuple[int, ...]] = {"attn_norm": (dim,), "ffn_norm": (dim,), "attn_output": (dim, dim)}
        narrow = dim * kv // heads
        layer |= {"attn_qkv": (dim + 2 * narrow, dim)} if qkv else {
            "attn_q": (dim, dim), "attn_k": (narrow, dim), "attn_v": (narrow, dim)}  # fmt: skip
        if experts:
            layer |= {"ffn_gate_inp": (experts, dim), "ffn_gate_exps": (experts, ff, dim),
                      "ffn_up_exps": (experts, ff, dim), "ffn_down_exps": (experts, dim, ff)}  # fmt: skip
        else:
            layer |= {"ffn_gate": (ff, dim), "ffn_up": (ff, dim), "ffn_down": (dim, ff)}
        shapes |= {f"blk.{i}.{n}.weight": s for n, s in layer.items()}
    entries = {"general.architecture": Entry(arch), f"{arch}.block_count": Entry(layers, "u32"),
               f"{arch}.attention.head_count": Entry(heads, "u32"),
               f"{arch}.attention.head_count_kv": Entry(kv, "u32")}  # fmt: skip
    if experts:
        entries[f"{arch}.expert_count"] = Entry(experts, "u32")
    tensors = {n: Tensor(n, DTYPES[dtype], s, Inline(b"")) for n, s in shapes.items()}
    return Model("gguf", (), tensors, metadata=Metadata(entries))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("recipe", BASES)
def test_types_are_those_of_llama_cpp(shape: str, recipe: str) -> None:
    made = model(**SHAPES[shape])
    chooser = Chooser(Choices(recipe), made.metadata, frozenset(made.tensors))
    types = {n: chooser.type_for(made.tensors[n]) or "f32" for n in chooser.ordered(list(made.tensors))}
    recorded = RECORDED[shape][recipe]
    assert dict(Counter(types.values())) == recorded["types"]
    lines = "\n".join(f"{n}={t}" for n, t in types.items())
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == recorded["sha256"]


def types(made: Model) -> dict[str, str]:
    return {n: t.type_name for n, t in made.tensors.items()}


def test_pure_and_overrides_and_the_output() -> None:
    source = model(**SHAPES["llama-plain"])
    pure = types(quantize(source, Choices("Q4_K_M", pure=True)))
    assert set(pure.values()) == {"q4_k", "f32"}
    some = types(quantize(source, Choices("Q4_K_M", overrides=(("*.ffn_down.weight", "q8_0"),))))
    assert {t for n, t in some.items() if "ffn_down" in n} == {"q8_0"}
    assert types(quantize(source, Choices("Q4_K_M", keep_output=True)))["output.weight"] == "f32"
    assert types(quantize(source, Choices("Q4_K_M", output_type="q8_0")))["output.weight"] == "q8_0"
    assert types(quantize(source, Choices("Q4_K_M", embedding_type="q5_1")))["token_embd.weight"] == "q5_1"


def test_quantizing_twice_must_be_asked_for() -> None:
    once = quantize(model(**SHAPES["llama-plain"]), Choices("Q8_0"))
    with pytest.raises(UnsupportedError, match="already"):
        quantize(once, Choices("Q4_0"))
    twice = quantize(once, Choices("Q4_0"), requantize=True).tensors["blk.0.attn_q.weight"].data
    assert isinstance(twice, Derived)
    assert [twice.kernel, twice.inputs[0].data.kernel] == ["quantize", "dequantize"]  # type: ignore[union-attr]


def test_small_types_need_an_importance_matrix() -> None:
    source = model(**SHAPES["llama-plain"])
    with pytest.raises(UnsupportedError, match="importance"):
        quantize(source, Choices("IQ2_XXS"))
    weights = {n: b"\0" * 4 * t.shape[-1] for n, t in source.tensors.items()}
    made = quantize(source, Choices("IQ2_XXS", imatrix=True), imatrix=weights).tensors["blk.3.ffn_up.weight"]
    assert isinstance(made.data, Derived)
    assert made.data.params["row"] == 256


def test_the_recipe_is_written_into_the_metadata() -> None:
    made = quantize(model(**SHAPES["llama-plain"]), Choices("Q5_K_M"))
    assert made.metadata["general.file_type"] == 17
    assert made.metadata["general.quantization_version"] == 2


def test_names_of_recipes() -> None:
    assert recipe_name("q4_k") == "Q4_K_M"
    assert recipe_name("iq4_xs") == "IQ4_XS"
    with pytest.raises(UnsupportedError, match="q9_9"):
        recipe_name("q9_9")
