"""What the worlds call the weights of a layer: ``kernel`` and ``gamma`` in Keras are ``weight`` in PyTorch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from modelglot.core.encoding import Plain
from modelglot.core.layer import AXES, KIND, LAYER, LEVEL, ROLE, WEIGHT
from modelglot.core.tensor import Inline, Tensor
from modelglot.core.views import part, reshaped

_LEAVES = {
    "torch": {"kernel": "weight", "table": "weight", "scale": "weight", "offset": "bias", "bias": "bias",
              "mean": "running_mean", "variance": "running_var", "counter": "num_batches_tracked"},
    "keras": {"kernel": "kernel", "table": "embeddings", "scale": "gamma", "offset": "beta", "bias": "bias",
              "mean": "moving_mean", "variance": "moving_variance"},
}  # fmt: skip
_RECURRENT = {"kernel": "weight_ih_l0", "recurrent-kernel": "weight_hh_l0"}  # of PyTorch; its biases are two
_KNOWN = frozenset(leaf for leaves in _LEAVES.values() for leaf in leaves.values()) | {"depthwise_kernel"}
_LAST = re.compile(r"[^/.:]+(?=(:0)?$)")


def renamed(tensors: Mapping[str, Tensor], world: str) -> dict[str, Tensor]:
    """The tensors under the names of ``world`` (torch, tf, keras).

    Where the source names layers these come first, with what the world calls the weight; elsewhere the last word of a
    name is changed, where it is one of the usual ones. Names stay as they are where two would become equal.
    """
    torch = world == "torch"
    made: list[tuple[str, Tensor]] = []
    for name, tensor in tensors.items():
        parts = _directions(tensor) if torch else None
        if parts is not None:
            made += parts
        elif torch and _is_recurrent(tensor):
            made += _pieces(name, tensor)
        else:
            made.append((_named(name, tensor, torch), tensor))
    if len({name for name, _ in made}) < len(made):
        return dict(tensors)
    return {name: replace(tensor, name=name) for name, tensor in made}


def _named(name: str, tensor: Tensor, torch: bool) -> str:
    leaf = _LEAVES["torch" if torch else "keras"].get(str(tensor.extra.get(ROLE)))
    layer = tensor.extra.get(LAYER)
    if isinstance(layer, str) and layer and (leaf or tensor.extra.get(WEIGHT)):
        layer = layer.replace("/", ".") if torch else layer
        return f"{layer}{'.' if torch else '/'}{leaf or tensor.extra[WEIGHT]}"
    last = _LAST.search(name)
    new = name[: last.start()] + leaf + name[last.end() :] if last and leaf and last[0] in _KNOWN else name
    return new.removesuffix(":0") if torch else new


def _is_recurrent(tensor: Tensor) -> bool:
    """A weight of a layer that the source names, in one direction."""
    one_way = "n" not in (tensor.extra.get(AXES) or "")
    return tensor.extra.get(KIND) in ("lstm", "gru", "rnn") and LAYER in tensor.extra and one_way


def _directions(tensor: Tensor) -> list[tuple[str, Tensor]] | None:
    """A weight of ONNX's recurrent layers, which holds all directions, as PyTorch's: one each, and two biases."""
    axes, layer, role = tensor.extra.get(AXES), tensor.extra.get(LAYER), str(tensor.extra.get(ROLE))
    if tensor.extra.get(KIND) not in ("lstm", "gru", "rnn") or not isinstance(layer, str) or axes not in ("noi", "no"):
        return None
    if not isinstance(tensor.encoding, Plain):
        return None
    level, made = tensor.extra.get(LEVEL, 0), list[tuple[str, Tensor]]()
    for number in range(tensor.shape[0]):
        one = reshaped(part(tensor, number, number + 1), tensor.shape[1:])
        end = f"l{level}" + "_reverse" * number
        begin = layer.replace("/", ".")
        if role == "bias":
            half = one.shape[0] // 2
            made += [
                (f"{begin}.bias_ih_{end}", part(one, 0, half)),
                (f"{begin}.bias_hh_{end}", part(one, half, 2 * half)),
            ]
        else:
            made.append((f"{begin}.{_RECURRENT[role].removesuffix('l0')}{end}", one))
    return made


def _pieces(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """PyTorch's recurrent layers add two biases: a single one goes with zeros, a pair is taken apart."""
    layer, role = tensor.extra[LAYER].replace("/", "."), str(tensor.extra.get(ROLE))
    if role != "bias" or len(tensor.shape) not in (1, 2) or (len(tensor.shape) == 2 and tensor.shape[0] != 2):
        yield f"{layer}.{_RECURRENT.get(role, tensor.extra.get(WEIGHT, role))}", tensor
        return
    width = tensor.shape[-1]
    if len(tensor.shape) == 1:
        yield f"{layer}.bias_ih_l0", tensor
        yield f"{layer}.bias_hh_l0", replace(tensor, data=Inline(bytes(tensor.nbytes)))
        return
    for row, called in enumerate(("ih", "hh")):
        yield f"{layer}.bias_{called}_l0", reshaped(part(tensor, row, row + 1), (width,))
