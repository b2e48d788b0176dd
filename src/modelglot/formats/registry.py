"""All formats: a table of strings for the built-in ones, the entry-point group `modelglot.formats` for others.

A format is imported when a file is sniffed or when it is named; plug-ins are only looked up when no built-in format
is sure, since finding them costs more than opening a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module

from modelglot.core.errors import AmbiguousFormatError, UnknownFormatError, printable
from modelglot.core.format import Format, Match, Probe

GROUP = "modelglot.formats"
SURE = 60

# name -> module that has FORMAT. The order is the order of `modelglot formats`.
BUILTIN: dict[str, str] = {
    "safetensors": "modelglot.formats.safetensors",
    "torch-zip": "modelglot.formats.torch_zip",
    "torch-legacy": "modelglot.formats.torch_legacy",
    "torchscript": "modelglot.formats.torchscript",
    "pickle": "modelglot.formats.pickle",
    "gguf": "modelglot.formats.gguf",
    "onnx": "modelglot.formats.onnx",
    "ggml": "modelglot.formats.ggml",
    "tflite": "modelglot.formats.tflite",
    "coreml": "modelglot.formats.coreml",
    "openvino": "modelglot.formats.openvino",
    "caffe": "modelglot.formats.caffe",
    "npz": "modelglot.formats.npz",
    "npy": "modelglot.formats.npy",
    "tf-checkpoint": "modelglot.formats.tf_checkpoint",
    "flax": "modelglot.formats.flax",
    "orbax": "modelglot.formats.orbax",
    "not-a-model": "modelglot.formats.not_a_model",
}


@cache
def get(name: str) -> Format:
    """The format of that name. Raises UnknownFormatError naming the known ones."""
    if name in BUILTIN:
        return _load(BUILTIN[name])
    for plugin_name, target in _plugins():
        if plugin_name == name:
            return target
    raise UnknownFormatError(
        f"there is no format {printable(name, code=True)}", hint="known formats: " + ", ".join(names())
    )


def names() -> list[str]:
    """Names of all formats, built-in ones first."""
    return [*BUILTIN, *(name for name, _ in _plugins())]


def all_formats() -> Iterator[Format]:
    return (get(name) for name in names())


def detect(probe: Probe) -> tuple[Format, Match]:
    """The format that claims the content most surely.

    Raises AmbiguousFormatError where two are equally sure and UnknownFormatError where none is.
    """
    found = _matches(probe, (get(name) for name in BUILTIN))
    if not found or found[0][1].score < SURE:
        found = sorted(found + _matches(probe, (f for _, f in _plugins())), key=lambda m: -m[1].score)
    if not found:
        kind = "folder" if probe.is_folder else "file"
        raise UnknownFormatError(
            f"no known model format in this {kind}",
            path=probe.name,
            detail=None
            if probe.is_folder
            else f"it starts with {_shown(probe.head[:16])} and has {probe.size:,} bytes",
            hint="`modelglot formats` lists what can be read; `--from FORMAT` names one",
        )
    best = [m for m in found if m[1].score == found[0][1].score]
    if len(best) > 1:
        both = ", ".join(f"{f.info.name} ({m.why})" for f, m in best)
        raise AmbiguousFormatError(f"more than one format fits: {both}", path=probe.name, hint="name one with `--from`")
    return best[0]


def _matches(probe: Probe, formats: Iterator[Format]) -> list[tuple[Format, Match]]:
    found = ((f, f.sniff(probe)) for f in formats)
    return sorted(((f, m) for f, m in found if m is not None), key=lambda pair: -pair[1].score)


def _shown(head: bytes) -> str:
    return head.hex(" ") if head else "nothing"


def _load(module: str) -> Format:
    found: Format = import_module(module).FORMAT
    return found


@cache
def _plugins() -> tuple[tuple[str, Format], ...]:
    from importlib.metadata import entry_points

    return tuple((e.name, e.load()) for e in entry_points(group=GROUP) if e.name not in BUILTIN)
