"""The pickle machine: the same values as Python's own, and nothing ever run."""

import collections
import os
import pickle
import struct
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelglot.containers.pickle import arrays, plain
from modelglot.containers.pickle.emitter import Emitter
from modelglot.containers.pickle.machine import Machine
from modelglot.containers.pickle.naming import name_tensors
from modelglot.containers.pickle.window import Blob, Place, Window
from modelglot.core.errors import DamagedFileError, InvalidFileError, LimitError, ModelFileError
from modelglot.core.limits import Limits
from modelglot.core.tensor import Extent, Inline, Stored
from modelglot.core.tree import Inert, Node


def run(data, limits=None, place=None):
    machine = Machine(Window(data=data), limits or Limits(), {**plain.handlers(), **arrays.handlers(place)})
    value, end = machine.run()
    assert end == len(data)
    return value


def python(value):
    """A tree as Python values again."""
    if not isinstance(value, Node):
        return value
    if value.is_mapping:
        made = {python(k): python(v) for k, v in value.items}
        return collections.OrderedDict(made) if value.kind == "ordereddict" else made
    kinds = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "deque": collections.deque}
    return kinds[value.kind](python(i) for i in value.items)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=50)
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text())
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner) | st.sets(st.integers())
    | st.frozensets(st.text()) | st.dictionaries(keys, inner).map(collections.OrderedDict),
    max_leaves=30,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(values, st.integers(0, 5))
def test_the_same_value_as_python(value, protocol):
    found = python(run(pickle.dumps(value, protocol)))
    assert found == value
    assert type(found) is type(value)


@settings(max_examples=100, deadline=None)
@given(values)
def test_what_the_emitter_writes_is_read_by_both(value):
    tree = run(pickle.dumps(value, 4))
    written = Emitter(lambda out, name: None).finish(tree)
    assert written == Emitter(lambda out, name: None).finish(tree)
    assert python(run(written)) == pickle.loads(written)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_one_of_our_errors(data):
    offset = 0
    try:
        Machine(Window(data=data), Limits(), {**plain.handlers(), **arrays.handlers(None)}).run()
    except ModelFileError as error:
        offset = error.offset
    assert offset is not None


def test_every_truncation_and_every_flipped_byte():
    data = pickle.dumps({"a": [1, 2.5, "x" * 300, (None, True)], "b": collections.OrderedDict(c=b"z" * 5000)}, 4)
    for length in range(len(data)):
        with pytest.raises(ModelFileError) as caught:
            run(data[:length])
        assert caught.value.offset is not None
    for at in range(len(data)):
        for flip in (1, 0x80, 0xFF):
            try:
                run(data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :])
            except (ModelFileError, AssertionError):
                continue


