"""Graphs and containers that run or open something when they are used: hostile ones with their rule, benign twins."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.scanning import scan
from modelglot.containers.protobuf_write import delimited, integer
from modelglot.features.scan.report import FileScan

onnx = pytest.importorskip("onnx")
h5py = pytest.importorskip("h5py")


def the(path: Path) -> FileScan:
    return scan(path).files[0]


def assert_found(path: Path, rule: str, severity: str) -> None:
    found = the(path)
    assert (rule, severity) in {(f.rule, f.severity) for f in found.findings}, found
    assert found.verdict == severity, found


def assert_safe(path: Path) -> None:
    found = the(path)
    assert found.verdict == "safe", found
    assert not found.findings


# ONNX


def external(name: str, **more: str) -> Any:
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[1], data_location=1)
    for key, value in {"location": name, **more}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def node(**attributes: Any) -> Any:
    return onnx.helper.make_node("Relu", ["x"], ["y"], **attributes)


def graph(nodes: list[Any], weights: list[Any] = ()) -> Any:  # type: ignore[assignment]
    port = onnx.helper.make_tensor_value_info
    return onnx.helper.make_graph(nodes, "g", [port("x", 1, [1])], [port("y", 1, [1])], list(weights))


def saved(folder: Path, made: Any, functions: list[Any] = (), domains: tuple[str, ...] = ("",)) -> Path:  # type: ignore[assignment]
    opsets = [onnx.helper.make_opsetid(d, 17 if not d else 1) for d in domains]
    model = onnx.helper.make_model(made, opset_imports=opsets, functions=list(functions))
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


NAMES = {
    "up": "../w", "absolute": "/etc/passwd", "up inside": "a/../../w", "backslash": "..\\w", "machine": "\\\\h\\w",
    "address": "http://h/w", "file address": "file:///etc/passwd", "NUL": "w\0x", "home": "~/w", "drive": "C:/w",
}  # fmt: skip


def constant(tensor: Any) -> Any:
    return onnx.helper.make_node("Constant", [], ["c"], value=tensor)


def in_subgraph(folder: Path, tensor: Any) -> Path:
    branches = {"then_branch": graph([node()], [tensor]), "else_branch": graph([node()])}
    return saved(folder, graph([onnx.helper.make_node("If", ["x"], ["y"], **branches)]))


def in_function(folder: Path, tensor: Any) -> Path:
    opset = onnx.helper.make_opsetid("", 17)
    function = onnx.helper.make_function("local", "F", ["x"], ["y"], [node(), constant(tensor)], [opset])
    call = onnx.helper.make_node("F", ["x"], ["y"], domain="local")
    return saved(folder, graph([call]), [function], ("", "local"))


PLACES: dict[str, Callable[[Path, Any], Path]] = {
    "initializer": lambda f, t: saved(f, graph([node()], [t])),
    "attribute": lambda f, t: saved(f, graph([node(), constant(t)])),
    "subgraph": in_subgraph,
    "function": in_function,
}


@pytest.mark.parametrize("name", NAMES)
def test_onnx_names(name: str, tmp_path: Path) -> None:
    assert_found(PLACES["initializer"](tmp_path, external(NAMES[name])), "onnx-external", "unsafe")


@pytest.mark.parametrize("place", PLACES)
def test_onnx_places(place: str, tmp_path: Path) -> None:
    assert_found(PLACES[place](tmp_path, external("../w")), "onnx-external", "unsafe")


def test_onnx_sparse(tmp_path: Path) -> None:
    made = graph([node()])
    made.sparse_initializer.add(
        values=external("../w"), indices=onnx.TensorProto(name="i", data_type=7, dims=[1]), dims=[1]
    )
    assert_found(saved(tmp_path, made), "onnx-external", "unsafe")


def test_onnx_links_and_devices(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "secret").write_bytes(bytes(4))
    (tmp_path / "m" / "w").symlink_to(tmp_path / "secret")
    assert_found(saved(tmp_path / "m", graph([node()], [external("w")])), "onnx-external", "unsafe")
    (tmp_path / "m" / "d").symlink_to("/dev/zero")
    assert_found(saved(tmp_path / "m", graph([node()], [external("d")])), "onnx-external", "unsafe")


def test_onnx_keys(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(bytes(4))
    made = saved(tmp_path, graph([node()], [external("w", offset="0", length="4", surprise="x")]))
    assert_found(made, "onnx-external", "unknown")
    assert_found(saved(tmp_path, graph([node()], [external("w", basepath="/etc")])), "onnx-external", "unsafe")


def test_onnx_benign(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(bytes(4))
    assert_safe(saved(tmp_path, graph([node()], [external("w", offset="0", length="4")])))
    local = onnx.helper.make_function("local", "F", ["x"], ["y"], [node()], [onnx.helper.make_opsetid("", 17)])
    assert_safe(
        saved(tmp_path, graph([onnx.helper.make_node("F", ["x"], ["y"], domain="local")]), [local], ("", "local"))
    )
    fused = onnx.helper.make_node("FusedConv", ["x"], ["y"], domain="com.microsoft")
    assert_safe(saved(tmp_path, graph([fused]), domains=("", "com.microsoft")))


def test_onnx_operators(tmp_path: Path) -> None:
    for name, domain, severity in (("Own", "my.ops", "unknown"), ("PyOp", "ai.onnx.contrib", "unsafe")):
        inner = onnx.helper.make_node(name, ["x"], ["y"], domain=domain)
        branch = onnx.helper.make_node("If", ["x"], ["y"], then_branch=graph([inner]), else_branch=graph([node()]))
        assert_found(saved(tmp_path, graph([branch]), domains=("", domain)), "onnx-operator", severity)


# TensorFlow


def tf_node(name: str, op: str) -> bytes:
    return delimited(1, name) + delimited(2, op)


def frozen(folder: Path, op: str, inside: bool) -> Path:
    body = delimited(1, delimited(1, "f")) + delimited(3, tf_node("n", op))
    data = delimited(1, tf_node("x", "Placeholder"))
    data += delimited(2, delimited(1, body)) if inside else delimited(1, tf_node("n", op))
    (folder / "g.pb").write_bytes(data)
    return folder / "g.pb"


def saved_model(folder: Path, op: str, asset: str | None = None, metadata: str = "") -> Path:
    graph_def = delimited(1, tf_node("x", "Placeholder")) + delimited(1, tf_node("n", op))
    meta = delimited(1, delimited(4, "serve") + delimited(5, "2.9")) + delimited(2, graph_def)
    if asset is not None:
        meta += delimited(6, delimited(2, asset))
    if metadata:
        meta += delimited(7, delimited(1, delimited(4, delimited(1, "_tf_keras_layer") + delimited(3, metadata))))
    (folder / "saved_model.pb").write_bytes(integer(1, 1) + delimited(2, meta))
    return folder / "saved_model.pb"


OPERATORS = ["ReadFile", "WriteFile", "PyFunc", "EagerPyFunc", "LMDBReader", "PrintV2", "DebugIdentity"]


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("op", OPERATORS)
def test_tensorflow_operators(op: str, inside: bool, tmp_path: Path) -> None:
    assert_found(frozen(tmp_path, op, inside), "tf-operator", "unsafe")
    assert_found(saved_model(tmp_path, op), "tf-operator", "unsafe")


def test_tensorflow_text_and_assets(tmp_path: Path) -> None:
    (tmp_path / "g.pbtxt").write_text('node { name: "a" op: "WriteFile" }')
    assert_found(tmp_path / "g.pbtxt", "tf-operator", "unsafe")
    (tmp_path / "ok.pbtxt").write_text('node { name: "WriteFile" op: "MatMul" }')
    assert_safe(tmp_path / "ok.pbtxt")
    assert_found(saved_model(tmp_path, "Relu", "../../x"), "tf-operator", "unsafe")
    assert_safe(saved_model(tmp_path, "Relu", "vocab.txt"))
    assert_safe(saved_model(tmp_path, "SaveV2"))
    assert_safe(frozen(tmp_path, "Relu", True))


# Keras

CONFIG = "keras.config"
LAMBDA = {
    "class_name": "Lambda",
    "config": {"name": "l", "function": {"class_name": "__lambda__", "config": {"code": "4wE="}}},
}
KERAS: dict[str, tuple[dict[str, Any], str]] = {
    "lambda": (LAMBDA, "unsafe"),
    "lambda inside a wrapper": ({"class_name": "TimeDistributed", "config": {"layer": LAMBDA}}, "unsafe"),
    "lambda of a package": ({"class_name": "mine>Lambda", "config": {}}, "unsafe"),
    "torch module": ({"class_name": "TorchModuleWrapper", "module": "keras.layers", "config": {}}, "unsafe"),
    "module os": ({"module": "os", "class_name": "function", "config": "system"}, "unsafe"),
    "module builtins": ({"module": "builtins", "class_name": "function", "config": "exec"}, "unsafe"),
    "class of subprocess": ({"module": "subprocess", "class_name": "Popen", "config": {}}, "unsafe"),
    "get_file": ({"module": "keras.src.utils", "class_name": "function", "config": "get_file"}, "unsafe"),
    "unsafe mode": ({"module": CONFIG, "class_name": "function", "config": "enable_unsafe_deserialization"}, "unsafe"),
    "another part": ({"module": "keras.utils", "class_name": "Sequence", "config": {}}, "unknown"),
    "load_model": ({"module": "keras.models", "class_name": "function", "config": "load_model"}, "unsafe"),
    "vocabulary": ({"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}, "unsafe"),
    "vocabulary address": ({"class_name": "StringLookup", "config": {"vocabulary": "http://169.254.1.1/"}}, "unsafe"),
    "vocabulary up": ({"class_name": "TextVectorization", "config": {"vocabulary": "../x"}}, "unsafe"),
    "vocabulary file": ({"class_name": "StringLookup", "config": {"vocabulary": "x.txt"}}, "unknown"),
    "custom": ({"class_name": "mine>Block", "registered_name": "mine>Block", "config": {}}, "unknown"),
    "module of the author": ({"class_name": "Block", "module": "mine.layers", "config": {}}, "unknown"),
}  # fmt: skip
GLOROT = {"class_name": "GlorotUniform", "module": "keras.initializers", "config": {}}
DENSE = {
    "class_name": "Dense",
    "module": "keras.layers",
    "registered_name": None,
    "config": {"name": "d", "units": 2, "kernel_initializer": GLOROT},
}


def sequential(layer: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "module": "keras", "config": {"name": "s", "layers": [DENSE, layer]}}


def h5(attributes: dict[str, str] | None = None, change: Callable[[Any], None] | None = None) -> bytes:
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.ones((2, 2), np.float32))
        for name, value in (attributes or {}).items():
            file.attrs[name] = value
        if change is not None:
            change(file)
    return made.getvalue()


def keras(folder: Path, layer: dict[str, Any], kind: str = "keras", weights: bytes | None = None) -> Path:
    config = json.dumps(sequential(layer))
    path = folder / f"m.{kind}"
    if kind == "h5":
        path.write_bytes(h5({"model_config": config}))
    elif kind == "pb":
        return saved_model(folder, "Relu", metadata=config)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("metadata.json", '{"keras_version": "3.0"}')
            archive.writestr("config.json", config)
            archive.writestr("model.weights.h5", weights or h5())
    return path


@pytest.mark.parametrize("name", KERAS)
def test_keras(name: str, tmp_path: Path) -> None:
    layer, severity = KERAS[name]
    assert_found(keras(tmp_path, layer), "keras-config", severity)


@pytest.mark.parametrize("kind", ["keras", "h5", "pb"])
def test_keras_places(kind: str, tmp_path: Path) -> None:
    assert_found(keras(tmp_path, LAMBDA, kind), "keras-config", "unsafe")
    assert_safe(keras(tmp_path, DENSE, kind))


def test_keras_settings_of_training(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(h5({"training_config": json.dumps({"loss": KERAS["module os"][0]})}))
    assert_found(tmp_path / "a.h5", "keras-config", "unsafe")


def test_keras_metadata_of_a_saved_model(tmp_path: Path) -> None:
    node_ = integer(2, 1) + delimited(3, "root") + delimited(4, "_tf_keras_layer") + delimited(5, json.dumps(LAMBDA))
    (tmp_path / "keras_metadata.pb").write_bytes(delimited(1, node_))
    found = the(tmp_path / "keras_metadata.pb")
    assert found.verdict == "unsafe"


# HDF5


def with_external_storage(file: Any) -> None:
    file.create_dataset("x", shape=(4,), dtype="f4", external=[("/etc/passwd", 0, 16)])


def with_virtual(file: Any) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "d", shape=(4,))
    file.create_virtual_dataset("x", layout)


def with_link(file: Any) -> None:
    file["x"] = h5py.ExternalLink("/etc/other.h5", "/d")


@pytest.mark.parametrize("change", [with_external_storage, with_virtual, with_link])
@pytest.mark.parametrize("inside", [False, True])
def test_hdf5(change: Callable[[Any], None], inside: bool, tmp_path: Path) -> None:
    data = h5(change=change)
    if inside:
        path = keras(tmp_path, DENSE, weights=data)
    else:
        path = tmp_path / "a.h5"
        path.write_bytes(data)
    assert_found(path, "hdf5-outside", "unsafe")


def test_hdf5_links_inside_are_fine(tmp_path: Path) -> None:
    def change(file: Any) -> None:
        file["again"] = h5py.SoftLink("/layers/dense/vars/0")

    (tmp_path / "a.h5").write_bytes(h5(change=change))
    assert_safe(tmp_path / "a.h5")


# TorchScript: written by hand, since no writer makes such files


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("ops.image.read_file(p)", "unsafe"), ("torch.from_file(p, True)", "unsafe"), ("torch.save(x, p)", "unsafe"),
        ("ops.mine.op(x)", "unknown"), ("torch.add(x, x)", None), ("ops.prim.NumToTensor(x)", None),
    ],
)  # fmt: skip
def test_torchscript(line: str, severity: str | None, tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("m/constants.pkl", b"\x80\x02).")
        archive.writestr("m/version", "3\n")
        archive.writestr("m/code/__torch__/m.py", f"class M(Module):\n  def forward(self, x: Tensor):\n    {line}\n")
    found = [f for f in the(path).findings if f.rule == "torchscript-code"]
    assert [f.severity for f in found] == ([severity] if severity else [])


# layers that only a name stands for


def test_core_ml_and_openvino(tmp_path: Path) -> None:
    xml = '<net name="m" version="11"><layers><layer id="0" name="a" type="Own" version="{}"/></layers><edges/></net>'
    (tmp_path / "m.xml").write_text(xml.format("extension"))
    (tmp_path / "m.bin").write_bytes(b"")
    found = the(tmp_path / "m.xml")
    assert ("custom-layer", "unknown") in {(f.rule, f.severity) for f in found.findings}, found
    (tmp_path / "m.xml").write_text(xml.format("opset1"))
    assert not [f for f in the(tmp_path / "m.xml").findings if f.rule == "custom-layer"]


def test_a_document_type(tmp_path: Path) -> None:
    text = '<!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]><net name="m" version="11"><layers/><edges/></net>'
    (tmp_path / "m.xml").write_text('<?xml version="1.0"?>' + text)
    (tmp_path / "m.bin").write_bytes(b"")
    assert the(tmp_path / "m.xml").verdict != "safe"


# bytes that belong to nothing


def safetensors(folder: Path) -> bytes:
    mg.save({"a": np.ones(8, np.float32), "b": np.ones(8, np.float32)}, folder / "x.safetensors")
    return (folder / "x.safetensors").read_bytes()


def archive() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("a.txt", "hello")
    return made.getvalue()


def gguf(folder: Path) -> bytes:
    mg.save({"a": np.ones(32, np.float32), "b": np.ones(32, np.float32)}, folder / "x.gguf")
    return (folder / "x.gguf").read_bytes()


HIDDEN: dict[str, tuple[str, Callable[[Path], bytes], str, str]] = {
    "safetensors and zip": ("m.safetensors", lambda f: safetensors(f) + archive(), "hidden-bytes", "unsafe"),
    "gguf and zip": ("m.gguf", lambda f: gguf(f) + archive(), "hidden-bytes", "unsafe"),
    "gguf and a pickle": ("m.gguf", lambda f: gguf(f) + b"\x80\x02cos\nsystem\n", "hidden-bytes", "unsafe"),
    "gguf and a program": ("m.gguf", lambda f: gguf(f) + bytes(64) + b"\x7fELF" + bytes(100), "hidden-bytes", "unsafe"),
    "gguf and text": ("m.gguf", lambda f: gguf(f) + b"hello there", "hidden-bytes", "unknown"),
    "safetensors, more": ("m.safetensors", lambda f: safetensors(f) + b"more", "invalid-structure", "unknown"),
    "image and zip": ("m.png", lambda f: b"\x89PNG\r\n\x1a\n" + bytes(80) + archive(), "hidden-bytes", "unsafe"),
    "npy and zip": ("m.npy", lambda f: npy() + archive(), "hidden-bytes", "unsafe"),
    "gguf overlap": ("m.gguf", lambda f: gguf(f).replace(struct.pack("<Q", 128), bytes(8)),
                     "invalid-structure", "unknown"),
    "gguf twice": ("m.gguf", lambda f: gguf(f).replace(b"\x01" + bytes(7) + b"b", b"\x01" + bytes(7) + b"a"),
                   "invalid-structure", "unknown"),
    "npy, more": ("m.npy", lambda f: npy() + b"more", "hidden-bytes", "unknown"),
    "duplicate keys": ("m.safetensors", lambda f: twice(b'"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}'),
                       "invalid-structure", "unknown"),
    "overlap": ("m.safetensors", lambda f: header(b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},'
                                                  b'"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}', 6),
                "invalid-structure", "unknown"),
    "hole": ("m.safetensors", lambda f: header(b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}', 8),
             "invalid-structure", "unknown"),
}  # fmt: skip


def npy() -> bytes:
    made = io.BytesIO()
    np.save(made, np.ones(8, np.float32))
    return made.getvalue()


def header(text: bytes, size: int) -> bytes:
    return struct.pack("<Q", len(text)) + text + bytes(size)


def twice(entry: bytes) -> bytes:
    return header(b"{" + entry + b"," + entry + b"}", 4)


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden(name: str, tmp_path: Path) -> None:
    file, make, rule, severity = HIDDEN[name]
    data = make(tmp_path)
    (tmp_path / file).write_bytes(data)
    found = the(tmp_path / file)
    assert (rule, severity) in {(f.rule, f.severity) for f in found.findings}, found
    assert found.verdict == severity, found


@pytest.mark.parametrize("make", [safetensors, gguf, lambda f: npy(), lambda f: gguf(f) + bytes(200)])
def test_nothing_hidden(make: Callable[[Path], bytes], tmp_path: Path) -> None:
    data = make(tmp_path)
    (tmp_path / "m.bin").write_bytes(data)
    assert_safe(tmp_path / "m.bin")


def test_a_header_length_that_looks_like_a_pickle(tmp_path: Path) -> None:
    """128 to 133 times 256 more: the first two bytes of the file are those of every pickle."""
    for length in (0x80, 0x0280, 0x0480):
        text = b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}'.ljust(length)
        (tmp_path / "m.safetensors").write_bytes(header(text, 4))
        assert_safe(tmp_path / "m.safetensors")
