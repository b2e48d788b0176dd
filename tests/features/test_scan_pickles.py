"""The scanner's reading of pickles against CPython's own machines, and files that real programs write."""

import collections
import gzip
import io
import json
import pickle
import random
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from modelglot.api.scanning import scan
from modelglot.containers.pickle.allowlist import folded
from modelglot.containers.pickle.harmful import is_harmful
from modelglot.containers.pickle.window import Window
from modelglot.core.limits import Limits
from modelglot.features.scan import lz4
from modelglot.features.scan.structures import classes, functions
from modelglot.features.scan.trace import plausible, trace

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "hostile" / "scan"))
import pickle_containers as containers  # noqa: E402
import pickle_corpus as corpus  # noqa: E402
import pickle_shapes as shapes  # noqa: E402


def asked(streams):
    """What CPython's machines ask for, a list a stream."""
    fed = b"".join(struct.pack("<I", len(s)) + s for s in streams)
    ran = subprocess.run(
        [sys.executable, str(HERE / "cpython_machines.py")], input=fed, capture_output=True, check=True
    )
    return json.loads(ran.stdout)


def traced(stream):
    return {folded(use.name) for use in trace(Window(data=stream), Limits()).uses}


def scanned(tmp_path, data, name="x.bin"):
    (tmp_path / name).write_bytes(data)
    return scan(tmp_path / name).files[0]


def test_every_global_that_cpython_asks_for_was_traced():
    streams = [
        make(m, n, a)
        for name, make in shapes.SHAPES.items()
        for m, n, a in corpus.TARGETS
        if name != "after a memo bomb"
    ]
    missed, ran = [], 0
    for stream, names in zip(streams, asked(streams), strict=True):
        ran += bool(names)
        missed += [(stream[:80], name) for name in names if folded(name) not in traced(stream)]
    assert not missed
    assert ran > 0.95 * len(streams)  # nearly every shape is one that a real machine follows


def test_every_global_of_changed_streams_too():
    chance = random.Random(11)
    base = [make("os", "system", "id") for name, make in shapes.SHAPES.items() if name != "after a memo bomb"]
    base += [pickle.dumps(v, p) for v in corpus.VALUES for p in range(6)]
    base = [s for s in base if len(s) < 4000]
    streams = []
    for _ in range(12_000):
        data = bytearray(chance.choice(base))
        for _ in range(chance.choice((1, 1, 2, 4))):
            at, other = chance.randrange(len(data) or 1), chance.choice(base)
            how = chance.random()
            if how < 0.4 and data:
                data[at] = chance.randrange(256)
            elif how < 0.6:
                data[at:at] = chance.choice(
                    (b"(", b"0", b"2", b".", b"t", b"R", b"\x95\1\0\0\0\0\0\0\0", b"\x80\4", b"q\0", b"h\0")
                )
            elif how < 0.8:
                del data[at : at + chance.randrange(1, 4)]
            else:
                data[at:at] = other[: chance.randrange(len(other))]
        streams.append(bytes(data))
    missed, ran = [], 0
    for stream, names in zip(streams, asked(streams), strict=True):
        ran += bool(names)
        if names:
            found = traced(stream)
            missed += [(stream, name) for name in names if folded(name) not in found and plausible(name)]
    assert not missed, (len(missed), missed[:5])
    assert ran > 3000


@pytest.mark.parametrize("size", [0, 1, 20, 300, 70_000])
def test_lz4_literals(size):
    data = random.Random(size).randbytes(size)
    assert b"".join(lz4.frames(Window(data=containers.lz4(data)))) == data


