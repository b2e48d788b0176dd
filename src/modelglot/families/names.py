"""Tensor names by the rules of a family, both ways: templates with numbers taken out are looked up, not searched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from modelglot.core.errors import DamagedFileError, InvalidFileError, printable
from modelglot.core.tensor import EMPTY, Tensor
from modelglot.families.family import Config, Rule

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")
_SLOT = re.compile(r"\{[ie]\}|" + _NUMBER.pattern)
_SUFFIXES = (".weight", ".bias")


@dataclass
class _Group:
    """Tensors of one rule and one layer, as they come in."""

    rule: Rule
    suffix: str
    layer: str
    found: dict[tuple[int, int], Tensor] = field(default_factory=dict)  # (place in the rule, expert)


class Names:
    """Maps tensors from one dialect (``side``) to the other."""

    def __init__(self, rules: Iterable[Rule], side: Literal["hf", "gguf"]) -> None:
        self.side = side
        self._places: dict[str, list[tuple[Rule, int]]] = {}
        for rule in rules:
            for place, template in enumerate(getattr(rule, side)):
                self._places.setdefault(_SLOT.sub("{}", template), []).append((rule, place))

    def knows(self, name: str) -> bool:
        return self._find(name) is not None

    def convert(self, tensors: Iterable[Tensor], config: Config) -> tuple[dict[str, Tensor], list[str]]:
        """The tensors under the other dialect's names, and the names that no rule knows.

        A group that a rule puts together stands where its first tensor stood. Raises DamagedFileError where one of a
        group is missing.
        """
        groups: dict[tuple[Rule, str, str], _Group] = {}
        unknown = []
        every = {tensor.name: tensor for tensor in tensors}
        for tensor in every.values():
            found = self._find(tensor.name, every)
            if found is None:
                unknown.append(tensor.name)
                continue
            rule, place, suffix, layer, expert = found
            group = groups.setdefault((rule, suffix, layer), _Group(rule, suffix, layer))
            if (place, expert) in group.found:
                raise InvalidFileError(f"stands twice, as {printable(tensor.name, code=True)} too", tensor=tensor.name)
            group.found[place, expert] = tensor
        made: dict[str, Tensor] = {}
        for group in groups.values():
            for tensor in self._made(group, config):
                made[tensor.name] = tensor
        return made, unknown

    def _find(self, name: str, every: Mapping[str, Tensor] = EMPTY) -> tuple[Rule, int, str, str, int] | None:
        """Where several rules have the name: the first whose other names are there too, and that wants such tensors."""
        found: list[tuple[Rule, int, str, str, int]] = []
        for suffix in ("", *_SUFFIXES):
            if name.endswith(suffix):
                stem = name[: len(name) - len(suffix)]
                numbers = _NUMBER.findall(stem)
                known = self._places.get(_NUMBER.sub("{}", stem), [])
                found += filter(None, (self._matched(rule, place, suffix, numbers) for rule, place in known))
        if len(found) < 2:
            return found[0] if found else None
        return next((f for f in found if self._fits(f, every.get(name), every)), found[0])

    def _matched(
        self, rule: Rule, place: int, suffix: str, numbers: list[str]
    ) -> tuple[Rule, int, str, str, int] | None:
        """None where a number that the template says itself is another one."""
        values = {"{i}": "", "{e}": "0"}
        for slot, number in zip(_SLOT.findall(getattr(rule, self.side)[place]), numbers, strict=True):
            if slot not in values and slot != number:
                return None
            values[slot] = number
        return rule, place, suffix, values["{i}"], int(values["{e}"])

    def _fits(self, found: tuple[Rule, int, str, str, int], tensor: Tensor | None, every: Mapping[str, Tensor]) -> bool:
        rule, _, suffix, layer, _ = found
        group = _Group(rule, suffix, layer)
        wanted = self.side == "hf" or tensor is None or rule.only is None or rule.only(tensor)
        return wanted and all(_filled(template, group, 0) in every for template in getattr(rule, self.side))

    def _made(self, group: _Group, config: Config) -> list[Tensor]:
        rule, there = group.rule, self.side == "hf"
        sources = rule.hf if there else rule.gguf
        experts = any("{e}" in template for template in sources)
        count = 1 + max(expert for _, expert in group.found)
        wanted = [(place, e) for place in range(len(sources)) for e in range(count if experts else 1)]
        gone = [w for w in wanted if w not in group.found]
        if gone:
            place, expert = gone[0]
            name = _filled(sources[place], group, expert)
            raise DamagedFileError(f"{printable(name, code=True)} is missing, the others of its group are there")
        ordered = [group.found[w] for w in wanted]
        values = (rule.how.there if there else rule.how.back)(ordered, config)
        return [replace(t, name=n) for n, t in zip(self._targets(group, len(values)), values, strict=True)]

    def _targets(self, group: _Group, count: int) -> Sequence[str]:
        templates = group.rule.gguf if self.side == "hf" else group.rule.hf
        if len(templates) == 1 and "{e}" in templates[0]:
            return [_filled(templates[0], group, expert) for expert in range(count)]
        return [_filled(template, group, 0) for template in templates]


def _filled(template: str, group: _Group, expert: int) -> str:
    return template.replace("{i}", group.layer).replace("{e}", str(expert)) + group.suffix
