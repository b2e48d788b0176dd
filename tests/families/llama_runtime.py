"""llama.cpp itself, through the C API that the `xllamacpp` wheel exports: loads a GGUF file, tokenizes, gives logits.

Only what the tests need. Parameter structures are filled by the library's own defaults; the fields that are changed
are found by their default values, so that another version either works or fails loudly.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import struct
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytest

Array = np.ndarray[Any, Any]


class _Parameters(ctypes.Structure):
    """Room for any of the parameter structures: they are returned and passed in memory."""

    _fields_ = [("raw", ctypes.c_uint8 * 512)]


class _Batch(ctypes.Structure):
    _fields_ = [("count", ctypes.c_int32), *((f"p{n}", ctypes.c_void_p) for n in range(6))]


@cache
def library() -> ctypes.CDLL:
    """The shared library, or skip; where `MODELGLOT_REQUIRE_ORACLES` is set it has to be there."""
    found = importlib.util.find_spec("xllamacpp")
    if found is None or found.origin is None:
        if os.environ.get("MODELGLOT_REQUIRE_ORACLES"):
            pytest.fail("xllamacpp is not installed")
        pytest.skip("xllamacpp is not installed")
    lib = ctypes.CDLL(str(next(Path(found.origin).parent.glob("*.so"))))
    pointer, i32, text = ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p
    for name, result, arguments in (
        ("llama_backend_init", None, ()),
        ("llama_log_set", None, (pointer, pointer)),
        ("llama_model_default_params", _Parameters, ()),
        ("llama_context_default_params", _Parameters, ()),
        ("llama_model_load_from_file", pointer, (text, _Parameters)),
        ("llama_init_from_model", pointer, (pointer, _Parameters)),
        ("llama_model_get_vocab", pointer, (pointer,)),
        ("llama_vocab_n_tokens", i32, (pointer,)),
        ("llama_model_n_embd", i32, (pointer,)),
        ("llama_tokenize", i32, (pointer, text, i32, pointer, i32, ctypes.c_bool, ctypes.c_bool)),
        ("llama_batch_get_one", _Batch, (pointer, i32)),
        ("llama_decode", i32, (pointer, _Batch)),
        ("llama_encode", i32, (pointer, _Batch)),
        ("llama_get_logits_ith", pointer, (pointer, i32)),
        ("llama_get_embeddings_seq", pointer, (pointer, i32)),
        ("llama_set_embeddings", None, (pointer, ctypes.c_bool)),
        ("llama_free", None, (pointer,)),
        ("llama_model_free", None, (pointer,)),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    lib._quiet = ctypes.CFUNCTYPE(None, i32, text, pointer)(_log)  # type: ignore[attr-defined]
    lib.llama_log_set(ctypes.cast(lib._quiet, pointer), None)
    lib.llama_backend_init()
    return lib


_MESSAGES: list[str] = []


def _log(level: int, text: bytes, _: Any) -> None:
    if level >= 3:  # warnings and errors, shown when something fails
        _MESSAGES.append(text.decode("utf-8", "replace"))


class Runtime:
    """A model that llama.cpp loaded. ``with Runtime(path) as model: model.logits(ids)``."""

    def __init__(self, path: Path | str, *, vocabulary_only: bool = False, embeddings: bool = False) -> None:
        self.lib = library()
        _MESSAGES.clear()
        parameters = self.lib.llama_model_default_params()
        if vocabulary_only:
            parameters.raw[_first_flag(parameters)] = 1
        self.model = self.lib.llama_model_load_from_file(os.fsencode(path), parameters)
        if not self.model:
            raise AssertionError("llama.cpp does not load it: " + "".join(_MESSAGES[-6:]))
        self.vocab = self.lib.llama_model_get_vocab(self.model)
        self.context = None
        if not vocabulary_only:
            self.context = self.lib.llama_init_from_model(self.model, _exact(self.lib.llama_context_default_params()))
            assert self.context, "".join(_MESSAGES[-6:])
            self.lib.llama_set_embeddings(self.context, embeddings)

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.context:
            self.lib.llama_free(self.context)
        self.lib.llama_model_free(self.model)

    def tokenize(self, text: str, *, special: bool = True, parse: bool = True) -> list[int]:
        """Ids, with what the vocabulary adds around a text where ``special``."""
        raw = text.encode("utf-8", "surrogatepass")
        room = (ctypes.c_int32 * (len(raw) + 16))()
        count = self.lib.llama_tokenize(self.vocab, raw, len(raw), room, len(room), special, parse)
        assert count >= 0
        return list(room[:count])

    def logits(self, ids: list[int]) -> Array:
        """float32 (tokens, vocabulary): fed one by one, so that the cache is used as in generation."""
        size = self.lib.llama_vocab_n_tokens(self.vocab)
        rows = []
        for number in ids:
            self._decode([number])
            found = self.lib.llama_get_logits_ith(self.context, -1)
            rows.append(np.ctypeslib.as_array(ctypes.cast(found, ctypes.POINTER(ctypes.c_float)), (size,)).copy())
        return np.stack(rows)

    def encode(self, ids: list[int]) -> None:
        """What the decoder of a model with two halves will look at."""
        tokens = (ctypes.c_int32 * len(ids))(*ids)
        code = self.lib.llama_encode(self.context, self.lib.llama_batch_get_one(tokens, len(ids)))
        assert code == 0, "".join(_MESSAGES[-6:])

    def embedding(self, ids: list[int]) -> Array:
        """float32 of the whole text, pooled as the file says."""
        self._decode(ids)
        found = self.lib.llama_get_embeddings_seq(self.context, 0)
        assert found, "no pooled embedding"
        size = self.lib.llama_model_n_embd(self.model)
        return np.ctypeslib.as_array(ctypes.cast(found, ctypes.POINTER(ctypes.c_float)), (size,)).copy()

    def _decode(self, ids: list[int]) -> None:
        tokens = (ctypes.c_int32 * len(ids))(*ids)
        code = self.lib.llama_decode(self.context, self.lib.llama_batch_get_one(tokens, len(ids)))
        assert code == 0, "".join(_MESSAGES[-6:])


def like_ggml(model: Any) -> None:
    """Round what GELU takes and gives to float16, as llama.cpp does, which looks it up in a table of 65,536 values."""
    for module in model.modules():
        if "gelu" in type(module).__name__.lower():
            module.register_forward_pre_hook(lambda _, values: (values[0].half().float(),))
            module.register_forward_hook(lambda _, __, made: made.half().float())


def _first_flag(parameters: _Parameters) -> int:
    """Offset of `vocab_only`: the booleans follow seven pointers and five integers, `use_extra_bufts` is set."""
    raw = bytes(parameters.raw)
    start = 72
    assert raw[start : start + 5] == b"\0\0\1\0\0", raw[:96].hex()
    return start


def _exact(parameters: _Parameters) -> _Parameters:
    """float32 caches, no flash attention, one thread: what can be compared with transformers to 1e-3."""
    raw = bytes(parameters.raw)
    words = list(struct.unpack("<128i", raw))
    assert words[:3] == [512, 2048, 512], words[:12]
    flash = next(i for i in range(9, 16) if words[i : i + 4] == [-1] * 4) + 3  # rope, pooling, attention, then this one
    words[flash] = 0
    threads = next(i for i in range(4, 12) if words[i : i + 2] == [4, 4])
    words[threads], words[threads + 1] = 1, 1  # two would wait for one another where other tests run
    types = next(i for i in range(flash, 40) if words[i : i + 2] == [1, 1])
    words[types], words[types + 1] = 0, 0
    made = _Parameters()
    packed = struct.pack("<128i", *words)
    ctypes.memmove(ctypes.byref(made), packed, len(packed))
    return made