MARKER = "machine_ran_it"
PAYLOADS = {
    "reduce": b"cos\nsystem\n(S'touch %s'\ntR." % MARKER.encode(),
    "inst": b"(S'touch %s'\nios\nsystem\n." % MARKER.encode(),
    "obj": b"(cos\nsystem\nS'touch %s'\no." % MARKER.encode(),
    "newobj": b"\x80\x02cos\nsystem\n(S'touch %s'\nt\x81." % MARKER.encode(),
    "stack global": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x10touch %s\x85R." % MARKER.encode()[:10],
    "build": b"\x80\x02cbuiltins\nobject\n)\x81cbuiltins\ndict\n}b.",
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_nothing_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    machine = Machine(Window(data=PAYLOADS[name]), Limits(), plain.handlers())
    value, _ = machine.run()
    assert isinstance(value, Inert)
    assert machine.globals
    assert os.listdir(tmp_path) == []


LENIENT = {
    b"I0x10\n.": 16, b"I 12\n.": 12, b"L5L\n.": 5, b"I01\n.": True, b"I1\0zz\n.": 1, b"F1.5\0\n.": 1.5,
    b"\x80\x02\x80\x04K\x05.": 5, b"K\x01K\x02.": 2, b"(K\x07.": 7, b"\x80\x02\x95\x01\0\0\0\0\0\0\0K.": None,
}  # fmt: skip


def test_what_either_python_machine_takes_is_taken():
    for data, expected in LENIENT.items():
        if expected is not None:
            assert run(data) == expected


HOSTILE = {
    "empty": (b"", DamagedFileError),
    "no stop": (b"K\x01", DamagedFileError),
    "operand cut": (b"\x80\x02J\x01\x02", DamagedFileError),
    "huge bytes": (b"B\xff\xff\xff\x7f.", DamagedFileError),
    "huge text": (b"\x8d" + b"\xff" * 8 + b".", DamagedFileError),
    "negative text": (b"T\xff\xff\xff\xff.", DamagedFileError),
    "negative integer": (b"\x8b\xff\xff\xff\xff.", DamagedFileError),
    "huge frame": (b"\x80\x04\x95" + b"\xff" * 8 + b"K\x01.", DamagedFileError),
    "empty stack": (b"0.", InvalidFileError),
    "no mark": (b"K\x01t.", InvalidFileError),
    "memo": (b"h\x05.", InvalidFileError),
    "unknown opcode": (b"\xfe.", InvalidFileError),
    "protocol": (b"\x80\x09K\x01.", InvalidFileError),
    "odd dict": (b"}(K\x01u.", InvalidFileError),
    "digits": (b"I" + b"9" * 5000 + b"\n.", InvalidFileError),
    "long line": (b"I" + b"9" * 70000 + b"\n.", InvalidFileError),
    "endless line": (b"cos", DamagedFileError),
    "not utf-8": (b"X\x02\0\0\0\xff\xff.", InvalidFileError),
    "global by number": (b"K\x01K\x02\x93.", InvalidFileError),
    "item on a number": (b"K\x01K\x02a.", InvalidFileError),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_streams_are_errors_with_an_offset(name):
    data, error = HOSTILE[name]
    with pytest.raises(error) as caught:
        run(data)
    assert caught.value.offset is not None


def test_a_huge_memo_index_costs_nothing():
    assert run(b"K\x05r\xff\xff\xff\x7f0j\xff\xff\xff\x7f.") == 5
    assert run(b"K\x05p99999999999\n.") == 5


def test_laughs_and_depth_take_linear_time():
    deep = b"(" * 100_000 + b"t" * 100_000 + b"."
    bomb = b"]q\0" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(60)) + b"."
    start = time.perf_counter()
    for data in (deep, bomb):
        machine = Machine(Window(data=data), Limits(), plain.handlers())
        value, _ = machine.run()
        named = name_tensors(value, Window(data=data), replace(Limits(), tree_values=500_000))
        assert not named.tensors
    assert time.perf_counter() - start < 10


def test_cycles_are_kept():
    value = run(b"]q\0h\0a.")
    assert value.items[0] is value
    assert name_tensors(value, Window(data=b""), Limits()).tree is value


def test_limits():
    with pytest.raises(LimitError):
        run(b"N0" * 100 + b"N.", replace(Limits(), pickle_opcodes=50))
    for data in (b"X" + struct.pack("<I", 200_000) + bytes(200_000) + b".", b"N0" * 200_000 + b"N."):
        with pytest.raises(LimitError):
            run(data, replace(Limits(), pickle=100_000))


class Counted:
    """A source that counts what is read of it."""

    def __init__(self, data):
        self.path, self.data, self.size, self.read = "x", data, len(data), 0

    def pread(self, offset, length):
        self.read += length
        return self.data[offset : offset + length]


def test_large_bytes_stay_where_they_are():
    value = {f"k{i}": bytes([i]) * 3_000_000 for i in range(20)}
    source = Counted(pickle.dumps(value, 4))
    machine = Machine(Window(source, 0, source.size), Limits(), plain.handlers())
    tree, end = machine.run()
    assert end == source.size
    assert source.read < source.size / 10
    for key, blob in tree.items:
        assert isinstance(blob, Blob)
        assert source.data[blob.offset : blob.offset + blob.length] == value[key]


def test_numpy_arrays_in_every_protocol():
    np = pytest.importorskip("numpy")
    made = {
        "large": np.arange(3000.0), "small": np.arange(4, dtype=">i2"), "turned": np.arange(6).reshape(2, 3).T,
        "fortran": np.asfortranarray(np.arange(2000).reshape(20, 100)), "none": np.zeros((0, 3)), "zero": np.array(5),
        "bits": np.array([True, False]), "complex": np.array([1 + 2j]),
    }  # fmt: skip
    rest = {"scalar": np.float32(1.5), "objects": np.array([1, "a"], object), "text": np.array(["ab"])}
    for protocol in range(6):
        data = pickle.dumps({**made, **rest}, protocol)
        place = Place(Extent(0, 0, len(data)))
        named = name_tensors(run(data, place=place), Window(data=data), Limits())
        assert list(named.tensors) == list(made)
        for name, array in made.items():
            tensor = named.tensors[name]
            assert tensor.shape == array.shape
            if isinstance(tensor.data, Inline):
                little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
                assert tensor.data.data == little.tobytes()
            else:
                assert isinstance(tensor.data, Stored)
                extent = tensor.data.extents[0]
                assert data[extent.offset : extent.offset + extent.length] == array.tobytes("A")
        assert named.tree.get("scalar") == 1.5
        assert named.tree.get("objects").items == [1, "a"]
        assert isinstance(named.tree.get("text"), Inert)


def test_an_array_that_lies_about_its_shape():
    np = pytest.importorskip("numpy")
    data = pickle.dumps({"w": np.arange(5, dtype="u1")}, 4).replace(b"K\x05\x85", b"K\x06\x85")
    with pytest.raises(InvalidFileError, match="needs 6 bytes") as caught:
        name_tensors(run(data), Window(data=data), Limits())
    assert caught.value.tensor == "w"


def test_values_cannot_be_appended_to_a_dict() -> None:
    """`pickle` fails there too: a dict has no `append`."""
    from modelglot.containers.pickle.machine import Machine
    from modelglot.containers.pickle.window import Window

    with pytest.raises(InvalidFileError, match="values without keys"):
        Machine(Window(data=b"\x80\x02}K\x01a."), Limits(), {}).run()
