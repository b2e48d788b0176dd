"""What rules look at: a part with its text and JSON, each read once, and a whole file with what its format says."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from modelglot.containers.hdf5.described import MAGIC, Described, Packed, Run, described
from modelglot.core.errors import LimitError, ModelFileError
from modelglot.core.format import FileSet, Format
from modelglot.core.lazy import lazy
from modelglot.core.model import Model
from modelglot.features.scan.piece import Piece

_STEP = 1 << 20
HDF5_TEXTS = ("model_config", "training_config")
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b\x1c\x1d\x1e\x1f"))


class Pairs(list[tuple[str, Any]]):
    """A JSON object as it is stored: a key that stands twice is there twice, so that nothing hides behind the last."""


class Look:
    """A part, its text (None where it is none) and its JSON (None likewise)."""

    def __init__(self, piece: Piece) -> None:
        self.piece = piece
        self.name = piece.name.lower()

    @property
    def suffix(self) -> str:
        return self.name.rpartition(".")[2] if "." in self.name else ""

    @lazy
    def is_text(self) -> bool:
        """UTF-8 without control characters, to the end; the whole is read for that."""
        window, decoder = self.piece.window, codecs.getincrementaldecoder("utf-8")()
        try:
            for at in range(0, window.length, _STEP):
                data = window.read(at, min(_STEP, window.length - at))
                if len(data.translate(None, _CONTROL)) != len(data):
                    return False
                decoder.decode(data)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
        return True

    @lazy
    def text(self) -> str | None:
        """Raises LimitError for text above ``limits.index``."""
        if not self.is_text:
            return None
        self.piece.limits.check("index", self.piece.window.length, "the text")
        return self.piece.window.read(0, self.piece.window.length).decode()

    @lazy
    def json(self) -> Any:
        """Objects are `Pairs`. None for what does not begin as JSON does or is none."""
        begins = self.piece.head(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        text = self.text if begins in (b"{", b"[") or self.suffix == "json" else None
        if text is None:
            return None
        found = as_json(text)
        if isinstance(found, str) and found.lstrip()[:1] in ("{", "["):
            found = as_json(found) or found  # written twice, as by `json.dump(model.to_json())`
        self.json_is_broken = found is None and text.strip() != "null"
        return found

    json_is_broken = False

    @lazy
    def hdf5(self) -> Described | None:
        """What an HDF5 file holds, with the texts that Keras keeps; None for what is none.

        Raises what `described` raises, such as UnsafeContentError for a link into another file.
        """
        if self.piece.head(8) != MAGIC:
            return None
        window = self.piece.window
        file = Packed(window.data) if window.source is None else Run(window.source, window.offset, window.length)
        return described(file, self.piece.path, self.piece.limits, HDF5_TEXTS)


def as_json(text: str) -> Any:
    """Objects are `Pairs`; None for what is no JSON. Raises LimitError for its nesting."""
    try:
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=Pairs)
    except RecursionError:
        raise LimitError("the JSON is nested too deep") from None
    except ValueError:
        return None


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """(key, value) of every entry of every object, and ("", value) of list items that are no containers."""
    stack = [value]
    while stack:
        found = stack.pop()
        if isinstance(found, Pairs):
            yield from found
            stack += [inner for _, inner in found if isinstance(inner, list)]
        elif isinstance(found, list):
            yield from (("", inner) for inner in found if not isinstance(inner, list))
            stack += [inner for inner in found if isinstance(inner, list)]


def objects(value: Any) -> Iterator[Pairs]:
    """Every object, the outermost first."""
    stack = [value]
    while stack:
        found = stack.pop()
        if isinstance(found, Pairs):
            yield found
            stack += [inner for _, inner in found if isinstance(inner, list)]
        elif isinstance(found, list):
            stack += [inner for inner in found if isinstance(inner, list)]


def values(found: Any, key: str) -> list[Any]:
    """All values of a key of one object."""
    return [value for name, value in found if name == key] if isinstance(found, Pairs) else []


@dataclass(frozen=True, slots=True)
class Whole:
    """A file: ``model`` is None where its format is not known or does not read it."""

    look: Look
    format: Format | None
    files: FileSet | None
    model: Model | None
    error: ModelFileError | None = None

    @property
    def piece(self) -> Piece:
        return self.look.piece

    def is_format(self, *names: str) -> bool:
        return self.format is not None and self.format.info.name in names


class Texts(NamedTuple):
    """A text of the file's metadata and its key."""

    key: str
    text: str


def metadata_texts(whole: Whole, most: int = 1 << 20) -> Iterator[Texts]:
    """Texts of the metadata that the reader found, with those inside lists and objects."""
    for key, value in whole.model.metadata.items() if whole.model is not None else ():
        stack: list[Any] = [value]
        while stack:
            found = stack.pop()
            if isinstance(found, str):
                yield Texts(key, found[:most])
            elif isinstance(found, dict):
                stack += list(found.values())
            elif isinstance(found, (list, tuple)) and len(found) < 1000:
                stack += list(found)


def settings_texts(whole: Whole) -> Iterator[Texts]:
    """Texts of the metadata without a tokenizer's tokens, which are many and random."""
    yield from (text for text in metadata_texts(whole) if not text[0].startswith("tokenizer.ggml."))


def is_vocabulary(look: Look) -> bool:
    """True for files of tokens, in which anything may stand by chance."""
    return look.name in ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt")
