"""What every worker does around its work: read the job, write the result or the error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

RESULT, ERROR = "result.json", "error"
Array = np.ndarray[Any, Any]


def run(work: Callable[[dict[str, Any], str], dict[str, Any]]) -> None:
    """``work`` gets the job and its folder. An exception becomes an error of the result, with its class and message."""
    path = sys.argv[1]
    folder = os.path.dirname(path)
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    try:
        result = work(job, folder)
    except Exception as error:
        import traceback

        traceback.print_exc()
        result = {ERROR: f"{type(error).__name__}: {error}"[:4000]}
    with open(os.path.join(folder, RESULT), "w", encoding="utf-8") as file:
        json.dump(result, file)


def load(folder: str, name: str) -> dict[str, Array]:
    with np.load(os.path.join(folder, name), allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def save(folder: str, name: str, arrays: Sequence[Array]) -> None:
    """Arrays in order, as ``0``, ``1`` ..."""
    np.savez(os.path.join(folder, name), **{str(number): array for number, array in enumerate(arrays)})  # type: ignore[arg-type]
