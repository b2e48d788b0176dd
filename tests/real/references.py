"""The tensors of a file as the library of its format reads them, under the names that modelglot documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray[Any, Any]]


def onnx(path: Path) -> Arrays:
    import onnx
    from onnx import numpy_helper

    def graph(g: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        yield from ((prefix + t.name, t) for t in g.initializer)
        for node in g.node:
            for attribute in node.attribute:
                label = node.output[0] if node.op_type == "Constant" else f"{node.name}.{attribute.name}"
                if attribute.HasField("t"):
                    yield prefix + label, attribute.t
                if attribute.HasField("g"):
                    yield from graph(attribute.g, f"{prefix}{label}.")

    return {name: numpy_helper.to_array(t) for name, t in graph(onnx.load(path).graph, "")}


def tflite(path: Path) -> Arrays:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    model = schema.Model.GetRootAs(path.read_bytes())
    assert model.SubgraphsLength() == 1
    interpreter, found = Interpreter(str(path)), dict[str, Any]()
    for index in range(model.Subgraphs(0).TensorsLength()):
        tensor = model.Subgraphs(0).Tensors(index)
        if model.Buffers(tensor.Buffer()).DataLength():
            name = tensor.Name().decode()
            assert name not in found
            found[name] = interpreter.get_tensor(index)
    return found


def coreml(path: Path) -> Arrays:
    """A network's weights by layer and field, or a program's floats and what its weight file has."""
    from coremltools.libmilstoragepython import _BlobStorageReader
    from coremltools.proto import Model_pb2

    folder = path.parent / "Data" / "com.apple.CoreML"
    file = folder / "model.mlmodel" if path.name == "Manifest.json" else path
    spec = Model_pb2.Model.FromString(file.read_bytes())
    found: Arrays = {}

    def fields(message: Any, prefix: str) -> None:
        for field, value in message.ListFields():
            if field.message_type is None:
                continue
            for index, item in enumerate(value if field.is_repeated else [value]):
                if field.message_type.name == "WeightParams":
                    name = f"{prefix}.{field.name}" + f".{index}" * field.is_repeated
                    found[name] = np.array(item.floatValue, "f4")
                elif field.message_type.name == "LSTMWeightParams":
                    fields(item, f"{prefix}.{('forward', 'backward')[index]}")

    for layer in spec.neuralNetwork.layers:
        fields(getattr(layer, layer.WhichOneof("layer")), layer.name)
    for function in spec.mlProgram.functions.values():
        for op in next(iter(function.block_specializations.values())).operations:
            if op.type != "const":
                continue
            value, name = op.attributes["val"], op.outputs[0].name
            if value.HasField("blobFileValue"):
                reader = _BlobStorageReader(str(folder / value.blobFileValue.fileName.removeprefix("@model_path/")))
                found[name] = np.array(reader.read_float_data(value.blobFileValue.offset), "f4")
            elif value.type.tensorType.dataType == 11 and value.type.tensorType.dimensions:
                found[name] = np.array(value.immediateValue.tensor.floats.values, "f4")
    return found


def openvino(path: Path) -> Arrays:
    from openvino import Core

    nodes = Core().read_model(path).get_ordered_ops()
    return {n.get_friendly_name(): n.data for n in nodes if n.get_type_name() == "Constant"}


def caffe(path: Path) -> Arrays:
    """By protobuf's own parser, with the part of Caffe's schema that says where blobs are."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    kinds = {"text": 9, "float": 2, "int": 3}
    for name, fields in {
        "Shape": ((1, "dim", "int"),), "Blob": ((7, "shape", "Shape"), (5, "data", "float")),
        "Layer": ((1, "name", "text"), (7, "blobs", "Blob")), "Net": ((100, "layer", "Layer"),),
    }.items():  # fmt: skip
        message = file.message_type.add(name=name)
        for number, label, kind in fields:
            made = message.field.add(name=label, number=number, label=3, type=kinds.get(kind, 11))
            if kind not in kinds:
                made.type_name = f".caffe.{kind}"
            elif kind != "text":
                made.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    net = message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.Net")).FromString(path.read_bytes())
    return {
        f"{layer.name[0]}.{index}": np.array(blob.data, "f4").reshape(blob.shape[0].dim)
        for layer in net.layer
        for index, blob in enumerate(layer.blobs)
    }


def paddle(path: Path) -> Arrays:
    """Names by protobuf's own parser, with the part of Paddle's schema that has them; numbers by their description."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="paddle.proto", package="paddle", syntax="proto2")
    kinds = {"text": 9, "int": 3}
    for name, fields in {
        "Desc": ((1, "type", "int"), (2, "dims", "int")), "Type": ((1, "type", "int"),),
        "Var": ((1, "name", "text"), (2, "type", "Type"), (3, "persistable", "int")), "Block": ((3, "vars", "Var"),),
        "Program": ((1, "blocks", "Block"),),
    }.items():  # fmt: skip
        message = file.message_type.add(name=name)
        for number, label, kind in fields:
            made = message.field.add(name=label, number=number, label=3, type=kinds.get(kind, 11))
            if kind not in kinds:
                made.type_name = f".paddle.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    classes = {
        n: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"paddle.{n}")) for n in ("Program", "Desc")
    }
    variables = classes["Program"].FromString(path.with_suffix(".pdmodel").read_bytes()).blocks[0].vars
    names = sorted(v.name[0] for v in variables if list(v.persistable) == [1] and v.type[0].type[0] == 7)
    found, data = {}, path.with_suffix(".pdiparams").read_bytes()
    for name in names:
        length = int.from_bytes(data[16:20], "little")
        about = classes["Desc"].FromString(data[20 : 20 + length])
        count = int(np.prod(about.dims))
        found[name] = np.frombuffer(data, "f4", count, 20 + length).reshape(about.dims)
        data = data[20 + length + 4 * count :]
    assert not data
    return found


def darknet(path: Path) -> Arrays:
    """OpenCV's layers are numbered alike; its batch norms hold mean, variance, scale and offset."""
    import cv2

    net, found = cv2.dnn.readNetFromDarknet(str(path.with_suffix(".cfg")), str(path.with_suffix(".weights"))), {}
    for name in net.getLayerNames():
        kind, _, number = name.partition("_")
        blobs = net.getLayer(net.getLayerId(name)).blobs if kind in ("conv", "bn") else ()
        for blob, label in zip(blobs, LABELS[kind] if blobs else (), strict=False):
            found[f"{number}.convolutional.{label}"] = np.array(blob)
    return found


LABELS = {"conv": ("weights", "biases"), "bn": ("rolling_mean", "rolling_variance", "scales", "biases")}
REFERENCES: dict[str, Callable[[Path], Arrays]] = {
    "onnx": onnx,
    "tflite": tflite,
    "coreml": coreml,
    "openvino": openvino,
    "caffe": caffe,
    "paddle": paddle,
    "darknet": darknet,
}
