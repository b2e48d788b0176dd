"""ONNX files that others exported: run before and after, and beside the same network in other formats."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fetch import entries, folder, place

import modelglot as mg
from modelglot.core.layer import AXES, GATES, KIND

pytestmark = pytest.mark.real
ONNX = [e for e in entries() if e.get("format") == "onnx"]


def find(id_: str, name: str = "") -> Path:
    return next(place(folder(), e) for e in entries() if e["id"] == id_ and e["member"].endswith(name))


def label(entry: dict[str, Any]) -> str:
    return entry["member"].rsplit("/", 1)[-1]


def values(path: Path, least: int = 1) -> Counter[bytes]:
    """The tensors by their sorted values: equal ones are found whatever their names and the order of their axes."""
    return Counter(np.sort(v.ravel()).tobytes() for v in mg.load(path).values() if v.size >= least)


@pytest.mark.parametrize("entry", ONNX, ids=label)
def test_written_again_it_is_the_same_file_and_with_data_beside_the_same_model(
    entry: dict[str, Any], tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    path = place(folder(), entry)
    mg.convert(path, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == path.read_bytes()
    mg.convert(path, tmp_path / "outside.onnx", settings={"onnx:external": "w.bin", "onnx:threshold": "1"})
    assert mg.diff(path, tmp_path / "outside.onnx").same
    assert alike(onnx.load(tmp_path / "outside.onnx")) == alike(onnx.load(path))


def alike(model: Any) -> Any:
    """The model with every tensor stored in one way."""
    from onnx import external_data_helper, numpy_helper

    for tensor in external_data_helper._get_all_tensors(model):
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    return model


@pytest.mark.parametrize("entry", ONNX, ids=label)
def test_its_weights_put_back_into_it(entry: dict[str, Any], tmp_path: Path) -> None:
    path = place(folder(), entry)
    mg.convert(path, tmp_path / "w.safetensors")
    mg.convert(tmp_path / "w.safetensors", tmp_path / "back.onnx", template=path)
    assert mg.diff(path, tmp_path / "back.onnx").same
    assert mg.inspect(tmp_path / "back.onnx").model.graph == mg.inspect(path).model.graph


def test_it_runs_the_same_with_its_weights_put_back(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    path = find("mtcnn-onnx", "pnet.onnx")
    mg.convert(path, tmp_path / "w.npz", allow_loss=["metadata"])
    mg.convert(tmp_path / "w.npz", tmp_path / "back.onnx", template=path)
    image = np.random.default_rng(0).standard_normal((1, 40, 60, 3)).astype("f4")
    results = [
        runtime.InferenceSession(p, providers=["CPUExecutionProvider"]).run(None, {"input_1": image})
        for p in (path, tmp_path / "back.onnx")
    ]
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_mtcnn_has_the_values_of_its_pytorch_twin(name: str) -> None:
    torch = values(find("facenet-mtcnn-pt", f"{name}.pt"))
    assert values(find("mtcnn-onnx", f"{name}.onnx")) == torch


def test_mtcnn_has_the_values_of_its_caffe_twin() -> None:
    """Whose second network has one head more."""
    for number, name in enumerate(("pnet", "rnet", "onet"), 1):
        torch, caffe = (
            values(find("facenet-mtcnn-pt", f"{name}.pt")),
            values(find("mtcnn-caffemodel", f"{number}.caffemodel")),
        )
        assert not torch - caffe
        assert (caffe - torch).total() == (2 if name == "rnet" else 0)


def test_the_weights_of_a_paddle_model_are_in_its_onnx_twin() -> None:
    """The exporter fused some batch norms; every convolution that it left alone is there, bit for bit."""
    paddle, onnx = values(find("ppocr-det-paddle", ".pdmodel"), 9), values(find("ppocr-det-onnx"), 9)
    assert (paddle & onnx).total() >= 124


def test_silero_has_the_values_of_its_torchscript_twin() -> None:
    script, graph = values(find("silero-vad-6", ".jit"), 9), values(find("silero-vad-6", "silero_vad.onnx"), 9)
    assert script
    assert not script - graph


def test_layers_are_described() -> None:
    pnet = mg.inspect(find("mtcnn-onnx", "pnet.onnx")).model.tensors
    assert {t.extra.get(AXES) for t in pnet.values() if len(t.shape) == 4 and t.shape[0] != 1} == {"oihw"}
    lstm = mg.inspect(find("brainmaze-lstm-onnx", "modelA_paper.onnx")).model.tensors
    assert Counter(t.extra[GATES] for t in lstm.values() if GATES in t.extra) == {"iofc": 4, "iofciofc": 2}
    attention = mg.inspect(find("piper-tashkeel-onnx")).model.tensors
    kinds = Counter(t.extra.get(KIND) for t in attention.values() if t.dtype.kind == "float")
    assert kinds["dense"] > 40
    assert kinds["embedding"] >= 1


def test_basic_pitch_has_the_kernels_of_its_twins() -> None:
    """Both converters fused batch norms into some kernels, in their own ways; the others are equal."""
    onnx, lite = values(find("basic-pitch-4fmt", ".onnx"), 200), values(find("basic-pitch-4fmt", ".tflite"), 200)
    assert (onnx & lite).total() >= 10
    apple = values(find("basic-pitch-4fmt", "Manifest.json"), 200)
    assert (onnx & apple).total() >= 4


def kernels(path: Path, *, turned: bool = False) -> Counter[tuple[Any, bytes]]:
    found = [v for v in mg.load(path).values() if v.ndim == 4 and v.shape[0] != 1]
    return Counter((v.shape, (v.swapaxes(2, 3) if turned else v).tobytes()) for v in found)


@pytest.mark.parametrize(("number", "name"), enumerate(("pnet", "rnet", "onet"), 1))
def test_mtcnn_by_layer_is_its_twins(number: int, name: str, tmp_path: Path) -> None:
    """As PyTorch lays them out, told by the graph and by the layers, kernels are equal, not only their values. The
    PyTorch twin's images, and so its kernels, have height and width exchanged."""
    onnx, caffe = tmp_path / "onnx.safetensors", tmp_path / "caffe.safetensors"
    mg.convert(find("mtcnn-onnx", f"{name}.onnx"), onnx, layout="torch")
    mg.convert(find("mtcnn-caffemodel", f"{number}.caffemodel"), caffe, layout="torch")
    assert kernels(onnx)
    assert kernels(onnx) == kernels(caffe)
    assert kernels(onnx) == kernels(find("facenet-mtcnn-pt", f"{name}.pt"), turned=True)


