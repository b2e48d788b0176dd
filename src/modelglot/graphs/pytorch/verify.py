"""A written module in torch beside the file it came from in ONNX Runtime, on request.

The source is run as Python. That is safe since it was written here: no text of the file is code in it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from modelglot.core.errors import MissingExtraError, UnsupportedError
from modelglot.graphs.running import Comparison, compare


def verify(path: str, source: str, sizes: Mapping[str, int], fixed: Mapping[str, float]) -> Comparison:
    """``path`` is the ONNX file, ``source`` the ``net.py`` that was written of it.

    ``sizes`` and ``fixed`` are those of `compare`. Raises MissingExtraError.
    """
    try:
        import torch
    except ModuleNotFoundError:
        raise MissingExtraError("checking the module needs `torch`", hint="pip install torch") from None
    net = _module(source).load()

    def run(inputs: Mapping[str, Any]) -> list[Any]:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.no_grad():
                made = net(*(torch.from_numpy(value) for value in inputs.values()))
        finally:
            torch.set_num_threads(threads)
        return [value.detach().numpy() for value in (made if isinstance(made, tuple) else (made,))]

    return compare(path, run, sizes, fixed)


def _module(source: str) -> Any:
    spec = importlib.util.spec_from_file_location("modelglot_written", source)
    if spec is None or spec.loader is None:
        raise UnsupportedError("this is no Python source", path=source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
