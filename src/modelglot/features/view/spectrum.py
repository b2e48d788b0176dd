"""The singular values of a weight: how much of it is one direction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, Any]

EXACT = 2048  # the smaller side of a matrix whose values are all computed
LARGEST = 64  # how many are found of a larger one
_EXTRA, _ROUNDS = 16, 4

Rows = Callable[[], "Iterator[Floats]"]


def sides(shape: tuple[int, ...]) -> tuple[int, int]:
    """The matrix that a weight is: first axis by all others, as convolutions are read."""
    return (shape[0], prod(shape[1:])) if len(shape) > 1 else (1, prod(shape))


def spectrum(rows: Rows, shape: tuple[int, int]) -> tuple[list[float], bool]:
    """Singular values of the matrix, largest first, and whether these are all: ``rows`` gives its rows in bands, each
    time anew.

    Up to `EXACT` on the smaller side: eigenvalues of the Gram matrix in float64, so values below about 1e-8 of the
    largest are not to be trusted. Beyond: the `LARGEST` by randomized subspace iteration (Halko et al., 2011).
    """
    import numpy as np

    if not all(shape):
        return [], True
    if min(shape) <= EXACT:
        gram = _gram(rows, shape)
        return np.sqrt(np.clip(np.linalg.eigvalsh(gram)[::-1], 0, None)).tolist(), True
    return _largest(rows, shape), False


def _gram(rows: Rows, shape: tuple[int, int]) -> Floats:
    import numpy as np

    count, width = shape
    if width <= count:
        gram = np.zeros((width, width))
        for band in rows():
            gram += _square(band.T)
        return gram
    whole = np.concatenate([band.astype(np.float32) for band in rows()])  # few rows, however long
    gram = np.zeros((count, count))
    for at in range(0, width, 8192):
        gram += _square(whole[:, at : at + 8192])
    return gram


def _square(part: Floats) -> Floats:
    wide = part.astype("float64")
    made: Floats = wide @ wide.T
    return made


def _largest(rows: Rows, shape: tuple[int, int]) -> list[float]:
    """Of A: an orthonormal basis of the range of (A^T A)^n G, then the small matrix A Q."""
    import numpy as np

    basis = np.random.default_rng(0).standard_normal((shape[1], LARGEST + _EXTRA)).astype(np.float32)
    for _ in range(_ROUNDS):
        moved = np.zeros(basis.shape, np.float64)
        for band in rows():
            moved += band.T @ (band @ basis)
        basis = np.linalg.qr(moved)[0].astype(np.float32)
    small = np.concatenate([band @ basis for band in rows()])
    found: list[float] = np.linalg.svd(small, compute_uv=False)[:LARGEST].tolist()
    return found
