"""Modelfiles: every instruction, every way to quote, errors with their line, and values that come back."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelglot.containers.modelfile import NAMES, ROLES, Instruction, Modelfile, looks_like, parse, write
from modelglot.core.errors import InvalidFileError

WHOLE = b'''# built by hand
from ./model.gguf
PARAMETER temperature 0.7
parameter stop "<|im_end|>"
PARAMETER stop "User: "
Template """{{ range .Messages }}<|{{ .Role }}|>
{{ .Content }}{{ end }}"""
SYSTEM """
Say "yes".
"""
SYSTEM You are "terse"
ADAPTER ./lora.gguf
LICENSE "two
lines"
MESSAGE user Is 2 > 1?
MESSAGE assistant yes
REQUIRES 0.14.0
RENDERER qwen3
PARSER qwen3'''


def test_every_instruction() -> None:
    found = parse(WHOLE)
    assert found.instructions == (
        Instruction("#", "built by hand"),
        Instruction("FROM", "./model.gguf"),
        Instruction("PARAMETER", "0.7", "temperature"),
        Instruction("PARAMETER", "<|im_end|>", "stop"),
        Instruction("PARAMETER", "User: ", "stop"),
        Instruction("TEMPLATE", "{{ range .Messages }}<|{{ .Role }}|>\n{{ .Content }}{{ end }}"),
        Instruction("SYSTEM", '\nSay "yes".\n'),
        Instruction("SYSTEM", 'You are "terse"'),
        Instruction("ADAPTER", "./lora.gguf"),
        Instruction("LICENSE", "two\nlines"),
        Instruction("MESSAGE", "Is 2 > 1?", "user"),
        Instruction("MESSAGE", "yes", "assistant"),
        Instruction("REQUIRES", "0.14.0"),
        Instruction("RENDERER", "qwen3"),
        Instruction("PARSER", "qwen3"),
    )
    assert found.values("PARAMETER", "stop") == ["<|im_end|>", "User: "]
    assert found.value("SYSTEM") == 'You are "terse"', "the last one counts"
    assert parse(write(found)) == found


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks(encoding: str) -> None:
    assert parse("FROM modèle\r\nSYSTEM a\r\n".encode(encoding)).value("FROM") == "modèle"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "no FROM line"),
        (b"SYSTEM hello", "no FROM line"),
        (b"FROM a\nFORM b", "line 2: `FORM b` is no instruction"),
        (b"FROM", "not a name, a space and a value"),
        (b"FROM\nx", "not a name, a space and a value"),
        (b"FROM a\nPARAMETER\n", "not a name, a space and a value"),
        (b"FROM a\nPARAMETER top-k 3", "not a name, a space and a value"),
        (b"FROM a\n\nMESSAGE robot hi", "line 3: the role `robot` is unknown"),
        (b'FROM a\nSYSTEM """never\nclosed"', 'no """ closes the value'),
        (b'FROM "', 'no " closes the value'),
        (b"FROM \xff", "not UTF-8"),
    ],
)
def test_what_is_wrong_and_where(data: bytes, what: str) -> None:
    with pytest.raises(InvalidFileError) as error:
        parse(data)
    assert what in str(error.value)


def test_values_that_no_modelfile_can_hold() -> None:
    for value in ("bell \a", 'a\nb"""\nc"', "no-break\u00a0space"):
        with pytest.raises(InvalidFileError, match="cannot hold"):
            write(Modelfile((Instruction("FROM", "a"), Instruction("SYSTEM", value))))


def test_recognised_by_its_first_instruction() -> None:
    for head in (b"# a comment\n\nFROM llama3\n", b"from ./x.gguf"):
        assert looks_like(head)
    for head in (b"FROMAGE x", b"", b"GGUF\x03\0\0\0", b"SYSTEM x"):
        assert not looks_like(head)


_VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)
_ITEMS = st.one_of(
    st.builds(
        Instruction, st.sampled_from([n for n in NAMES if n not in ("PARAMETER", "MESSAGE")]), _VALUES, st.just("")
    ),
    st.builds(Instruction, st.just("PARAMETER"), _VALUES, st.from_regex(r"[a-z_0-9]{1,9}", fullmatch=True)),
    st.builds(Instruction, st.just("MESSAGE"), _VALUES, st.sampled_from(ROLES)),
)


@given(st.lists(_ITEMS, max_size=6))
def test_values_come_back_or_are_refused(items: list[Instruction]) -> None:
    file = Modelfile((Instruction("FROM", "m"), *items))
    try:
        data = write(file)
    except InvalidFileError:
        assert any(not c.isprintable() or c == '"' for i in items for c in i.value), "refused without a reason"
        return
    assert parse(data) == file


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = parse(b"FROM m\n" + data)
    except InvalidFileError:
        return
    with contextlib.suppress(InvalidFileError):
        assert parse(write(found)) == found
