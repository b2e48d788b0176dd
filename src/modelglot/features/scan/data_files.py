"""Data files of repositories that are known by their structure: tokenizers, logs, weights of another file."""

from __future__ import annotations

from modelglot.containers import protobuf
from modelglot.core.errors import ModelFileError
from modelglot.core.format import FileSet
from modelglot.features.scan.look import Look

_RECORDS = 10_000_000


def data_kind(look: Look, files: FileSet | None) -> str | None:
    """What it is in words; None where it is none of these, or not to its end."""
    for fits, what in (
        (_is_sentencepiece, "a tokenizer (SentencePiece)"),
        (_is_fingerprint, "the fingerprint of a SavedModel"),
        (_is_keras_metadata, "Keras' metadata of a SavedModel"),
        (_is_log, "a log of training (TensorBoard)"),
    ):
        if fits(look):
            return what
    return "weights of an ONNX file" if _is_onnx_data(look, files) else None


def _fields(look: Look) -> list[protobuf.Field]:
    """Of the whole as a protocol buffer; [] where it is none."""
    try:
        look.piece.limits.check("index", look.piece.window.length, "the message")
        return list(protobuf.fields(look.piece.window.read(0, look.piece.window.length)))
    except ModelFileError:
        return []


def _is_sentencepiece(look: Look) -> bool:
    """A list of pieces with scores, then what it was trained with."""
    if look.piece.head(1) != b"\n" or b"<unk>" not in look.piece.head(4096):
        return False
    numbers = [f.number for f in _fields(look)]
    return set(numbers) <= {1, 2, 3, 4, 5} and numbers.count(1) > 3


def _is_fingerprint(look: Look) -> bool:
    """Checksums and versions of a SavedModel."""
    if look.name != "fingerprint.pb":
        return False
    found = _fields(look)
    return bool(found) and all(f.number < 8 and (f.wire == protobuf.VARINT or f.length < 200) for f in found)


def _is_keras_metadata(look: Look) -> bool:
    """Objects with settings as JSON, which a rule looks at."""
    return look.name == "keras_metadata.pb" and {f.number for f in _fields(look)} == {1}


def _is_log(look: Look) -> bool:
    """Records with their lengths, one after another to the end."""
    if "tfevents" not in look.name:
        return False
    window, at = look.piece.window, 0
    for _ in range(_RECORDS):
        if at == window.length:
            return at > 0
        if at + 16 > window.length:
            return False
        at += 16 + int.from_bytes(window.read(at, 8), "little")
    return False


def _is_onnx_data(look: Look, files: FileSet | None) -> bool:
    """Numbers without a header, which the ONNX file beside them places; that one is looked at by itself."""
    if not look.name.endswith((".onnx_data", ".onnx.data")) or files is None:
        return False
    return any(name.lower().endswith(".onnx") for name in files.names(0))
