"""What the machine's handlers make and return, beside the values of `modelglot.core.tree`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from modelglot.core.tree import Node

UNKNOWN = object()  # what a handler returns for arguments it does not understand
Handler = Callable[[list[Any]], Any]


class Leaf:
    """A tensor-like value that waits for its name."""

    __slots__ = ()

    @property
    def nested(self) -> bool:
        """True where it turns out to be values in a container, which have names of their own."""
        return False

    def __repr__(self) -> str:  # without the address: where a leaf is the key of a mapping, this is in names
        return f"<{type(self).__name__}>"

    def build(self, state: Any) -> None:
        """What BUILD gives: ignored unless a kind of leaf takes it."""

    def companions(self) -> Sequence[tuple[str, Leaf]]:
        """(suffix, leaf) of tensors that belong to this one."""
        return ()

    def finish(self, name: str) -> Any:
        """The `Tensor` under its name; or another value, where it turns out not to be a tensor that is understood."""
        raise NotImplementedError


class Late:
    """Stands in the memo for values that nobody has taken yet."""

    __slots__ = ()

    def settle(self, memo: dict[int, Any]) -> None:
        """Put the values where this stands."""
        raise NotImplementedError


class Attributed(Node):
    """A container with attributes, such as the ``_metadata`` on the OrderedDict of a state dict."""

    __slots__ = ("attributes",)

    def __init__(self, kind: str, items: list[Any]) -> None:
        super().__init__(kind, items)
        self.attributes: Any = None
