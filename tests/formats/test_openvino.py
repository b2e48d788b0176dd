"""OpenVINO: the promises of a reader, and files made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.reading import detect, read_model
from modelglot.core.errors import UnknownFormatError
from modelglot.core.tensor import Missing
from modelglot.testing.conformance import ReaderConformance


def layer(identity: int, name: str, data: str, kind: str = "Const", more: str = "") -> str:
    return f'<layer id="{identity}" name="{name}" type="{kind}" version="opset1"><data {data}/>{more}</layer>'


def const(identity: int, name: str, shape: str, offset: int, size: int, kind: str = "f32") -> str:
    return layer(identity, name, f'element_type="{kind}" shape="{shape}" offset="{offset}" size="{size}"')


def net(*layers: str, edges: str = "", more: str = "") -> str:
    start = '<?xml version="1.0"?>\n<net name="m" version="11"><layers>'
    return f"{start}{''.join(layers)}</layers><edges>{edges}</edges>{more}</net>"


def put(folder: Path, text: str, data: bytes = b"") -> Path:
    (folder / "m.bin").write_bytes(data)
    path = folder / "m.xml"
    path.write_text(text)
    return path


class TestOpenVino(ReaderConformance):
    format = "openvino"

    def make(self, folder: Path) -> Path:
        return put(folder, net(const(0, "w", "2, 3", 0, 24), const(1, "s", "", 24, 4)), bytes(28))

    def test_suffix_does_not_matter(self, sample: Path, tmp_path: Path) -> None:
        """It finds the structure; the weights go by the name."""
        other = tmp_path / "renamed.xyz"
        other.write_bytes(sample.read_bytes())
        assert detect(str(other))[0].info.name == "openvino"


def test_names_given_twice_and_a_missing_file(tmp_path: Path) -> None:
    path = put(tmp_path, net(const(0, "w", "1", 0, 4), const(1, "w", "1", 4, 4), const(2, "", "1", 4, 4)), bytes(8))
    assert list(read_model(str(path)).tensors) == ["w", "w#2", "layer_2"]
    (tmp_path / "m.bin").unlink()
    assert {type(t.data) for t in read_model(str(path)).tensors.values()} == {Missing}


def test_weights_of_an_older_version(tmp_path: Path) -> None:
    blobs = '<blobs><weights offset="0" size="8"/><biases offset="8" size="4" precision="FP16"/></blobs>'
    old = f'<layer id="1" name="conv" precision="FP32" type="Convolution"><data kernel="1,1"/>{blobs}</layer>'
    path = put(tmp_path, net(old), np.array([1, 2], "f4").tobytes() + np.array([3, 4], "f2").tobytes())
    assert {n: v.tolist() for n, v in mg.load(path).items()} == {"conv.weights": [1, 2], "conv.biases": [3, 4]}


def test_what_it_says_of_itself(tmp_path: Path) -> None:
    about = '<rt_info><conversion><framework value="onnx"/></conversion><attribute name="MO" value="1"/></rt_info>'
    port = '<output><port id="0" precision="FP16"><dim>-1</dim><dim>3</dim></port></output>'
    inside = '<rt_info><attribute name="fused_names" value="x"/></rt_info>'
    path = put(tmp_path, net(layer(0, "x", "", "Parameter", port + inside), more=about))
    model = read_model(str(path))
    assert model.metadata["openvino.about"] == {"conversion.framework": "onnx", "MO": "1"}
    assert model.graph is not None
    assert [str(p) for p in model.graph.signatures[0].inputs] == ["x [?, 3] f16"]


@pytest.mark.parametrize("kind", ["nf4", "u1", "string"])
def test_what_has_no_type_of_ours_is_carried_as_it_is(kind: str, tmp_path: Path) -> None:
    path = put(tmp_path, net(const(0, "w", "3", 0, 7, kind)), b"abcdefg")
    with mg.open(path) as model:
        assert bytes(model.tensors["w"].bytes()) == b"abcdefg"
        assert model.tensors["w"].tensor.encoding.name == f"openvino-{kind}"


def test_xml_that_is_something_else_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "m.xml").write_text("<?xml version='1.0'?><project><module/></project>")
    with pytest.raises(UnknownFormatError):
        detect(str(tmp_path / "m.xml"))
