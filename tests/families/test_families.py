"""Every family: tiny models of transformers to GGUF, against llama.cpp's converter and llama.cpp itself, and back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot
from modelglot.api.reading import read_model

pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
import tiny
from llama_runtime import Runtime, like_ggml

RECORDS = Path(__file__).parent / "reference"
TEXT = "The cats and the dogs, 12345 of them! In <tool> the end; naïve 🦙."


@pytest.fixture(scope="module", params=sorted(tiny.CASES))
def case(request: Any, tmp_path_factory: Any) -> Any:
    """(name, folder in bfloat16, the model in float32)"""
    folder = tmp_path_factory.mktemp(request.param) / "tiny-model"
    folder.mkdir()
    return request.param, folder, tiny.build(request.param, folder, "bfloat16")


# Keys of config.json that GGUF does not tell: case -> key -> what comes back.
LOST: dict[str, dict[str, Any]] = {
    "mistral": {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "sliding_window": None, "attention_bias": False,
        "mlp_bias": False, "pretraining_tp": 1,
    },
    "falcon": {"num_kv_heads": 1},  # transformers says the number of heads, and ignores it: `multi_query` means one
}  # fmt: skip

# Keys that differ from the reference on purpose: case -> key -> why.
DIFFERENT: dict[str, dict[str, str]] = {
    "glm": {
        "chatglm.context_length": "the reference says `hidden_size` where config.json has no `seq_length`",
        "chatglm.attention.layer_norm_rms_epsilon": "the reference does not read `rms_norm_eps`",
    },
}

# An exponential: ours is the nearest float32, PyTorch's now and then the next one.
OTHER_BYTES = {"mamba": ("blk.0.ssm_a", "blk.1.ssm_a")}

# llama.cpp does not scale what leaves the decoder of the first t5 models, which GGUF has no key for.
SCALE = {"t5": 64**-0.5}

# Tensors that llama.cpp does not want.
GONE = {"bert": {"pooler.dense.weight", "pooler.dense.bias"}}

# What the reference converter itself cannot convert.
NO_REFERENCE = {
    "falcon": "takes `num_kv_heads`, which transformers 5 fills in, for the number of K and V",
    "stablelm-2": "loses the norms of heads and stops",
}

# Keys that the reference writes before all others, since it makes them while it makes tensors.
MOVED = {"phi3-long": ("phi3.rope.scaling.attn_factor",)}

# llama.cpp looks GELU up in a table of float16: one step of it is 5e-4 of the value, wherever a last bit differs.
TOLERANCE = {"gemma2": 5e-3, "gemma3": 5e-3, "t5-gated": 1e-2}


def test_equals_the_reference_converter(case: Any, tmp_path: Path) -> None:
    name, folder, _ = case
    if name in NO_REFERENCE:
        pytest.skip(f"the reference {NO_REFERENCE[name]}")
    record = json.loads((RECORDS / f"{name}.json").read_text())
    modelglot.convert(folder, tmp_path / "out.gguf", settings={"gguf:pre": "gpt-2"})
    with modelglot.open(tmp_path / "out.gguf") as model:
        tensors = {
            n: [t.type_name, list(t.shape), hashlib.sha256(model.tensors[n].bytes()).hexdigest()]
            for n, t in read_model(str(tmp_path / "out.gguf")).tensors.items()
        }
        metadata = {k: _plain(e) for k, e in model.metadata.entries()}
    other = OTHER_BYTES.get(name, ())
    assert {n: t[:2] for n, t in tensors.items()} == {n: t[:2] for n, t in record["tensors"].items()}
    assert {n for n, t in tensors.items() if t != record["tensors"][n]} <= set(other)
    expected = {k: v for k, v in record["metadata"].items() if k not in DIFFERENT.get(name, {})}
    found = {k: v for k, v in metadata.items() if k not in DIFFERENT.get(name, {})}
    assert found == expected
    moved = MOVED.get(name, ())
    assert [k for k in found if k not in moved] == [k for k in expected if k not in moved]


def _plain(entry: Any) -> Any:
    names = {"str": "STRING", "u32": "UINT32", "f32": "FLOAT32", "bool": "BOOL", "i32": "INT32", "u64": "UINT64"}
    if entry.type.startswith("array["):
        return [["ARRAY", names[entry.type[6:-1]]], list(entry.value)]
    return [[names[entry.type]], entry.value]


def test_runs_in_llama_cpp_with_the_same_logits(case: Any, tmp_path: Path) -> None:
    import torch
    from transformers import AutoTokenizer

    name, folder, model = case
    modelglot.convert(folder, tmp_path / "out.gguf", dtype=["f32"], settings={"gguf:pre": "gpt-2"})
    if name == "gpt-oss-mxfp4":  # llama.cpp rounds what such weights are multiplied with to 8 bits
        (tmp_path / "out.gguf").rename(tmp_path / "blocks.gguf")
        modelglot.convert(tmp_path / "blocks.gguf", tmp_path / "out.gguf", dtype=["f32"])
    ids = AutoTokenizer.from_pretrained(folder).encode(TEXT)
    like_ggml(model)
    start = getattr(model.config, "decoder_start_token_id", None)
    with Runtime(tmp_path / "out.gguf", embeddings=name == "bert") as runtime, torch.no_grad():
        assert runtime.tokenize(TEXT) == ids
        if name == "bert":
            found, expected = runtime.embedding(ids), model(torch.tensor([ids])).last_hidden_state[0].mean(0).numpy()
        elif start is not None:
            heard, said = torch.tensor([ids]), [start, *ids[:7]]
            runtime.encode(ids)
            found = runtime.logits(said) * SCALE.get(name, 1.0)
            expected = model(input_ids=heard, decoder_input_ids=torch.tensor([said])).logits[0].numpy()
        else:
            found, expected = runtime.logits(ids[:24]), model(torch.tensor([ids[:24]])).logits[0].numpy()
    assert np.abs(found - expected).max() <= TOLERANCE.get(name, 1e-3)
    assert np.median(np.abs(found - expected)) <= 1e-3
    assert np.abs(expected).max() > 0.1


def test_comes_back_bit_for_bit(case: Any, tmp_path: Path) -> None:
    import transformers
    from transformers import AutoConfig, AutoTokenizer

    name, folder, model = case
    modelglot.convert(folder, tmp_path / "out.gguf", settings={"gguf:pre": "gpt-2"})
    modelglot.convert(tmp_path / "out.gguf", f"{tmp_path}/back/")
    found = modelglot.diff(folder, tmp_path / "back")
    assert found.same or (set(found.only_left), found.only_right, found.changed) == (GONE.get(name), (), ())
    before, after = AutoConfig.from_pretrained(folder), AutoConfig.from_pretrained(tmp_path / "back")
    ignored = {"_name_or_path", "transformers_version", "initializer_range", "use_cache"}
    one, two = ({k: v for k, v in c.to_dict().items() if k not in ignored} for c in (before, after))
    lost = LOST.get(name, {})
    assert {k: two.get(k) for k in lost} == lost
    assert {k: v for k, v in two.items() if k not in lost} == {k: v for k, v in one.items() if k not in lost}
    loaded = getattr(transformers, after.architectures[0]).from_pretrained(tmp_path / "back")
    assert type(loaded) is type(model) or lost
    ids = AutoTokenizer.from_pretrained(folder).encode(TEXT)
    assert AutoTokenizer.from_pretrained(tmp_path / "back").encode(TEXT) == ids
