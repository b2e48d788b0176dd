"""ONNX graphs as PyTorch source: what it says, what it refuses, and that nothing of a file becomes code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.graphs import compare_program
from modelglot.core.errors import InvalidFileError, UnsafeContentError, UnsupportedError
from modelglot.graphs.wishes import Wishes

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")
torch = pytest.importorskip("torch")
import node_cases  # noqa: E402

from modelglot.graphs import inference  # noqa: E402

H, N = onnx.helper, onnx.numpy_helper
FLOAT = onnx.TensorProto.FLOAT


def model(
    path: Path, nodes: list[Any], weights: dict[str, Any], inputs: dict[str, Any], outputs: list[str], **more: Any
) -> Path:
    """A file with float inputs of the given shapes."""
    graph = H.make_graph(
        nodes,
        "g",
        [H.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [H.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [N.from_array(value, name) for name, value in weights.items()],
    )
    imports = [H.make_opsetid(domain, version) for domain, version in more.pop("opsets", {"": 17}).items()]
    onnx.save(H.make_model(graph, opset_imports=imports, **more), path)
    return path


def random(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype("f4")


def small(path: Path) -> Path:
    """A convolution, its shape taken apart, and a product."""
    nodes = [
        H.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["c"], name="/body/Conv", pads=[1, 1, 1, 1]),
        H.make_node("Relu", ["c"], ["r"], name="/body/Relu"),
        H.make_node("Shape", ["r"], ["s"]),
        H.make_node("Gather", ["s", "zero"], ["batch"], axis=0),
        H.make_node("Unsqueeze", ["batch", "axes"], ["b1"]),
        H.make_node("Concat", ["b1", "minus"], ["shape"], axis=0),
        H.make_node("Reshape", ["r", "shape"], ["flat"]),
        H.make_node("MatMul", ["flat", "onnx::MatMul_9"], ["y"]),
    ]
    weights = {
        "conv.weight": random(4, 3, 3, 3), "conv.bias": random(4), "onnx::MatMul_9": random(64, 5),
        "zero": np.array(0), "axes": np.array([0]), "minus": np.array([-1]),
    }  # fmt: skip
    return model(path, nodes, weights, {"x": ["n", 3, 4, 4]}, ["y"])


def test_the_source_reads_like_a_module(tmp_path: Path) -> None:
    mg.convert(small(tmp_path / "m.onnx"), tmp_path / "out", to="pytorch")
    source = (tmp_path / "out/net.py").read_text()
    forward = source[source.index("    def forward") : source.index("\n\ndef load")]
    assert [line.strip() for line in forward.strip().splitlines()] == [
        "def forward(self, x: Tensor) -> Tensor:",
        "# body",
        "c = F.conv2d(x, self.conv.weight, self.conv.bias, padding=1)",
        "r = F.relu(c)",
        "flat = r.reshape(r.shape[0], -1)",
        'y = flat @ self["onnx::MatMul_9"]',
        "return y",
    ]
    assert "modelglot" not in source.replace("as modelglot wrote it", "")


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_fresh_python_loads_it_strictly_and_gives_what_onnxruntime_gives(suffix: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    path, x = small(tmp_path / "m.onnx"), random(2, 3, 4, 4)
    mg.convert(path, tmp_path / "lib/toy.py", settings={"pytorch:weights": suffix})
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy, torch\nassert 'modelglot' not in sys.modules\nimport toy\nnet = toy.load()\n"
        f"state = toy.Net().state_dict()\nassert sorted(state) == {['conv.bias', 'conv.weight', 'onnx::MatMul_9']}\n"
        "numpy.save('../y.npy', net(torch.from_numpy(numpy.load('../x.npy'))).detach().numpy())"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "lib", check=True)
    wanted = runtime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), wanted, atol=1e-5)
    weights = mg.load(tmp_path / f"lib/toy.{suffix}")
    assert all(
        np.array_equal(weights[i.name], N.to_array(i)) for i in onnx.load(path).graph.initializer if i.data_type == 1
    )


def test_equal_graphs_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        mg.convert(small(tmp_path / "m.onnx"), tmp_path / name, to="pytorch")
    assert (tmp_path / "a/net.py").read_bytes() == (tmp_path / "b/net.py").read_bytes()


HOSTILE = [
    '"); import os; os.system("touch pwned")  #', "a'); __import__('os').system('touch pwned')\n",
    '"""\nimport os\n"""', "x\nimport os\nx", "{0}{__class__}", "\\", "\\\"", "import", "__init__", "self", "forward",
    "state_dict", "..", "", "constant_1", "é\u2028import os", "torch", "a.b", "a", "a..b", "_parameters", "0", "None",
    "training.weight",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_names_never_become_code(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the name of a weight, a value, a node, an input, an operator's text, and of the file's graph."""
    monkeypatch.chdir(tmp_path)
    value = name + " value"
    equation = H.make_node("Einsum", [value, "w2" + name], ["y" + name], name=f"/{name}/{name}", equation="ij,jk->ik")
    nodes = [H.make_node("MatMul", ["x" + name, "w1" + name], [value], name=name, doc_string=name), equation]
    weights = {"w1" + name: random(20, 20), "w2" + name: random(20, 3), name or "w": random(70)}
    nodes.append(H.make_node("Add", ["y" + name, "y" + name], ["z"]))
    nodes.append(H.make_node("ReduceSum", [name or "w"], ["sum"], keepdims=0))
    nodes.append(H.make_node("Add", ["z", "sum"], ["out" + name]))
    path = model(tmp_path / "m.onnx", nodes, weights, {"x" + name: [2, 20]}, ["out" + name], producer_name=name)
    made, state = node_cases.generated(path)
    tree = ast.parse(made.source)
    assert {type(node) for node in tree.body} <= {ast.Expr, ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef}
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert modules <= {"torch", "math", "torch.nn.functional"}
    net = node_cases.network(made, state)
    x = random(2, 20)
    w1, w2, extra = weights["w1" + name], weights["w2" + name], weights[name or "w"]
    wanted = 2 * (x @ w1) @ w2 + extra.sum()
    np.testing.assert_allclose(net(torch.from_numpy(x)).detach().numpy(), wanted, rtol=1e-3, atol=1e-3)
    assert not (tmp_path / "pwned").exists()


