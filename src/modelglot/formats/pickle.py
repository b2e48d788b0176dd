"""A bare pickle: Paddle's ``.pdparams``, a dict of NumPy arrays, ``training_args.bin``, scikit-learn. Never run.

Arrays become tensors; without arrays the model is empty and a note says what the pickle is, by the globals it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelglot.containers.torch_checkpoint.detect import is_legacy
from modelglot.core.errors import InvalidFileError, UnsupportedError, located, printable
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Finding, Note
from modelglot.core.tensor import Extent

_SUFFIXES = (".pkl", ".pickle", ".pdparams", ".pdopt", ".p", ".joblib")
_FIRST = b"(]})NIKJMXVUTScl.\x8c\x8a\x95"  # opcodes a stream can start with, after PROTO or without it
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x04\x22\x4d\x18": "lz4", b"]\0\0": "lzma",
               b"\x28\xb5\x2f\xfd": "zstd", b"\x78\x9c": "zlib", b"\x78\xda": "zlib", b"\x78\x01": "zlib",
               b"\x78\x5e": "zlib"}  # fmt: skip


class Pickle(ReadOnly):
    info = FormatInfo(
        name="pickle",
        title="Python pickle",
        suffixes=_SUFFIXES,
        spec="https://docs.python.org/3/library/pickle.html",
        can=frozenset({"read", "tree"}),
        blurb="any pickle: arrays in it are tensors, everything else is shown and never made",
    )
    instead = "what reads it would run it: write safetensors"

    def sniff(self, probe: Probe) -> Match | None:
        head = probe.head
        if is_legacy(head) or len(head) < 2:
            return None
        named = probe.name.endswith((*_SUFFIXES, "training_args.bin"))
        if head[0] == 0x80 and 1 <= head[1] <= 5:
            if head[1] >= 4 and head[2:3] == b"\x95":
                return Match(95, f"a pickle of protocol {head[1]} with a frame")
            if head[2:3] and head[2] in _FIRST:
                return Match(90 if named else 80, f"a pickle of protocol {head[1]}")
            return None
        if _compressed(head) and probe.name.endswith((".pkl", ".pickle", ".joblib", ".pkl.gz", ".pkl.z")):
            return Match(70, f"a compressed pickle ({_compressed(head)})", "joblib")
        if named and head[0] in _FIRST:
            return Match(70, "starts as a pickle of protocol 0 or 1 does")
        if head.startswith((b"(dp", b"(lp", b"ccollections\n", b"cnumpy", b"ctorch", b"ccopy_reg\n")):
            return Match(75, "starts as a pickle of protocol 0 does")
        return None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.containers.pickle.window import Place, Window
        from modelglot.containers.torch_checkpoint import reading

        name = files.primary
        if name is None:
            raise InvalidFileError("a folder is not one file", path=files.root, hint="name the file")
        source = files.open(name)
        number = files.index(name)
        packed = _compressed(source.pread(0, min(16, source.size)))
        if packed:
            raise UnsupportedError(
                f"is a pickle compressed with {packed}, as joblib writes",
                path=source.path,
                hint="decompress it, or save it again with `compress=0`",
            )
        window = Window(source, 0, source.size)
        with located(path=source.path):
            runner = reading.machine(window, limits, Place(Extent(number, 0, source.size)))
            value, end = runner.run()
            parts = reading.Parts(reading.named_value(value, window, limits, None))
        if end != source.size:
            joblib = any(n.startswith("joblib.") for n in runner.globals)
            what = "arrays that joblib stores beside the pickle, which are not read" if joblib else "bytes"
            parts.notes.append(Note("trailing", f"{source.size - end:,} bytes follow the pickle: {what}", "warning"))
        if not parts.named.tensors:
            parts.notes.append(Note("no-tensors", f"{_described(name, runner.globals)}; it holds no tensors"))
        return reading.model(files, self.info.name, parts)

    def hazards(self, files: FileSet, limits: Limits) -> Iterable[Finding]:
        from modelglot.containers.torch_checkpoint.hazards import file_hazards

        return file_hazards(files, limits)


def _compressed(head: bytes) -> str | None:
    return next((name for magic, name in _COMPRESSED.items() if head.startswith(magic)), None)


def _described(name: str, globals_: Mapping[str, int]) -> str:
    """What a pickle is, by the packages its globals come from."""
    packages = list(dict.fromkeys(n.partition(".")[0] for n in globals_))
    known = (
        ("transformers", "settings or another object of transformers"), ("sklearn", "a scikit-learn object"),
        ("xgboost", "an XGBoost object"), ("lightgbm", "a LightGBM object"), ("pandas", "a pandas object"),
        ("torch", "a PyTorch object"), ("omegaconf", "a configuration of OmegaConf"),
    )  # fmt: skip
    what = next((text for package, text in known if package in packages), "a pickle of Python values")
    if name == "training_args.bin":
        what = "the training arguments that Hugging Face's Trainer saves, not weights"
    shown = ", ".join(printable(n, code=True) for n in list(globals_)[:4])
    return f"{what} (names {shown}{' and more' if len(globals_) > 4 else ''})" if shown else what


FORMAT = Pickle()
