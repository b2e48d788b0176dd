"""Files of a repository that are no models: what each is, and whether reading it runs anything."""

from __future__ import annotations

import re

from modelglot.core.errors import UnsupportedError
from modelglot.core.format import FileSet
from modelglot.core.notes import Finding
from modelglot.features.scan.data_files import data_kind
from modelglot.features.scan.look import Look
from modelglot.formats.not_a_model import explain

_CODE = {
    "py": "Python source", "pyw": "Python source", "pyi": "Python source", "pyx": "Cython source",
    "pyc": "compiled Python", "pyo": "compiled Python", "ipynb": "a notebook", "sh": "a shell script",
    "bash": "a shell script", "zsh": "a shell script", "bat": "a batch file", "cmd": "a batch file",
    "ps1": "a PowerShell script", "vbs": "a script", "js": "JavaScript", "mjs": "JavaScript", "ts": "TypeScript",
    "rb": "Ruby source", "pl": "Perl source", "lua": "Lua source", "r": "R source", "jl": "Julia source",
    "c": "C source", "cc": "C++ source", "cpp": "C++ source", "cu": "CUDA source", "go": "Go source",
    "rs": "Rust source", "java": "Java source", "jar": "Java code", "wasm": "WebAssembly", "dockerfile": "a Dockerfile",
    "makefile": "a makefile", "mk": "a makefile",
}  # fmt: skip
_PROGRAMS = (b"\x7fELF", b"MZ", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe",
             b"\xca\xfe\xba\xbe", b"\0asm", b"!<arch>\n", b"dex\n")  # fmt: skip
_LIBRARIES = ("so", "dll", "dylib", "pyd", "exe", "node", "bundle")
_DATA = (
    (0, b"\x89PNG\r\n", "a PNG image"), (0, b"\xff\xd8\xff", "a JPEG image"), (0, b"GIF8", "a GIF image"),
    (8, b"WEBP", "a WebP image"), (0, b"BM", "a BMP image"), (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"), (0, b"\0\0\1\0", "an icon"), (8, b"WAVE", "WAVE audio"), (0, b"fLaC", "FLAC audio"),
    (0, b"OggS", "Ogg audio"), (0, b"ID3", "MP3 audio"), (4, b"ftyp", "a video or an image (ISO media)"),
    (0, b"\x1aE\xdf\xa3", "a video (Matroska)"), (0, b"%PDF-", "a PDF document"), (0, b"PAR1", "a Parquet table"),

    (0, b"ARROW1", "an Arrow table"), (0, b"SQLite format 3\0", "an SQLite database"),
    (64, b"\xef\xbe\xad\xde", "weights of a Core ML model"),
    (0, b"wOF2", "a font"), (0, b"OTTO", "a font"), (0, b"\0\1\0\0\0", "a font"),
)  # fmt: skip
_TEXTS = {
    "md": "a text (Markdown)", "yaml": "YAML", "yml": "YAML", "toml": "TOML", "jinja": "a chat template",
    "jinja2": "a chat template", "csv": "a table", "tsv": "a table", "xml": "XML", "svg": "an image (SVG)",
    "html": "a web page", "cff": "a citation", "bib": "a citation", "jsonl": "JSON lines", "ini": "settings",
    "cfg": "settings", "prototxt": "a network definition", "pbtxt": "a graph as text",
    "gitattributes": "settings of git", "gitignore": "settings of git",
}  # fmt: skip
_NAMED = {"license": "a licence", "licence": "a licence", "notice": "a licence", "copying": "a licence",
          "readme": "a text", "modelfile": "an Ollama Modelfile", "checkpoint": "names a checkpoint"}  # fmt: skip
_SAID = re.compile(r"^this is (.+?)(, not a model|: recognised, but.*)?$")
_POINTERS = ("a git-LFS pointer", "a git-xet pointer")


def kind_of(look: Look, files: FileSet | None = None, parts: int = 1) -> tuple[str, Finding | None]:
    """What a part that no format reads is in words, and what that means; None where it is safe once read.

    ``parts``: how many were found in it; they are judged by themselves.
    """
    error = explain(files) if files is not None else None
    said = _SAID.match(error.what) if error is not None else None
    name = said[1] if said else ""
    if name in _POINTERS or look.piece.head(24).startswith((b"version https://git-lfs", b"# xet version")):
        why = "the model itself is not here, so nothing can be said of it"
        return name or _POINTERS[0], look.piece.unknown("pointer", f"this is {name or _POINTERS[0]}: {why}")
    code = _code(look)
    if code is not None:
        return code
    if look.piece.window.length == 0:
        return "an empty file", None
    data = _data(look)
    if data is not None:
        return data, None
    if isinstance(error, UnsupportedError):
        return name, look.piece.unknown("not-recognised", f"this is {name}, which is not read: nothing is said of it")
    if look.is_text:
        return _text(look, name)
    known = data_kind(look, files)
    if known is not None:
        return known, None
    if parts > 1:
        return name or "an archive", None
    return name or "not recognised", look.piece.unknown(
        "not-recognised", "no format is recognised: nothing can be said of it"
    )


def _code(look: Look) -> tuple[str, Finding] | None:
    head = look.piece.head(8)
    if head.startswith(_PROGRAMS[:1] + _PROGRAMS[2:]) or look.suffix in _LIBRARIES or _is_windows(look, head):
        what = "a program or library"
        return what, look.piece.unknown("source-code", f"this is {what}: machine code that runs once it is loaded")
    what = _CODE.get(look.suffix) or _CODE.get(look.name, "")
    if not what and head[:2] == b"#!" and look.is_text:
        what = "a script"
    if look.suffix == "pth" and look.is_text and re.search(r"^import[ \t]", look.text or "", re.M):
        what = "a path file of Python, which runs its lines"
    if not what:
        return None
    runs = "runs only with trust_remote_code, or where it is imported" if look.suffix == "py" else "runs where started"
    return what, look.piece.unknown("source-code", f"this is {what}, which is not judged here: it {runs}")


def _is_windows(look: Look, head: bytes) -> bool:
    """MZ, and the place of the other header inside the file: two letters alone are common."""
    if head[:2] != b"MZ" or look.piece.window.length < 64:
        return False
    at = int.from_bytes(look.piece.window.read(60, 4), "little")
    return at + 4 <= look.piece.window.length and look.piece.window.read(at, 2) == b"PE"


def _data(look: Look) -> str | None:
    head = look.piece.head(80)
    return next((what for at, magic, what in _DATA if head[at : at + len(magic)] == magic), None)


def _text(look: Look, name: str) -> tuple[str, Finding | None]:
    begins = look.piece.head(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if look.suffix == "json" and look.json is None and look.json_is_broken:
        return name or "JSON", look.piece.incomplete("the JSON is not valid")
    if name and name != "a JSON document":
        return name, None
    if look.suffix == "json" or (begins == b"{" and look.suffix not in _TEXTS and look.json is not None):
        return "JSON", None
    stem = look.name.partition(".")[0]
    return _NAMED.get(stem) or _TEXTS.get(look.suffix) or "a text", None
