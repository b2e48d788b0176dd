"""Against coremltools: what it writes is read as it has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

ct = pytest.importorskip("coremltools")

from coremltools.converters.mil import Builder as mb  # noqa: E402, N813
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder  # noqa: E402

import modelglot as mg  # noqa: E402
from modelglot.api.reading import read_model  # noqa: E402
from modelglot.core.layer import AXES, GATES, KIND, ROLE  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
random = np.random.default_rng(0)


def made(*shape: int) -> Any:
    return random.standard_normal(shape).astype("f4")


def network() -> tuple[NeuralNetworkBuilder, dict[str, Any]]:
    """Layers with weights, and what is to be found of them."""
    build = NeuralNetworkBuilder([("x", datatypes.Array(4, 8, 8))], [("y", None)], disable_rank5_shape_mapping=True)
    conv, bias, deconv, dense, table = made(3, 2, 4, 6), made(6), made(3, 3, 6, 5), made(7, 9), made(11, 3)
    build.add_convolution("conv", 4, 6, 3, 2, 1, 1, "valid", 1, conv, bias, True, input_name="x", output_name="a")
    build.add_convolution("up", 6, 5, 3, 3, 1, 1, "valid", 1, deconv, None, False, is_deconv=True, input_name="a",
                          output_name="b")  # fmt: skip
    norm = [made(5) for _ in range(4)]
    build.add_batchnorm("norm", 5, *norm, input_name="b", output_name="c")
    build.add_inner_product("dense", dense, None, 9, 7, False, "c", "d")
    build.add_embedding("table", np.ascontiguousarray(table.T), None, 11, 3, False, "d", "e")
    build.add_load_constant_nd("constant", "f", made(2, 3), (2, 3))
    product = made(4, 5)
    build.add_batched_mat_mul("product", ["f"], "g", weight_matrix_rows=4, weight_matrix_columns=5, W=product)
    build.add_layer_normalization("layer", "g", "h", (5,), made(5), made(5))
    build.add_activation("slope", "PRELU", "h", "i", np.array([0.5, 0.25], "f4"))
    lstm = {"h": [made(4, 4) for _ in range(4)], "x": [made(4, 5) for _ in range(4)], "b": [made(4) for _ in range(4)]}
    build.add_unilstm("lstm", lstm["h"], lstm["x"], lstm["b"], input_names=["i", "s", "t"],
                      output_names=["y", "u", "v"], input_size=5, hidden_size=4)  # fmt: skip
    gru = [made(4, 4) for _ in range(6)]
    build.add_gru("gru", gru[:3], gru[3:], None, 4, 4, input_names=["y", "u"], output_names=["z", "w"])
    wanted = {
        "conv.weights": conv.transpose(3, 2, 0, 1), "conv.bias": bias, "up.weights": deconv.transpose(2, 3, 0, 1),
        "norm.gamma": norm[0], "norm.beta": norm[1], "norm.mean": norm[2], "norm.variance": norm[3],
        "dense.weights": dense, "table.weights": table.T, "product.weights": product.T,
        "slope.alpha": np.array([0.5, 0.25], "f4"),
    }  # fmt: skip
    gates = ("inputGate", "forgetGate", "outputGate", "blockInput")  # the builder's order
    for part, key in (("WeightMatrix", "x"), ("RecursionMatrix", "h"), ("BiasVector", "b")):
        wanted |= {f"lstm.{gate}{part}": value for gate, value in zip(gates, lstm[key], strict=True)}
    for part, values in (("RecursionMatrix", gru[:3]), ("WeightMatrix", gru[3:])):
        wanted |= {f"gru.{g}Gate{part}": v for g, v in zip(("update", "reset", "output"), values, strict=True)}
    return build, wanted


def test_layers_of_a_neural_network(tmp_path: Path) -> None:
    build, wanted = network()
    path = tmp_path / "m.mlmodel"
    ct.models.utils.save_spec(build.spec, str(path))
    found = mg.load(path)
    for name, value in wanted.items():
        assert np.array_equal(found[name], value), name
    extra = {n: t.extra for n, t in read_model(str(path)).tensors.items()}
    assert extra["conv.weights"][AXES] == "oihw"
    assert extra["up.weights"] == {KIND: "conv-transpose", ROLE: "kernel", AXES: "iohw"}
    assert extra["norm.variance"][ROLE] == "variance"
    assert extra["dense.weights"][AXES] == "oi"
    assert [extra[f"lstm.{g}WeightMatrix"][GATES] for g in ("inputGate", "forgetGate", "blockInput")] == ["i", "f", "c"]
    assert extra["gru.outputGateRecursionMatrix"] == {KIND: "gru", ROLE: "recurrent-kernel", AXES: "oi", GATES: "n"}
    report = mg.inspect(path)
    assert report.model.graph is not None
    assert [str(p) for p in report.model.graph.signatures[0].inputs] == ["x [4, 8, 8] f64"]
    assert report.model.graph.operators["convolution"] == 2
    assert mg.convert(path, tmp_path / "out.safetensors").verified


LINEAR, TABLE = "_linear_quantization", "_lookup_table_quantization"
MODES = [(16, ""), (8, LINEAR), (7, LINEAR), (4, LINEAR), (1, LINEAR), (8, LINEAR + "_symmetric"),
         (3, TABLE + "_linear"), (8, TABLE + "_linear")]  # fmt: skip


@pytest.mark.parametrize(("bits", "mode"), MODES)
def test_quantized_networks(bits: int, mode: str, tmp_path: Path) -> None:
    """Integers and what they stand for give the weights that coremltools' own decoding gives."""
    from coremltools.models.neural_network import quantization_utils as utils

    build = NeuralNetworkBuilder([("x", datatypes.Array(64))], [("y", datatypes.Array(32))])
    dense = made(32, 64)
    build.add_inner_product("dense", dense, None, 64, 32, False, "x", "y")
    if bits == 16:
        build.spec = ct.models.utils._convert_neural_network_spec_weights_to_fp16(build.spec)
    else:
        utils._quantize_nn_spec(build.spec.neuralNetwork, bits, mode)
    path = tmp_path / "m.mlmodel"
    ct.models.utils.save_spec(build.spec, str(path))
    tensor = read_model(str(path)).tensors["dense.weights"]
    found = mg.load(path)["dense.weights"]
    if bits == 16:
        assert found.dtype == np.float16
        assert np.array_equal(found, dense.astype("f2"))
        return
    assert tensor.extra["coreml:bits"] == bits
    if "coreml:table" in tensor.extra:
        decoded = np.array(tensor.extra["coreml:table"], "f4")[found]
    else:
        scale, bias = (np.array(tensor.extra[f"coreml:{k}"], "f4")[:, None] for k in ("scale", "bias"))
        decoded = found.astype("f4") * scale + bias
    params = build.spec.neuralNetwork.layers[0].innerProduct.weights
    wanted = utils._unpack_to_bytes(np.frombuffer(params.rawValue, "u1"), found.size, bits)
    assert np.array_equal(found.ravel(), wanted)
    utils._quantize_nn_spec(build.spec.neuralNetwork, None, "_dequantize_network")
    floats = np.array(build.spec.neuralNetwork.layers[0].innerProduct.weights.floatValue, "f4")
    assert np.allclose(decoded.ravel(), floats, atol=1e-5)
    assert mg.inspect(path).model.metadata["coreml.quantization"]["dense.weights"]["bits"] == bits


