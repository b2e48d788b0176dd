"""Tiny files as llama.cpp and whisper.cpp wrote them before GGUF, byte by byte."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

WIDTH, HEADS, KEYS, FORWARD, LAYERS, ROT = 8, 2, 1, 32, 1, 4
TOKENS = [b"", b"", b"", *(bytes([n]) for n in range(256)), b" the", "é".encode(), b"\xff\xfe", b"x" * 40]
_MAGIC = {"ggml": b"lmgg", "ggmf": b"fmgg", "ggjt": b"tjgg"}
_TYPES = {"float32": 0, "float16": 1}


def llama(
    magic: str, version: int, *, kind: type = np.float32, ftype: int = 0, extra: bytes = b"", **own: Any
) -> bytes:
    """A llama of one layer. ``own`` replaces tensors by name: (type number, bytes) in blocks; ``extra`` is appended in
    place of the tensor it begins with."""
    out = bytearray(_MAGIC[magic] + (b"" if magic == "ggml" else struct.pack("<I", version)))
    out += struct.pack("<7I", len(TOKENS), WIDTH, 256, HEADS, LAYERS, ROT, ftype)
    for number, token in enumerate(TOKENS):
        out += struct.pack("<I", len(token)) + token
        out += b"" if magic == "ggml" else struct.pack("<f", -float(number))
    align = magic == "ggjt"
    for name, shape in shapes().items():
        if extra and f"{name}".encode() in extra:
            continue
        value: Any = np.arange(int(np.prod(shape)), dtype=kind if len(shape) > 1 else np.float32).reshape(shape)
        number, data = own.get(name, (None, None))
        out += tensor(name, value, at=len(out), align=align, kind=number, shape=shape, data=data)
    if extra:
        out += _placed(extra, len(out)) if align else extra
    return bytes(out)


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors, outermost axis first."""
    layer = {
        "attention.wq.weight": (WIDTH, WIDTH), "attention.wk.weight": (KEYS * ROT, WIDTH),
        "attention.wv.weight": (KEYS * ROT, WIDTH), "attention.wo.weight": (WIDTH, WIDTH),
        "feed_forward.w1.weight": (FORWARD, WIDTH), "feed_forward.w2.weight": (WIDTH, FORWARD),
        "feed_forward.w3.weight": (FORWARD, WIDTH), "attention_norm.weight": (WIDTH,), "ffn_norm.weight": (WIDTH,),
    }  # fmt: skip
    return {
        "tok_embeddings.weight": (len(TOKENS), WIDTH),
        "norm.weight": (WIDTH,),
        "output.weight": (len(TOKENS), WIDTH),
        **{f"layers.0.{name}": shape for name, shape in layer.items()},
    }


def whisper(tensors: bytes = b"") -> bytes:
    """The head of a whisper model of one layer, and what follows it."""
    out = b"lmgg" + struct.pack("<11I", 100, 1500, 8, 2, 1, 448, 8, 2, 1, 80, 0)
    out += struct.pack("<2I", 80, 4) + np.arange(320, dtype="<f4").tobytes()
    out += struct.pack("<I", 2) + struct.pack("<I", 1) + b"a" + struct.pack("<I", 2) + b"bc"
    return out + tensors


def tensor(
    name: str,
    value: Any,
    *,
    at: int = 0,
    align: bool = False,
    kind: int | None = None,
    shape: tuple[int, ...] | None = None,
    data: bytes | None = None,
) -> bytes:
    """A tensor with its head; ``at`` is where it begins in the file, which decides the padding."""
    shape = value.shape if shape is None else shape
    number = _TYPES[str(value.dtype)] if kind is None else kind
    raw = name.encode()
    head = struct.pack("<3I", len(shape), len(raw), number) + struct.pack(f"<{len(shape)}I", *reversed(shape)) + raw
    padding = -(at + len(head)) % 32 if align else 0
    return head + bytes(padding) + (value.tobytes() if data is None else data)


def _placed(raw: bytes, at: int) -> bytes:
    """A tensor written without padding, with the padding that its place needs."""
    axes, length, _ = struct.unpack_from("<3I", raw)
    head = 12 + axes * 4 + length
    return raw[:head] + bytes(-(at + head) % 32) + raw[head:]
