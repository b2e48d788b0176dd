"""Where tensors go: into the ONNX file itself, or into files beside it, as the settings say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.layout import Options, align
from modelglot.core.tensor import Missing, Tensor
from modelglot.formats.onnx.frame import Frame, Hole

MOST = (1 << 31) - 1  # bytes of a message that other programs take
_ROOM = 1 << 20  # of it for what is not counted: heads of fields
_EXTERNAL, _ALIGNMENT, _THRESHOLD = "onnx:external", "onnx:alignment", "onnx:threshold"
_NONE, _EACH = "none", "each"
_PAGE, _SMALL = 4096, 1024  # as the onnx package: data that can be mapped, and small tensors where the graph is


class Outside(NamedTuple):
    file: str
    offset: int
    length: int


def placed(frame: Frame, tensors: Mapping[str, Tensor], options: Options, name: str) -> dict[str, Outside]:
    """The tensors that go into other files, by name; the file ``name`` is the model's.

    As in the frame where no setting says otherwise; what would not fit into a file of 2 GiB goes outside.
    """
    alignment, threshold = _number(options, _ALIGNMENT, _PAGE), _number(options, _THRESHOLD, _SMALL)
    wanted = options.settings.get(_EXTERNAL)
    holes = [h for h in frame.holes() if h.initializer and not isinstance(tensors[h.tensor.name].data, Missing)]
    sizes = {hole.tensor.name: tensors[hole.tensor.name].nbytes for hole in holes}
    if wanted == _NONE:
        return {}
    if wanted is None:
        chosen = [h.tensor.name for h in holes if h.outside]
        if _size(frame, tensors) - sum(sizes[n] for n in chosen) > MOST - _ROOM:
            chosen = [h.tensor.name for h in holes if h.outside or sizes[h.tensor.name] >= threshold]
        wanted = name + "_data"
    else:
        chosen = [n for n, size in sizes.items() if size >= threshold]
    if wanted == _EACH:
        return _own_files(chosen, sizes, name)
    _check_name(wanted, name)
    found, at = {}, 0
    for tensor in chosen:
        at = align(at, alignment)
        found[tensor] = Outside(wanted, at, sizes[tensor])
        at += sizes[tensor]
    return found


def _size(frame: Frame, tensors: Mapping[str, Tensor]) -> int:
    """Of the file if all were in it, without the heads of fields."""
    count, stack = 0, list(frame.parts)
    while stack:
        part = stack.pop()
        if isinstance(part, bytes):
            count += len(part)
        elif isinstance(part, Hole):
            count += tensors[part.tensor.name].nbytes + len(part.tensor.name) + 64
        else:
            stack += part.parts
    return count


def _own_files(names: list[str], sizes: Mapping[str, int], model: str) -> dict[str, Outside]:
    found: dict[str, Outside] = {}
    taken = {model}
    for tensor in names:
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in tensor).lstrip(".")[:200]
        file, number = plain or "tensor", 2
        while file in taken:
            file, number = f"{plain}_{number}", number + 1
        taken.add(file)
        found[tensor] = Outside(file, 0, sizes[tensor])
    return found


def _check_name(file: str, model: str) -> None:
    if not file or file == model or file[0] in ".~" or any(c in "/\\\0:" for c in file):
        raise UnsupportedError(
            f"`{_EXTERNAL}={printable(file)}` names no file beside the model",
            hint=f"a plain name such as `{_EXTERNAL}=weights.bin`, or `{_EACH}` (a file a tensor), or `{_NONE}`",
        )


def _number(options: Options, key: str, default: int) -> int:
    text = options.settings.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) <= 1 << 30):
        raise UnsupportedError(f"`{key}={printable(text)}` is no number of bytes", hint="from 1 to 1,073,741,824")
    return int(text)