def test_basic_pitch_by_layer_is_its_tensorflow_lite_twin(tmp_path: Path) -> None:
    """Kernels of both as PyTorch lays them out, from `oihw` and from `ohwi`: every one is equal."""
    found = []
    for suffix in (".onnx", ".tflite"):
        mg.convert(find("basic-pitch-4fmt", suffix), tmp_path / f"out{suffix}.safetensors", layout="torch")
        arrays = mg.load(tmp_path / f"out{suffix}.safetensors").values()
        found.append({(v.shape, v.tobytes()) for v in arrays if v.ndim > 2 and v.size > 100})
    assert len(found[0]) >= 9
    assert found[0] == found[1]


def test_operations_of_twins_and_of_a_published_network() -> None:
    """One network as ONNX and as TensorFlow Lite; and MLPerf Tiny's, whose paper gives 12.5 million products."""
    costs = {}
    for name in ("nmp.onnx", "nmp.tflite", "saved_model.pb"):
        report = mg.inspect(find("basic-pitch-4fmt", name), count_cost=True)
        assert report.cost is not None
        assert not report.cost.unknown
        costs[name] = report.cost.by_operator
    assert costs["nmp.onnx"]["Conv"] == pytest.approx(costs["nmp.tflite"]["CONV_2D"], rel=1e-3)
    assert costs["nmp.onnx"]["Conv"] == pytest.approx(costs["saved_model.pb"]["Conv"], rel=1e-3)
    tiny = mg.inspect(find("silabs-h5-tflite", "image_classification.tflite"), count_cost=True).cost
    assert tiny is not None
    assert tiny.flops / 2 == pytest.approx(12.5e6, rel=0.01)


def test_operations_of_torchscript_are_those_of_its_onnx_twin() -> None:
    state = ["sr=16000", "_state=f32[2,1,128]", "_context=f32[1,64]"]
    jit = mg.inspect(find("silero-vad-6", ".jit"), count_cost=True, inputs=["x=f32[1,512]", *state]).cost
    given = ["input=f32[1,576]", "state=f32[2,1,128]", "sr=16000"]
    twin = mg.inspect(find("silero-vad-6", "silero_vad.onnx"), count_cost=True, inputs=given).cost
    assert jit is not None
    assert twin is not None
    for operator in ("Conv", "LSTM"):
        assert jit.by_operator[operator] == pytest.approx(twin.by_operator[operator], rel=1e-3)


def test_numbered_weights_get_the_names_of_their_layers_and_make_a_torch_module(tmp_path: Path) -> None:
    """Transposed and gathered by the exporter: with `--layout torch` they load into the layers that were exported."""
    runtime, torch = pytest.importorskip("onnxruntime"), pytest.importorskip("torch")
    path = find("brainmaze-lstm-onnx", "modelA_paper.onnx")
    assert any(n.code == "numbered" and "`--layout` names 7" in n.text for n in mg.inspect(path).model.notes)
    mg.convert(
        path, tmp_path / "w.pth", layout="torch", exclude=["*Constant*", "onnx::Unsqueeze*"], allow_loss=["graph"]
    )
    nn = torch.nn
    net = nn.ModuleDict(
        {
            "conv1": nn.Conv2d(1, 20, 5, padding=(0, 2)),
            "conv2": nn.Conv2d(20, 200, (96, 3), padding=(0, 1)),
            "lstm": nn.LSTM(200, 100, num_layers=2, bidirectional=True),
            "fc1": nn.Linear(200, 4),
        }
    )
    net.load_state_dict(torch.load(tmp_path / "w.pth"), strict=True)
    x = np.random.default_rng(0).standard_normal((2, 100, 37)).astype("f4")
    wanted = runtime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    with torch.no_grad():
        seen = torch.relu(net["conv2"](torch.relu(net["conv1"](torch.from_numpy(x).unsqueeze(1))))).squeeze(2)
        found = net["fc1"](net["lstm"](seen.permute(2, 0, 1))[0])
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-4)


def test_no_weight_of_a_torch_export_stays_a_number(tmp_path: Path) -> None:
    """The names fit what the file has under its own: a bias beside every weight."""
    mg.convert(find("piper-tashkeel-onnx"), tmp_path / "w.safetensors", layout="torch")
    names = set(mg.load(tmp_path / "w.safetensors"))
    assert not [name for name in names if name.startswith("onnx::") and "Unsqueeze" not in name]
    for layer in ("dense.0", "conv.3.conv", "attn_layers.1.ffm2.ffm.4", "fc_out"):
        assert {f"{layer}.weight", f"{layer}.bias"} <= names
