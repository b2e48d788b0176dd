"""`onnx_ir`, the library that holds graphs in memory and writes them, imported when a graph is needed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from modelglot.core.errors import MissingExtraError


def onnx_ir() -> ModuleType:
    """Raises MissingExtraError where it is not installed."""
    try:
        import onnx_ir
    except ModuleNotFoundError:
        raise MissingExtraError("graphs need `onnx_ir`", hint="pip install 'modelglot[onnx]'") from None
    return onnx_ir


@contextmanager
def quiet() -> Iterator[None]:
    """What the library logs of a file that it does not understand is not told: errors say what matters."""
    logger = logging.getLogger("onnx_ir")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
