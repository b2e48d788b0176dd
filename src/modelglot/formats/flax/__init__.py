"""Flax's serialized state: nested maps in MessagePack whose leaves are arrays. No magic number, often no extension.

Source: what ``flax.serialization.msgpack_serialize`` of Flax 0.5 to 0.12 writes.
"""

from __future__ import annotations

from collections.abc import Iterable

from modelglot.core.format import FileSet, FormatInfo, Match, Probe
from modelglot.core.layout import Layout, Options
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Loss

SUFFIX = ".msgpack"
FOLDER = "flax_model.msgpack"
MOST = (1 << 32) - 4096  # bytes of an array, with what stands before it, that the length of an extension can say
_NAMES = frozenset(["params", "batch_stats", "opt_state", "step", "model", "state", "target", "cache", "ema_params"])
DTYPES = {
    "f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i64": "int64", "i32": "int32",
    "i16": "int16", "i8": "int8", "u64": "uint64", "u32": "uint32", "u16": "uint16", "u8": "uint8", "bool": "bool",
    "c64": "complex64", "c128": "complex128",
}  # fmt: skip


class Flax:
    info = FormatInfo(
        name="flax",
        title="Flax msgpack",
        suffixes=(SUFFIX,),
        spec="https://flax.readthedocs.io/en/latest/api_reference/flax.serialization.html",
        can=frozenset({"read", "write"}),
        dtypes=frozenset(DTYPES),
        framework="flax",
        blurb="nested maps of arrays, by Flax (JAX): no graph, no code, no magic number",
    )

    def sniff(self, probe: Probe) -> Match | None:
        if probe.is_folder:
            return Match(64, f"holds {FOLDER}") if FOLDER in probe.names else None
        key = _first_key(probe.head)
        if key is None:
            return None
        if probe.name.endswith(SUFFIX):
            return Match(90, "a MessagePack map, and the name says so")
        if key in _NAMES:
            return Match(80, f"a MessagePack map that begins with `{key}`")
        return Match(61, "a MessagePack map of arrays") if b"float" in probe.head or b"int" in probe.head else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.flax.read import read

        return read(files, limits, files.primary or FOLDER)

    def losses(self, model: Model) -> Iterable[Loss]:
        from modelglot.formats.flax.write import losses

        return losses(model)

    def layout(self, model: Model, options: Options) -> Layout:
        from modelglot.formats.flax.write import layout

        return layout(model, options)

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        return ()


def _first_key(head: bytes) -> str | None:
    """The first key of a map whose key is printable text and whose value begins as Flax's values do."""
    if not head:
        return None
    at = 1 if 0x81 <= head[0] <= 0x8F else {0xDE: 3, 0xDF: 5}.get(head[0], 0)
    if not at or len(head) < at + 2:
        return None
    first = head[at]
    length, start = (
        (first & 0x1F, at + 1) if 0xA0 <= first < 0xC0 else (head[at + 1], at + 2) if first == 0xD9 else (0, 0)
    )
    raw = head[start : start + length]
    if not length or len(raw) < length:
        return None
    try:
        key = raw.decode()
    except UnicodeDecodeError:
        return None
    value = head[start + length : start + length + 1]
    nested = bool(value) and (0x80 <= value[0] < 0xA0 or value[0] in (0xDE, 0xDF))
    leaf = bool(value) and (0xC7 <= value[0] <= 0xC9 or 0xD4 <= value[0] <= 0xD8 or value[0] < 0x80 or value[0] == 0xC0)
    return key if key.isprintable() and (nested or leaf) else None


FORMAT = Flax()