def test_texts_of_attributes_are_texts(tmp_path: Path) -> None:
    node = H.make_node("Einsum", ["x", "w"], ["y"], equation='ij,jk->ik"); import os #')
    made, state = node_cases.generated(model(tmp_path / "m.onnx", [node], {"w": random(9, 9)}, {"x": [2, 9]}, ["y"]))
    ast.parse(made.source)
    with pytest.raises(RuntimeError):  # torch refuses the equation
        node_cases.network(made, state)(torch.zeros(2, 9))


def test_attributes_of_another_type_never_become_code(tmp_path: Path) -> None:
    """Every attribute of a node of every operator as text, as a list of texts, and as a graph with such names."""
    payload = "0) or pwned(0"
    inner = H.make_graph([], payload, [H.make_tensor_value_info(payload, FLOAT, [1])], [])
    seen, written, path = set(), 0, tmp_path / "m.onnx"
    for case in node_cases.cases():
        operator = case.model.graph.node[0].op_type
        if "expanded" in case.name or operator in seen or not case.model.graph.node[0].attribute:
            continue
        seen.add(operator)
        for number in range(len(case.model.graph.node[0].attribute)):
            for value in (payload, [payload], inner):
                copy = onnx.ModelProto.FromString(case.model.SerializeToString())
                name = copy.graph.node[0].attribute[number].name
                copy.graph.node[0].attribute[number].CopyFrom(H.make_attribute(name, value))
                path.write_bytes(copy.SerializeToString())
                try:
                    source = node_cases.generated(path)[0].source
                except (InvalidFileError, UnsupportedError):  # and no UnsafeContentError, which would be too late
                    continue
                written += 1
                names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
                assert "pwned" not in names, f"{operator}.{name}"
    assert len(seen) > 90
    assert written > 20


