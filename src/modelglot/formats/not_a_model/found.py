"""What a look at a file or folder gives, and what was looked at."""

from __future__ import annotations

from dataclasses import dataclass

from modelglot.core.errors import DamagedFileError, ModelFileError, UnknownFormatError, UnsupportedError


@dataclass(frozen=True, slots=True)
class Look:
    """``name`` without folders, in lower case; the first 4 KiB and last 64 KiB; ``names`` of its folder."""

    name: str
    head: bytes
    tail: bytes
    size: int
    names: tuple[str, ...]
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """``what`` it is in a few words; ``error`` says whether it is broken, foreign, or a neighbour not read yet."""

    score: int
    what: str
    hint: str
    error: type[ModelFileError] = UnknownFormatError
    detail: str | None = None

    def raised(self, path: str) -> ModelFileError:
        text = {
            DamagedFileError: f"this is {self.what}",
            UnsupportedError: f"this is {self.what}: recognised, but not read by this version",
        }.get(self.error, f"this is {self.what}, not a model")
        return self.error(text, path=path, detail=self.detail, hint=self.hint)
