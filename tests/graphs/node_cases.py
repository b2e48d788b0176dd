"""The node tests of the ONNX project, through the generator: each is a model, inputs and the outputs it must give."""

from __future__ import annotations

import sys
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from modelglot.api.reading import read_model
from modelglot.core.limits import Limits
from modelglot.core.tensor import Tensor
from modelglot.engine.pool import SourcePool
from modelglot.engine.stream import read
from modelglot.graphs import inference, inference_child
from modelglot.graphs.pytorch.generate import Generated, generate
from modelglot.graphs.skeleton import graph_of
from modelglot.sources.file import LocalFiles

SMALL = {"int4", "uint4", "int2", "uint2"}
WIDER = {"float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn"}


@cache
def cases() -> list[Any]:
    """All of them, in the order of their names."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sorted(load_model_tests(kind="node"), key=lambda case: case.name)


def exported(kind: str) -> list[Any]:
    """Cases that lie in files: ``pytorch-converted``, ``pytorch-operator``, ``simple``, most of old operator sets."""
    from onnx.backend.test.loader import load_model_tests

    return sorted(load_model_tests(kind=kind), key=lambda case: case.name)


def data_sets(case: Any) -> list[tuple[list[Any], list[Any]]]:
    """Inputs and outputs of a case, also where they lie in files."""
    if case.model_dir is None:
        return case.data_sets
    folders = sorted(Path(case.model_dir).glob("test_data_set_*"))
    return [(_stored(folder, "input"), _stored(folder, "output")) for folder in folders]


def _stored(folder: Path, word: str) -> list[Any]:
    from onnx import SequenceProto, TensorProto, numpy_helper

    made = []
    for number in range(len(list(folder.glob(f"{word}_*.pb")))):
        raw = (folder / f"{word}_{number}.pb").read_bytes()
        try:
            made.append(numpy_helper.to_array(TensorProto.FromString(raw)))
        except Exception:
            made.append(numpy_helper.to_list(SequenceProto.FromString(raw)))
    return made


def without_child(raw: bytes) -> list[Any]:
    """`inference.ask` without a process for each of two thousand graphs that are known to be whole."""
    try:
        return inference_child.inferred(raw)
    except Exception:
        return []


def generated(path: Path) -> tuple[Generated, dict[str, Any]]:
    """The source for a file, and its state dict as the engine reads it."""
    from modelglot.api.frameworks import to_torch

    model = read_model(str(path), format="onnx")
    pool, files = SourcePool(model.files), LocalFiles(str(path))

    apart, inference.ask = inference.ask, without_child

    def bytes_of(tensor: Tensor) -> bytearray:
        return read(tensor, pool)

    try:
        made = generate(graph_of(files, Limits(), bytes_of), model.tensors, bytes_of, path.name)
        state = {key: to_torch(tensor, bytes_of(tensor)) for key, tensor in made.tensors.items()}
    finally:
        inference.ask = apart
        pool.close()
        files.close()
    return made, state


def network(made: Generated, state: dict[str, Any]) -> Any:
    """The module, run as Python. Its text is this program's own."""
    space: dict[str, Any] = {"__name__": "net", "__file__": "net.py"}
    exec(compile(made.source, "net.py", "exec"), space)  # noqa: S102
    net = space["Net"]()
    net.load_state_dict(state, strict=True)
    return net.eval()


def array_of(value: Any) -> Any:
    """Test data is numpy's, or a ``TensorProto``."""
    from onnx import numpy_helper

    return numpy_helper.to_array(value) if hasattr(value, "data_type") else np.asarray(value)


def torch_of(value: Any) -> Any:
    """Test data as torch has it."""
    import torch

    if value is None or isinstance(value, (list, tuple)):
        return None if value is None else [torch_of(item) for item in value]
    array = array_of(value)
    if array.dtype.kind in "OUS":
        raise TypeError("text")
    name = array.dtype.name
    if name in SMALL:
        return torch.from_numpy(array.astype("uint8" if name[0] == "u" else "int8"))
    if name in WIDER:
        return torch.from_numpy(array.astype("float32"))
    if name == "bfloat16" or name.startswith("float8"):
        whole = np.ascontiguousarray(array).view("u1" if array.dtype.itemsize == 1 else "i2")
        return torch.from_numpy(whole.copy()).view(getattr(torch, name)).reshape(array.shape)
    return torch.from_numpy(np.array(array))


def compare(found: Any, wanted: Any, rtol: float, atol: float) -> None:
    """Raises AssertionError where dtype, shape or a value differ."""
    if wanted is None or isinstance(wanted, (list, tuple)):
        assert isinstance(found, type(wanted)) or (isinstance(found, list) and isinstance(wanted, (list, tuple)))
        for one, other in zip(found or (), wanted or (), strict=True):
            compare(one, other, rtol, atol)
        return
    wanted, found = array_of(wanted), found.detach()
    expected = torch_of(wanted)
    assert found.dtype == expected.dtype, f"{found.dtype} and not {expected.dtype}"
    assert tuple(found.shape) == wanted.shape, f"{tuple(found.shape)} and not {wanted.shape}"
    if found.is_complex():
        np.testing.assert_allclose(found.resolve_conj().numpy(), wanted, rtol=rtol, atol=atol)
    elif found.is_floating_point():
        np.testing.assert_allclose(found.double().numpy(), expected.double().numpy(), rtol=rtol, atol=atol)
    else:
        np.testing.assert_array_equal(found.numpy(), expected.numpy())


def run(case: Any, folder: Path) -> None:
    """Raises whatever is wrong with a case."""
    import torch

    path = folder / "model.onnx"
    raw = case.model.SerializeToString() if case.model_dir is None else (Path(case.model_dir) / path.name).read_bytes()
    path.write_bytes(raw)
    net = network(*generated(path))
    for inputs, outputs in data_sets(case):
        with torch.no_grad():
            made = net(*[torch_of(value) for value in inputs])
        made = made if len(outputs) > 1 or isinstance(made, tuple) else (made,)
        assert len(made) == len(outputs)
        for found, wanted in zip(made, outputs, strict=True):
            compare(found, wanted, case.rtol, case.atol)


def main(pattern: str = "") -> None:
    """Every failure in a line, and the count."""
    import collections
    import tempfile

    folder, failed, passed = Path(tempfile.mkdtemp()), [], []
    for case in cases():
        if pattern in case.name:
            try:
                run(case, folder)
                passed.append(case.name)
            except Exception as error:
                failed.append(case.name)
                print(case.name, type(error).__name__, " ".join(str(error).split())[:300])
    print(
        len(passed),
        "passed",
        len(failed),
        "failed",
        collections.Counter(n.split("_")[1] for n in failed).most_common(8),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
