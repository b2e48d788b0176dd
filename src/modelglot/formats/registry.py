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
    "dcp": "modelglot.formats.dcp",
    "deepspeed": "modelglot.formats.deepspeed",
    "torch-ranks": "modelglot.formats.torch_ranks",
    "megatron": "modelglot.formats.megatron",
    "pickle": "modelglot.formats.pickle",
    "gguf": "modelglot.formats.gguf",
    "onnx": "modelglot.formats.onnx",
    "ggml": "modelglot.formats.ggml",
    "tflite": "modelglot.formats.tflite",
    "coreml": "modelglot.formats.coreml",
    "openvino": "modelglot.formats.openvino",
    "caffe": "modelglot.formats.caffe",
    "paddle": "modelglot.formats.paddle",
    "darknet": "modelglot.formats.darknet",
    "npz": "modelglot.formats.npz",
    "npy": "modelglot.formats.npy",
    "tf-checkpoint": "modelglot.formats.tf_checkpoint",
    "tf-v1-checkpoint": "modelglot.formats.tf_v1_checkpoint",
    "tf-saved-model": "modelglot.formats.tf_saved_model",
    "tf-graph": "modelglot.formats.tf_graph",
    "keras": "modelglot.formats.keras_v3",
    "keras-h5": "modelglot.formats.keras_h5",
    "flax": "modelglot.formats.flax",
    "orbax": "modelglot.formats.orbax",
    "raw": "modelglot.formats.raw",
    "not-a-model": "modelglot.formats.not_a_model",
}


@cache
def get(name: str) -> Format:
    """The format of that name. Raises UnknownFormatError naming the known ones.

    ``raw:dtype=f32,shape=2x3`` is a format with settings, for readers that the file itself tells nothing.
    """
    name, _, settings = name.partition(":")
    if settings:
        return _configured(get(name), settings)
    if name in BUILTIN:
        return _load(BUILTIN[name])
    for plugin_name, target in _plugins():
        if plugin_name == name:
            return target
    known = ", ".join(format.info.name for format in all_formats() if "read" in format.info.can)
    raise UnknownFormatError(f"there is no format {printable(name, code=True)}", hint=f"known formats: {known}")


def _configured(format: Format, settings: str) -> Format:
    configured = getattr(format, "configured", None)
    if configured is None:
        raise UnknownFormatError(f"the format `{format.info.name}` takes no settings")
    made: Format = configured(dict(pair.partition("=")[::2] for pair in settings.split(",")))
    return made


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
            hint="`modelglot formats` lists what can be read; `--from` names one, `--raw-dtype` reads bare numbers",
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
