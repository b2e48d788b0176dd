"""Kernels in the axes and gates of another world: PyTorch's, or TensorFlow's and Keras's.

Only what the source says of a layer is used (`modelglot.core.layer`), or what a person says (``told``). Whatever cannot
be decided stays as it is and is listed. Values are not changed, but where Caffe multiplied them: elements move, and
names at their last word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from math import prod

from modelglot.core.encoding import Plain
from modelglot.core.errors import UnsupportedError, located, printable
from modelglot.core.layer import AXES, GATES, GROUPS, KIND, ROLE
from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.core.tensor import Tensor, contiguous_strides
from modelglot.core.views import arrange, assembled, part
from modelglot.passes.batch_norm import without_factors
from modelglot.passes.layer_names import renamed

WORLDS = ("torch", "tf", "keras")
_SPATIAL = "dhw"
# kind -> axes; S stands for the spatial ones. TensorFlow and Keras agree.
_TORCH = {"dense": "oi", "conv": "oiS", "conv-transpose": "ioS", "depthwise-conv": "o1S"}
_KERAS = {"dense": "io", "conv": "Sio", "conv-transpose": "Soi", "depthwise-conv": "Sim"}
_RECURRENT = ("lstm", "gru", "rnn")
_GATES = {"torch": {"lstm": "ifco", "gru": "rzn"}, "keras": {"lstm": "ifco", "gru": "zrn"}}
_TOKEN = re.compile(r"\(([a-z0-9]+)\)|([a-z1])")
_PART = re.compile(r"([a-z])(\d*)")
Axes = list[list[tuple[str, int]]]  # an axis is one letter or several together; each with its size


def layout(model: Model, world: str, told: Iterable[tuple[str, str]] = ()) -> tuple[Model, list[Loss]]:
    """The model with the kernels of ``world`` (torch, tf, keras), and what could not be decided.

    ``told``: (glob, axes) pairs such as ``("conv*", "hwio")``, for names that the source says nothing of; an axis made
    of several is written ``(h3w3i)o``. Raises UnsupportedError where nothing at all is known.
    """
    if world not in WORLDS:
        raise UnsupportedError(f"{printable(world, code=True)} is no layout", hint=f"one of {', '.join(WORLDS)}")
    rules = list(told)
    made, open_ = {}, list[str]()
    for name, tensor in without_factors(model.tensors).items():
        with located(tensor=name):
            turned = _turned(_described(tensor, rules), world)
        if turned is None:
            open_.append(name)
        made[name] = turned or tensor
    known = sum(KIND in t.extra for t in made.values())
    if open_ and not known:
        raise UnsupportedError(
            "the source says nothing of its layers, so that no kernel can be turned",
            hint="say which axes there are: `--axes 'GLOB=hwio'`",
        )
    named = renamed(made, world)
    return replace(model, tensors=named, tree=None), list(_undecided(open_))


def parse_axes(texts: Iterable[str]) -> list[tuple[str, str]]:
    """``GLOB=hwio`` pairs. Raises UnsupportedError for anything else."""
    pairs = []
    for text in texts:
        glob, equals, axes = text.rpartition("=")
        if not equals or not glob or "".join(m[0] for m in _TOKEN.finditer(axes)) != axes:
            raise UnsupportedError(
                f"{printable(text, code=True)} does not say axes",
                hint="write GLOB=AXES, such as 'conv*=hwio' or 'fc.kernel=(h3w3i)o'",
            )
        pairs.append((glob, axes))
    return pairs


def kept_note(tensors: Mapping[str, Tensor], framework: str | None) -> str | None:
    """A sentence where kernels stay in the layout of another world than that of the target's framework."""
    table = {"pt": _TORCH, "tf": _KERAS}.get(framework or "")
    if table is None:
        return None
    other = [t for t in tensors.values() if t.extra.get(AXES) and _target(t, table) not in (None, t.extra[AXES])]
    if not other:
        return None
    world = "torch" if framework == "pt" else "keras"
    return (
        f"{len(other):,} kernels keep the axes they have, such as {printable(other[0].name, code=True)} "
        f"({other[0].extra[AXES]}); `--layout {world}` turns them"
    )


def _described(tensor: Tensor, told: list[tuple[str, str]]) -> Tensor:
    """With the axes that a person said, which count before those of the source."""
    axes = next((axes for glob, axes in told if fnmatchcase(tensor.name, glob)), None)
    if axes is None:
        return tensor
    kind = _kind(axes)
    return replace(tensor, extra={KIND: kind, ROLE: "kernel", **tensor.extra, AXES: axes})


def _kind(axes: str) -> str:
    """What has such axes. Inputs and outputs stand the other way round in a transposed convolution, in every world."""
    letters = re.sub(r"[()0-9]", "", axes)
    if "m" in letters or "o1" in axes:
        return "depthwise-conv"
    if "(" in axes or not set(letters) & set(_SPATIAL):
        return "dense"
    outer = letters[0] in "io"
    return "conv-transpose" if (letters.index("i") < letters.index("o")) == outer else "conv"


def _turned(tensor: Tensor, world: str) -> Tensor | None:
    """The tensor as ``world`` has it; None where it has several axes and nobody says which."""
    table = _TORCH if world == "torch" else _KERAS
    axes, role = tensor.extra.get(AXES), tensor.extra.get(ROLE)
    if not isinstance(tensor.encoding, Plain):
        return None if len(tensor.shape) > 1 else tensor
    gated = _regated(tensor, world)
    if not isinstance(axes, str):
        decided = len(tensor.shape) < 2 or role not in (None, "kernel", "recurrent-kernel", "other")
        return gated if decided else None
    target = _target(tensor, table)
    return None if target is None else _moved(gated, axes, target)


