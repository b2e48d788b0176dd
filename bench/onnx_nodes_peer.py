"""The node tests of the ONNX project through `onnx2torch`, for `onnx_nodes`: run by a Python that has it.

Prints the names that pass as JSON. Where torchvision's compiled operators (`nms`, `roi_align`) cannot be loaded, the
rest of `onnx2torch` still can, and the result says so.
"""

from __future__ import annotations

import json
import sys
import types
import warnings
from importlib.metadata import version
from typing import Any


def imported() -> tuple[Any, bool]:
    """Its `convert`, and whether torchvision is whole."""
    try:
        import torchvision  # noqa: F401

        whole = True
    except (ImportError, RuntimeError):
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        whole = False
        package, operators = types.ModuleType("torchvision"), types.ModuleType("torchvision.ops")
        operators.nms = operators.roi_align = _missing
        package.ops = operators
        sys.modules |= {"torchvision": package, "torchvision.ops": operators}
    from onnx2torch import convert

    return convert, whole


def _missing(*_: Any) -> None:
    raise RuntimeError("torchvision has no compiled operators here")


def main() -> None:
    warnings.simplefilter("ignore")
    convert, whole = imported()
    import torch
    from node_cases import cases, compare, torch_of

    passed, converted = [], []
    for case in cases():
        try:
            net = convert(case.model).eval()
            converted.append(case.name)
            for inputs, outputs in case.data_sets:
                with torch.no_grad():
                    made = net(*[torch_of(value) for value in inputs])
                made = made if isinstance(made, (tuple, list)) else (made,)
                for found, wanted in zip(made, outputs, strict=True):
                    compare(found, wanted, case.rtol, case.atol)
            passed.append(case.name)
        except Exception:
            continue
    found = {"version": version("onnx2torch"), "torchvision": whole, "converted": converted, "passed": passed}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
