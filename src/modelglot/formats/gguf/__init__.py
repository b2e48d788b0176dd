"""GGUF: ggml's model file: typed metadata, then tensors in ggml's plain and block types. One file, or a split set.

Specification: github.com/ggml-org/ggml, docs/gguf.md. Versions 1 to 3 in either byte order are read, version 3
little-endian is written.
"""

from __future__ import annotations

from collections.abc import Iterable

from modelglot.core.encoding import BLOCKS
from modelglot.core.format import FileSet, FormatInfo, Match, Probe
from modelglot.core.layout import Layout, Options
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Loss

MAGIC = b"GGUF"
SUFFIX = ".gguf"


class Gguf:
    info = FormatInfo(
        name="gguf",
        title="GGUF",
        suffixes=(SUFFIX,),
        spec="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md",
        can=frozenset({"read", "write", "shards", "metadata", "folder"}),
        dtypes=frozenset({"f64", "f32", "f16", "bf16", "i8", "i16", "i32", "i64", "opaque", *BLOCKS}),
        blurb="llama.cpp's file: tensors (plain or quantized in blocks), typed metadata, tokenizer; no compute graph",
    )

    def sniff(self, probe: Probe) -> Match | None:
        if probe.is_folder:
            found = [n for n in probe.names if n.lower().endswith(SUFFIX) and "/" not in n]
            return Match(78, "holds .gguf files") if found else None
        if not probe.head.startswith(MAGIC):
            return None
        version = probe.head[4:8]
        big = len(version) == 4 and version[:2] == b"\0\0" and version != b"\0\0\0\0"
        return Match(100, "starts with `GGUF`", "big-endian" if big else None)

    def read(self, files: FileSet, limits: Limits) -> Model:
        """A split set is read as one model, whichever of its files is given. See `split.read_model`."""
        from modelglot.formats.gguf.split import read_model

        return read_model(files, limits)

    def salvage(self, files: FileSet, limits: Limits) -> Model:
        return self.read(files, limits)  # the list in front names all tensors; those that are cut off are missing

    def losses(self, model: Model) -> Iterable[Loss]:
        from modelglot.formats.gguf.write import losses

        return losses(model)

    def layout(self, model: Model, options: Options) -> Layout:
        """What `losses` says cannot be held is left out."""
        from modelglot.formats.gguf.write import layout

        return layout(model, options)

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        return ()


FORMAT = Gguf()