def test_a_pipeline_and_a_custom_layer(tmp_path: Path) -> None:
    from coremltools.proto import NeuralNetwork_pb2

    build, _ = network()
    custom = NeuralNetwork_pb2.CustomLayerParams(className="Mine")
    custom.weights.add().floatValue.extend([1, 2, 3])
    build.add_custom("own", ["z"], ["q"], custom)
    spec = ct.proto.Model_pb2.Model(specificationVersion=4)
    spec.description.CopyFrom(build.spec.description)
    spec.description.metadata.userDefined["key"] = "value"
    spec.pipeline.models.extend([build.spec, build.spec])
    spec.pipeline.names.extend(["one", "two"])
    path = tmp_path / "m.mlmodel"
    path.write_bytes(spec.SerializeToString())
    model = read_model(str(path))
    assert model.metadata["key"] == "value"
    assert {n.partition(".")[0] for n in model.tensors} == {"one", "two"}
    assert mg.load(path)["two.own.weights.0"].tolist() == [1, 2, 3]
    assert "custom-layers" in [n.code for n in model.notes]


def program(target: Any) -> tuple[Any, dict[str, Any]]:
    """An ML program with weights inside and outside, and what is to be found."""
    conv, dense, bias, table = made(6, 3, 3, 3), made(7, 24), made(7), made(20, 5)
    lstm = [made(16, 5), made(16, 4), made(16)]

    @mb.program(input_specs=[mb.TensorSpec((1, 3, 4, 4)), mb.TensorSpec((2,), dtype=ct.converters.mil.mil.types.int32)],
                opset_version=target)  # fmt: skip
    def prog(x: Any, ids: Any) -> Any:
        a = mb.conv(x=x, weight=conv, pad_type="valid", name="conv")
        b = mb.linear(x=mb.reshape(x=a, shape=(1, 24)), weight=dense, bias=bias, name="dense")
        rows = mb.gather(x=table, indices=ids, axis=0)
        seq = mb.expand_dims(x=rows, axes=(1,))
        zero = np.zeros((1, 4), "f4")
        _, c, _ = mb.lstm(x=seq, initial_h=zero, initial_c=zero, weight_ih=lstm[0], weight_hh=lstm[1], bias=lstm[2])
        return b, c

    return prog, {"conv": conv, "dense": dense, "bias": bias, "table": table, "ih": lstm[0], "hh": lstm[1]}


