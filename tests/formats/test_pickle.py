"""Bare pickles: arrays are tensors, everything else is named for what it is."""

import gzip
import pickle

import pytest

from modelglot.core.errors import InvalidFileError, UnsupportedError
from modelglot.core.limits import Limits
from modelglot.formats import registry
from modelglot.formats.pickle import FORMAT
from modelglot.sources.file import FileProbe, LocalFiles
from modelglot.testing.by_hand import tensor_bytes
from modelglot.testing.conformance import ReaderConformance

np = pytest.importorskip("numpy")
STATE = {"w": np.arange(3000, dtype="<f4").reshape(30, 100), "b": np.arange(3, dtype=">i2"), "StructuredToName@@": {}}


class TestConformance(ReaderConformance):
    format = "pickle"

    def make(self, folder):
        path = folder / "sample.pdparams"
        path.write_bytes(pickle.dumps(STATE, 4))
        return path


def read(path, data):
    path.write_bytes(data)
    return FORMAT.read(LocalFiles(str(path)), Limits())


@pytest.mark.parametrize("protocol", range(6))
def test_a_dict_of_arrays_in_every_protocol(tmp_path, protocol):
    model = read(tmp_path / "x.pdparams", pickle.dumps(STATE, protocol))
    assert registry.detect(FileProbe(str(tmp_path / "x.pdparams")))[0] is FORMAT
    assert list(model.tensors) == ["w", "b"]
    assert tensor_bytes(model, "w") == STATE["w"].tobytes()
    assert tensor_bytes(model, "b") == STATE["b"].astype("<i2").tobytes()


def test_what_is_no_model_is_named(tmp_path):
    raw = b"\x80\x02ctransformers.training_args\nTrainingArguments\n)\x81}X\x02\0\0\0lrG?\xf0\0\0\0\0\0\0sb."
    model = read(tmp_path / "training_args.bin", raw)
    assert registry.detect(FileProbe(str(tmp_path / "training_args.bin")))[0] is FORMAT
    assert not model.tensors
    assert model.notes[0].code == "no-tensors"
    assert "training arguments" in model.notes[0].text
    assert "transformers.training_args.TrainingArguments" in model.notes[0].text
    assert model.tree.attributes().get("lr") == 1.0


def test_compressed_joblib_files_are_named(tmp_path):
    path = tmp_path / "x.joblib"
    path.write_bytes(gzip.compress(pickle.dumps({})))
    assert registry.detect(FileProbe(str(path)))[0] is FORMAT
    with pytest.raises(UnsupportedError, match="gzip"):
        FORMAT.read(LocalFiles(str(path)), Limits())


def test_what_only_looks_like_a_pickle(tmp_path):
    with pytest.raises(InvalidFileError) as caught:
        read(tmp_path / "x.pkl", b"\x80\x04\xff\xff\xff\xff")
    assert caught.value.path.endswith("x.pkl")
    assert caught.value.offset == 2


def test_hazards_are_listed(tmp_path):
    read(tmp_path / "x.pkl", b"\x80\x02cbuiltins\neval\n(X\x01\0\0\0xtRcsome.where\nThing\n\x86.")
    found = list(FORMAT.hazards(LocalFiles(str(tmp_path / "x.pkl")), Limits()))
    assert [(f.severity, f.offset) for f in found] == [("unsafe", 2), ("unknown", 26)]
