"""Chat templates: public attacks, their disguises, real templates, in all six places."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from modelglot.api.scanning import scan
from modelglot.features.scan.jinja import NotParsed, hazards

REAL = Path(os.environ.get("MODELGLOT_REAL_MODELS", Path.home() / ".cache/modelglot/real_models"))
HOSTILE = {
    # published ones
    "CVE-2024-34359": "{% for x in ().__class__.__base__.__subclasses__() %}{% if 'warning' in x.__name__ %}"
    "{{x()._module.__builtins__['__import__']('os').popen('id').read()}}{% endif %}{% endfor %}",
    "cycler": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "lipsum": "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "lipsum alone": "{{ lipsum }}",
    "namespace": "{{ namespace.__init__.__globals__ }}",
    "joiner": "{{ joiner['__init__'] }}",
    "self": "{{ self._TemplateReference__context.cycler }}",
    "self init": "{{ self.__init__.__globals__.__builtins__ }}",
    "generator frame": "{{ (messages | map('upper')).gi_frame.f_globals }}",
    "mro": "{{ ''.__class__.mro()[1] }}",
    "url_for": "{{ url_for.__globals__ }}",
    # disguises
    "attr": "{{ ''|attr('__class__') }}",
    "attr of pieces": "{{ ''|attr('__cla' ~ 'ss__') }}",
    "attr of a sum": "{{ ''|attr('__cla' + 'ss__') }}",
    "attr of a join": "{{ ''|attr(['__cla', 'ss__']|join) }}",
    "attr of a method": "{{ ''|attr(''.join(['__', 'class', '__'])) }}",
    "attr of a format": "{{ ''|attr('%s%s%s' % ('__', 'class', '__')) }}",
    "attr of a format filter": "{{ ''|attr('%sclass%s'|format('__', '__')) }}",
    "attr of code points": "{{ ''|attr('%c%cclass%c%c'|format(95, 95, 95, 95)) }}",
    "attr reversed": "{{ ''|attr('__ssalc__'|reverse) }}",
    "attr of a slice": "{{ ''|attr('__ssalc__'[::-1]) }}",
    "attr replaced": "{{ ''|attr('--class--'|replace('-', '_')) }}",
    "attr lowered": "{{ ''|attr('__CLASS__'|lower) }}",
    "attr repeated": "{{ ''|attr('_' * 2 ~ 'class' ~ '_' * 2) }}",
    "attr escaped": r"{{ ''|attr('\x5f\x5fclass\x5f\x5f') }}",
    "attr of a name": "{% set a = '__cla' %}{% set b = a ~ 'ss__' %}{{ ''|attr(b) }}",
    "attr of a namespace": "{% set n = namespace(a='__cl') %}{% set n.a = n.a ~ 'ass__' %}{{ ''|attr(n.a) }}",
    "attr of a dict": "{{ ''|attr({'k': '__class__'}['k']) }}",
    "attr of a choice": "{{ ''|attr('__class__' if messages else 'x') }}",
    "attr of a loop": "{% for a in ['__class__', '__base__'] %}{{ ''|attr(a) }}{% endfor %}",
    "attr of input": "{{ ''|attr(messages[0].content) }}",
    "item": "{{ ''['__class__'] }}",
    "item of pieces": "{{ ''['__cla' ~ 'ss__'] }}",
    "map attribute": "{{ [cycler]|map(attribute='__init__.__globals__')|list }}",
    "map attr": "{{ [cycler]|map('attr', '__init__')|list }}",
    "map attr of input": "{{ [cycler]|map('attr', messages[0].content)|list }}",
    "groupby": "{{ [cycler]|groupby('__init__.__globals__') }}",
    "sort": "{{ [cycler]|sort(attribute='__init__.__globals__') }}",
    "format string": "{{ '{0.__class__.__mro__}'.format(messages) }}",
    "as an argument": "{{ messages | map(attribute=x, default='__globals__') }}",
    "a keyword's name": "{{ x[dict(__init__=1)|list|first] }}",
    "with": "{% with a='__cla', b='ss__' %}{{ x[a ~ b] }}{% endwith %}",
    "a block that is set": "{% set a %}__class__{% endset %}{{ x[a] }}",
    "in a macro": "{% macro m(x) %}{{ x.__class__ }}{% endmacro %}{{ m(1) }}",
    "in a branch": "{% if false %}{% if true %}{{ [].__class__ }}{% endif %}{% endif %}",
    "in a generation block": "{% generation %}{{ [].__class__ }}{% endgeneration %}",
}
UNKNOWN = {
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import 'x' as y %}",
    "computed item": "{{ x[messages[0].a ~ messages[0].b] }}",
    "translated item": "{{ x['__clXss__'.translate({88: 97})] }}",
    "an item of a macro": "{% macro f(a, b) %}{{ x[a ~ b] }}{% endmacro %}{{ f('__in', 'it__') }}",
    "many rounds": "{% for i in range(99999999999) %}{% endfor %}",
    "other language": "{% nonsense %}",
}
BENIGN = {
    "plain": "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}",
    "namespace": "{% set ns = namespace(found=false) %}{% for m in messages %}{% set ns.found = true %}{% endfor %}",
    "text of Python": "Write `class A:\n  def __init__(self): pass`{{ messages[0].content }}",
    "strftime": "{{ strftime_now('%d %B %Y') }}{{ raise_exception('no') }}",
    "loops": "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.content | trim }}{% endfor %}",
    "filters": "{{ tools | map(attribute='function.name') | join(', ') }}"
    "{{ tools | selectattr('type', 'equalto', 'x') | list }}",
    "arithmetic": "{{ messages[loop.index0 - 1].content }}{{ messages[(messages|length) - 1]['role'] + '\n' }}",
    "generation": "{% generation %}{{ messages[0].content }}{% endgeneration %}",
    "format": "{{ '%s: %s' | format(messages[0].role, messages[0].content) }}{{ '{}'.format(1) }}",
}


def severities(text: str) -> set[str]:
    try:
        return {severity for severity, _, _ in hazards(text)}
    except NotParsed:
        return {"unknown"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str) -> None:
    assert "unsafe" in severities(HOSTILE[name])


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown(name: str) -> None:
    assert severities(UNKNOWN[name]) == {"unknown"}


@pytest.mark.parametrize("name", BENIGN)
def test_benign(name: str) -> None:
    assert severities(BENIGN[name]) == set()


@pytest.mark.parametrize("name", [n for n in HOSTILE if "generation" not in n])
def test_the_hostile_ones_are_templates(name: str) -> None:
    """They compile for those who render them."""
    import jinja2

    jinja2.Environment().from_string(HOSTILE[name])


LARGE = {
    "a sum": "{{ " + " ~ ".join(["'aaaaaaaaaaaaaaaa'"] * 3000) + " }}",
    "brackets": "{{ " + "(" * 5000 + ")" * 5000 + " }}",
    "repeats": "{{ 'a' * 999999999 * 999999999 }}",
    "doubles": "{% set a = 'aaaaaaaaaa' %}" + "{% set a = a ~ a %}" * 2000 + "{{ x[a] }}",
    "digits": "{{ " + "1" * 60_000 + " }}",
    "width": "{{ '%999999999d' % 1 }}",
    "names": "".join(f"{{% set a{i + 1} = a{i} ~ 'x' %}}" for i in range(1500)),
    "items": "{{ x[a~b] }}" * 5000,
    "sums": ("{{ x[" + "+".join(["a"] * 150) + "] }}") * 200,
    "arguments": "{{ f(" + "g(1)," * 10_000 + ") }}",
    "lists": "{{ [" + "'a'," * 15_000 + "]|join }}",
    "loops": ("{% for x in y %}" * 20 + "{{ x['a'~b] }}" + "{% endfor %}" * 20) * 100,
    "more than any": "{{ x }}" * 1_000_000,
}


@pytest.mark.parametrize("name", LARGE)
def test_nothing_of_a_hostile_size_takes_long(name: str) -> None:
    began = time.process_time()
    severities(LARGE[name])
    assert time.process_time() - began < 2


def gguf(folder: Path, text: str) -> Path:
    import modelglot as mg

    metadata = {"general.architecture": "llama", "tokenizer.chat_template": text}
    mg.save({"w": np.zeros(32, np.float32)}, folder / "m.gguf", metadata=metadata)
    return folder / "m.gguf"


def settings(name: str, wrap: object) -> object:
    def make(folder: Path, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        document = json.loads(json.dumps(wrap).replace('"TEXT"', json.dumps(text)))
        path.write_text(text if wrap is None else json.dumps(document))
        return path

    return make


PLACES = {
    "gguf": gguf,
    "tokenizer_config": settings("tokenizer_config.json", {"chat_template": "TEXT"}),
    "tokenizer_config, several": settings(
        "tokenizer_config.json",
        {"chat_template": [{"name": "default", "template": "hi"}, {"name": "x", "template": "TEXT"}]},
    ),
    "chat_template.json": settings("chat_template.json", {"chat_template": "TEXT"}),
    "processor_config.json": settings("processor_config.json", {"chat_template": "TEXT"}),
    "chat_template.jinja": settings("chat_template.jinja", None),
    "additional": settings("additional_chat_templates/tool.jinja", None),
}


@pytest.mark.parametrize("place", PLACES)
def test_every_place(place: str, tmp_path: Path) -> None:
    make = PLACES[place]
    bad = scan(make(tmp_path, HOSTILE["cycler"]))  # type: ignore[operator]
    assert [(f.rule, f.severity) for f in bad.files[0].findings][:1] == [("chat-template", "unsafe")]
    good = scan(make(tmp_path, BENIGN["plain"]))  # type: ignore[operator]
    assert good.verdict == "safe"
    assert not good.files[0].findings


def test_hidden_behind_a_second_key(tmp_path: Path) -> None:
    """Of two keys of one name some readers take the first."""
    path = tmp_path / "tokenizer_config.json"
    path.write_text('{"chat_template": ' + json.dumps(HOSTILE["cycler"]) + ', "chat_template": "x"}')
    assert scan(path).verdict == "unsafe"


@pytest.mark.real
def test_real_templates_are_safe() -> None:
    found = sorted((REAL / "chat-templates").rglob("*.jinja"))
    assert len(found) >= 20
    assert {p.name: s for p in found if (s := severities(p.read_text()))} == {}
