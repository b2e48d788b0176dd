"""What a Jinja template would reach for: parsed to its tree, constants folded, never rendered.

A chat template is rendered by whoever loads the model. Outside a sandbox (llama-cpp-python CVE-2024-34359, SGLang
CVE-2026-5760) an attribute like ``__globals__`` leads from any value to any function of the process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

from modelglot.core.errors import printable
from modelglot.features.scan.folding import Folder

DUNDER = re.compile(r"__\w+__")
# attributes that lead from a value to its code, its frame or its module, without two underscores at both ends
_INNER_TEXT = """
mro gi_frame gi_code cr_frame cr_code ag_frame ag_code tb_frame f_globals f_locals f_builtins f_back f_code func_globals
func_code func_closure im_func im_self im_class co_code co_consts environment
"""
_INNER = frozenset(_INNER_TEXT.split())
# what Python classes have: as a whole text they are only of use for reaching an attribute
_KNOWN_TEXT = """
class mro base bases subclasses globals builtins import init dict getattribute getattr code closure reduce reduce_ex
loader spec wrapped kwdefaults
"""
_KNOWN = frozenset(f"__{name}__" for name in _KNOWN_TEXT.split())
_OBJECTS_TEXT = """
lipsum cycler joiner namespace self range dict request config url_for get_flashed_messages session g current_app
raise_exception strftime_now
"""
_OBJECTS = frozenset(_OBJECTS_TEXT.split())
_BY_NAME = frozenset(["attr", "map", "selectattr", "rejectattr", "groupby", "sort", "sum", "min", "max", "unique"])
MOST, _FOUND = 64 << 10, 100  # characters of a template, things to say of it
Said = tuple[str, str, int]  # (unsafe | unknown, what, line)


class NotParsed(Exception):
    """Why, in words."""


@cache
def _environment() -> Any:
    import jinja2
    from jinja2.ext import Extension

    class Generation(Extension):
        """``{% generation %}`` of transformers: what is inside counts, the tag does nothing here."""

        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    extensions: list[str | type[Extension]] = [
        "jinja2.ext.loopcontrols",
        "jinja2.ext.do",
        "jinja2.ext.i18n",
        "jinja2.ext.debug",
        Generation,
    ]
    return jinja2.Environment(extensions=extensions, autoescape=False)


def hazards(source: str) -> Iterator[Said]:
    """Raises NotParsed."""
    from jinja2 import TemplateError, nodes

    if len(source) > MOST:
        raise NotParsed(f"it has {len(source):,} characters, more than {MOST:,}")
    try:
        tree = _environment().parse(source)
        every = list(tree.find_all(nodes.Node))
        folder = Folder(every)
        found = ((severity, what, node.lineno) for node in every for severity, what in _of(node, folder))
        yield from islice(dict.fromkeys(found), _FOUND)
    except TemplateError as error:
        raise NotParsed(printable(str(error), limit=120)) from None
    except RecursionError:
        raise NotParsed("it is nested too deep") from None
    except (ValueError, OverflowError, MemoryError) as error:  # of numbers with very many digits
        raise NotParsed(printable(str(error), limit=120)) from None


def _of(node: Any, folder: Folder) -> Iterator[tuple[str, str]]:
    from jinja2 import nodes

    if isinstance(node, nodes.Getattr):
        yield from _attribute(node.attr)
        yield from _from_object(node.node, node.attr)
    elif isinstance(node, nodes.Getitem):
        yield from _item(node, folder)
    elif isinstance(node, nodes.Filter):
        yield from _filter(node, folder)
    elif isinstance(node, nodes.Call):
        yield from _call(node, folder)
    elif isinstance(node, nodes.Keyword) and DUNDER.fullmatch(node.key):
        yield "unsafe", f"the name {printable(node.key, code=True)} is made, that of an attribute which leads to code"
    elif isinstance(node, nodes.Name) and node.name == "lipsum":
        yield "unsafe", "`lipsum` is used, which no chat needs: it leads to the functions of its module"
    elif isinstance(node, (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        yield "unknown", f"{type(node).__name__.lower()}: another template is loaded"
    elif isinstance(node, nodes.ContextReference) or type(node).__name__ == "DerivedContextReference":
        yield "unknown", "the context of the template itself is used"
    if isinstance(node, nodes.Expr) and not isinstance(node, nodes.Name):
        for value in folder.values(node):
            if isinstance(value, str) and value in _KNOWN:
                yield "unsafe", f"the text {printable(value, code=True)}, the name of an attribute that leads to code"


def _attribute(name: Any) -> Iterator[tuple[str, str]]:
    """A name, or a path with dots as `map(attribute=...)` takes it."""
    for part in str(name).split("."):
        if DUNDER.fullmatch(part) or part in _INNER or part.startswith("_TemplateReference"):
            yield "unsafe", f"the attribute {printable(part, code=True)} is reached for, which leads to code"


def _from_object(node: Any, name: str) -> Iterator[tuple[str, str]]:
    from jinja2 import nodes

    if isinstance(node, nodes.Name) and node.ctx == "load" and node.name in _OBJECTS and name.startswith("_"):
        yield "unsafe", f"{printable(name, code=True)} of the function `{node.name}` is reached for"


def _item(node: Any, folder: Folder) -> Iterator[tuple[str, str]]:
    """``x[name]`` is an attribute where there is no such item."""
    from jinja2 import nodes

    found = folder.values(node.arg)
    for value in found:
        if isinstance(value, str):
            yield from _attribute(value)
            yield from _from_object(node.node, value)
    if not found and folder.builds_text(node.arg):
        yield "unknown", "the name of an item or attribute is put together while it runs"
    if isinstance(node.node, nodes.Name) and node.node.name in _OBJECTS - {"self", "config", "namespace", "request"}:
        yield "unknown", f"an item of the function `{node.node.name}` is taken"


def _filter(node: Any, folder: Folder) -> Iterator[tuple[str, str]]:
    if node.name not in _BY_NAME:
        return
    given = [*node.args[:1], *(k.value for k in node.kwargs if k.key == "attribute")]
    for argument in given:
        found = folder.values(argument)
        for value in found:
            if isinstance(value, str):
                yield from _attribute(value)
        if not found and node.name in ("attr", "map", "groupby", "sort"):
            yield "unsafe" if node.name == "attr" else "unknown", f"`{node.name}` of a name that is computed"
        if node.name in ("map", "select", "reject") and "attr" in found:
            for inner in node.args[1:2]:
                names = folder.values(inner)
                for value in names or ["?"]:
                    yield from _attribute(value)
                if not names:
                    yield "unsafe", "`map('attr')` of a name that is computed"


def _call(node: Any, folder: Folder) -> Iterator[tuple[str, str]]:
    from jinja2 import nodes

    if isinstance(node.node, nodes.Getattr) and node.node.attr in ("format", "format_map"):
        for value in folder.values(node.node.node):
            if isinstance(value, str) and re.search(r"\{[^{}]*(__\w+|\.[a-z]+_globals)", value):
                yield "unsafe", "a format string reaches for attributes"
    if isinstance(node.node, nodes.Name) and node.node.name == "range":
        for argument in node.args:
            if any(isinstance(v, int) and v > 10_000_000 for v in folder.values(argument)):
                yield "unknown", "a loop of very many rounds"
    if isinstance(node.node, nodes.Name) and node.node.name == "debug":
        yield "unknown", "`debug` shows the whole context"
