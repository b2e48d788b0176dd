"""The shortcut for plain tensors makes what the machine makes step by step: the same tensors, tree, memo and errors."""

import io
import zipfile

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelglot.containers.pickle import plain, torch_tensors
from modelglot.containers.pickle.machine import Machine
from modelglot.containers.pickle.naming import name_tensors
from modelglot.containers.pickle.torch_shortcut import FUNCTION, Shortcut
from modelglot.containers.pickle.torch_storage import Home, Storages
from modelglot.containers.pickle.values import Late
from modelglot.containers.pickle.window import Window
from modelglot.core.errors import ModelFileError
from modelglot.core.limits import Limits
from modelglot.core.tensor import Extent
from modelglot.core.tree import Inert, Node, walk


def stream(value):
    """The pickle of a file by torch.save, and the bytes of each storage."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    archive = zipfile.ZipFile(buffer)
    sizes = {n.rpartition("/")[2]: archive.getinfo(n).file_size for n in archive.namelist() if "/data/" in n}
    return archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl"))), sizes


def outcome(data, sizes, *, shortcut):
    """Everything that can be seen of a run, as plain values."""
    storages = Storages(lambda key: Home(Extent(0, 0, sizes[key]), sizes[key]) if key in sizes else None)
    table = {**plain.handlers(), **torch_tensors.handlers()}
    window = Window(data=data)
    machine = Machine(window, Limits(), table, storages, (FUNCTION, Shortcut(storages)) if shortcut else None)
    try:
        value, end = machine.run()
        memo = {}
        for number in list(machine._memo):
            if isinstance(machine._memo[number], Late):
                machine._taken(number)
            memo[number] = shown(machine._memo[number])
        named = name_tensors(value, window, Limits())
    except ModelFileError as error:
        return type(error), error.what, error.offset, error.tensor, machine.globals
    tree = [([shown(k) for k in path], shown(v)) for path, v in walk(named.tree)]
    return end, memo, list(named.tensors.values()), tree, machine.globals, machine.oddities


def shown(value, depth=6):
    """Values compared by identity as what is in them; a damaged stream can make cycles."""
    if depth == 0:
        return "..."
    if isinstance(value, tuple):
        return [shown(i, depth - 1) for i in value]
    if isinstance(value, Node):
        return value.kind, [shown(i, depth - 1) for i in value.items]
    if isinstance(value, Inert):
        return value.global_, value.role, shown(value.args, depth - 1), shown(value.state, depth - 1)
    if isinstance(value, torch_tensors.TensorLeaf):
        storage = value.storage.key, value.storage.count, value.offset
        return storage, value.dtype, value.shape, value.strides, value.touched, dict(value.extra)
    return value.key if hasattr(value, "key") else value


BASE = torch.arange(600.0)
MODELS = {
    "state dict": {f"layer.{i}.w": torch.zeros(i % 4 + 1, 3) for i in range(60)},
    "views of one storage": {f"v{i}": BASE[i * 7 : i * 7 + 6].view(2, 3).t() for i in range(60)},
    "axes": {f"a{n}": torch.zeros([2] * n) for n in range(7)},
    "dtypes": {str(d): torch.zeros(300, 2, dtype=d) for d in (torch.int64, torch.bool, torch.bfloat16, torch.uint16)},
    "large": {f"w{i}": torch.zeros(70_000, dtype=torch.uint8) for i in range(3)},
    "the same twice": {"x": [BASE, BASE], "y": (BASE, {"z": BASE})},
    "parameters": {f"p{i}": torch.nn.Parameter(torch.ones(3)) for i in range(5)},
}


@pytest.mark.parametrize("name", MODELS)
def test_same_as_step_by_step(name):
    data, sizes = stream(MODELS[name])
    assert outcome(data, sizes, shortcut=True) == outcome(data, sizes, shortcut=False)


def test_the_shortcut_is_taken():
    data, _sizes = stream(MODELS["state dict"])
    taken = []
    storages = Storages(lambda key: None)
    found = Shortcut(storages)
    machine = Machine(Window(data=data), Limits(), {**plain.handlers(), **torch_tensors.handlers()}, storages,
                      (FUNCTION, lambda *a: taken.append(found(*a)) or taken[-1]))  # fmt: skip
    machine.run()
    assert len(taken) == 59  # all but the first, whose globals are not in the memo yet
    assert None not in taken


DATA, SIZES = stream({f"w{i}": torch.zeros(2, i % 3) for i in range(8)} | {"end": [BASE[:4], BASE[:4]]})


@settings(max_examples=400, deadline=None)
@example([(383, 39)])  # the key and the storage's name are put under one number
@example([(383, 6)])  # the key is put where the device is fetched next
@given(st.lists(st.tuples(st.integers(2, len(DATA) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_same_after_any_damage(changes):
    data = bytearray(DATA)
    for at, value in changes:
        data[at] = value
    assert outcome(bytes(data), SIZES, shortcut=True) == outcome(bytes(data), SIZES, shortcut=False)


OPCODES = [
    *(b"h%c" % n for n in (2, *range(15, 22))),
    b"q\x11",
    b"\x94",
    b"0",
    b"p17\n",
    b"g20\n",
    b"r\x10\0\0\0",
    b"K\x01",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(OPCODES), max_size=6))
def test_values_put_on_the_way_can_be_taken(opcodes):
    """Fetching, replacing and numbering on from what the second tensor put in the memo."""
    second = DATA.index(b"h\x02((") + 1
    after = DATA.index(b"X", DATA.index(b"tq\x14Rq\x15", second))
    data = DATA[:after] + b"".join(opcodes) + DATA[after:]
    assert outcome(data, SIZES, shortcut=True) == outcome(data, SIZES, shortcut=False)
