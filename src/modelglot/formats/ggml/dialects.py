"""What three programs wrote before their tensors: numbers without names, in an order that only they know."""

from __future__ import annotations

from typing import NamedTuple

from modelglot.containers.window import Window
from modelglot.core.errors import InvalidFileError
from modelglot.core.limits import Limits
from modelglot.core.metadata import Entry

_LLAMA = ("n_vocab", "n_embd", "n_mult", "n_head", "n_layer", "n_rot", "ftype")
_WHISPER = (
    "n_vocab", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer", "n_text_ctx", "n_text_state",
    "n_text_head", "n_text_layer", "n_mels", "ftype",
)  # fmt: skip
_BLOCKS_VERSION = 1000  # whisper.cpp adds so much to ftype for each version of the blocks


class AnotherDialect(Exception):  # no error: the next reader is tried
    """The numbers make no sense for this program."""


class Head(NamedTuple):
    """``version`` counts layouts of blocks, as ggjt does; ``aligned``: data begins at multiples of 32 bytes."""

    dialect: str
    entries: dict[str, Entry | str]
    version: int
    layers: int | None = None
    aligned: bool = False


def llama(window: Window, limits: Limits, *, scores: bool = False) -> Head:
    """llama.cpp: seven numbers and the vocabulary, since ``ggmf`` with a score a token."""
    numbers = _numbers(window, _LLAMA)
    heads, width = numbers["n_head"], numbers["n_embd"]
    plausible = 0 < heads <= width and width % heads == 0 and numbers["n_rot"] <= width // heads
    if not plausible or not 0 < numbers["n_layer"] < 10_000 or numbers["ftype"] > 64:
        raise AnotherDialect if not scores else InvalidFileError("the hyper-parameters are no llama's", offset=8)
    entries: dict[str, Entry | str] = {f"llama.{name}": Entry(value, "u32") for name, value in numbers.items()}
    entries |= _vocabulary(window, numbers["n_vocab"], limits, scores=scores)
    return Head("llama", entries, 1, numbers["n_layer"])


def whisper(window: Window, limits: Limits) -> Head:
    """whisper.cpp: eleven numbers, the mel filters, the vocabulary without what is special."""
    numbers = _numbers(window, _WHISPER)
    heads = (("n_audio_state", "n_audio_head"), ("n_text_state", "n_text_head"))
    plausible = all(0 < numbers[h] <= numbers[s] and numbers[s] % numbers[h] == 0 for s, h in heads)
    if not plausible or not 0 < numbers["n_mels"] <= 1024 or numbers["n_audio_state"] != numbers["n_text_state"]:
        raise AnotherDialect
    entries: dict[str, Entry | str] = {f"whisper.{name}": Entry(value, "u32") for name, value in numbers.items()}
    mels, bins = (_number(window, "the mel filters") for _ in range(2))
    filters = memoryview(window.take(mels * bins * 4, "the mel filters")).cast("f")
    entries["whisper.mel_filters.shape"] = Entry([mels, bins], "array[u32]")
    entries["whisper.mel_filters"] = Entry(list(filters), "array[f32]")
    entries |= _vocabulary(window, _number(window, "the vocabulary"), limits, scores=False)
    return Head("whisper", entries, numbers["ftype"] // _BLOCKS_VERSION + 1)


def vad(window: Window, limits: Limits) -> Head:
    """whisper.cpp's voice activity detection: its kind as text, a version, sizes of its encoder."""
    length = _number(window, "the kind of the model")
    text = window.take(length, "the kind of the model") if 0 < length <= 64 else b""
    if not text.startswith(b"silero"):
        raise AnotherDialect
    version = [_number(window, "the version") for _ in range(3)]
    entries: dict[str, Entry | str] = {
        "vad.type": text.decode("utf-8", "replace"),
        "vad.version": ".".join(map(str, version)),
    }
    for name in ("n_window", "n_context", "n_encoder_layers"):
        entries[f"vad.{name}"] = Entry(_number(window, name), "u32")
    layers = _number_of(entries, "vad.n_encoder_layers")
    limits.check("entries", layers, "layers", offset=window.offset)
    if layers * 12 > window.left:
        raise InvalidFileError(f"{layers:,} layers do not fit in the file", offset=window.offset)
    sizes = [_number(window, "a layer") for _ in range(layers * 3)]
    for position, name in enumerate(("encoder_in_channels", "encoder_out_channels", "kernel_sizes")):
        entries[f"vad.{name}"] = Entry(sizes[position::3], "array[u32]")
    for name in ("lstm_input_size", "lstm_hidden_size", "final_conv_in", "final_conv_out"):
        entries[f"vad.{name}"] = Entry(_number(window, name), "u32")
    return Head("whisper-vad", entries, 3)


def _vocabulary(window: Window, count: int, limits: Limits, *, scores: bool) -> dict[str, Entry | str]:
    if count * (8 if scores else 4) > window.left:
        raise InvalidFileError(f"{count:,} tokens do not fit in the file", offset=window.offset)
    tokens, found = [], bytearray()
    for _ in range(count):
        length = _number(window, "a token")
        limits.check("name", length, "bytes of a token", offset=window.offset)
        tokens.append(window.take(length, "a token").decode("utf-8", "surrogateescape"))
        if scores:
            found += window.take(4, "a score")
    entries: dict[str, Entry | str] = {"tokens": Entry(tokens, "array[str]")}
    if scores:
        entries["scores"] = Entry(list(memoryview(found).cast("f")), "array[f32]")
    return entries


def _numbers(window: Window, names: tuple[str, ...]) -> dict[str, int]:
    return {name: _number(window, f"`{name}`") for name in names}


def _number(window: Window, what: str) -> int:
    return int.from_bytes(window.take(4, what), "little")


def _number_of(entries: dict[str, Entry | str], key: str) -> int:
    entry = entries[key]
    return int(entry.value) if isinstance(entry, Entry) else 0
