"""Real files made by others: what `inspect` says of them, and every byte against the library that made them."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fetch import entries, folder, place
from references import REFERENCES

import modelglot as mg
from modelglot.api.reading import read_model
from modelglot.core.errors import DamagedFileError, LossError, ModelFileError, UnknownFormatError
from modelglot.testing.blocks import imatrix_dat

ROOT = folder()
ALL = [e for e in entries() if not e.get("side")]
MODELS = [e for e in ALL if "format" in e and "tested" not in e]  # `tested`: in a module of that name
pytestmark = pytest.mark.real


def find(id_: str, name: str) -> Path:
    return next(place(ROOT, e) for e in ALL if e["id"] == id_ and e["member"].endswith(name))


def label(entry: dict[str, Any]) -> str:
    return f"{entry['id']}/{entry['member'].rsplit('/', 1)[-1]}"


@pytest.mark.parametrize("entry", MODELS, ids=label)
def test_inspect_says_what_the_catalogue_says(entry: dict[str, Any]) -> None:
    report = mg.inspect(place(ROOT, entry))
    assert report.model.format == entry["format"]
    assert len(report.model.tensors) == entry["tensors"]
    if "types" in entry:
        assert {t.type: t.tensors for t in report.types} == entry["types"]
    else:
        assert sum(t.tensors for t in report.types) == entry["tensors"]


def numpy_of(value: Any) -> np.ndarray[Any, Any]:
    return value.detach().numpy() if hasattr(value, "detach") else np.asarray(value)


def reference(path: Path, format: str) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors as the reference library reads them; nested keys joined by dots."""
    if format == "safetensors":
        from safetensors.numpy import load_file

        return dict(load_file(path))
    if format == "gguf":
        from gguf import GGUFReader

        return {t.name: np.asarray(t.data) for t in GGUFReader(path).tensors}
    if format == "npz":
        return dict(np.load(path))
    if format in REFERENCES:
        return REFERENCES[format](path)
    import torch

    if format == "torchscript":
        return {n: numpy_of(t) for n, t in torch.jit.load(str(path)).state_dict().items()}
    loaded = torch.load(path, weights_only=True, map_location="cpu")
    flat: dict[str, np.ndarray[Any, Any]] = {}

    def visit(value: Any, path: str) -> None:
        if isinstance(value, torch.Tensor):
            flat[path] = numpy_of(value)
        elif isinstance(value, dict):
            for k, v in value.items():
                visit(v, f"{path}.{k}" if path else str(k))
        elif isinstance(value, (list, tuple)):
            for i, v in enumerate(value):
                visit(v, f"{path}.{i}" if path else str(i))

    visit(loaded, "")
    return flat


# what the reference library cannot open is compared with its twin below
NO_REFERENCE = (
    "igfold-ckpt",
    "deeplc-whole-module",
    "gguf-truncated",
    "mtcnn-npy-object",
    "paddle-lpips-pdparams",
    "silero-ggml",
)


@pytest.mark.parametrize("entry", [e for e in MODELS if e["tensors"] and e["id"] not in NO_REFERENCE], ids=label)
def test_every_byte_is_that_of_the_reference_library(entry: dict[str, Any]) -> None:
    path = place(ROOT, entry)
    wanted = reference(path, entry["format"])
    with mg.open(path) as model:
        found = {n: bytes(t.bytes()) for n, t in model.tensors.items() if n in wanted}
        surplus = set(model.tensors) - set(wanted)
    assert set(found) == set(wanted)
    assert not surplus or entry["format"] == "torchscript", surplus  # constants are no part of a state dict
    for name, array in wanted.items():
        assert found[name] == np.ascontiguousarray(array).tobytes(), name


