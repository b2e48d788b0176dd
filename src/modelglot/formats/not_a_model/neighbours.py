"""Model formats that are recognised and not read by this version, each with what can be done instead.

The scores stay at or below 70, so that a reader for the format wins as soon as there is one.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelglot.core.errors import DamagedFileError, UnsupportedError, printable
from modelglot.formats.not_a_model.found import Found, Look

_MAGIC = (
    # offset, bytes, what, what to do
    (4, b"ET12", "an ExecuTorch program", "use the model that it was exported from"),
    (0, b"ftrt", "a TensorRT engine, built for one kind of GPU", "use the ONNX model that it was built from"),
    (0, b"algg", "a legacy GGML adapter (magic `ggla`)", "use the GGUF file of the same adapter"),
    (0, b"nsgg", "a saved llama.cpp session (magic `ggsn`)", "it holds no weights; use the model's GGUF file"),
    (0, b"MZqFpD", "a llamafile: a program with a GGUF file inside", "use the GGUF file of the same model"),
    (0, b"7767517\n", "the structure of an ncnn model (.param)", "use the model that it was converted from"),
)  # fmt: skip
_CONVERTED = "use the model that it was converted from"
_SUFFIX = (
    (".eqx", b"", "an Equinox model: arrays without names", "load it with Equinox and save the arrays by name"),
    (".engine", b"", "a TensorRT engine, built for one kind of GPU", "use the ONNX model that it was built from"),
    (".mnn", b"", "an MNN model", _CONVERTED),
    (".rten", b"RTEN", "an RTen model", _CONVERTED),
)  # fmt: skip


def recognise(look: Look) -> Iterator[Found]:
    """Every reading that fits, in no order."""
    if look.is_folder:
        return
    for offset, magic, what, hint in _MAGIC:
        if look.head[offset : offset + len(magic)] == magic:
            yield Found(70, what, hint, UnsupportedError)
    for suffix, start, what, hint in _SUFFIX:
        if look.name.endswith(suffix) and look.head.startswith(start):
            yield Found(68, what, hint, UnsupportedError)
    yield from _without_index(look)
    if _is_ctranslate2(look.head):
        hint = "convert the original model with modelglot, or read this one with CTranslate2"
        yield Found(70, "a CTranslate2 model, usually quantized", hint, UnsupportedError)


def _is_ctranslate2(head: bytes) -> bool:
    """A version, then the name of a model's specification with its length and a NUL."""
    length = int.from_bytes(head[4:6], "little")
    name = head[6 : 6 + length]
    return 0 < int.from_bytes(head[:4], "little") < 16 and 5 < length < 64 and name.endswith(b"Spec\0")


def _without_index(look: Look) -> Iterator[Found]:
    """Files of a TensorFlow checkpoint that mean nothing without the index of the same prefix."""
    stem, dot, rest = look.name.rpartition(".")
    what = {"d": "the data of a TensorFlow checkpoint", "m": "the graph of a TensorFlow checkpoint"}.get(rest[:1])
    fits = (rest.startswith("data-0") and "-of-0" in rest) or (rest == "meta" and look.head.startswith(b"\x0a"))
    beside = {n.lower() for n in look.names} if dot and fits else set()
    if dot and fits and what and f"{stem}.index" not in beside:
        if stem in beside:  # a checkpoint of version 1 is one file
            yield Found(69, "the graph of a TensorFlow checkpoint", f"give `{printable(stem)}`, which has the weights")
            return
        hint = f"get `{printable(stem)}.index` too: it names the tensors"
        yield Found(69, f"{what} without its index", hint, DamagedFileError)
