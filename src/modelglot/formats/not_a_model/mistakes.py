"""What people take for models: pointers, error pages, broken downloads, archives, and the files beside the weights."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from modelglot.core.errors import DamagedFileError, printable
from modelglot.formats.not_a_model.found import Found, Look

_LFS = b"version https://git-lfs.github.com/spec/"
_AGAIN = "download it again, with the site's own tool where there is one (`hf download`, `git lfs pull`)"
_FOLDER = "give the folder it is in, or the file with the weights"
_PARTIAL = (".crdownload", ".part", ".partial", ".incomplete", ".download", ".aria2", ".!ut", ".!qb", ".opdownload")
_PACKED = (
    (b"\x1f\x8b", "a gzip file", "gunzip"), (b"\xfd7zXZ\0", "an xz file", "unxz"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", "unzstd"), (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "7z x"),
    (b"Rar!\x1a\x07", "a RAR archive", "unrar x"), (b"BZh", "a bzip2 file", "bunzip2"),
    (b"\x04\x22\x4d\x18", "an lz4 file", "unlz4"),
)  # fmt: skip
_OTHER = (
    (b"\x89PNG\r\n", "a PNG image"), (b"\xff\xd8\xff", "a JPEG image"), (b"%PDF-", "a PDF document"),
    (b"\x7fELF", "a program or library for Linux"), (b"SQLite format 3\0", "an SQLite database"),
    (b"PAR1", "a Parquet table"), (b"ARROW1", "an Arrow table"),
)  # fmt: skip
_BESIDE = {
    "config.json": "the configuration of a model", "generation_config.json": "default settings for generating text",
    "tokenizer_config.json": "the settings of a tokenizer", "added_tokens.json": "the added tokens of a tokenizer",
    "special_tokens_map.json": "the special tokens of a tokenizer", "vocab.json": "the vocabulary of a tokenizer",
    "vocab.txt": "the vocabulary of a tokenizer", "merges.txt": "the merges of a tokenizer",
    "preprocessor_config.json": "the settings of an image or audio processor",
    "model_index.json": "the index of a diffusers pipeline", "chat_template.jinja": "a chat template",
    "adapter_config.json": "the configuration of an adapter", "readme.md": "a model card",
    ".gitattributes": "settings of git", "modelfile": "an Ollama Modelfile",
    "quantize_config.json": "quantization settings", "trainer_state.json": "the log of a training run",
}  # fmt: skip
_REFUSALS = re.compile(
    rb"^(access to model .{1,200} is restricted|entry not found|repository not found|invalid username or password|"
    rb"not found|unauthorized|forbidden|access denied|404: not found|too many requests)", re.I)  # fmt: skip


def recognise(look: Look) -> Iterator[Found]:
    """Every reading that fits, in no order."""
    if look.is_folder:
        yield from _folder(look)
        return
    if look.size == 0:
        yield Found(100, "an empty file", _AGAIN, DamagedFileError, "the download did not begin, or the disk was full")
        return
    text = look.head.lstrip(b"\xef\xbb\xbf \t\r\n")
    yield from _pointer(look)
    yield from _page(look, text)
    yield from _zeros(look)
    yield from _beside(look, text)
    for magic, what, tool in _PACKED:
        if look.head.startswith(magic):
            yield Found(58, what, f"unpack it first: `{tool} {printable(look.name)}`")
    if look.head[257:262] == b"ustar":
        yield Found(58, "a tar archive", f"unpack it first: `tar xf {printable(look.name)}`")
    if look.head.startswith(b"PK\x03\x04"):
        yield Found(30, "a zip archive without a model that is known", "unpack it and give what is inside")
    for magic, what in _OTHER:
        if look.head.startswith(magic):
            yield Found(90, what, "check that this is the file you meant")
    if look.name.endswith(_PARTIAL):
        whole = printable(look.name.rpartition(".")[0], code=True)
        yield Found(
            57, f"an unfinished download of {whole}", "let the download finish, or start it again", DamagedFileError
        )


def _pointer(look: Look) -> Iterator[Found]:
    if look.head.startswith(_LFS):
        fields = dict(line.partition(" ")[::2] for line in look.head.decode("latin-1").splitlines())
        size, oid = fields.get("size", ""), fields.get("oid", "unknown")
        real = f"{int(size):,}" if size.isascii() and size.isdigit() and len(size) < 20 else "unknown"
        yield Found(
            100,
            "a git-LFS pointer",
            "run `git lfs pull` in the repository, or download the file itself",
            detail=f"the real file has {real} bytes, {printable(oid)}; this has {look.size:,}",
        )
    elif look.head.startswith(b"# xet version"):
        yield Found(100, "a git-xet pointer", "download the file itself, for example with `hf download`")


def _page(look: Look, text: bytes) -> Iterator[Found]:
    start = text[:512].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")) or (start.startswith(b"<") and b"<html" in start):
        m = re.search(rb"<title[^>]*>(.*?)</title>", look.head + look.tail, re.I | re.S)
        title = " ".join(m[1].decode("utf-8", "replace").split()) if m else ""
        yield Found(
            96,
            "a web page (HTML)",
            _AGAIN + "; a page of this kind often asks for a login or a licence",
            detail=f"its title is {printable(title, code=True)}" if title else None,
        )
    elif start.startswith((b"<?xml", b"<error")) and b"<error" in start:
        parts = [
            m[1].decode("utf-8", "replace")
            for t in (b"Code", b"Message")
            if (m := re.search(rb"<" + t + rb">([^<]{1,300})", look.head))
        ]
        yield Found(
            96, "an error message of a storage service (XML)", _AGAIN, detail=printable(": ".join(parts)) or None
        )
    elif text.startswith(b"{") and look.size <= 4096:
        said = _error_in_json(look.head)
        if said:
            yield Found(96, "an error message of a web service (JSON)", _AGAIN, detail=printable(said))
    elif look.size <= 1024 and _REFUSALS.match(text):
        yield Found(
            96,
            "an error message of a web service",
            _AGAIN,
            detail=printable(text[:200].decode("utf-8", "replace").strip()),
        )


def _error_in_json(raw: bytes) -> str | None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or len(value) > 6:
        return None
    for key in ("error", "detail", "message", "msg"):
        said = value.get(key)
        said = said.get("message", said) if isinstance(said, dict) else said
        if isinstance(said, str) and (key == "error" or len(value) <= 3):
            return said
    return None


def _zeros(look: Look) -> Iterator[Found]:
    if not look.head.strip(b"\0") and not look.tail.strip(b"\0"):
        more = "; a download is not finished here" if any(n.lower() == look.name + ".aria2" for n in look.names) else ""
        yield Found(
            95,
            "all zeros",
            _AGAIN,
            DamagedFileError,
            f"{look.size:,} bytes were set aside and not filled, at least at both ends{more}",
        )


def _beside(look: Look, text: bytes) -> Iterator[Found]:
    if look.name in _BESIDE:
        yield Found(66, _BESIDE[look.name], _FOLDER)
    elif look.name == "tokenizer.json" or (
        text.startswith(b"{") and b'"added_tokens"' in look.head and b'"truncation"' in look.head
    ):
        yield Found(66, "a tokenizer (Hugging Face tokenizers)", _FOLDER)
    elif look.name.endswith((".model", ".spm", ".vocab")) and b"<unk>" in look.head[:200] and look.head[:1] == b"\n":
        yield Found(66, "a tokenizer (SentencePiece)", _FOLDER)
    elif text.startswith(b"{") and look.name.endswith(".json"):
        yield Found(20, "a JSON document", _FOLDER)


def _folder(look: Look) -> Iterator[Found]:
    names = {n.lower() for n in look.names}
    if not names:
        yield Found(
            60, "an empty folder, or one of folders", "`modelglot inspect 'FOLDER/**'` finds the models below it"
        )
    elif "config.json" in names or "tokenizer.json" in names:
        yield Found(
            30,
            "a folder with a model's configuration, without weights that are known",
            "download the weights too: model.safetensors, or all its shards and their index",
        )