@pytest.mark.parametrize("entry", [e for e in MODELS if e["tensors"] and e["id"] != "gguf-truncated"], ids=label)
def test_converts_to_safetensors_and_the_reference_library_reads_the_same(
    entry: dict[str, Any], tmp_path: Path
) -> None:
    from safetensors.numpy import load_file

    path, out = place(ROOT, entry), tmp_path / "out.safetensors"
    receipt = mg.convert(path, out)
    assert receipt.verified
    assert mg.diff(path, out).same
    assert mg.digest(path).total == mg.digest(out).total
    read = load_file(out)
    with mg.open(out) as model:
        for name, handle in model.tensors.items():
            assert read[name].tobytes() == bytes(handle.bytes()), name


PAIRS = [
    (("igfold-ckpt", "igfold_1.ckpt"), ("igfold-st", "igfold_1.safetensors")),
    *((("lpips-pth", f"{n}.pth"), ("paddle-lpips-pdparams", f"{n}.pdparams")) for n in ("alex", "vgg", "squeeze")),
]


@pytest.mark.parametrize(("left", "right"), PAIRS, ids=lambda p: p[1])
def test_the_same_weights_in_two_formats(left: tuple[str, str], right: tuple[str, str]) -> None:
    a, b = find(*left), find(*right)
    assert mg.diff(a, b).same
    assert mg.digest(a).total == mg.digest(b).total


def test_the_networks_of_mtcnn_have_the_values_of_their_numpy_twin() -> None:
    """One author's .npy (Keras layout, other names) and another's .pt: kernels transposed, then equal values."""
    npy = mg.load(find("mtcnn-npy-object", ".npy"))
    ours = Counter(np.sort(v.ravel()).tobytes() for v in npy.values())
    for name in ("pnet.pt", "rnet.pt", "onet.pt"):
        for tensor in mg.load(find("facenet-mtcnn-pt", name)).values():
            assert ours[np.sort(tensor.ravel()).tobytes()] > 0


def test_a_whole_module_gives_its_tensors_without_its_classes() -> None:
    path = find("deeplc-whole-module", "8c22d89667368f2f02ad996469ba157e.pt")
    report = mg.inspect(path)
    assert "whole-module" in [n.code for n in report.notes]
    assert any(name.startswith("torch.fx") for name in report.objects)
    assert all(np.isfinite(v).all() for v in mg.load(path).values())


def test_the_lightning_checkpoint_names_what_it_would_import() -> None:
    report = mg.inspect(find("igfold-ckpt", ".ckpt"))
    assert "transformers.models.bert.configuration_bert.BertConfig" in report.objects
    assert [p.path for p in report.parts] == ["state_dict"]


