"""TorchScript's code, which is run when the model is: calls that open files, and operators of other libraries."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelglot.core.errors import printable
from modelglot.core.notes import Finding
from modelglot.features.scan.look import Look
from modelglot.features.scan.rules.rule import Rule

ID = "torchscript-code"
_OPERATOR = re.compile(r"\bops\s*\.\s*(\w+)\s*\.\s*(\w+)")
_FILES = re.compile(r"\btorch\s*\.\s*(from_file|save|load|_load\w*|hub|jit)\b")
_OPENS = (
    "image.read_file", "image.write_file", "image.decode_image_file", "aten.from_file", "aten.save", "aten.load",
    "video_decoder.read_video_from_file", "torchaudio.sox_io_load_audio_file", "torchaudio.sox_io_save_audio_file",
)  # fmt: skip
_PUBLIC = (
    "aten", "prim", "prims", "quantized", "_quantized", "quantized_decomposed", "sparse", "inductor", "static_runtime",
    "torchvision", "image", "torchaudio", "torchtext", "xnnpack", "mkldnn", "mkldnn_prepacked", "profiler", "cuda",
    "metal", "vulkan", "fb", "torch_sparse", "torch_scatter", "torch_cluster",
)  # fmt: skip
_HINT = "read `code/` of the archive (it is text) before the model is run; the weights can be had without it"


def _of_part(look: Look) -> Iterator[Finding]:
    if look.suffix != "py" or "/code/" not in f"/{look.piece.member or ''}":
        return
    if look.text is None:
        yield look.piece.incomplete("code that is no text")
        return
    seen: set[str] = set()
    for found in _OPERATOR.finditer(look.text):
        name = f"{found[1]}.{found[2]}"
        if name in seen:
            continue
        seen.add(name)
        shown = printable(f"ops.{name}", code=True)
        if name in _OPENS:
            yield look.piece.unsafe(ID, f"{shown} reads or writes a file when the model runs", found.start(), _HINT)
        elif found[1] not in _PUBLIC:
            yield look.piece.unknown(ID, f"{shown} is of somebody's own library", found.start(), _HINT)
    for found in _FILES.finditer(look.text):
        if found[0] not in seen:
            seen.add(found[0])
            what = f"{printable(found[0], code=True)} opens a file when the model runs"
            yield look.piece.unsafe(ID, what, found.start(), _HINT)


RULE = Rule(ID, "TorchScript code that reaches outside", "code/*.py of TorchScript archives", _of_part)
