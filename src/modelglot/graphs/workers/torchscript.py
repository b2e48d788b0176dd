"""Runs a TorchScript archive with PyTorch: the file's own code, which the user allowed.

Job: ``model`` (path), ``method``, ``inputs`` (npz by name), ``fixed`` (values by name), ``states`` (names of attributes
that are outputs as well). Result: ``outputs.npz``.
"""

from __future__ import annotations

from typing import Any

from modelglot.graphs.workers.job import Array, load, run, save


def work(job: dict[str, Any], folder: str) -> dict[str, Any]:
    import torch

    torch.set_num_threads(2)
    module = torch.jit.load(job["model"], map_location="cpu").eval()  # type: ignore[no-untyped-call]
    inputs: dict[str, Any] = {name: torch.from_numpy(a) for name, a in load(folder, job["inputs"]).items()}
    given = {**inputs, **job["fixed"]}
    method = getattr(module, job["method"])
    parameters = method.schema.arguments[1:]
    arguments = {}
    for parameter in parameters:
        value = _argument(parameter.name, given)
        if value is not None:
            number = str(parameter.type) in ("int", "float", "bool") and isinstance(value, torch.Tensor)
            arguments[parameter.name] = value.item() if number else value
        elif parameter.name in given:
            arguments[parameter.name] = None
    for name, value in given.items():
        if name.split(".")[0] not in {p.name for p in parameters}:
            _set(module, name, value)
    with torch.no_grad():
        result = method(**arguments)
    found: list[Array] = []
    _flatten(result, found)
    for name in job["states"]:
        owner = module
        for part in name.split("."):
            owner = getattr(owner, part)
        _flatten(owner, found)
    save(folder, "outputs.npz", found)
    return {"outputs": "outputs.npz"}


def _argument(name: str, given: dict[str, Any]) -> Any:
    """``x``, or a list, tuple or dict of ``x.0``, ``x.key``."""
    if name in given:
        return given[name]
    parts = {key.removeprefix(f"{name}.").partition(".")[0] for key in given if key.startswith(f"{name}.")}
    if not parts:
        return None
    values = {part: _argument(f"{name}.{part}", given) for part in parts}
    return [values[k] for k in sorted(values, key=int)] if all(p.isdigit() for p in parts) else values


def _set(module: Any, name: str, value: Any) -> None:
    *path, last = name.split(".")
    for part in path:
        module = getattr(module, part)
    old = getattr(module, last)
    setattr(module, last, value.item() if isinstance(old, (bool, int, float)) and hasattr(value, "item") else value)


def _flatten(value: Any, into: list[Array]) -> None:
    import numpy as np

    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            _flatten(item, into)
    elif value is not None and not isinstance(value, str):
        into.append(np.asarray(value.detach().numpy() if hasattr(value, "detach") else value))


if __name__ == "__main__":
    run(work)