def broken(case: Any, chance: Any) -> Any:
    """The model of a case with one thing changed: an input, an output, an attribute, an operator, the operator set."""
    copy = onnx.ModelProto.FromString(case.model.SerializeToString())
    node = chance.choice(copy.graph.node)
    change = chance.randrange(8)
    if change == 0 and node.input:
        del node.input[chance.randrange(len(node.input))]
    elif change == 1 and node.input:
        node.input[chance.randrange(len(node.input))] = ""
    elif change == 2 and node.attribute:
        chance.choice(node.attribute).type = chance.choice([1, 2, 3, 6, 7, 8])
    elif change == 3 and node.attribute:
        one = chance.choice(node.attribute)
        one.i, one.s = chance.choice([-5, 0, 2**62, -(2**62), 99]), b"\xff"
    elif change == 4:
        node.op_type = chance.choice(node_cases.cases()).model.graph.node[0].op_type
    elif change == 5 and node.output:
        del node.output[chance.randrange(len(node.output))]
    elif change == 6:
        node.output.append("more")
    else:
        copy.opset_import[0].version = chance.choice([1, 5, 6, 8, 10, 12, 17, 25])
    return copy


def test_graphs_that_break_the_specification_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but this program's own errors comes of them. Shapes are not inferred: the child survives that or not."""
    monkeypatch.setattr(node_cases, "without_child", lambda raw: [])
    chance, written, refused = Random(0), 0, 0
    for _ in range(400):
        path = tmp_path / "m.onnx"
        path.write_bytes(broken(chance.choice(node_cases.cases()), chance).SerializeToString())
        try:
            ast.parse(node_cases.generated(path)[0].source)
            written += 1
        except (InvalidFileError, UnsupportedError):
            refused += 1
    assert written > 50
    assert refused > 50


def test_source_that_says_anything_else_is_not_given_away() -> None:
    from modelglot.graphs.pytorch.guard import check

    check("import torch\nx = torch.zeros(1)", {"x"})
    for source in ("import os", "x = eval(y)", "from os import path", "y.__class__", "x = __import__('os')"):
        with pytest.raises(UnsafeContentError):
            check(source, {"y"})
    with pytest.raises(InvalidFileError):
        check("x = (", set())


def test_a_graph_that_ends_the_library_which_infers_shapes_is_no_end_of_this(tmp_path: Path) -> None:
    """`onnx` 1.23 aborts its process on an EyeLike without its input."""
    node = H.make_node("EyeLike", [""], ["y"], k=-5)
    path = model(tmp_path / "m.onnx", [node], {}, {"x": [4, 5]}, ["y"], opsets={"": 22})
    with pytest.raises(InvalidFileError, match="EyeLike"):
        mg.convert(path, tmp_path / "net.py")
    assert inference.ask(b"no model") == []
    found = inference.ask(small(tmp_path / "n.onnx").read_bytes())
    assert found[0]["c"] == [1, ["n", 4, 4, 4]]


def test_every_operator_without_a_rule_is_named_before_anything_is_written(tmp_path: Path) -> None:
    nodes = [H.make_node("Fancy", [a], [b], domain="my.domain") for a, b in ("xa", "ab")]
    nodes.append(H.make_node("StringNormalizer", ["b"], ["y"]))
    path = model(tmp_path / "m.onnx", nodes, {}, {"x": [2]}, ["y"], opsets={"": 17, "my.domain": 3})
    with pytest.raises(UnsupportedError) as caught:
        mg.convert(path, tmp_path / "out", to="pytorch")
    assert "2 operators" in str(caught.value)
    assert "`Fancy` (domain `my.domain`, opset 3): 2" in str(caught.value)
    assert "`StringNormalizer` (domain `ai.onnx`, opset 17): 1" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_choices_that_change_weights_and_sources_without_a_graph_are_refused(tmp_path: Path) -> None:
    path = small(tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match="dtype"):
        mg.convert(path, tmp_path / "net.py", dtype=["f16"])
    mg.convert(path, tmp_path / "w.safetensors", allow_loss=["graph"])
    with pytest.raises(UnsupportedError, match="graph of an ONNX file"):
        mg.convert(tmp_path / "w.safetensors", tmp_path / "net.py")


def test_functions_of_the_model_are_written_in_their_places(tmp_path: Path) -> None:
    body = [H.make_node("Constant", [], ["two"], value_float=2.0), H.make_node("Mul", ["a", "two"], ["b"])]
    double = H.make_function("my", "Double", ["a"], ["b"], body, [H.make_opsetid("", 17)])
    nodes = [H.make_node("Double", ["x"], ["t"], domain="my"), H.make_node("Double", ["t"], ["y"], domain="my")]
    path = model(tmp_path / "m.onnx", nodes, {}, {"x": [3]}, ["y"], opsets={"": 17, "my": 1}, functions=[double])
    net = node_cases.network(*node_cases.generated(path))
    assert net(torch.ones(3)).tolist() == [4, 4, 4]


