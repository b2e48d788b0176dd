"""XML as a tree of elements, with nothing that reaches outside or grows: no document type, no entities, bounded depth.

Of the text inside an element the first `_TEXT` characters are kept; files of models keep nearly all in attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from modelglot.core.errors import InvalidFileError, LimitError, UnsafeContentError
from modelglot.core.limits import Limits

_TEXT = 200


@dataclass(slots=True)
class Element:
    tag: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str) -> Iterator[Element]:
        """Children of that tag."""
        return (child for child in self.children if child.tag == tag)

    def first(self, tag: str) -> Element | None:
        return next(self.all(tag), None)

    def get(self, name: str, default: str = "") -> str:
        return self.attributes.get(name, default)


def parse(data: bytes, limits: Limits, skip: frozenset[str] = frozenset()) -> Element:
    """The outermost element. ``skip`` names tags that are left out below the second level, with all inside.

    Raises InvalidFileError (with the offset) for what is no XML, UnsafeContentError for a document type, LimitError.
    """
    builder = _Builder(limits, skip)
    parser = expat.ParserCreate()
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.characters
    parser.StartDoctypeDeclHandler = builder.refuse
    parser.EntityDeclHandler = builder.refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        what = f"the XML is not valid: {expat.errors.messages[error.code]}"
        raise InvalidFileError(what, offset=max(parser.ErrorByteIndex, 0)) from None
    if builder.root is None:
        raise InvalidFileError("the XML has no element")
    return builder.root


class _Builder:
    def __init__(self, limits: Limits, skip: frozenset[str]) -> None:
        self.limits, self.skip = limits, skip
        self.root: Element | None = None
        self.open: list[Element] = []
        self.skipped = self.count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self.skipped or (tag in self.skip and len(self.open) > 1):
            self.skipped += 1
            return
        self.count += 1
        if len(self.open) >= self.limits.depth or self.count > self.limits.tree_values:
            raise LimitError(
                f"the XML has over {self.limits.depth} levels or {self.limits.tree_values:,} elements",
                hint="if the file is trusted, raise the limit `depth` or `tree_values`",
            )
        made = Element(tag, attributes)
        if self.open:
            self.open[-1].children.append(made)
        else:
            self.root = made
        self.open.append(made)

    def end(self, _: str) -> None:
        if self.skipped:
            self.skipped -= 1
        else:
            self.open.pop()

    def characters(self, text: str) -> None:
        if not self.skipped and len(self.open[-1].text) < _TEXT:
            self.open[-1].text += text.strip()[:_TEXT]

    def refuse(self, *_: object) -> None:
        raise UnsafeContentError(
            "the XML has a document type or entities, which can grow or fetch something",
            hint="a model file needs neither; do not trust this one",
        )