def test_a_truncated_gguf_can_be_seen_and_not_converted(tmp_path: Path) -> None:
    path = find("gguf-truncated", "part01.bin")
    assert "truncated" in [n.code for n in mg.inspect(path).notes]
    with pytest.raises((LossError, DamagedFileError)):
        mg.convert(path, tmp_path / "out.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_gguf_goes_through_safetensors_and_back_unharmed(tmp_path: Path) -> None:
    path = find("smollm2-135m-q4_1-gguf", ".gguf")
    mg.convert(path, tmp_path / "a.safetensors")
    mg.convert(tmp_path / "a.safetensors", tmp_path / "b.gguf")
    assert mg.diff(path, tmp_path / "b.gguf").same
    before, after = read_model(str(path)), read_model(str(tmp_path / "b.gguf"))
    assert dict(before.metadata.entries()).keys() == dict(after.metadata.entries()).keys()
    for key, entry in before.metadata.entries():
        assert after.metadata.entry(key).type == entry.type, key
        value = after.metadata[key]
        assert (list(value) == list(entry.value)) if "array" in entry.type else value == entry.value, key


def test_a_gguf_laid_out_again_is_the_same_file(tmp_path: Path) -> None:
    path = find("smollm2-135m-q4_1-gguf", ".gguf")
    mg.convert(path, tmp_path / "b.gguf")
    assert (tmp_path / "b.gguf").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_what_is_no_model_is_named(name: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        mg.open(find("lfs-pointer", name))
    assert isinstance(caught.value, (UnknownFormatError, DamagedFileError))
    assert caught.value.hint
    assert ("git lfs pull" in str(caught.value)) == (name == "model.onnx")


def test_a_hugging_face_folder_keeps_its_files(tmp_path: Path) -> None:
    folder_ = find("minilm-l6-hf", "model.safetensors").parent
    mg.convert(folder_, tmp_path / "out", to="torch-zip", max_shard_size="40MB")
    names = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert {"config.json", "tokenizer.json", "1_Pooling/config.json", "pytorch_model.bin.index.json"} <= names
    assert mg.diff(folder_, tmp_path / "out").same


# SHA-256 of what llama.cpp's own llama_model_quantize (libllama of release v0.5.0) makes of this model's float16 form.
QUANTIZED = {
    "iq4_nl": "ed65a69d6ceb29d0ca15f304d2ade6d417b8229c53728a051dbdbbab6a59c894",
    "iq4_xs": "55774849f739670f6843cc6f1e5cce50b4fda4a44e2bea59138ddbc272400998",
    "q2_k": "c7c9a27bc9b5004eaa297bc6ed0296f70a2783d0680f02315d9ec262362b6f44",
    "q3_k_m": "5b429f751e69e6de05185492bd40ae38f33fc17a87c59954e616d4afc086ea1c",
    "q4_0": "5ba170526794902da0dd135b235a1627c1eb0aa02a93e3a18b4bbeae783b929c",
    "q4_k_m": "27e1496775b07d69415cc5b6658f448ded3829cd2d769473cf2781e77d020b19",
    "q4_k_s": "cff71c7fd9d44a3ce339c6313e2ed4e42681dee8568eb5c9a20e327cded65a8f",
    "q5_k_m": "7378a40b95ecd219f48a7edbc743dc58dc5adb9923460f70fb4843c681bb0289",
    "q5_k_s": "f49d735d6da0793415fb69f8537066995ea9bc33cc26bab18dca471a9668712f",
    "q6_k": "e02e2a90bcca06262eec989c276d985b15c3f307a65304b64e213748367ef948",
    "q8_0": "f7933c716a5b5334c54b997d1f6db3f38a0786c9046ac5f46311b396a3f1fe54",
    "tq1_0": "a89323f1571ded7d5156ff262a9ea7bac3239128c666e79a1e3035eb64784fbc",
    "tq2_0": "ed448a8f0a6036e6ecf3a83eaf200915cab8e927c4af975f9b6e30816dcac9ee",
}


@pytest.fixture(scope="module")
def smollm2_f16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published Q4_1 file, decoded to float16 except for what llama.cpp always keeps in float32."""
    out = tmp_path_factory.mktemp("smollm2") / "f16.gguf"
    mg.convert(find("smollm2-135m-q4_1-gguf", ".gguf"), out, dtype=["*_norm.weight=f32", "f16"])
    return out


@pytest.mark.parametrize("recipe", QUANTIZED)
def test_a_quantized_file_is_llama_quantizes_file_byte_for_byte(recipe: str, smollm2_f16: Path, tmp_path: Path) -> None:
    mg.quantize(smollm2_f16, tmp_path / "out.gguf", recipe)
    with (tmp_path / "out.gguf").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == QUANTIZED[recipe]


WEIGHED = {  # with the importances made here; rows of 576 fall back, those of 1536 do not
    "iq1_m": "6550e8f85fd21ae14a2ba1e4010982c506ba038201ec80b212f9ddf9338b932a",
    "iq2_xs": "ce576f028fd405576a00e55c9e8b0dff5f5494ca828199424c7c4dab3f536149",
    "iq3_m": "c9d50b7ae10e6f4db38fe73de76a871bdd011f46e4c16b20dc67c3d7455aac0a",
}


@pytest.mark.parametrize("recipe", WEIGHED)
def test_a_file_quantized_by_importances_is_llama_quantizes(recipe: str, smollm2_f16: Path, tmp_path: Path) -> None:
    with mg.open(smollm2_f16) as model:
        columns = {n: t.shape[-1] for n, t in model.tensors.items() if len(t.shape) == 2 and n != "token_embd.weight"}
    (tmp_path / "imatrix.dat").write_bytes(imatrix_dat(columns))
    mg.quantize(smollm2_f16, tmp_path / "out.gguf", recipe, imatrix=tmp_path / "imatrix.dat")
    with (tmp_path / "out.gguf").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == WEIGHED[recipe]


KEPT_SHARDS = (
    "072031dddde996dc85d55e62510cd800d806c9805c0ce7568252ef41b5ee8ca5",
    "fe7e1df2ce71368acac203836e4c58d14a4c4b0ec5345aea2fa7f1431c8088c2",
    "7a419ae01dd42e8d837d76997cc6919b54b0e344bd8bbb1d5cb9c9a4fabbd63b",
)


def test_shards_are_kept_as_llama_quantize_keeps_them(smollm2_f16: Path, tmp_path: Path) -> None:
    mg.convert(smollm2_f16, tmp_path / "f16", to="gguf", max_shard_size="100MB")
    mg.quantize(tmp_path / "f16", tmp_path / "q4", "q4_k_m", keep_split=True, to="gguf")
    files = sorted((tmp_path / "q4").iterdir())
    assert tuple(hashlib.sha256(f.read_bytes()).hexdigest() for f in files) == KEPT_SHARDS


def test_decoding_a_real_file_is_the_gguf_packages_decoding(smollm2_f16: Path) -> None:
    from gguf import GGUFReader, dequantize

    decoded = mg.load(smollm2_f16)
    for tensor in GGUFReader(find("smollm2-135m-q4_1-gguf", ".gguf")).tensors[:40]:
        wanted = dequantize(tensor.data, tensor.tensor_type)
        assert np.array_equal(decoded[tensor.name], wanted.astype(decoded[tensor.name].dtype)), tensor.name


def test_whispers_voice_detection_is_its_torchscript_twin_in_half_precision() -> None:
    old = find("silero-ggml", "for-tests-silero-v6.2.0-ggml.bin")
    twin = mg.load(find("silero-vad-6", "silero_vad.jit"))
    found = mg.load(old)
    assert len(found) == 15
    for name, value in found.items():
        assert np.array_equal(twin[name].astype(value.dtype).reshape(value.shape), value), name


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_one_network_as_onnx_and_as_pytorch_file(name: str) -> None:
    """Every tensor has its twin by value; kernels after turning axes, since Caffe's images lie on their side."""
    report = mg.diff(find("mtcnn-onnx", f"{name}.onnx"), find("facenet-mtcnn-pt", f"{name}.pt"), match="value")
    assert report.same
    assert len(report.pairs) == {"pnet": 13, "rnet": 16, "onet": 21}[name]


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_one_network_as_numpy_array_and_as_onnx(name: str, tmp_path: Path) -> None:
    mg.convert(find("mtcnn-npy-object", ".npy"), tmp_path / "a.safetensors", component=name)
    assert mg.diff(tmp_path / "a.safetensors", find("mtcnn-onnx", f"{name}.onnx"), match="value").same


def test_a_keras_model_beside_the_pytorch_module_made_of_it() -> None:
    report = mg.diff(find("deeplc-keras", ".keras"), find("deeplc-whole-module", "ba157e.pt"), match="value")
    assert len(report.pairs) == 42
    assert not report.only_left  # what is left on the right are constants of the exported graph


def test_one_model_as_savedmodel_onnx_tflite_and_core_ml() -> None:
    """The convolutions that no converter fused with a batch norm are the same everywhere, kernels turned."""
    saved = find("basic-pitch-4fmt", "saved_model.pb").parent
    for other in (saved.parent / "nmp.onnx", saved.parent / "nmp.tflite", saved.parent / "nmp.mlpackage"):
        pairs = {pair.left for pair in mg.diff(saved, other, match="value").pairs}
        for layer in (3, 4, 7, 8):
            assert {f"layer_with_weights-{layer}/kernel", f"layer_with_weights-{layer}/bias"} <= pairs, other