def _target(tensor: Tensor, table: Mapping[str, str]) -> str | None:
    """The axes that a weight of this kind has in the other world; None for kinds without a convention."""
    axes, kind = str(tensor.extra[AXES]), tensor.extra.get(KIND)
    if kind in _RECURRENT:
        return axes if "i" not in axes else axes.replace("io", "oi") if table is _TORCH else axes.replace("oi", "io")
    found = table.get(str(kind))
    if found is None:
        return axes if kind not in (None, "other") else None
    inside = re.search(r"\(([a-z0-9]+)\)", axes)
    if kind == "dense" and inside:
        order = "ihw" if table is _TORCH else "hwi"
        parts = {m[1]: m[0] for m in _PART.finditer(inside[1])}
        group = "(" + "".join(parts[letter] for letter in order if letter in parts) + ")"
        return found.replace("i", group)
    return found.replace("S", "".join(letter for letter in _SPATIAL if letter in axes))


def _moved(tensor: Tensor, axes: str, target: str) -> Tensor | None:
    """Elements in the order of other axes. None where a depthwise kernel does not tell inputs from multipliers."""
    if axes == target:
        return tensor
    have, want = _parsed(axes, tensor.shape), target
    letters = {letter: size for axis in have for letter, size in axis}
    if "m" in letters and "o" in want:  # inputs and multipliers are the outputs, inputs first
        want = want.replace("o", f"(i{letters['i']}m{letters['m']})")
    if "o" in letters and "m" in want:
        if "1" not in letters:
            return None
        groups = tensor.extra.get(GROUPS)
        if not isinstance(groups, int) or groups < 1 or letters["o"] % groups:
            return None
        split = {"i": groups, "m": letters["o"] // groups}
        have = [[("i", split["i"]), ("m", split["m"])] if axis == [("o", letters["o"])] else axis for axis in have]
        letters |= split
    flat = [(letter, size) for axis in have for letter, size in axis]
    strides = dict(zip([letter for letter, _ in flat], contiguous_strides(tuple(s for _, s in flat)), strict=True))
    goal = [[m[1] for m in _PART.finditer(group)] if group else [single] for group, single in _TOKEN.findall(want)]
    order = [letter for axis in goal for letter in axis]
    if sorted(order) != sorted(letter for letter, _ in flat) and set(order) ^ set(strides) != {"1"}:
        raise UnsupportedError(f"axes `{axes}` cannot become `{target}`")
    sizes = {**letters, "1": 1}
    shape = tuple(prod(sizes[letter] for letter in axis) for axis in goal)
    view = [(sizes[letter], strides.get(letter, 0)) for letter in order if letter != "1"]
    if 0 in shape:
        return replace(tensor, shape=shape)
    return replace(arrange(tensor, shape, view or [(1, 1)]), extra={**tensor.extra, AXES: target})


def _parsed(axes: str, shape: tuple[int, ...]) -> Axes:
    """Letters with their sizes. Raises UnsupportedError where they do not fit the shape."""
    tokens = _TOKEN.findall(axes)
    if len(tokens) != len(shape):
        raise UnsupportedError(f"`{axes}` has {len(tokens)} axes, the tensor {list(shape)}")
    found: Axes = []
    for (group, single), size in zip(tokens, shape, strict=True):
        parts = [(m[1], int(m[2]) if m[2] else 0) for m in _PART.finditer(group)] if group else [(single, size)]
        known = prod(n for _, n in parts if n)
        if sum(n == 0 for _, n in parts) > (0 if known == 0 else 1) and len(parts) > 1:
            raise UnsupportedError(f"`({group})` leaves more than one size open")
        parts = [(letter, n or size // max(known, 1)) for letter, n in parts]
        if prod(n for _, n in parts) != size:
            raise UnsupportedError(f"`{axes}` does not fit {list(shape)}")
        found.append(parts)
    if [n for axis in found for letter, n in axis if letter == "1" and n != 1]:
        raise UnsupportedError(f"`{axes}` has an axis of one that {list(shape)} has not")
    return found


def _regated(tensor: Tensor, world: str) -> Tensor:
    """Recurrent weights with their gates in the order of ``world``."""
    gates, kind = tensor.extra.get(GATES), tensor.extra.get(KIND)
    wanted = _GATES["torch" if world == "torch" else "keras"].get(str(kind))
    if not isinstance(gates, str) or wanted is None or len(gates) % len(wanted):
        return tensor
    sets = len(gates) // len(wanted)
    one = gates[: len(wanted)]
    if one == wanted or gates != one * sets or sorted(one) != sorted(wanted):
        return tensor
    axes = tensor.extra.get(AXES)
    axis = axes.index("o") if isinstance(axes, str) and "o" in axes else len(tensor.shape) - 1
    unit, rest = divmod(tensor.shape[axis], len(gates))
    if rest or not unit:
        return tensor
    order = [n * len(one) + one.index(gate) for n in range(sets) for gate in wanted]
    pieces = []
    for place, source in enumerate(order):
        origin = tuple(place * unit if a == axis else 0 for a in range(len(tensor.shape)))
        pieces.append((origin, part(tensor, source * unit, (source + 1) * unit, axis)))
    return replace(assembled(tensor, pieces), extra={**tensor.extra, GATES: wanted * sets})


def _undecided(names: list[str]) -> Iterable[Loss]:
    if names:
        more = f" and {len(names) - 6:,} more" if len(names) > 6 else ""
        shown = ", ".join(printable(n, code=True) for n in names[:6]) + more
        yield Loss(
            "layout",
            f"as they were, since nothing says what their axes are: {shown}",
            "`--axes 'GLOB=hwio'` says it",
            stops=False,
        )