@pytest.mark.parametrize("precision", ["f4", "f2"])
def test_a_program_in_a_package(precision: str, tmp_path: Path) -> None:
    prog, wanted = program(ct.target.iOS15)
    kind = ct.precision.FLOAT32 if precision == "f4" else ct.precision.FLOAT16
    model = ct.convert(prog, convert_to="mlprogram", compute_precision=kind, skip_model_load=True)
    path = tmp_path / "m.mlpackage"
    model.save(str(path))
    found = mg.load(path)
    by_value = {np.ascontiguousarray(v).tobytes(): n for n, v in found.items()}
    stored = {k: v if k in ("ih", "hh") else v.astype(precision) for k, v in wanted.items()}  # an LSTM stays as it is
    names = {key: by_value[np.ascontiguousarray(v).tobytes()] for key, v in stored.items()}
    extra = {n: t.extra for n, t in read_model(str(path)).tensors.items()}
    assert extra[names["conv"]] == {KIND: "conv", ROLE: "kernel", AXES: "oihw"}
    assert extra[names["dense"]] == {KIND: "dense", ROLE: "kernel", AXES: "oi"}
    assert extra[names["bias"]][ROLE] == "bias"
    assert extra[names["ih"]] == {KIND: "lstm", ROLE: "kernel", AXES: "oi", GATES: "ifoc"}
    assert extra[names["hh"]][ROLE] == "recurrent-kernel"
    for other in (path / "Manifest.json", path / "Data/com.apple.CoreML/model.mlmodel"):
        assert mg.digest(other).total == mg.digest(path).total
    assert mg.convert(path, tmp_path / "out.safetensors").verified
    assert "conv" in mg.inspect(path).model.graph.operators  # type: ignore[union-attr]


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
def test_packed_weights_of_a_program(bits: int, tmp_path: Path) -> None:
    """Indices of a palette are stored in as many bits; the reference library unpacks them."""
    from coremltools import optimize as cto

    prog, _ = program(ct.target.iOS18)
    model = ct.convert(prog, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS18, skip_model_load=True,
                       compute_precision=ct.precision.FLOAT32)  # fmt: skip
    config = cto.coreml.OptimizationConfig(
        global_config=cto.coreml.OpPalettizerConfig(mode="uniform", nbits=bits, weight_threshold=1)
    )
    model = cto.coreml.palettize_weights(model, config)
    path = tmp_path / "m.mlpackage"
    model.save(str(path))
    found = mg.load(path)
    indices = {n.removesuffix(".indices"): v for n, v in found.items() if n.endswith(".indices")}
    assert indices
    tables = {n: found[f"{n}.lut"] for n in indices}
    wanted = {
        op.name: op for op in model._mil_program.functions["main"].operations if op.op_type.endswith("lut_to_dense")
    }
    for name, values in indices.items():
        assert np.array_equal(values.astype("u1"), np.asarray(wanted[name].indices.val).astype("u1")), name
        assert np.array_equal(tables[name], wanted[name].lut.val), name
    kinds = {t.extra.get(KIND) for n, t in read_model(str(path)).tensors.items() if n.endswith(".indices")}
    assert {"conv", "dense"} <= kinds