def test_lz4_against_its_own_library():
    frame = pytest.importorskip("lz4.frame")
    chance = random.Random(3)
    for size in (10, 5000, 300_000, 9_000_000):
        data = bytes(chance.choices(range(4), k=min(size, 50_000))) * (size // 50_000 + 1)
        for options in (
            {},
            {"block_linked": False},
            {"content_checksum": True, "block_checksum": True},
            {"store_size": False},
        ):
            assert b"".join(lz4.frames(Window(data=frame.compress(data, **options)))) == data


def test_lists_of_names():
    assert not [name for name in classes() | functions() if is_harmful(folded(name))]
    assert all(all(part.isidentifier() for part in name.split(".")) for name in classes() | functions())
    opened = [
        n
        for n in functions()
        if any(w in n.rsplit(".", 1)[-1].lower() for w in ("load", "open", "read", "file", "exec"))
    ]
    assert not opened


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_of_every_protocol(tmp_path, protocol):
    value = collections.OrderedDict(a=np.ones((3, 2)), b=np.float32(1), c=np.array([1, "x"], object), d={1: (2, 3)})
    assert scanned(tmp_path, pickle.dumps(value, protocol)).verdict == "safe"


@pytest.mark.parametrize("compress", [False, True])
def test_arrays_that_numpy_writes(tmp_path, compress):
    out = io.BytesIO()
    save = np.savez_compressed if compress else np.savez
    save(out, a=np.ones(3), b=np.array([{"x": 1}, None], object), c=np.zeros(2, [("x", "O"), ("y", "f4")]))
    assert scanned(tmp_path, out.getvalue(), "x.npz").verdict == "safe"


def test_random_states(tmp_path):
    for protocol in (2, 4):
        state = {"old": np.random.RandomState(1), "new": np.random.default_rng(2), "legacy": np.random.get_state()}
        assert scanned(tmp_path, pickle.dumps(state, protocol)).verdict == "safe"


class TestTorch:
    torch = pytest.importorskip("torch")

    def saved(self, tmp_path, value, **more):
        self.torch.save(value, tmp_path / "x.pt", **more)
        return scan(tmp_path / "x.pt").files[0]

    @pytest.mark.parametrize("new", [True, False])
    def test_modules_and_checkpoints(self, tmp_path, new):
        nn, optim = self.torch.nn, self.torch.optim
        module = nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.LSTM(2, 2), nn.MultiheadAttention(4, 2)
        )
        module.add_module("t", nn.TransformerEncoderLayer(4, 2))
        optimizer = optim.AdamW(module.parameters())
        scheduler = optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=5)
        kept = {"m": module, "s": module.state_dict(), "o": optimizer.state_dict(), "l": scheduler.state_dict(), "e": 3}
        found = self.saved(tmp_path, kept, _use_new_zipfile_serialization=new)
        assert found.verdict == "safe", found.findings
        assert not found.incomplete

    def test_kinds_of_tensors(self, tmp_path):
        t = self.torch
        kept = [
            t.eye(2).to_sparse(), t.eye(2).to_sparse_csr(), t.quantize_per_tensor(t.ones(2), 0.1, 0, t.qint8),
            t.ones(2).bfloat16(), t.ones(2, device="meta"), t.nn.Parameter(t.ones(1)), t.ones(2).untyped_storage(),
            t.Size([1]), t.float16, t.device("cpu"), t.strided,
        ]  # fmt: skip
        assert self.saved(tmp_path, kept).verdict == "safe"

    def test_torchscript(self, tmp_path):
        self.torch.jit.save(self.torch.jit.script(self.torch.nn.Linear(2, 2)), tmp_path / "x.pt")
        assert scan(tmp_path / "x.pt").verdict == "safe"

    def test_what_unpickling_accepts_of_a_zip_is_read(self, tmp_path):
        """Each container trick that torch.load takes (of a harmless twin) shows its pickle to the scanner."""
        loaded = 0
        for name, make in containers.CONTAINERS.items():
            twin = make(b"\x80\x02ccollections\nOrderedDict\n)R.")
            (tmp_path / "x.bin").write_bytes(twin)
            try:
                self.torch.load(tmp_path / "x.bin", weights_only=True)
            except Exception:
                continue
            loaded += 1
            found = scanned(tmp_path, make(shapes.call("os", "system", "id")))
            assert any("os.system" in f.what for f in found.findings), name
        assert loaded > 15

    def test_code_of_torch_fx_is_read(self, tmp_path):
        module = self.torch.fx.symbolic_trace(
            self.torch.nn.Sequential(self.torch.nn.Linear(2, 2), self.torch.nn.ReLU())
        )
        assert self.saved(tmp_path, module).verdict == "unknown"


