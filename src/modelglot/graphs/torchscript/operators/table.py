"""A table of operators, filled by a decorator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Table(dict[str, Callable[..., Any]]):
    def __call__(self, *names: str) -> Callable[[F], F]:
        def add(function: F) -> F:
            for name in names:
                self[name] = function
            return function

        return add
