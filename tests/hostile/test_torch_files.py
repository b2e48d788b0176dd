"""PyTorch files made to do harm or to exhaust: raw bytes, never unpickled; nothing runs, nothing is allocated."""

import io
import os
import random
import sys
import time
import tracemalloc
import zipfile

import pytest

from modelglot.core.errors import LimitError, ModelFileError
from modelglot.core.limits import Limits
from modelglot.formats import registry
from modelglot.formats.torch_zip import FORMAT
from modelglot.sources.file import FileProbe, LocalFiles

STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0%bX\x03\0\0\0cpu%btQ"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\0%b%b\x89NtR"
ONE = TENSOR % (b"0", b"K\x04", b"K\x04\x85", b"K\x01\x85")
HUGE = b"\x8a\x08" + b"\xff" * 7 + b"\x7f"


def archive(pickle, storages=None, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        made.writestr("archive/data.pkl", pickle)
        for key, data in (storages or {"0": bytes(16)}).items():
            made.writestr(f"archive/data/{key}", data)
        made.writestr("archive/version", b"3\n")
    return out.getvalue()


def read(path, data):
    path.write_bytes(data)
    form, _ = registry.detect(FileProbe(str(path)))
    return form.read(LocalFiles(str(path)), Limits())


WHOLE = archive(b"\x80\x02}X\x01\0\0\0w" + ONE + b"s.")


def test_truncation_at_every_point(tmp_path):
    path = tmp_path / "x.pt"
    for length in range(40, len(WHOLE)):
        with pytest.raises(ModelFileError) as caught:
            read(path, WHOLE[:length])
        assert caught.value.path


def test_flipped_bytes(tmp_path):
    path, chance = tmp_path / "x.pt", random.Random(5)
    for _ in range(400):
        at = chance.randrange(len(WHOLE))
        data = WHOLE[:at] + bytes([WHOLE[at] ^ (1 << chance.randrange(8))]) + WHOLE[at + 1 :]
        try:
            model = read(path, data)
        except ModelFileError:
            continue
        assert all(e.offset + e.length <= len(data) for t in model.tensors.values() for e in t.data.extents)


STORIES = {
    "dims whose product overflows": TENSOR % (b"0", b"K\x04", b"(" + HUGE * 5 + b"t", b"(" + HUGE * 5 + b"t"),
    "a storage of 2^63 elements": TENSOR % (b"0", HUGE, b"K\x04\x85", b"K\x01\x85"),
    "a negative size": TENSOR % (b"0", b"K\x04", b"J\xff\xff\xff\xff\x85", b"K\x01\x85"),
    "items set on a tensor": ONE + b"K\x01K\x02s",
    "huge operand": b"B\xff\xff\xff\xff",
    "a memo nobody filled": b"j\xff\xff\xff\xff",
}


@pytest.mark.parametrize("story", STORIES)
def test_stories(tmp_path, story):
    data = archive(b"\x80\x02}X\x01\0\0\0w" + STORIES[story] + b"s.")
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError) as caught:
            read(tmp_path / "x.pt", data)
        assert caught.value.path
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_nothing_is_imported_or_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    payload = b"cos\nsystem\n(X\x0d\0\0\0touch escapedtR0cantigravity\nfly\n0"
    data = archive(b"\x80\x02" + payload + b"}X\x01\0\0\0w" + ONE + b"s.")
    happened = []
    active = [True]

    def hook(event, args):
        if active[0] and event in ("os.system", "subprocess.Popen", "exec", "socket.connect"):
            happened.append((event, args))
        if active[0] and event == "import" and args[0] in ("antigravity", "torch"):
            happened.append((event, args))

    FORMAT.read(LocalFiles(str(_saved(tmp_path / "warm.pt", WHOLE))), Limits())
    sys.addaudithook(hook)
    try:
        model = read(tmp_path / "x.pt", data)
        findings = list(FORMAT.hazards(LocalFiles(str(tmp_path / "x.pt")), Limits()))
    finally:
        active[0] = False
    assert list(model.tensors) == ["w"]
    assert not [h for h in happened if h[0] != "exec"]
    assert "escaped" not in os.listdir(tmp_path)
    assert {f.severity for f in findings} == {"unsafe"}


def _saved(path, data):
    path.write_bytes(data)
    return path


def test_bombs(tmp_path):
    with pytest.raises(LimitError):
        read(tmp_path / "x.pt", archive(b"\x80\x02" + b"N0" * (20 << 20) + b"N.", method=zipfile.ZIP_DEFLATED))
    laughs = b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(200)) + b"."
    start = time.perf_counter()
    assert not read(tmp_path / "x.pt", archive(b"\x80\x02]q\0" + laughs)).tensors
    model = read(tmp_path / "x.pt", archive(b"\x80\x02](" + ONE + b"eq\0" + laughs))
    assert "shared-values" in [n.code for n in model.notes]
    assert time.perf_counter() - start < 60


def test_many_nested_marks(tmp_path):
    assert not read(tmp_path / "x.pt", archive(b"\x80\x02" + b"(" * 300_000 + b"t" * 300_000 + b".")).tensors


def test_a_broken_stream_keeps_its_findings(tmp_path):
    (tmp_path / "x.pkl").write_bytes(b"\x80\x02cos\nsystem\nX\x01\0\0\0x\x85R\xff\xff")
    found = list(registry.get("pickle").hazards(LocalFiles(str(tmp_path / "x.pkl")), Limits()))
    assert [f.rule for f in found] == ["pickle-global", "incomplete"]