class TestRoles:
    def verdict(self, tmp_path, stream, **more):
        (tmp_path / "x.pkl").write_bytes(stream)
        return scan(tmp_path / "x.pkl", **more).verdict

    def test_a_structure_may_be_made_but_not_called(self, tmp_path):
        made = b"\x80\x02" + shapes.named("ultralytics.nn.tasks", "DetectionModel") + b")\x81."
        assert self.verdict(tmp_path, made) == "safe"
        called = shapes.call("ultralytics.nn.tasks", "DetectionModel", "https://x/y.yaml")
        assert self.verdict(tmp_path, called) == "unknown"

    def test_a_person_vouches_for_a_role(self, tmp_path):
        stream = shapes.call("mine", "make", "x")
        assert self.verdict(tmp_path, stream) == "unknown"
        assert self.verdict(tmp_path, stream, allow=["mine.make"]) == "unknown"
        assert self.verdict(tmp_path, stream, allow=["mine.make=called"]) == "safe"

    def test_getattr_is_what_it_reaches(self, tmp_path):
        def getting(name):
            return shapes.named("builtins", "getattr") + shapes.named("torch", "Tensor") + shapes.text(name) + b"\x86R."

        assert self.verdict(tmp_path, getting("add")) == "unknown"
        assert self.verdict(tmp_path, getting("__class__")) == "unsafe"

    def test_old_names_are_folded(self, tmp_path):
        assert self.verdict(tmp_path, b"\x80\x02c__builtin__\nset\n]\x85R.") == "safe"
        assert self.verdict(tmp_path, b"c__builtin__\nexecfile\n)R.") == "unsafe"
        assert self.verdict(tmp_path, b"ccommands\ngetoutput\n)R.") == "unsafe"


class TestReadingOn:
    def test_members_that_no_directory_names(self, tmp_path):
        data = containers.torch_zip(shapes.call("os", "system", "id"))
        found = scanned(tmp_path, data[: data.index(b"PK\1\2")])
        assert (found.verdict, found.incomplete) == ("unsafe", True)

    def test_nothing_lowers_an_earlier_suspicion(self, tmp_path):
        harm = shapes.call("os", "system", "id")
        for broken in (harm[:-1], harm[:-1] + b"\xff", b"\x80\x02N." + harm[:-1] + b"h\x99"):
            assert scanned(tmp_path, broken, "x.pkl").verdict == "unsafe"

    def test_records_of_tensors_are_not_read(self, tmp_path):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as made:
            made.writestr("a/data.pkl", containers.SAFE)
            made.writestr("a/data/0", b"\x80\x02cos\nsystem\n)R.")
        assert scanned(tmp_path, out.getvalue()).verdict == "safe"

    def test_the_same_under_every_suffix(self, tmp_path):
        for data in (shapes.call("os", "system", "id"), gzip.compress(pickle.dumps([1, 2]))):
            verdicts = {
                scanned(tmp_path, data, f"x{s}").verdict for s in ("", ".pt", ".json", ".txt", ".png", ".onnx", ".npy")
            }
            assert len(verdicts) == 1

    def test_a_bomb_ends_in_a_limit(self, tmp_path):
        laughs = b"]q\0" + b"".join(b"(" + bytes([0x68, i]) * 10 + b"lq" + bytes([i + 1]) for i in range(200)) + b"."
        assert scanned(tmp_path, laughs, "x.pkl").verdict == "safe"
        assert scanned(tmp_path, b"(" * 2_000_000 + b".", "y.pkl").incomplete
