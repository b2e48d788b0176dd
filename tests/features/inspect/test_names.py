"""What names say, and names held against what the file has."""

import random
import string

import pytest

from modelglot.core.dtype import dtype
from modelglot.core.encoding import BLOCKS, PLAIN
from modelglot.core.metadata import Entry, Metadata
from modelglot.core.model import FileRef, Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Missing, Tensor
from modelglot.core.tree import Node
from modelglot.features.inspect.names import check_name, parse_name
from modelglot.features.inspect.quantizations import QUANTIZATIONS
from modelglot.passes.recipes.file_types import FILE_TYPES, GUESSED, file_type_name

ROWS = {
    "qwen2.5-coder-7b-instruct-q6_k.gguf": {
        "base": "qwen2.5-coder", "size_label": "7B", "parameters": 7_000_000_000, "finetune": "instruct",
        "quantization": "Q6_K", "bits_per_weight": 6.5625},
    "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf": {
        "base": "Meta-Llama-3.1", "size_label": "8B", "finetune": "Instruct", "quantization": "Q4_K_M",
        "bits_per_weight": 4.5},
    "mixtral-8x7b-v0.1.Q5_K_M.gguf": {
        "base": "mixtral", "size_label": "8x7B", "parameters": 56_000_000_000, "version": "v0.1",
        "quantization": "Q5_K_M"},
    "Hermes-2-Pro-Llama-3-8B-F16.gguf": {
        "base": "Hermes-2-Pro-Llama-3", "size_label": "8B", "quantization": "F16", "bits_per_weight": 16},
    "DeepSeek-R1-UD-IQ2_XXS-00001-of-00003.gguf": {
        "base": "DeepSeek-R1", "quantization": "IQ2_XXS", "labels": ["UD"], "shard": [1, 3], "bits_per_weight": 2.0625},
    "gpt-oss-20b-mxfp4.gguf": {"base": "gpt-oss", "size_label": "20B", "quantization": "MXFP4",
                               "bits_per_weight": 4.25},
    "Qwen3-30B-A3B-Instruct-2507-UD-Q4_K_XL.gguf": {
        "base": "Qwen3", "size_label": "30B-A3B", "parameters": 30_000_000_000, "quantization": "Q4_K_XL",
        "labels": ["UD", "XL"], "bits_per_weight": 4.5},
    "Llama-4-Maverick-17B-128E-Instruct-Q2_K_L.gguf": {"size_label": "17B-128E", "labels": ["L"]},
    "SmolLM2-135M-Instruct.Q4_1.gguf": {"base": "SmolLM2", "parameters": 135_000_000, "quantization": "Q4_1"},
    "tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf": {"finetune": "chat", "version": "v1.0", "parameters": 1_100_000_000},
    "Phi-3-mini-4k-instruct-q4.gguf": {"base": "Phi-3-mini", "context": 4096, "quantization": "Q4"},
    "model.i1-Q4_K_M.gguf": {"quantization": "Q4_K_M", "labels": ["i1"], "bits_per_weight": 4.5},
    "Mistral-7B-Instruct-v0.2-AWQ": {"quantization": "AWQ", "version": "v0.2", "finetune": "Instruct"},
    "Llama-3.2-1B-Instruct-bnb-4bit": {"quantization": "BNB-4BIT", "base": "Llama-3.2"},
    "deepseek-coder-6.7b-base.Q4_0_4_4.gguf": {"quantization": "Q4_0_4_4", "finetune": "base"},
    "sd_xl_base_1.0.safetensors": {"base": "sd_xl_base", "version": "1.0"},
    "v1-5-pruned-emaonly.ckpt": {"version": "1.5", "finetune": "pruned-emaonly"},
    "epoch=3-step=1000.ckpt": {"epoch": 3, "step": 1000},
    "epoch=03-val_loss=0.12.ckpt": {"epoch": 3},
    "checkpoint-5000": {"step": 5000},
    "consolidated.00.pth": {"shard": [0, None]},
    "model-00001-of-00002.safetensors": {"shard": [1, 2]},
    "pytorch_model-00001-of-00002.bin": {"shard": [1, 2]},
    "mmproj-model-f16.gguf": {"quantization": "F16"},
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_what_names_say(name):
    found = parse_name(name).document()
    assert {k: found.get(k) for k in ROWS[name]} == ROWS[name]
    assert found["said"]


def test_the_sentence_of_the_example():
    said = parse_name("qwen2.5-coder-7b-instruct-q6_k.gguf").said
    for word in ("base qwen2.5-coder", "7B parameters", "instruct-tuned", "Q6_K", "blocks of 256", "6.5625 bits"):
        assert word in said


@pytest.mark.parametrize(("name", "words"), [
    ("pytorch_model.bin", "Hugging Face"), ("adapter_model.safetensors", "adapter"),
    ("training_args.bin", "not weights"), ("consolidated.00.pth", "Meta"), ("epoch=3-step=1000.ckpt", "Lightning"),
    ("ggml-vocab-llama-spm.gguf", "vocabulary"), ("mmproj-x-f16.gguf", "vision"),
    ("x-UD-Q4_K_XL.gguf", "no recipe of llama.cpp"), ("v1-5-pruned-emaonly.ckpt", "emaonly"),
    ("a-00002-of-00003.gguf", "file 2 of 3"),
])  # fmt: skip
def test_sentences(name, words):
    assert words in parse_name(name).said


@pytest.mark.parametrize("name", ["model.gguf", "a", "", "weights.safetensors", "bert-base-uncased", "日本.gguf"])
def test_names_that_say_little(name):
    facts = parse_name(name)
    assert facts.size_label is facts.quantization is facts.shard is None


def test_any_name_is_taken():
    random.seed(3)
    alphabet = string.ascii_letters + string.digits + "-_. =xXBkKqQ"
    for _ in range(3000):
        parse_name("".join(random.choices(alphabet, k=random.randint(0, 60)))).document()
    parse_name("9" * 400 + "b-" + "8x" * 50 + "-epoch=" + "9" * 90).document()


def test_every_type_and_recipe_is_explained():
    for name, block in BLOCKS.items():
        assert QUANTIZATIONS[name].bits_per_weight == block.bits_per_weight
        assert f"blocks of {block.elements}" in QUANTIZATIONS[name].sentence
    for label in FILE_TYPES.values():
        assert QUANTIZATIONS[label].sentence
        base = QUANTIZATIONS[label].base
        assert base is None or base in BLOCKS or base in ("f16", "f32", "bf16")


def test_file_types_are_those_of_the_gguf_package():
    gguf = pytest.importorskip("gguf")
    theirs = {int(t): t.name.removeprefix("MOSTLY_").removeprefix("ALL_") for t in gguf.LlamaFileType if t != GUESSED}
    assert {n: FILE_TYPES[n] for n in theirs} == theirs
    assert file_type_name(GUESSED | 15) == "Q4_K_M"
    assert file_type_name(9999) is file_type_name("x") is file_type_name(None) is None


def model(types, metadata=None, tree=None, notes=()):
    """``types``: (type, elements) of each tensor."""
    tensors = {}
    for number, (kind, count) in enumerate(types):
        block = BLOCKS.get(kind)
        tensors[f"t{number}"] = Tensor(
            f"t{number}", dtype("f32" if block else kind), (count,), Missing("test"), block or PLAIN
        )
    return Model("gguf", (FileRef("a", "a", 1),), tensors, metadata=Metadata(metadata or {}), tree=tree, notes=notes)


GB = 1_000_000_000
FT = "general.file_type"


@pytest.mark.parametrize(("name", "held", "codes"), [
    ("m-7b-q4_k_m.gguf", model([("q4_k", 6 * GB), ("q6_k", GB), ("f32", 5000)], {FT: Entry(15, "u32")}), []),
    ("m-7b-q4_k.gguf", model([("q4_k", 6 * GB), ("q6_k", GB)], {FT: Entry(15, "u32")}), []),
    ("m-7b-q4_k_s.gguf", model([("q4_k", 7 * GB)], {FT: Entry(15, "u32")}), ["name-quantization info"]),
    ("m-7b-q5_k_m.gguf", model([("q4_k", 7 * GB)], {FT: Entry(15, "u32")}),
     ["name-quantization warning", "name-quantization warning"]),
    ("m-7b-q6_k.gguf", model([("q4_k", 7 * GB)]), ["name-quantization warning"]),
    ("m-7b-UD-Q4_K_XL.gguf", model([("q5_k", 7 * GB)], {FT: Entry(15, "u32")}), []),
    ("m-7b.gguf", model([("q8_0", 7 * GB)], {FT: Entry(15, "u32")}), ["file-type warning"]),
    ("m-20b-mxfp4.gguf", model([("mxfp4", 19 * GB), ("q8_0", GB)], {FT: Entry(38, "u32")}), []),
    ("m-7b-f16.gguf", model([("f16", 7 * GB)], {FT: Entry(1, "u32")}), []),
    ("m-7b-f16.safetensors", model([("bf16", 7 * GB)]), ["name-quantization warning"]),
    ("m-8x7b.gguf", model([("f16", 46_700_000_000)]), []),
    ("m-2b.gguf", model([("f16", 2_600_000_000)]), ["name-size info"]),
    ("m-7b.gguf", model([("f16", 70 * GB)]), ["name-size warning"]),
    ("m-7b.gguf", model([("f16", 7 * GB)], {"general.size_label": "13B"}), ["name-size warning"]),
    ("m-8x7b.gguf", model([("f16", 50 * GB)], {"general.size_label": "8x7B"}), []),
    ("m-7b-00001-of-00003.gguf", model([("f16", 2 * GB)]), []),
    ("m-7b.gguf", model([("f16", GB)], notes=(Note("missing-shard", "", "warning"),)), []),
    ("m-7b-gptq.safetensors", model([("i32", GB), ("f16", GB)]), []),
    ("ggml-vocab-x-7b.gguf", model([]), []),
    ("epoch=3-step=1000.ckpt", model([], tree=Node("dict", [("epoch", 3), ("global_step", 1000)])), []),
    ("epoch=3-step=1000.ckpt", model([], tree=Node("dict", [("epoch", 9), ("global_step", 1000)])),
     ["name-step warning"]),
    ("model.gguf", model([("f16", GB)]), []),
])  # fmt: skip
def test_names_held_against_files(name, held, codes):
    assert [f"{n.code} {n.level}" for n in check_name(parse_name(name), held)] == codes
