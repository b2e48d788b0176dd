"""GGML files before GGUF: llama.cpp's ``ggml``, ``ggmf`` and ``ggjt`` 1 to 3, and whisper.cpp's, still in use.

Source: the loaders of llama.cpp before August 2023 and of whisper.cpp; figures only.
"""

from __future__ import annotations

from modelglot.core.errors import InvalidFileError
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.model import Model

# the four bytes as they stand in the file -> what they are called
MAGICS = {b"lmgg": "ggml", b"fmgg": "ggmf", b"tjgg": "ggjt"}


class Ggml(ReadOnly):
    info = FormatInfo(
        name="ggml",
        title="GGML",
        suffixes=(".bin", ".ggml"),
        spec="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#historical-state-of-affairs",
        can=frozenset({"read"}),
        blurb="llama.cpp's files before GGUF (ggml, ggmf, ggjt 1 to 3), and those of whisper.cpp",
    )
    instead = "write GGUF, which took its place"

    def sniff(self, probe: Probe) -> Match | None:
        name = MAGICS.get(probe.head[:4])
        return Match(100, f"starts with `{name}`") if name else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.ggml.read import read

        if files.primary is None:
            raise InvalidFileError("a folder is not one file", path=files.root, hint="name the file")
        return read(files, files.primary, limits)


FORMAT = Ggml()
