"""The shape of a family: which tensors it has under which names, and which hyper-parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.core.tensor import Tensor


class Config(Mapping[str, Any]):
    """The keys of a ``config.json``; a text model's own part of it comes first, then what transformers assumes."""

    def __init__(self, values: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> None:
        inner = values.get("text_config")
        self._values = {**values, **inner} if isinstance(inner, dict) else dict(values)
        for key, value in (defaults or {}).items():
            if self._values.get(key) is None and value is not None:
                self._values[key] = value(self) if callable(value) else value

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def first(self, *names: str) -> Any:
        """The value of the first name that is there and not null; None where none is."""
        return next((self._values[n] for n in names if self._values.get(n) is not None), None)


class Transform(Protocol):
    """How values differ between the dialects. Both ways describe; the engine computes."""

    def there(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        """Hugging Face tensors, in the order of the rule's names, as GGUF has them."""
        ...

    def back(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        """GGUF tensors as Hugging Face has them."""
        ...


class Keep:
    """The same values under another name."""

    def there(self, tensors: Sequence[Tensor], config: Config) -> list[Tensor]:
        return list(tensors)

    back = there


KEEP = Keep()


class Rule(NamedTuple):
    """Tensors ``hf`` are tensors ``gguf``, after ``how``.

    Templates count layers with ``{i}`` and experts with ``{e}``. Without a suffix a template stands for its
    ``.weight`` and its ``.bias``; a template that is a whole name is only that. ``experts``: ``hf`` has one tensor
    an expert, which `Stack` puts together. ``only`` is asked on the way back where several rules have the name.
    """

    hf: tuple[str, ...]
    gguf: tuple[str, ...]
    how: Transform = KEEP
    only: Callable[[Tensor], bool] | None = None


def rule(hf: str, gguf: str, how: Transform = KEEP, only: Callable[[Tensor], bool] | None = None) -> Rule:
    """Names separated by spaces."""
    return Rule(tuple(hf.split()), tuple(gguf.split()), how, only)


class Key(NamedTuple):
    """A hyper-parameter: GGUF key (after ``{arch}.``, or whole with a leading ``/``), its type, names in config.json.

    The first name is written on the way back. ``make`` computes the GGUF value where it is not just copied (None
    leaves the key out); ``restore`` turns it into the config's value, ``None`` meaning that nothing is restored.
    """

    gguf: str
    type: str
    hf: tuple[str, ...] = ()
    make: Callable[[Config], Any] | None = None
    restore: Callable[[Any], Any] | None = lambda value: value


@dataclass(frozen=True)
class Family:
    """One architecture. ``models`` are the class names of ``config.json``'s ``architectures``, the usual one first."""

    name: str
    arch: str
    models: tuple[str, ...]
    model_type: str
    rules: tuple[Rule, ...]
    keys: tuple[Key, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)  # what transformers assumes where a key is absent
    fixed: Mapping[str, Any] = field(default_factory=dict)  # keys of config.json that the architecture implies
    dropped: Callable[[str, Config], str | None] | None = None  # why GGUF has no place for the tensor of that name
    prefix: str = "model."  # what names of a model saved without its head lack
    ignore: tuple[str, ...] = ()  # patterns of tensors that only repeat what the configuration says
    packed: tuple[str, ...] = ()  # kernels that decode what GGUF can hold as it is, so they are not run
    extra: Callable[[Config], dict[str, list[float]]] | None = None  # GGUF-only tensors made from the configuration
    derived: tuple[str, ...] = ()  # their names
    finish: Callable[[dict[str, Any], Model], None] | None = None  # last touches to config.json on return
    sentencepiece: bool = True  # False where a tokenizer.model beside tokenizer.json is not the one in use
    tokens: Mapping[str, str] = field(default_factory=dict)  # role -> token, where no file of the folder tells
    entries: Callable[[Config], dict[str, Any]] | None = None  # further metadata, after the tokenizer's
    losses: Callable[[Config], Iterable[Loss]] | None = None  # what GGUF has no key for
    like: Callable[[Mapping[str, Any]], bool] | None = None  # which of several families of one GGUF architecture
