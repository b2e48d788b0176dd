"""A PyTorch model that the user named, with weights that modelglot read, to ONNX by PyTorch's own exporter.

Job: ``entry``, ``arguments``, ``weights`` (a plain PyTorch file, or null), ``folder`` (of transformers, or null),
``inputs`` (npz by name), ``dims`` (sizes by input; text is the name of one that is open), ``model`` (where to write),
``opset``. Result: ``model``, ``outputs``. Runs Python code that is not modelglot's: only started where that is allowed.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import numpy as np

from modelglot.graphs.workers.job import Array, load, run, save

MODEL = "model.onnx"


def work(job: dict[str, Any], folder: str) -> dict[str, Any]:
    import torch

    torch.set_num_threads(2)
    model = _model(job).eval()
    inputs = {name: torch.from_numpy(a) for name, a in load(folder, job["inputs"]).items()}
    dynamic = {
        name: {axis: size for axis, size in enumerate(dims) if isinstance(size, str)}
        for name, dims in job["dims"].items()
    }
    with torch.no_grad():
        outputs: list[Array] = []
        _flatten(model(**inputs), outputs)
        program = torch.onnx.export(
            model, (), kwargs=inputs, dynamo=True, opset_version=job["opset"], verbose=False, optimize=True,
            dynamic_shapes=dynamic if any(dynamic.values()) else None,
        )  # fmt: skip
    if program is None:
        raise RuntimeError("the exporter gave no program")
    program.save(os.path.join(folder, MODEL))
    save(folder, "outputs.npz", outputs)
    return {"model": MODEL, "outputs": "outputs.npz"}


def _model(job: dict[str, Any]) -> Any:
    prefix, _, name = job["entry"].partition(":")
    if prefix == "transformers":
        return _transformers(name, job)
    made = _LIBRARIES[prefix](name, job["arguments"]) if prefix in _LIBRARIES else _own(prefix, name, job["arguments"])
    if job["weights"] is not None:
        import torch

        state = torch.load(job["weights"], map_location="cpu", weights_only=True, mmap=True)
        made.load_state_dict(state, strict=True, assign=True)
    return made


def _torchvision(name: str, arguments: dict[str, Any]) -> Any:
    import torchvision

    return torchvision.models.get_model(name, **{"weights": None, **arguments})


def _timm(name: str, arguments: dict[str, Any]) -> Any:
    import timm

    return timm.create_model(name, **{"pretrained": False, **arguments})


def _own(module: str, name: str, arguments: dict[str, Any]) -> Any:
    """``package.module:Class``, found from the folder that the command was started in."""
    sys.path.insert(0, os.getcwd())
    made: Any = importlib.import_module(module)
    for part in name.split("."):
        made = getattr(made, part)
    return made(**arguments)


def _transformers(name: str, job: dict[str, Any]) -> Any:
    """A folder as it is on the Hub: the library has its own names for tensors, and loads safetensors first."""
    import transformers

    kind = getattr(transformers, name)
    model = kind.from_pretrained(job["folder"], local_files_only=True, trust_remote_code=False, **job["arguments"])
    if hasattr(model.config, "use_cache"):
        model.config.use_cache = False
    return model.float()


def _flatten(value: Any, into: list[Array]) -> None:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            _flatten(item, into)
    elif hasattr(value, "detach"):
        into.append(np.asarray(value.detach().numpy()))


_LIBRARIES = {"torchvision": _torchvision, "timm": _timm}


if __name__ == "__main__":
    run(work)
