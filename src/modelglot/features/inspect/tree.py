"""The tree of tensor names as people draw it by hand: repeats collapsed, siblings of one shape on one line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from modelglot.core.tensor import Tensor

_LOOSE_FROM = 5  # this many different shapes among numbered siblings are shown as one line, "various"
_LABEL = 72
_RANGE = 48
_LEVELS = 60  # names nested deeper than this keep the rest of their dots in one label


@dataclass(slots=True)
class Branch:
    """A line of the tree. ``repeats`` is how many equal branches it stands for; sums count all of them.

    ``type`` and ``shape`` are those of a tensor line; ``various`` says that shapes differ among the repeats.
    """

    label: str
    children: list[Branch] = field(default_factory=list)
    repeats: int = 1
    tensors: int = 0
    parameters: int = 0
    nbytes: int = 0
    type: str | None = None
    shape: tuple[int, ...] | None = None
    various: bool = False
    exact: int = 0  # number of the structure: equal names, types and shapes below
    loose: int = 0  # the same without shapes and types

    def document(self) -> dict[str, object]:
        out: dict[str, object] = {
            "label": self.label,
            "tensors": self.tensors,
            "parameters": self.parameters,
            "bytes": self.nbytes,
        }
        if self.repeats > 1:
            out["repeats"] = self.repeats
        if self.type is not None:
            out |= {"type": self.type, "shape": None if self.various else list(self.shape or ())}
        if self.children:
            out["children"] = [c.document() for c in self.children]
        return out


def build(tensors: Mapping[str, Tensor], *, collapse: bool = True) -> Branch:
    """The tree of all names; ``collapse=False`` keeps one line a tensor."""
    trie: dict[str, object] = {}
    for name, tensor in tensors.items():
        _insert(trie, name, tensor)
    numbers: dict[object, int] = {}
    root = _branch("", trie, numbers, collapse)
    return root


def _insert(trie: dict[str, object], name: str, tensor: Tensor) -> None:
    parts = re.split(r"[./]", name, maxsplit=_LEVELS)
    node = trie
    for depth, part in enumerate(parts[:-1]):
        child = node.setdefault(part, {})
        if not isinstance(child, dict):  # a tensor and a branch of one name: the rest of the name is one label
            node[".".join(parts[depth:])] = tensor
            return
        node = child
    last = parts[-1]
    while last in node:
        last += " "
    node[last] = tensor


def _branch(label: str, trie: dict[str, object], numbers: dict[object, int], collapse: bool) -> Branch:
    """Bottom up without recursion deeper than the names are long."""
    children = []
    for key, value in trie.items():
        if isinstance(value, Tensor):
            children.append(_leaf(key.rstrip(" ") or key, value, numbers))
        elif isinstance(value, dict):
            children.append(_branch(key, value, numbers, collapse))
    made = Branch(label, children)
    _sum(made)
    if collapse:
        made.children = _siblings(_numbered(children))
    made.exact = _number(numbers, (True, *((c.label, c.repeats, c.exact) for c in made.children)))
    made.loose = _number(numbers, (False, *((c.label, c.repeats, c.loose) for c in made.children)))
    return _joined(made) if label else made


def _leaf(label: str, tensor: Tensor, numbers: dict[object, int]) -> Branch:
    kind = tensor.type_name
    return Branch(
        label,
        [],
        1,
        1,
        tensor.numel,
        tensor.nbytes,
        kind,
        tensor.shape,
        exact=_number(numbers, (kind, tensor.shape)),
        loose=_number(numbers, "tensor"),
    )


def _number(numbers: dict[object, int], key: object) -> int:
    return numbers.setdefault(key, len(numbers) + 1)


def _sum(branch: Branch) -> None:
    branch.tensors = sum(c.tensors for c in branch.children)
    branch.parameters = sum(c.parameters for c in branch.children)
    branch.nbytes = sum(c.nbytes for c in branch.children)


def _joined(branch: Branch) -> Branch:
    """A branch with one child is one line: ``attn.weight``."""
    if len(branch.children) == 1 and branch.repeats == 1:
        child = branch.children[0]
        child.label = f"{branch.label}.{child.label}"
        child.exact, child.loose = branch.exact, branch.loose
        return child
    return branch


def _numbered(children: list[Branch]) -> list[Branch]:
    """Merge ``0, 1, 2 ...`` (also ``0.weight`` of joined lines) that are built alike."""
    groups: dict[str, list[Branch]] = {}
    for child in children:
        head, _, tail = child.label.partition(".")
        if _is_number(head):
            groups.setdefault(tail, []).append(child)
    merged: dict[int, Branch] = {}
    gone: set[int] = set()
    for tail, group in groups.items():
        if len(group) < 2:
            continue
        exact = _split(group, "exact")
        parts = exact if len(exact) < _LOOSE_FROM else _split(group, "loose")
        for part in parts:
            label = _ranges([int(c.label.partition(".")[0]) for c in part])
            merged[id(part[0])] = _merge(part, f"{label}.{tail}" if tail else label)
            gone.update(id(c) for c in part[1:])
    return [merged.get(id(c), c) for c in children if id(c) not in gone]


def _siblings(children: list[Branch]) -> list[Branch]:
    """Merge tensors of one type and shape, and branches built alike, that share a beginning or an end."""
    groups: dict[object, list[Branch]] = {}
    for child in children:
        if child.repeats == 1 and not _is_number(child.label.partition(".")[0]):
            groups.setdefault((child.exact, child.label.partition(".")[2]), []).append(child)
    merged: dict[int, Branch] = {}
    gone: set[int] = set()
    for group in groups.values():
        label = _braces([c.label for c in group]) if 1 < len(group) <= 12 else None
        if label is not None:
            merged[id(group[0])] = _merge(group, label)
            gone.update(id(c) for c in group[1:])
    return [merged.get(id(c), c) for c in children if id(c) not in gone]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _split(group: list[Branch], key: str) -> list[list[Branch]]:
    parts: dict[int, list[Branch]] = {}
    for branch in group:
        parts.setdefault(getattr(branch, key), []).append(branch)
    return list(parts.values())


def _merge(group: list[Branch], label: str) -> Branch:
    """One branch for several of the same structure; shapes that differ become ``various``."""
    if len(group) == 1:
        return group[0]
    first = group[0]
    made = Branch(label, [], sum(g.repeats for g in group), exact=first.exact, loose=first.loose)
    made.tensors = sum(g.tensors for g in group)
    made.parameters = sum(g.parameters for g in group)
    made.nbytes = sum(g.nbytes for g in group)
    same = all(g.exact == first.exact for g in group)
    if first.type is not None:
        types = {g.type for g in group}
        made.type = first.type if len(types) == 1 else "various"
        made.shape, made.various = first.shape, not same or any(g.various for g in group)
    for position, child in enumerate(first.children):
        made.children.append(_merge([g.children[position] for g in group], child.label))
    for child, one in zip(made.children, first.children, strict=True):
        child.repeats = one.repeats  # the repeats of the parent are said once, on its own line
    return made


def _ranges(numbers: Iterable[int]) -> str:
    """``{0..31}``, ``{0..3,10,12..15}``."""
    runs: list[list[int]] = []
    for n in sorted(numbers):
        if runs and n == runs[-1][1] + 1:
            runs[-1][1] = n
        else:
            runs.append([n, n])
    shown = [f"{a}" if a == b else f"{a}..{b}" if b > a + 1 else f"{a},{b}" for a, b in runs]
    text = ",".join(shown)
    if len(text) > _RANGE:
        text = f"{runs[0][0]}..{runs[-1][1]}: {sum(b - a + 1 for a, b in runs)} of them"
    return "{" + text + "}"


def _braces(labels: list[str]) -> str | None:
    """``{q,k,v}_proj.weight`` for labels of one tail; None where the line would be too long to read."""
    heads = [label.partition(".")[0] for label in labels]
    tail = labels[0].partition(".")[2]
    before = _common(heads)
    after = _common([h[len(before) :][::-1] for h in heads])[::-1]
    middles = [h[len(before) : len(h) - len(after)] for h in heads]
    made = f"{before}{{{','.join(middles)}}}{after}" + (f".{tail}" if tail else "")
    return made if len(made) <= _LABEL else None


def _common(words: list[str]) -> str:
    """The common beginning, cut back to a word boundary so that ``key, keys`` stays two words."""
    size = 0
    for letters in zip(*words, strict=False):
        if len(set(letters)) > 1:
            break
        size += 1
    while size > 0 and words[0][size - 1] not in "_-":
        size -= 1
    return words[0][:size]