def test_a_weight_of_four_bits_stays_packed(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-8, 8, (9, 15))
    weight = H.make_tensor("w", onnx.TensorProto.INT4, values.shape, values.ravel().tolist())
    graph = H.make_graph(
        [H.make_node("DequantizeLinear", ["w", "scale"], ["f"]), H.make_node("MatMul", ["x", "f"], ["y"])],
        "g",
        [H.make_tensor_value_info("x", FLOAT, [2, 9])],
        [H.make_tensor_value_info("y", FLOAT, [2, 15])],
        [weight, N.from_array(np.float32(0.5), "scale")],
    )
    onnx.save(H.make_model(graph, opset_imports=[H.make_opsetid("", 21)]), tmp_path / "m.onnx")
    mg.convert(tmp_path / "m.onnx", tmp_path / "out", to="pytorch")
    assert mg.load(tmp_path / "out/net.safetensors")["w"].nbytes == 68
    x = random(2, 9)
    net = node_cases.network(*node_cases.generated(tmp_path / "m.onnx"))
    np.testing.assert_allclose(net(torch.from_numpy(x)).detach().numpy(), x @ (values * 0.5), rtol=1e-5)


def test_the_module_can_be_exported_and_compiled_again(tmp_path: Path) -> None:
    """Shapes are Python numbers, so that the module is one graph for torch too."""
    net = node_cases.network(*node_cases.generated(small(tmp_path / "m.onnx")))
    x = torch.from_numpy(random(2, 3, 4, 4))
    program = torch.export.export(net, (x,), dynamic_shapes=({0: torch.export.Dim("n", min=2, max=64)},))
    more = torch.from_numpy(random(5, 3, 4, 4))
    assert torch.allclose(program.module()(more), net(more))


def test_check_tells_how_far_apart_both_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    from modelglot.cli.main import run

    path, target = str(small(tmp_path / "m.onnx")), tmp_path / "net.py"
    assert run(["convert", path, str(target), "--check", "--input", "x=f32[5,3,4,4]"]) == 0
    assert "checked: equal to ONNX Runtime within" in capsys.readouterr().err


def test_a_module_that_computes_something_else_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    path, target = small(tmp_path / "m.onnx"), tmp_path / "net.py"
    mg.convert(path, target)
    target.write_text(target.read_text().replace("F.relu(c)", "c"))
    made = compare_program(path, target)
    assert not made.close
    assert made.worst > 0.01
    monkeypatch.setattr("modelglot.graphs.running._apart", lambda *_: 0.5)
    with pytest.raises(UnsupportedError, match=r"differs by 0\.5"):
        mg.convert(path, tmp_path / "out" / "net.py", wishes=Wishes(check=True))
    assert not (tmp_path / "out" / "net.py").exists()


def test_a_graph_becomes_gguf_only_as_a_container(tmp_path: Path) -> None:
    path = small(tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match="no runtime"):
        mg.convert(path, tmp_path / "m.gguf")
    mg.convert(path, tmp_path / "m.gguf", container=True)
    made = mg.open(tmp_path / "m.gguf")
    assert made.metadata["general.architecture"] == "onnx"
    assert np.array_equal(made.tensors["conv.weight"].numpy(), random(4, 3, 3, 3))


def test_the_guide_has_the_table_of_operators() -> None:
    """To write it anew: `modelglot.graphs.pytorch.table.markdown()` between the two comments."""
    from modelglot.graphs.pytorch.table import markdown

    text = (Path(__file__).parents[2] / "docs/guides/onnx-to-pytorch.md").read_text()
    begin, end = "<!-- operators -->\n", "<!-- /operators -->"
    assert text[text.index(begin) + len(begin) : text.index(end)] == markdown()


def test_what_a_module_has_itself_is_known() -> None:
    from modelglot.graphs.pytorch.names import TAKEN

    code = (
        "import torch; print(*dir(torch.nn.Module), *vars(torch.nn.Module()))"  # here transformers may have added some
    )
    own = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in own if not (name.startswith("__") and name.endswith("__"))} <= TAKEN
