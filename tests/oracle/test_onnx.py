"""Against the onnx package: it reads what we write, we read what it writes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import modelglot as mg  # noqa: E402
from modelglot.api.reading import read_model  # noqa: E402
from modelglot.core.errors import LossError, UnsafeContentError, UnsupportedError  # noqa: E402
from modelglot.core.layer import AXES, GATES, KIND, ROLE  # noqa: E402
from modelglot.core.tensor import Derived, Inline, Missing, Stored  # noqa: E402

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
KINDS = [n for n in TensorProto.DataType.values() if n not in (TensorProto.UNDEFINED, TensorProto.STRING)]
SIX_BITS = [TensorProto.FLOAT6E2M3, TensorProto.FLOAT6E3M2]


def value(name: str, shape: Any = None, kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def weights(name: str, *shape: int, seed: int = 0) -> Any:
    array = np.random.default_rng(seed).standard_normal(shape).astype("f4")
    return numpy_helper.from_array(array, name)


def saved(tmp_path: Path, nodes: list[Any], initializers: list[Any] = (), **more: Any) -> Path:  # type: ignore[assignment]
    outputs = [value(nodes[-1].output[0])] if nodes else []
    graph = helper.make_graph(nodes, "g", [value("x", [1, 3, "h", None])], outputs, list(initializers))
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, **more), path)
    return path


def raw(path: Path) -> dict[str, bytes]:
    with mg.open(path) as model:
        return {name: bytes(t.bytes()) for name, t in model.tensors.items()}


def raw_of(proto: Any) -> bytes:
    """The elements of a TensorProto as the reference library packs them."""
    array = numpy_helper.to_array(proto)
    return bytes(numpy_helper.from_array(array).raw_data)


def random(kind: int, *shape: int) -> Any:
    """An array of that type with any bits."""
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    source = np.random.default_rng(kind)
    if kind == TensorProto.BOOL:
        return source.integers(0, 2, shape).astype(bool)
    bits = {TensorProto.UINT4: 4, TensorProto.INT4: 4, TensorProto.FLOAT4E2M1: 4, TensorProto.UINT2: 2,
            TensorProto.INT2: 2, TensorProto.FLOAT6E2M3: 6, TensorProto.FLOAT6E3M2: 6}.get(kind)  # fmt: skip
    count = int(np.prod(shape)) * dtype.itemsize
    data = source.integers(0, 1 << (bits or 8), count).astype("u1")
    array = data.view(dtype).reshape(shape)
    return array.astype(dtype) if kind in (TensorProto.INT4, TensorProto.INT2) else array


@pytest.mark.parametrize("kind", KINDS, ids=TensorProto.DataType.Name)
def test_every_element_type_as_raw_data(kind: int, tmp_path: Path) -> None:
    shapes = [(3, 5), (7,), (), (0, 4)]
    protos = [numpy_helper.from_array(random(kind, *s), f"t{i}") for i, s in enumerate(shapes)]
    path = saved(tmp_path, [], protos)
    found = raw(path)
    for proto, shape in zip(protos, shapes, strict=True):
        assert found[proto.name] == bytes(proto.raw_data)
        assert read_model(str(path)).tensors[proto.name].shape == shape


@pytest.mark.parametrize("kind", KINDS, ids=TensorProto.DataType.Name)
def test_every_element_type_in_its_typed_field(kind: int, tmp_path: Path) -> None:
    array = random(kind, 5, 7)
    if kind in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.COMPLEX64, TensorProto.COMPLEX128):
        array = np.nan_to_num(array)
    proto = helper.make_tensor("t", kind, array.shape, array.ravel().tolist() if array.dtype.kind in "iufcb" else array)
    assert not proto.raw_data
    path = saved(tmp_path, [], [proto])
    if kind in SIX_BITS:
        with pytest.raises(UnsupportedError, match="one by one"):
            read_model(str(path))
        return
    assert raw(path) == {"t": raw_of(proto)}
    data = read_model(str(path)).tensors["t"].data
    wanted = Stored if proto.float_data or proto.double_data else Derived
    assert isinstance(data, wanted)


def test_numbers_one_by_one_as_an_old_writer_has_them(tmp_path: Path) -> None:
    """Unpacked repeated fields, which every reader of protocol buffers must take."""
    tensor = b"\x08\x03" + b"\x10\x01" + b"\x42\x01t" + b"".join(b"\x25" + np.float32(v).tobytes() for v in (1, -2, 3))
    counts = b"\x08\x02" + b"\x10\x07" + b"\x42\x01n" + b"\x38\x05" + b"\x38" + b"\xff" * 9 + b"\x01"
    graph = b"".join(b"\x2a" + bytes([len(t)]) + t for t in (tensor, counts)) + b"\x12\x01g"
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x08" + b"\x3a" + bytes([len(graph)]) + graph + b"\x42\x02\x10\x11")
    loaded = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    assert loaded["n"].tolist() == [5, -1]
    assert raw(path) == {name: array.tobytes() for name, array in loaded.items()}
    assert all(isinstance(t.data, Inline) for t in read_model(str(path)).tensors.values())


def branches() -> Any:
    def branch(seed: int) -> Any:
        constant = helper.make_node("Constant", [], ["w"], value=weights("", 2, 2, seed=seed))
        inner = helper.make_graph([constant, helper.make_node("Add", ["x", "w"], ["y"])], "b", [], [value("y")],
                                  [weights("k", 3, seed=seed + 5)])  # fmt: skip
        return inner

    return helper.make_node("If", ["c"], ["z"], name="choose", then_branch=branch(1), else_branch=branch(2))


def test_constants_and_nested_graphs(tmp_path: Path) -> None:
    shape = helper.make_node("ConstantOfShape", ["s"], ["filled"], name="fill", value=weights("v", 1))
    path = saved(tmp_path, [helper.make_node("Constant", [], ["s"], value=weights("inner", 4)), shape, branches()])
    model = read_model(str(path))
    names = ["s", "fill.value", *(f"choose.{b}_branch.{n}" for b in ("then", "else") for n in ("w", "k"))]
    assert sorted(model.tensors) == sorted(names)
    assert raw(path)["choose.else_branch.w"] == weights("", 2, 2, seed=2).raw_data
    assert model.graph is not None
    assert dict(model.graph.operators) == {"Constant": 3, "Add": 2, "ConstantOfShape": 1, "If": 1}


def test_functions_properties_opsets_and_ports(tmp_path: Path) -> None:
    body = [helper.make_node("Constant", [], ["w"], value=weights("", 2)), helper.make_node("Add", ["a", "w"], ["b"])]
    function = helper.make_function("mine", "f", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    path = saved(tmp_path, [helper.make_node("f", ["x"], ["y"], domain="mine")], functions=[function],
                 opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)],
                 producer_name="me")  # fmt: skip
    loaded = onnx.load(path)
    helper.set_model_props(loaded, {"author": "käfer", "classes": "[1]"})
    onnx.save(loaded, path)
    model = read_model(str(path))
    assert list(model.tensors) == ["mine::f.w"]
    assert model.metadata["author"] == "käfer"
    assert model.metadata["onnx.opset_import"] == {"": 17, "mine": 1}
    assert model.metadata["onnx.producer_name"] == "me"
    assert model.graph is not None
    assert model.graph.functions == ("mine::f",)
    assert [str(p) for p in model.graph.signatures[0].inputs] == ["x [1, 3, h, ?] f32"]
    assert dict(model.graph.operators) == {"Add": 1, "Constant": 1, "mine.f": 1}


def test_strings_are_metadata_and_sparse_tensors_two(tmp_path: Path) -> None:
    words = helper.make_tensor("words", TensorProto.STRING, [2], [b"ein", "käfer".encode()])
    sparse = helper.make_sparse_tensor(weights("sp", 3), helper.make_tensor("i", INT64, [3], [1, 5, 8]), [3, 3])
    graph = helper.make_graph([], "g", [], [], [words], sparse_initializer=[sparse])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph), path)
    model = read_model(str(path))
    assert list(model.metadata["onnx.strings.words"]) == ["ein", "käfer"]
    assert list(model.tensors) == ["sp.values", "sp.indices"]
    assert model.tensors["sp.values"].extra["onnx:dense-shape"] == (3, 3)
    assert raw(path)["sp.indices"] == np.array([1, 5, 8], "<i8").tobytes()
    assert "sparse" in [n.code for n in model.notes]


@pytest.mark.parametrize("one_file", [True, False])
def test_external_data(one_file: bool, tmp_path: Path) -> None:
    path = saved(tmp_path, [], [weights("a", 40, 30, seed=1), weights("b", 2, 900, seed=2), weights("small", 3)])
    before = raw(path)
    onnx.save(onnx.load(path), path, save_as_external_data=True, all_tensors_to_one_file=one_file, size_threshold=100)
    assert raw(path) == before
    (tmp_path / "a").unlink(missing_ok=True)
    for file in tmp_path.iterdir():
        if file != path:
            file.unlink()
    model = read_model(str(path))
    assert isinstance(model.tensors["b"].data, Missing)
    assert isinstance(model.tensors["small"].data, Stored)


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "sub/../../secret", "~/x", "..\\secret"])
def test_external_data_outside_the_folder_is_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_bytes(bytes(12))
    proto = TensorProto(name="t", dims=[3], data_type=FLOAT, data_location=TensorProto.EXTERNAL)
    proto.external_data.add(key="location", value=location)
    path = saved(tmp_path / "in", [], [proto])
    with pytest.raises(UnsafeContentError, match="outside its folder"):
        read_model(str(path))


def test_a_name_given_twice_gets_a_number(tmp_path: Path) -> None:
    path = saved(tmp_path, [], [weights("w", 2, seed=1), weights("w", 3, seed=2)])
    model = read_model(str(path))
    assert {n: t.shape for n, t in model.tensors.items()} == {"w": (2,), "w#2": (3,)}
    assert "duplicate-name" in [n.code for n in model.notes]


def said(extra: Any) -> tuple[Any, ...]:
    return tuple(extra.get(key) for key in (KIND, ROLE, AXES, GATES))


def layers() -> Iterator[Any]:
    """Nodes, their weights, and what should be said of each."""
    node = helper.make_node
    yield node("Conv", ["x", "w", "b"], ["y"]), {"w": ((8, 3, 2, 2), "conv", "kernel", "oihw", None),
                                                 "b": ((8,), "conv", "bias", None, None)}  # fmt: skip
    yield node("Conv", ["x", "w"], ["y"], group=3), {"w": ((6, 1, 2, 2), "depthwise-conv", "kernel", "o1hw", None)}
    yield node("ConvTranspose", ["x", "w"], ["y"]), {"w": ((3, 8, 2, 2), "conv-transpose", "kernel", "iohw", None)}
    yield node("Gemm", ["x", "w", "b"], ["y"], transB=1), {"w": ((5, 3), "dense", "kernel", "oi", None),
                                                           "b": ((5,), "dense", "bias", None, None)}  # fmt: skip
    yield node("Gemm", ["x", "w"], ["y"]), {"w": ((3, 5), "dense", "kernel", "io", None)}
    yield node("MatMul", ["x", "w"], ["y"]), {"w": ((3, 5), "dense", "kernel", "io", None)}
    yield node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=2), {
        "w": ((1, 8, 3), "lstm", "kernel", "noi", "iofc"), "r": ((1, 8, 2), "lstm", "recurrent-kernel", "noi", "iofc"),
        "b": ((1, 16), "lstm", "bias", "no", "iofciofc")}  # fmt: skip
    yield node("GRU", ["x", "w", "r"], ["y"], hidden_size=2), {
        "w": ((1, 6, 3), "gru", "kernel", "noi", "zrn"),
        "r": ((1, 6, 2), "gru", "recurrent-kernel", "noi", "zrn")}  # fmt: skip
    yield (
        node("BatchNormalization", ["x", "s", "o", "m", "v"], ["y"]),
        {
            name: ((3,), "batch-norm", role, None, None)
            for name, role in zip("somv", ("scale", "offset", "mean", "variance"), strict=True)
        },
    )
    yield node("Gather", ["w", "i"], ["y"]), {"w": ((9, 4), "embedding", "table", None, None)}


@pytest.mark.parametrize(("node", "wanted"), list(layers()), ids=lambda v: getattr(v, "op_type", ""))
def test_what_an_operator_says_of_its_weights(node: Any, wanted: dict[str, Any], tmp_path: Path) -> None:
    path = saved(tmp_path, [node], [weights(name, *what[0]) for name, what in wanted.items()])
    found = read_model(str(path)).tensors
    assert {n: said(t.extra) for n, t in found.items()} == {n: tuple(w[1:]) for n, w in wanted.items()}


def test_weights_that_come_through_other_operators(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Transpose", ["w"], ["wt"], perm=[1, 0]), node("MatMul", ["x", "wt"], ["y"]),
        node("Add", ["y", "b"], ["z"]), node("DequantizeLinear", ["q", "s"], ["qf"]), node("Identity", ["qf"], ["qi"]),
        node("Conv", ["z", "qi"], ["c"]), node("Gather", ["tied", "i"], ["e"]), node("MatMul", ["e", "tied"], ["out"]),
    ]  # fmt: skip
    quantized = numpy_helper.from_array(np.zeros((4, 3, 2), "i1"), "q")
    tensors = [weights("w", 5, 3), weights("b", 5), weights("s"), weights("tied", 4, 4), quantized]
    found = read_model(str(saved(tmp_path, nodes, tensors))).tensors
    assert said(found["w"].extra) == ("dense", "kernel", "oi", None)
    assert said(found["b"].extra) == ("dense", "bias", None, None)
    assert said(found["q"].extra) == ("conv", "kernel", "oiw", None)
    assert said(found["tied"].extra) == (None,) * 4  # its uses disagree, so nothing is said


def test_transposes_of_more_axes(tmp_path: Path) -> None:
    for number, perm in enumerate(itertools.permutations(range(4))):
        shape = [0] * 4
        for to, axis in enumerate(perm):
            shape[axis] = (8, 3, 2, 5)[to]
        nodes = [helper.make_node("Transpose", ["w"], ["t"], perm=perm), helper.make_node("Conv", ["x", "t"], ["y"])]
        axes = read_model(str(saved(tmp_path, nodes, [weights("w", *shape)]))).tensors["w"].extra[AXES]
        assert "".join(axes[axis] for axis in perm) == "oihw", number


def network() -> tuple[list[Any], list[Any]]:
    """A graph that runs, its weights in every way the writer treats differently."""
    large = np.random.default_rng(1).standard_normal((5000, 4)).astype("f4")
    typed = helper.make_tensor("typed", FLOAT, [4, 3], np.arange(12, dtype="f4"))
    shape = helper.make_tensor("shape", INT64, [2], [1, -1])
    constant = helper.make_tensor("", FLOAT, [3], [1.0, 2.0, 3.0])
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "large"], ["a"]),
        helper.make_node("Constant", [], ["k"], value=constant), helper.make_node("MatMul", ["a", "typed"], ["b"]),
        helper.make_node("Add", ["b", "k"], ["c"]), helper.make_node("Reshape", ["c", "shape"], ["d"]),
        helper.make_node("Mul", ["d", "scale"], ["y"]),
    ]  # fmt: skip
    return nodes, [numpy_helper.from_array(large, "large"), typed, shape, weights("scale", 3, seed=4)]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    nodes, tensors = network()
    graph = helper.make_graph(nodes, "g", [value("x", ["n", 5000])], [value("y", [1, "m"])], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"author": "me"})
    onnx.checker.check_model(model)
    path = tmp_path / "template.onnx"
    onnx.save(model, path)
    return path


def run(path: Path) -> Any:
    session = pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.linspace(-1, 1, 5000, dtype="f4").reshape(1, 5000)})[0]


def without_data(path: Path) -> bytes:
    """A file as the reference library reads it, elements and how they are stored left out."""
    model = onnx.load(path)
    for tensor in onnx.external_data_helper._get_all_tensors(model):
        for field in ("raw_data", "float_data", "int64_data", "external_data", "data_location"):
            tensor.ClearField(field)
    return bytes(model.SerializeToString(deterministic=True))


def test_onnx_to_onnx_gives_the_very_file(template: Path, tmp_path: Path) -> None:
    mg.convert(template, tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx").read_bytes() == template.read_bytes()


def test_weights_put_into_a_template(template: Path, tmp_path: Path) -> None:
    state = mg.load(template)
    state = {n: v * 2 if v.dtype.kind == "f" else v for n, v in state.items()}
    mg.save(state, tmp_path / "weights.safetensors")
    out = tmp_path / "out.onnx"
    mg.convert(tmp_path / "weights.safetensors", out, template=template)
    assert without_data(out) == without_data(template)
    found = {t.name: numpy_helper.to_array(t) for t in onnx.load(out).graph.initializer}
    for name, array in found.items():
        assert np.array_equal(array, state[name]), name
    onnx.checker.check_model(onnx.load(out), full_check=True)
    assert np.allclose(run(out)[0], 2 * (4 * (run(template)[0] / mg.load(template)["scale"] - [1, 2, 3]) + [2, 4, 6])
                       * mg.load(template)["scale"], rtol=1e-3)  # fmt: skip


def test_what_does_not_fit_a_template_is_named(template: Path, tmp_path: Path) -> None:
    state = mg.load(template)
    del state["k"]
    state |= {"large": state["large"][:9], "more": np.zeros(2, "f4"), "scale": state["scale"].astype("f8")}
    mg.save(state, tmp_path / "weights.safetensors")
    with pytest.raises(LossError) as caught:
        mg.convert(tmp_path / "weights.safetensors", tmp_path / "out.onnx", template=template)
    text = str(caught.value)
    for part in ("`large` (f32 [9, 4], the template has f32 [5000, 4])", "`scale` (f64", "`more`", "`k`"):
        assert part in text
    mg.convert(tmp_path / "weights.safetensors", tmp_path / "out.onnx", template=template, allow_loss=["into"])
    assert without_data(tmp_path / "out.onnx") == without_data(template)
    with pytest.raises(UnsupportedError, match="safetensors file"):
        mg.convert(template, tmp_path / "o.onnx", template=tmp_path / "weights.safetensors")


def test_laid_out_again_with_data_beside_and_back(template: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    out, wanted = tmp_path / "out" / "m.onnx", run(template)
    mg.convert(template, out, settings={"onnx:external": "w.bin", "onnx:alignment": "256", "onnx:threshold": "100"})
    entries = {t.name: {e.key: e.value for e in t.external_data}
               for t in onnx.load(out, load_external_data=False).graph.initializer}  # fmt: skip
    assert entries == {"large": {"location": "w.bin", "offset": "0", "length": "80000"},
                       "typed": {}, "shape": {}, "scale": {}}  # fmt: skip
    assert np.array_equal(run(out), wanted)
    assert without_data(out) == without_data(template)
    mg.convert(out, tmp_path / "again.onnx")  # data outside stays outside
    assert (tmp_path / "again.onnx_data").stat().st_size == 80000
    mg.convert(out, tmp_path / "inline.onnx", settings={"onnx:external": "none"})
    assert np.array_equal(run(tmp_path / "inline.onnx"), wanted)
    assert not onnx.load(tmp_path / "inline.onnx", load_external_data=False).graph.initializer[0].external_data


def test_a_file_for_each_tensor(tmp_path: Path) -> None:
    tensors = [weights("a/b", 300, seed=1), weights("a_b", 300, seed=2), weights("../up", 300, seed=3)]
    path = saved(tmp_path, [], tensors)
    out = tmp_path / "out" / "m.onnx"
    out.parent.mkdir()
    mg.convert(path, out, settings={"onnx:external": "each"})
    assert sorted(p.name for p in out.parent.iterdir()) == ["_up", "a_b", "a_b_2", "m.onnx"]
    assert raw(out) == raw(path)
    assert [t.raw_data for t in onnx.load(out).graph.initializer] == [t.raw_data for t in tensors]


@pytest.mark.parametrize(
    "setting", [("external", "../x"), ("external", "out.onnx"), ("external", "a/b"), ("alignment", "0"),
                ("alignment", "x"), ("threshold", "-1")]
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(setting: tuple[str, str], template: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=f"onnx:{setting[0]}"):
        mg.convert(template, tmp_path / "out.onnx", settings={f"onnx:{setting[0]}": setting[1]})


def test_a_cast_of_initializers_says_that_the_graph_stays(template: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    receipt = mg.convert(template, out, dtype=["large=f16"])
    assert "graph-types" in [loss.kind for loss in receipt.plan.losses]
    tensor = onnx.load(out).graph.initializer[0]
    assert tensor.data_type == TensorProto.FLOAT16
    assert np.array_equal(numpy_helper.to_array(tensor), mg.load(template)["large"].astype("f2"))


def test_tensors_left_out_of_a_graph_are_a_loss(template: Path, tmp_path: Path) -> None:
    with pytest.raises(LossError, match="the graph"):
        mg.convert(template, tmp_path / "out.onnx", exclude=["scale"])
    mg.convert(template, tmp_path / "out.onnx", exclude=["scale"], allow_loss=["graph"])
    assert read_model(str(tmp_path / "out.onnx")).dialect == "tensors only"


def test_a_container_of_tensors_is_what_the_reference_library_loads(tmp_path: Path) -> None:
    state = {"w": np.arange(6, dtype="f4").reshape(2, 3), "n": np.array([-1], "i8"), "s": np.float64(3)}
    mg.save(state, tmp_path / "w.safetensors", metadata={"author": "käfer"})
    mg.convert(tmp_path / "w.safetensors", tmp_path / "out.onnx")
    loaded = onnx.load(tmp_path / "out.onnx")
    onnx.checker.check_model(loaded)
    assert {t.name: numpy_helper.to_array(t).tolist() for t in loaded.graph.initializer} == {
        n: np.asarray(v).tolist() for n, v in state.items()
    }
    properties = {p.key: p.value for p in loaded.metadata_props}
    assert properties["author"] == "käfer"
    assert "computes nothing" in properties["modelglot.container"]
    assert "computes nothing" in loaded.doc_string


def test_to_pth_and_npz(template: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    mg.convert(template, tmp_path / "out.pth", allow_loss=["metadata"])
    mg.convert(template, tmp_path / "out.npz", allow_loss=["metadata"])
    wanted = mg.load(template)
    state, arrays = torch.load(tmp_path / "out.pth", weights_only=True), np.load(tmp_path / "out.npz")
    assert set(state) == set(arrays) == set(wanted)
    for name, array in wanted.items():
        assert np.array_equal(state[name].numpy(), array)
        assert np.array_equal(arrays[name], array)


def test_to_a_tensorflow_checkpoint(template: Path, tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    mg.convert(template, tmp_path / "out", to="tf-checkpoint", allow_loss=["metadata"])
    reader = tf.train.load_checkpoint(str(tmp_path / "out"))
    wanted = mg.load(template)
    assert set(reader.get_variable_to_shape_map()) >= set(wanted)
    for name, array in wanted.items():
        assert np.array_equal(reader.get_tensor(name), array)
