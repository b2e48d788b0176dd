"""Operators of PyTorch's own test database (OpInfo, 32-bit floats) from TorchScript to ONNX: outputs compared.

The samples are PyTorch's. Linear algebra, Fourier transforms, sparse and special functions are left out. Needs
`expecttest`, which PyTorch's test modules import.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.models import WORK

MOST = 12  # samples an operator
LEFT_OUT = ("linalg.", "fft.", "special.", "sparse", "_refs", "signal", "masked", "ops.", "torch.ops")
UNDEFINED = ("empty", "empty_like", "new_empty")  # what memory holds
KINDS = {"float32": "f32", "float64": "f64", "int64": "i64", "int32": "i32", "bool": "bool"}
BAR = 1e-3  # relative and absolute, as 32-bit kernels of two libraries


def run() -> Iterator[dict]:
    warnings.filterwarnings("ignore")
    from torch.testing._internal.common_methods_invocations import op_db

    WORK.mkdir(parents=True, exist_ok=True)
    fine: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    wrong: dict[str, str] = {}
    for op, sample in samples(op_db):
        said = outcome(op, sample)
        if said == "equal":
            fine[op.name] += 1
        elif said.startswith("refused"):
            refused[op.name] += 1
        elif said:
            wrong.setdefault(op.name, said)
    whole = [name for name in fine if name not in refused and name not in wrong]
    yield {
        "case": "OpInfo samples through TorchScript to ONNX Runtime",
        "operators_whole": len(whole), "operators_partly": len(fine) - len(whole),
        "operators_refused": len([n for n in refused if n not in fine]), "samples_equal": fine.total(),
        "samples_refused": refused.total(), "wrong": wrong, "ok": not wrong,
        "measured": f"{len(whole)} operators whole, {len(fine) - len(whole)} in part; {fine.total():,} samples equal, "
                    f"{refused.total():,} refused, {len(wrong)} operators wrong ({', '.join(wrong)})",
        "bar": "none wrong",
    }  # fmt: skip


def samples(operators: Any) -> Iterator[tuple[Any, Any]]:
    """The first samples of each operator, and some of the others."""
    import torch

    for op in operators:
        if op.name.startswith(LEFT_OUT) or op.name in UNDEFINED or torch.float32 not in op.dtypes:
            continue
        try:
            found = list(op.sample_inputs("cpu", torch.float32))
        except Exception:
            continue
        half = MOST // 2
        for sample in found[:half] + found[half :: max(1, len(found) // half)][:half]:
            yield op, sample


def outcome(op: Any, sample: Any) -> str:
    """``equal``, ``refused``, what is wrong, or nothing where PyTorch itself does not trace the sample."""
    import torch
    from torch.utils._pytree import tree_flatten

    leaves, spec = tree_flatten(((sample.input, *sample.args), dict(sample.kwargs)))
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
    tensors = [leaves[i].detach() for i in places]
    usual = all(str(t.dtype)[6:] in KINDS and t.numel() and t.is_contiguous() for t in tensors)
    if not tensors or not usual:
        return ""
    try:
        torch.manual_seed(0)
        with torch.no_grad():
            module = torch.jit.trace(frozen(op, leaves, spec, places), tuple(tensors), check_trace=False)
            module.save(WORK / "operator.pt")
            module = torch.jit.load(WORK / "operator.pt")
            result = module(*(t.clone() for t in tensors))
    except Exception:
        return ""
    outputs = [v for v in tree_flatten(result)[0] if isinstance(v, torch.Tensor)]
    try:
        wanted = [np.asarray(v) for v in outputs]
    except (TypeError, RuntimeError):  # types and layouts that numpy lacks
        return ""
    names = [a.name for a in module.forward.schema.arguments[1:]]
    return compared(dict(zip(names, tensors, strict=True)), wanted) if wanted else ""


def frozen(op: Any, leaves: list[Any], spec: Any, places: list[int]) -> Any:
    """The operator as a module of its tensors; everything else is fixed."""
    import torch
    from torch.utils._pytree import tree_unflatten

    class One(torch.nn.Module):
        def forward(self, *values: Any) -> Any:
            every = list(leaves)
            for place, value in zip(places, values, strict=True):
                every[place] = value
            arguments, named = tree_unflatten(every, spec)
            return op.op(*arguments, **named)

    return One()


def compared(tensors: dict[str, Any], wanted: list[Any]) -> str:
    import onnxruntime as ort

    from modelglot.api.converting import convert
    from modelglot.core.errors import ModelFileError
    from modelglot.graphs.wishes import Wishes

    texts = [f"{n}={KINDS[str(t.dtype)[6:]]}[{','.join(map(str, t.shape))}]" for n, t in tensors.items()]
    try:
        convert(WORK / "operator.pt", WORK / "operator.onnx", force=True, wishes=Wishes(tuple(texts), check=False))
    except ModelFileError as error:
        return f"refused: {error.what}"
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(WORK / "operator.onnx", options)
        found = session.run(None, {i.name: tensors[i.name].numpy() for i in session.get_inputs()})
    except Exception as error:
        return f"ONNX Runtime: {str(error)[:120]}"
    for value, target in zip(found, wanted, strict=True):
        if (value.shape, value.dtype) != (target.shape, target.dtype):
            return f"{value.dtype} {value.shape} where {target.dtype} {target.shape} is wanted"
        if not np.allclose(value.astype("c16"), target.astype("c16"), rtol=BAR, atol=BAR, equal_nan=True):
            return "other values"
    return "equal"
