"""MXFP4 weights of gpt-oss: two tensors in Hugging Face, blocks of 17 bytes in GGUF. No value changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from modelglot.core.dtype import DTYPES
from modelglot.core.encoding import BLOCKS, PLAIN
from modelglot.core.errors import InvalidFileError
from modelglot.core.tensor import Derived, Tensor
from modelglot.core.views import arrange, joined, reshaped
from modelglot.families.family import Config

_CODES = 16  # bytes of the 32 numbers of a block; its exponent is one more


@dataclass(frozen=True)
class Mxfp4:
    """Codes [experts, rows, blocks, 16] and exponents [experts, rows, blocks]; rows of ``turns`` tensors in turn.

    Expert by expert, so that no more than one is held in memory.
    """

    turns: int

    def there(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        codes, exponents = tensors
        if codes.shape[:-1] != exponents.shape or len(codes.shape) != 4 or codes.shape[3] != _CODES:
            raise InvalidFileError(f"{list(codes.shape)} and {list(exponents.shape)} are no MXFP4", tensor=codes.name)
        experts, rows, blocks, _ = codes.shape
        count = rows // self.turns
        made = []
        for turn in range(self.turns):
            view = [(count, self.turns)]
            pieces = [
                _packed(
                    arrange(codes, (count, blocks, _CODES), view, e * rows + turn),
                    arrange(exponents, (count, blocks, 1), view, e * rows + turn),
                )
                for e in range(experts)
            ]
            whole = joined(pieces, (experts, count, blocks, _CODES + 1))
            blocked = replace(whole, dtype=DTYPES["f32"], encoding=BLOCKS["mxfp4"])
            made.append(replace(blocked, shape=(experts, count, blocks * 2 * _CODES)))
        return made

    def back(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        experts, count, width = tensors[0].shape
        blocks, size = width // (2 * _CODES), _CODES + 1
        plain = [replace(t, dtype=DTYPES["u8"], encoding=PLAIN, shape=(experts * count, blocks, size)) for t in tensors]
        rows = count * self.turns
        codes, exponents = [], []
        for e in range(experts):
            mine = [arrange(t, (count, blocks, size), [(count, 1)], e * count) for t in plain]
            both = joined([reshaped(t, (1, *t.shape)) for t in mine], (self.turns, count, blocks, size))
            ordered = arrange(both, (rows, blocks, size), [(count, 1), (self.turns, count)])
            exponents.append(arrange(ordered, (1, rows, blocks), [(rows * blocks, size)]))
            bytes_ = arrange(ordered, (1, rows, blocks, _CODES), [(rows * blocks, size), (_CODES, 1)], 1)
            codes.append(_nibbles("mxfp4_halves", (bytes_,), bytes_.shape))
        return [joined(codes, (experts, rows, blocks, _CODES)), joined(exponents, (experts, rows, blocks))]


def _packed(codes: Tensor, exponents: Tensor) -> Tensor:
    return _nibbles("mxfp4_blocks", (codes, exponents), (1, *codes.shape[:-1], _CODES + 1))


def _nibbles(kernel: str, inputs: tuple[Tensor, ...], shape: tuple[int, ...]) -> Tensor:
    params = {
        "inputs": ["codes", "exponents"][: len(inputs)],
        "dtypes": [t.dtype.name for t in inputs],
        "shapes": [list(t.shape) for t in inputs],
        "shape": list(shape),
    }
    made = Derived(kernel, inputs, params)
    return replace(inputs[0], dtype=DTYPES["u8"], encoding=PLAIN, shape=shape, data=made)
