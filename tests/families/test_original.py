"""Meta's llama layout: forwards as Meta's code computes them, slices cut by hand, and there and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny

import modelglot
from modelglot.cli.main import run
from modelglot.core.errors import DamagedFileError, InvalidFileError, LossError, UnsupportedError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

_TWO = {"dim": 64, "n_layers": 2, "n_heads": 4, "multiple_of": 32, "norm_eps": 1e-5, "vocab_size": -1}
_THREE = {"dim": 64, "n_layers": 2, "n_heads": 8, "n_kv_heads": 4, "multiple_of": 32, "ffn_dim_multiplier": 1.3,
          "norm_eps": 1e-5, "rope_theta": 500000.0, "use_scaled_rope": True, "vocab_size": 456}  # fmt: skip
MODELS = {"llama-2": _TWO, "llama-3": _THREE}
VOCAB = 456
WIDE = ("wo.weight", "w2.weight")


def state(params: dict[str, Any], dtype: Any = torch.bfloat16) -> dict[str, Any]:
    """A model's tensors in Meta's names, drawn by name."""
    dim, inner = params["dim"], 192
    keys = dim // params["n_heads"] * params.get("n_kv_heads", params["n_heads"])
    shapes: dict[str, tuple[int, ...]] = {"tok_embeddings.weight": (VOCAB, dim)}
    for i in range(params["n_layers"]):
        shapes |= {f"layers.{i}.attention.{n}.weight": (dim if n in ("wq", "wo") else keys, dim)
                   for n in ("wq", "wk", "wv", "wo")}  # fmt: skip
        shapes |= {f"layers.{i}.feed_forward.w{n}.weight": (dim, inner) if n == 2 else (inner, dim) for n in (1, 2, 3)}
        shapes |= {f"layers.{i}.{n}_norm.weight": (dim,) for n in ("attention", "ffn")}
    shapes |= {"norm.weight": (dim,), "output.weight": (VOCAB, dim)}
    return {n: torch.from_numpy(tiny.weights(n, s)).to(dtype) for n, s in shapes.items()}


def write(folder: Path, params: dict[str, Any], tensors: dict[str, Any], slices: int = 1, embedding: int = 1) -> Path:
    """The folder, cut for ``slices`` processes; ``embedding`` is the axis its rows and columns are cut along."""
    folder.mkdir(parents=True)
    (folder / "params.json").write_text(json.dumps(params))
    for number in range(slices):

        def cut(name: str, tensor: Any, number: int = number) -> Any:
            if tensor.ndim < 2:
                return tensor.clone()
            axis = 1 if name.endswith(WIDE) else embedding if name.startswith("tok") else 0
            return tensor.chunk(slices, axis)[number].clone()

        part = {n: cut(n, t) for n, t in tensors.items()}
        frequencies = {"rope.freqs": torch.ones(8)} if "rope_theta" not in params else {}
        torch.save(part | frequencies, folder / f"consolidated.{number:02}.pth")
    return folder


def forward(params: dict[str, Any], w: dict[str, Any], ids: Any) -> Any:
    """The logits of Meta's model: neighbours of a head's vector are one complex number that positions turn."""
    heads, length = params["n_heads"], len(ids)
    groups, size = params.get("n_kv_heads", heads), params["dim"] // heads
    frequencies = params.get("rope_theta", 10000.0) ** -(torch.arange(0, size, 2).float() / size)
    if params.get("use_scaled_rope"):
        waves = 2 * torch.pi / frequencies
        smooth = ((8192 / waves - 1.0) / (4.0 - 1.0)).clamp(0, 1)
        frequencies = (1 - smooth) * frequencies / 8 + smooth * frequencies
    turns = torch.polar(torch.ones(length, size // 2), torch.outer(torch.arange(length).float(), frequencies))

    def norm(x: Any, weight: Any) -> Any:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + params["norm_eps"]) * weight

    def turned(x: Any) -> Any:
        pairs = torch.view_as_complex(x.reshape(length, -1, size // 2, 2))
        return torch.view_as_real(pairs * turns[:, None]).flatten(2)

    x = w["tok_embeddings.weight"][ids]
    for i in range(params["n_layers"]):
        a, f = f"layers.{i}.attention", f"layers.{i}.feed_forward"
        y = norm(x, w[f"layers.{i}.attention_norm.weight"])
        q, k = (turned(y @ w[f"{a}.{n}.weight"].T) for n in ("wq", "wk"))
        v = (y @ w[f"{a}.wv.weight"].T).reshape(length, groups, size)
        k, v = (t.repeat_interleave(heads // groups, 1) for t in (k, v))
        scores = torch.einsum("qhd,khd->hqk", q, k) / size**0.5 + torch.full((length, length), -1e30).triu(1)
        x = x + torch.einsum("hqk,khd->qhd", scores.softmax(-1), v).flatten(1) @ w[f"{a}.wo.weight"].T
        y = norm(x, w[f"layers.{i}.ffn_norm.weight"])
        gate = torch.nn.functional.silu(y @ w[f"{f}.w1.weight"].T)
        x = x + (gate * (y @ w[f"{f}.w3.weight"].T)) @ w[f"{f}.w2.weight"].T
    return norm(x, w["norm.weight"]) @ w["output.weight"].T


@pytest.mark.parametrize("slices", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_transformers_computes_what_metas_code_does(name: str, slices: int, tmp_path: Path) -> None:
    params = MODELS[name]
    tensors = state(params, torch.float32)
    write(tmp_path / "meta", params, tensors, slices, embedding=int(name == "llama-2"))
    modelglot.convert(tmp_path / "meta", f"{tmp_path}/hf/")
    model = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "hf", dtype=torch.float32).eval()
    ids = torch.arange(7, 47) * 11 % VOCAB
    with torch.no_grad():
        found = model(ids[None]).logits[0]
        expected = forward(params, tensors, ids)
    assert (found - expected).abs().max() < 1e-4 < expected.abs().max()


@pytest.mark.parametrize("name", MODELS)
def test_slices_give_the_whole_model(name: str, tmp_path: Path) -> None:
    tensors = state(MODELS[name])
    for slices, embedding in ((1, 0), (2, 1), (4, 0)):
        write(tmp_path / f"meta-{slices}", MODELS[name], tensors, slices, embedding)
        modelglot.convert(tmp_path / f"meta-{slices}", f"{tmp_path}/hf-{slices}/")
    files = [{f.name: f.read_bytes() for f in (tmp_path / f"hf-{n}").iterdir()} for n in (1, 2, 4)]
    assert set(files[0]) == {"config.json", "model.safetensors"}
    assert files[0] == files[1] == files[2]


def huggingface(folder: Path, params: dict[str, Any], **more: Any) -> Path:
    """The same kind of model as transformers saves it, with a tokenizer."""
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 8192}  # fmt: skip
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": params.get("rope_theta", 10000.0)}
    config = transformers.LlamaConfig(**{
        "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "vocab_size": VOCAB,
        "num_attention_heads": params["n_heads"], "num_key_value_heads": params.get("n_kv_heads", params["n_heads"]),
        "rms_norm_eps": 1e-5, "max_position_embeddings": 131072 if "use_scaled_rope" in params else 4096,
        "rope_parameters": rope | (scaling if "use_scaled_rope" in params else {}), **more,
    })  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(tiny.weights(name, tuple(parameter.shape))))
    folder.mkdir(parents=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    tiny.TOKENIZERS["phi3"](folder)
    return folder


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_there_and_back(name: str, tied: bool, tmp_path: Path) -> None:
    folder = huggingface(tmp_path / "hf", MODELS[name], tie_word_embeddings=tied)
    modelglot.convert(folder, tmp_path / "meta", dialect="original")
    loaded = torch.load(tmp_path / "meta" / "consolidated.00.pth", weights_only=True)
    assert (loaded["output.weight"].data_ptr() == loaded["tok_embeddings.weight"].data_ptr()) == tied
    names = {f.name for f in folder.iterdir()} - {"config.json", "model.safetensors"}
    assert {f.name for f in (tmp_path / "meta").iterdir()} == names | {"consolidated.00.pth", "params.json"}
    params = json.loads((tmp_path / "meta" / "params.json").read_text())
    inner = int(params.get("ffn_dim_multiplier", 1.0) * int(8 * params["dim"] / 3))
    assert -(-inner // params["multiple_of"]) * params["multiple_of"] == 192
    modelglot.convert(tmp_path / "meta", f"{tmp_path}/back/")
    assert modelglot.diff(folder, tmp_path / "back").same
    before, after = (transformers.AutoConfig.from_pretrained(p).to_dict() for p in (folder, tmp_path / "back"))
    ignored = {"_name_or_path", "transformers_version", "initializer_range", "use_cache", "dtype"}
    assert {k: v for k, v in after.items() if k not in ignored} == {k: v for k, v in before.items() if k not in ignored}


@pytest.mark.parametrize("name", MODELS)
def test_gguf_equals_that_of_the_hugging_face_folder(name: str, tmp_path: Path) -> None:
    folder = huggingface(tmp_path / "a" / "model", MODELS[name])
    modelglot.convert(folder, tmp_path / "b" / "model", dialect="original")
    modelglot.convert(folder, tmp_path / "a.gguf")
    modelglot.convert(tmp_path / "b" / "model", tmp_path / "b.gguf")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()
    modelglot.convert(tmp_path / "a.gguf", tmp_path / "c", dialect="original")
    assert modelglot.diff(tmp_path / "c", tmp_path / "b" / "model").same


def test_tiktoken_is_carried_and_not_taken_for_sentencepiece(tmp_path: Path, capsys: Any) -> None:
    folder = write(tmp_path / "meta", _THREE, state(_THREE))
    (folder / "tokenizer.model").write_bytes(b"IQ== 0\nIg== 1\n")
    assert run(["convert", str(folder), f"{tmp_path}/hf/"]) == 0
    assert "need tokenizer.json" in capsys.readouterr().err
    assert (tmp_path / "hf" / "tokenizer.model").read_bytes() == b"IQ== 0\nIg== 1\n"
    with pytest.raises(UnsupportedError, match="tiktoken"):
        modelglot.convert(folder, tmp_path / "x.gguf")


def test_inspect_names_it(tmp_path: Path) -> None:
    one = write(tmp_path / "one", _TWO, state(_TWO))
    two = write(tmp_path / "two", _TWO, state(_TWO), 2)
    assert modelglot.inspect(one).family == "llama (Meta's own layout, 1 slice)"
    assert modelglot.inspect(two).family == "llama (Meta's own layout, 2 slices)"


@pytest.mark.parametrize(
    ("dim", "inner"),
    [(4096, 11008), (4096, 14336), (8192, 28672), (5120, 13824), (2048, 8192), (3072, 8192), (16384, 53248), (64, 97)],
)
def test_inner_widths_can_be_said(dim: int, inner: int) -> None:
    from modelglot.families.original_params import _feed_forward

    found = _feed_forward(dim, inner)
    width = int(2 * 4 * dim / 3)
    width = int(found["ffn_dim_multiplier"] * width) if "ffn_dim_multiplier" in found else width
    step = found["multiple_of"]
    assert step * ((width + step - 1) // step) == inner


def test_published_models_are_told_apart() -> None:
    from modelglot.families.original_params import _generation

    def context(**given: Any) -> tuple[int, Any]:
        made = {"rope_theta": 10000.0, "rms_norm_eps": 1e-5, "vocab_size": 32000, "hidden_size": 4096, **given}
        found = _generation(given, made)
        return found["max_position_embeddings"], (found.get("rope_scaling") or {}).get("factor")

    three: dict[str, Any] = {"rope_theta": 500000.0, "vocab_size": 128256}
    assert context(rms_norm_eps=1e-6) == (2048, None)
    assert context() == (4096, None)
    assert context(rope_theta=1000000.0) == (16384, None)
    assert context(**three) == (8192, None)
    assert context(**three, use_scaled_rope=True) == (131072, 8.0)
    assert context(**three, use_scaled_rope=True, hidden_size=2048) == (131072, 32.0)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    tensors = state(_THREE)
    cases: list[tuple[dict[str, Any], dict[str, Any], int, type[Exception], str]] = [
        (_THREE, tensors, 8, UnsupportedError, "several slices share"),
        (_THREE | {"dim": 32}, tensors, 1, InvalidFileError, "implies"),
        (_THREE | {"dim": "64"}, tensors, 1, InvalidFileError, "`dim`"),
        (_THREE, tensors | {"layers.0.attention.wq.weight": torch.tensor(1.0)}, 1, InvalidFileError, "number alone"),
        (_THREE | {"n_layers": 3}, tensors, 1, DamagedFileError, "missing"),
        (_THREE | {"n_layers": 1}, tensors, 1, InvalidFileError, "implies none"),
        (_THREE | {"moe": {"num_experts": 8}}, tensors, 1, UnsupportedError, "`moe`"),
        (_THREE, tensors | {"layers.0.attention.wq.scales": torch.ones(2)}, 1, UnsupportedError, "no place"),
    ]
    for number, (params, given, slices, error, message) in enumerate(cases):
        folder = write(tmp_path / str(number), params, given, slices)
        with pytest.raises(error, match=message):
            modelglot.convert(folder, f"{tmp_path}/out/")
    folder = write(tmp_path / "gone", _THREE, tensors, 2)
    (folder / "consolidated.00.pth").unlink()
    with pytest.raises(DamagedFileError, match="is missing"):
        modelglot.convert(folder, f"{tmp_path}/out/")
    assert not (tmp_path / "out").exists()


def test_what_the_layout_cannot_say_is_refused(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"attention_bias": True}, "no place"),
        ({"head_dim": 32}, "wide"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}}, "scaling"),
        ({"hidden_act": "gelu"}, "activation"),
    ]
    for number, (more, message) in enumerate(cases):
        folder = huggingface(tmp_path / str(number), _TWO, **more)
        with pytest.raises((UnsupportedError, LossError), match=message):
            modelglot.convert(folder, tmp_path / "out", dialect="original")
    for key, value in (("hidden_size", None), ("num_attention_heads", 0), ("rms_norm_eps", "small")):
        folder = huggingface(tmp_path / key, _TWO)
        config = json.loads((folder / "config.json").read_text()) | {key: value}
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(InvalidFileError, match=f"`{key}`"):
            modelglot.convert(folder, tmp_path / "out", dialect="original")
    folder = huggingface(tmp_path / "fine", _TWO, max_position_embeddings=128)
    with pytest.raises(UnsupportedError, match="in a folder"):
        modelglot.convert(folder, tmp_path / "x.safetensors", dialect="original")
    receipt = modelglot.convert(folder, tmp_path / "out", dialect="original")
    assert any("`max_position_embeddings` 128" in loss.what for loss in receipt.plan.losses)
