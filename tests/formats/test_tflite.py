"""TensorFlow Lite: the promises of a reader, and files made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.reading import read_model
from modelglot.core.errors import LossError
from modelglot.core.layer import AXES, GATES, KIND, ROLE
from modelglot.core.model import ties
from modelglot.core.tensor import Missing
from modelglot.testing.conformance import ReaderConformance
from modelglot.testing.tiny_flatbuffer import build, data, number, vector

CONV, DEPTHWISE, DEQUANTIZE, GATHER, CUSTOM, FLOAT16, STRING, INT8, INT4 = 3, 4, 6, 36, 32, 1, 5, 9, 17


def tensor(name: str, shape: tuple[int, ...], buffer: int, kind: int = 0, **more: Any) -> dict[int, Any]:
    made: dict[int, Any] = {0: vector("i", *shape), 1: number(kind, 1), 2: number(buffer), 3: name}
    return made | {{"quantization": 4, "variable": 5, "open": 7, "external": 10}[key]: v for key, v in more.items()}


def operator(code: int, inputs: tuple[int, ...], outputs: tuple[int, ...], **more: Any) -> dict[int, Any]:
    return {0: number(code), 1: vector("i", *inputs), 2: vector("i", *outputs)} | (
        {3: number(1, 1), 4: more["options"]} if "options" in more else {}
    )


def code(value: int, custom: str = "") -> dict[int, Any]:
    return {0: number(min(value, 127), 1), 3: number(value)} | ({1: custom} if custom else {})


def subgraph(tensors: list[Any], operators: list[Any] = (), name: str = "main") -> dict[int, Any]:  # type: ignore[assignment]
    return {0: tensors, 1: vector("i", 0), 2: vector("i", len(tensors) - 1), 3: list(operators), 4: name}


def model(graphs: list[Any], buffers: list[bytes | dict[int, Any]], codes: list[Any] = (), **more: Any) -> bytes:  # type: ignore[assignment]
    tables = [b if isinstance(b, dict) else {0: data(b)} if b else {} for b in buffers]
    root = {0: number(3), 1: list(codes), 2: graphs, 3: "made by hand", 4: tables}
    return build(root | {int(key[1:]): value for key, value in more.items()})


def read(folder: Path, raw: bytes) -> mg.OpenModel:
    (folder / "m.tflite").write_bytes(raw)
    return mg.open(folder / "m.tflite")


def sample() -> bytes:
    weights = np.arange(16, dtype="f4").tobytes()
    tensors = [tensor("x", (1, 4), 0, open=vector("i", -1, 4)), tensor("w", (2, 8), 1), tensor("y", (1, 2), 0)]
    return model([subgraph(tensors, [operator(0, (0, 1), (2,))])], [b"", weights], [code(9)])


class TestTfLite(ReaderConformance):
    format = "tflite"

    def make(self, folder: Path) -> Path:
        path = folder / "sample.tflite"
        path.write_bytes(sample())
        return path


def test_weights_are_what_has_a_buffer(tmp_path: Path) -> None:
    with read(tmp_path, sample()) as found:
        assert list(found.tensors) == ["w"]
        assert found.tensors["w"].numpy().tolist() == np.arange(16).reshape(2, 8).tolist()
        graph = found.model.graph
        assert graph is not None
        assert [str(p) for p in graph.signatures[0].inputs] == ["x [?, 4] f32"]
        assert dict(graph.operators) == {"FULLY_CONNECTED": 1}
        assert found.metadata["tflite.description"] == "made by hand"


def test_quantized_weights_stay_integers(tmp_path: Path) -> None:
    channels = {2: vector("f", 0.5, 0.25), 3: vector("q", 0, -3), 6: number(0)}
    whole = {2: vector("f", 2.0), 3: vector("q", 128)}
    tensors = [
        tensor("c", (2, 2), 1, INT8, quantization=channels), tensor("t", (2, 2), 1, 3, quantization=whole),
        tensor("odd", (3,), 2, INT4),
        tensor("ranges", (4,), 1, INT8, quantization={0: vector("f", 1), 1: vector("f", 2)}),
    ]  # fmt: skip
    with read(tmp_path, model([subgraph(tensors)], [b"", bytes(4), b"\x21\x0f"])) as found:
        extra = found.model.tensors["c"].extra
        assert extra == {"tflite:scale": (0.5, 0.25), "tflite:zero-point": (0, -3), "tflite:axis": 0}
        assert found.metadata["tflite.quantization"] == {
            "c": {"scale": [0.5, 0.25], "zero_point": [0, -3], "axis": 0}, "t": {"scale": [2.0], "zero_point": [128]},
        }  # fmt: skip
        assert found.tensors["odd"].numpy().astype(int).tolist() == [1, 2, -1]
        assert found.model.tensors["ranges"].extra == {}
        assert [n.code for n in found.model.notes] == ["quantized"]
        assert ties(found.model.tensors) == [("c", "t", "ranges")]


def test_names_of_other_subgraphs_and_names_given_twice(tmp_path: Path) -> None:
    one = [tensor("w", (1,), 1), tensor("w", (1,), 2), tensor("", (1,), 1)]
    graphs = [subgraph(one), subgraph(one[:1], name="body"), subgraph(one[:1], name="")]
    with read(tmp_path, model(graphs, [b"", bytes(4), bytes(4)])) as found:
        assert list(found.tensors) == ["w", "w#2", "tensor_2", "body.w", "subgraph_2.w"]


def test_texts_are_metadata(tmp_path: Path) -> None:
    raw = b"".join(n.to_bytes(4, "little") for n in (2, 16, 17, 20)) + "aéb".encode()
    with read(tmp_path, model([subgraph([tensor("s", (2,), 1, STRING)])], [b"", raw])) as found:
        assert list(found.tensors) == []
        assert found.metadata["tflite.strings.s"] == ["a", "éb"]


def test_data_behind_the_flatbuffer_and_in_another_file(tmp_path: Path) -> None:
    outside = tensor("out", (2,), 0, external=number(7))
    gone, packed = tensor("gone", (2,), 0, external=number(8)), tensor("packed", (2,), 0, external=number(9))
    groups = [{0: "weights.bin"}, {0: "not.there"}]
    entries = [
        {0: number(7), 1: number(0), 2: number(4, 8), 3: number(8, 8)},
        {0: number(8), 1: number(1), 3: number(8, 8)}, {0: number(9), 3: number(8, 8), 4: "zip"},
    ]  # fmt: skip

    def made(offset: int) -> bytes:
        behind = {1: number(offset, 8), 2: number(8, 8)}
        return model([subgraph([tensor("w", (2,), 1), outside, gone, packed])], [b"", behind], f8=groups, f9=entries)

    head = made(1 << 20)
    raw = made(len(head)) + np.array([1, 2], "f4").tobytes()
    (tmp_path / "weights.bin").write_bytes(bytes(4) + np.array([3, 4], "f4").tobytes())
    with read(tmp_path, raw) as found:
        assert found.tensors["w"].numpy().tolist() == [1, 2]
        assert found.tensors["out"].numpy().tolist() == [3, 4]
        assert isinstance(found.model.tensors["gone"].data, Missing)
        assert isinstance(found.model.tensors["packed"].data, Missing)


def test_signatures_metadata_and_custom_operators(tmp_path: Path) -> None:
    signature = {0: [{0: "image", 1: number(0)}], 1: [{0: "score", 1: number(1)}], 2: "serve", 4: number(0)}
    entries = [{0: "min_runtime_version", 1: number(1)}, {0: "NOTES", 1: number(2)}]
    graph = subgraph([tensor("a", (1,), 0), tensor("b", (1,), 0)], [operator(0, (0,), (1,)), operator(1, (0,), (1,))])
    raw = model([graph], [b"", b"1.5.0\0\0", b"hello"], [code(CUSTOM, "Mine"), code(150)], f6=entries, f7=[signature])
    with read(tmp_path, raw) as found:
        graph_ = found.model.graph
        assert graph_ is not None
        (serve,) = graph_.signatures
        assert (serve.name, str(serve.inputs[0]), str(serve.outputs[0])) == ("serve", "image [1] f32", "score [1] f32")
        assert dict(graph_.operators) == {"GELU": 1, "Mine": 1}
        assert found.metadata["tflite.min_runtime_version"] == "1.5.0"
        assert [(s.name, s.size) for s in found.model.sides] == [("NOTES", 5)]


LAYERS = [
    (CONV, (8, 3, 3, 2), ("conv", "kernel", "ohwi")),
    (DEPTHWISE, (1, 3, 3, 8), ("depthwise-conv", "kernel", "1hwo")),
    (9, (4, 8), ("dense", "kernel", "oi")),
    (67, (4, 3, 3, 2), ("conv-transpose", "kernel", "ohwi")),
]


@pytest.mark.parametrize("half", [False, True], ids=["float", "half"])
@pytest.mark.parametrize(("kind", "shape", "wanted"), LAYERS)
def test_what_an_operator_says_of_its_weights(
    kind: int, shape: tuple[int, ...], wanted: tuple[str, ...], half: bool, tmp_path: Path
) -> None:
    size = int(np.prod(shape)) * (2 if half else 4)
    tensors = [tensor("x", (1,), 0), tensor("w", shape, 1, FLOAT16 * half), tensor("b", (8,), 2), tensor("f", shape, 0)]
    inputs = (0, 3 if half else 1, 2) if kind != 67 else (0, 3 if half else 1, 0, 2)
    operators = [operator(1, (1,), (3,))] * half + [operator(0, inputs, (0,))]
    raw = model([subgraph(tensors, operators)], [b"", bytes(size), bytes(32)], [code(kind), code(DEQUANTIZE)])
    with read(tmp_path, raw) as found:
        extra = found.model.tensors["w"].extra
        assert (extra[KIND], extra[ROLE], extra[AXES]) == wanted
        assert found.model.tensors["b"].extra[ROLE] == "bias"


def test_embeddings_and_gates_that_are_separate(tmp_path: Path) -> None:
    tensors = [tensor(f"t{n}", (2, 2), 1) for n in range(10)]
    lstm = operator(1, (-1, *range(1, 9)), (9,))
    graph = subgraph(tensors, [operator(0, (0, 9), (9,), options={0: number(0)}), lstm])
    found = read(tmp_path, model([graph], [b"", bytes(16)], [code(GATHER), code(44)])).model.tensors
    assert found["t0"].extra[KIND] == "embedding"
    assert [found[f"t{n}"].extra[GATES] for n in range(1, 9)] == list("ifcoifco")
    assert [found[f"t{n}"].extra[ROLE] for n in (4, 5)] == ["kernel", "recurrent-kernel"]


def test_sparse_weights_are_carried_as_they_are(tmp_path: Path) -> None:
    sparse = tensor("w", (4, 4), 1) | {6: {}}
    read(tmp_path, model([subgraph([sparse])], [b"", bytes(12)])).close()
    found = read_model(str(tmp_path / "m.tflite"))
    assert found.tensors["w"].encoding.name == "tflite-sparse"
    with pytest.raises(LossError):
        mg.convert(tmp_path / "m.tflite", tmp_path / "out.safetensors")
