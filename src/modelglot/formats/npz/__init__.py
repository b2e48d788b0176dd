"""NumPy ``.npz``: a zip of ``.npy`` records, one a tensor; MLX writes the same.

Specification: numpy.org, ``numpy.savez`` and ``numpy.lib.format``.
"""

from __future__ import annotations

from collections.abc import Iterable

from modelglot.core.format import FileSet, FormatInfo, Match, Probe
from modelglot.core.layout import Layout, Options
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Loss

SUFFIX = ".npz"
_TAIL = 64 << 10
_NOT_HERE = (b"data.pkl", b"model.weights.h5", b"constants.pkl", b"[Content_Types].xml", b"META-INF/")


class Npz:
    info = FormatInfo(
        name="npz",
        title="NumPy .npz",
        suffixes=(SUFFIX,),
        spec="https://numpy.org/doc/stable/reference/generated/numpy.savez.html",
        can=frozenset({"read", "write"}),
        dtypes=frozenset(
            {"f64", "f32", "f16", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8", "bool", "c64", "c128", "opaque"}
        ),
        blurb="a zip of NumPy arrays by name: no metadata, no bf16 or 8-bit floats; MLX writes it too",
    )

    def sniff(self, probe: Probe) -> Match | None:
        if probe.is_folder or not probe.head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return None
        first = probe.head[30 : 30 + int.from_bytes(probe.head[26:28], "little")]
        named = probe.name.lower().endswith(SUFFIX)
        if first.endswith(b".npy"):
            return Match(95, "a zip whose first member is an .npy array")
        if b".npyPK" in probe.tail or b".npy" in probe.tail[-_TAIL:]:
            return Match(90 if named else 70, "a zip with .npy members")
        return Match(60, "a zip called .npz") if named and not any(n in probe.tail for n in _NOT_HERE) else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.npz.archive import read

        return read(files, limits)

    def salvage(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.npz.archive import salvage

        return salvage(files, limits)

    def losses(self, model: Model) -> Iterable[Loss]:
        from modelglot.formats.npz.archive import losses

        return losses(model)

    def layout(self, model: Model, options: Options) -> Layout:
        from modelglot.formats.npz.archive import layout

        return layout(model, options)

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        return ()


FORMAT = Npz()
