"""TensorFlow checkpoints without TensorFlow: conformance, which files a path means, what is left out."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import modelglot as mg
from modelglot.api.reading import read_model
from modelglot.containers import sstable
from modelglot.containers.snappy import decode
from modelglot.containers.tensorflow.entry import entry_bytes, header_bytes
from modelglot.containers.tensorflow.slices import slice_key
from modelglot.core.errors import CannotOpenError, DamagedFileError, InvalidFileError, LossError, UnsupportedError
from modelglot.core.limits import Limits
from modelglot.core.tensor import Missing
from modelglot.sources.checksums import checksum, crc32c, masked, unmasked
from modelglot.testing.conformance import FormatConformance

STATE = {"dense/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "dense/bias": np.ones(3, np.float32)}


class TestConformance(FormatConformance):
    format = "tf-checkpoint"
    beside = ("sample.data-00000-of-00001",)

    def test_the_data_cut_or_changed_is_an_error_that_names_the_tensor(self, sample: Path) -> None:
        data = sample.parent / self.beside[0]
        whole = data.read_bytes()
        data.write_bytes(whole[:-1])
        with pytest.raises(DamagedFileError) as caught:
            read_model(str(sample))
        assert caught.value.path == str(data)
        assert caught.value.tensor
        data.write_bytes(bytes((whole[0] ^ 1,)) + whole[1:])
        with pytest.raises(DamagedFileError, match="checksum") as caught:
            mg.load(sample)
        assert caught.value.tensor


def written(folder: Path, **choices: object) -> Path:
    mg.save(STATE, folder / "in.safetensors")
    mg.convert(folder / "in.safetensors", folder / "out", to="tf-checkpoint", **choices)
    return folder / "out"


def test_every_file_and_the_prefix_mean_the_checkpoint(tmp_path: Path) -> None:
    out = written(tmp_path)
    names = ["", "model", "model.index", "model.data-00000-of-00001", "checkpoint"]
    assert sorted(p.name for p in out.iterdir()) == sorted(names[2:])
    for name in names:
        assert mg.diff(out / name, tmp_path / "in.safetensors").same, name
        assert mg.inspect(out / name).model.format == "tf-checkpoint"
    with pytest.raises(CannotOpenError):
        mg.open(out / "mode")


def test_an_empty_prefix_and_a_state_file_from_elsewhere(tmp_path: Path) -> None:
    out = written(tmp_path)
    for path in list(out.glob("model*")):
        path.rename(out / path.name.removeprefix("model"))
    (out / "checkpoint").write_text('model_checkpoint_path: "/home/me/run/"\n')
    assert mg.diff(out, tmp_path / "in.safetensors").same
    assert not mg.inspect(out).notes
    (out / "checkpoint").write_text('model_checkpoint_path: "C:\\\\run\\\\model-9"\n')
    assert mg.diff(out, tmp_path / "in.safetensors").same
    assert [n.code for n in mg.inspect(out).notes] == ["dead-checkpoint-path"]


def test_a_folder_with_two_needs_a_word(tmp_path: Path) -> None:
    out = written(tmp_path)
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copy(out / f"model{suffix}", out / f"other{suffix}")
    assert mg.diff(out, out / "other").same  # the state file says which
    (out / "checkpoint").unlink()
    with pytest.raises(InvalidFileError, match="2 TensorFlow checkpoints"):
        mg.open(out, format="tf-checkpoint")


def test_shards(tmp_path: Path) -> None:
    out = written(tmp_path, max_shard_size="20")
    assert len(list(out.glob("model.data-0000?-of-00002"))) == 2
    assert mg.diff(out, tmp_path / "in.safetensors").same
    (out / "model.data-00000-of-00002").unlink()
    model = read_model(str(out))
    assert [isinstance(t.data, Missing) for t in model.tensors.values()] == [True, False]
    assert [n.code for n in model.notes] == ["missing-shard"]
    with pytest.raises(LossError, match="is missing"):
        mg.convert(out, tmp_path / "x.safetensors")


def test_object_based(tmp_path: Path) -> None:
    out = written(tmp_path, settings={"tf:kind": "object"})
    report = mg.inspect(out)
    assert report.model.dialect == "object-based"
    assert sorted(report.model.tensors) == ["dense/bias", "dense/kernel", "save_counter"]
    assert report.model.tensors["dense/bias"].extra["tf:key"] == "dense/bias/.ATTRIBUTES/VARIABLE_VALUE"
    assert [p.path for p in report.parts] == ["model", "counters"]
    assert mg.diff(out, tmp_path / "in.safetensors").same
    with pytest.raises(UnsupportedError, match="`tf:kind` is `both`"):
        written(tmp_path / "again", settings={"tf:kind": "both"})


def test_names_with_dots_are_one_attribute(tmp_path: Path) -> None:
    mg.save({"layers.0.weight": np.ones(2)}, tmp_path / "a.safetensors")
    mg.convert(tmp_path / "a.safetensors", tmp_path / "b", to="tf-checkpoint", settings={"tf:kind": "object"})
    tensor = read_model(str(tmp_path / "b")).tensors["layers.0.weight"]
    assert tensor.extra["tf:key"] == "layers..0..weight/.ATTRIBUTES/VARIABLE_VALUE"


def test_what_has_no_place_is_a_loss(tmp_path: Path) -> None:
    mg.save({"\0x": np.ones(2), "ok": np.ones(3)}, tmp_path / "a.safetensors", metadata={"author": "me"})
    with pytest.raises(LossError):
        mg.convert(tmp_path / "a.safetensors", tmp_path / "b", to="tf-checkpoint")
    mg.convert(tmp_path / "a.safetensors", tmp_path / "b", to="tf-checkpoint", allow_loss=["name", "metadata"])
    assert list(mg.load(tmp_path / "b")) == ["ok"]


def test_slots_of_an_optimizer_are_not_the_model(tmp_path: Path) -> None:
    slots = {f"dense/kernel/{n}": STATE["dense/kernel"] for n in ("Adam", "Adam_1")}
    others = {"beta1_power": np.float32(1), "tower/Adam": np.ones(3), "global_step": np.int64(5)}
    mg.save({**STATE, **slots, **others}, tmp_path / "a.index", to="tf-checkpoint")
    assert [(p.role, p.tensors) for p in mg.inspect(tmp_path / "a").parts] == [("model", 4), ("optimizer", 3)]
    receipt = mg.convert(tmp_path / "a", tmp_path / "b.pth")
    assert sorted(receipt.digests) == ["dense/bias", "dense/kernel", "global_step", "tower/Adam"]
    assert [loss.kind for loss in receipt.plan.losses] == ["component"]
    assert len(mg.convert(tmp_path / "a", tmp_path / "c.pth", component="optimizer").digests) == 3


@pytest.mark.parametrize("count", [1, 17, 5_000])
def test_tables_give_back_what_they_were_made_of(tmp_path: Path, count: int) -> None:
    items = sorted((b"key/%d/\xff\0" % i, bytes([i % 256]) * (i % 300)) for i in range(count))
    table = sstable.build(items)
    assert all(table.data[at : at + len(v)] == v for at, (_, v) in zip(table.values, items, strict=True))
    made = bytearray(table.data)
    from modelglot.sources.file import FileSource

    for fixup in table.fixups:
        value = checksum(fixup.kind, [bytes(made[fixup.offset : fixup.offset + fixup.length])])
        made[fixup.targets[0] : fixup.targets[0] + 4] = value
    (tmp_path / "t").write_bytes(made)
    with FileSource(str(tmp_path / "t")) as source:
        assert list(sstable.entries(source, Limits())) == items


def test_masks() -> None:
    assert [unmasked(masked(v)) for v in (0, 1, 0xFFFFFFFF, 0xDEADBEEF)] == [0, 1, 0xFFFFFFFF, 0xDEADBEEF]


# Written down from TensorFlow's own index of a partitioned variable.
def test_the_key_of_a_slice() -> None:
    assert slice_key("part", ((0, 4), (0, -1))).hex() == "00" + b"part".hex() + "0001" + "0102" + "8084" + "807f"


def made(folder: Path, *entries: tuple[str, int, tuple[int, ...]]) -> Path:
    """Tensors of any of TensorFlow's types, one byte after another in the data."""
    data, items = bytes(range(200)), [(b"", header_bytes(1))]
    at = 0
    for name, number, shape in sorted(entries):
        size = int(np.prod(shape)) * {12: 1, 13: 4, 29: 1, 20: 1, 99: 1, 101: 4}[number]
        crc = masked(crc32c(data[at : at + size]))
        items.append((name.encode(), entry_bytes(number, shape, 0, at, size, crc)))
        at += size
    table = sstable.build(items)
    index = bytearray(table.data)
    for fixup in table.fixups:
        value = checksum(fixup.kind, [bytes(index[fixup.offset : fixup.offset + fixup.length])])
        index[fixup.targets[0] : fixup.targets[0] + 4] = value
    (folder / "m.index").write_bytes(index)
    (folder / "m.data-00000-of-00001").write_bytes(data)
    return folder / "m"


def test_types_without_a_like(tmp_path: Path) -> None:
    """Quantized integers are integers that remember it; what has no numbers here is carried as bytes."""
    kinds = {"q8": 12, "q32": 13, "int4": 29, "handle": 20, "new": 99, "reference": 101}
    path = made(tmp_path, *((name, number, (3,)) for name, number in kinds.items()))
    types = {n: t.type_name for n, t in read_model(str(path)).tensors.items()}
    assert types == {
        "q8": "u8",
        "q32": "i32",
        "int4": "int4",
        "handle": "resource",
        "new": "type 99",
        "reference": "f32",
    }
    again = mg.convert(path, f"{tmp_path}/out/")
    assert again.verified
    before, after = read_model(str(path)).tensors, read_model(f"{tmp_path}/out").tensors
    assert {n: t.extra.get("tf:dtype") for n, t in after.items()} == {
        n: t.extra.get("tf:dtype") for n, t in before.items()
    }
    receipt = mg.convert(path, tmp_path / "a.safetensors", allow_loss=["dtype"])
    assert sorted(receipt.digests) == ["q32", "q8", "reference"]


SNAPPY = {  # by hand, from the description of the format
    "a literal": (b"\x03\x08abc", b"abc"),
    "a copy that overlaps": (b"\x09\x04ab\x0d\x02\x00a"[:6] + b"\x00a", None),
    "a short copy": (b"\x06\x04ab\x01\x02", b"ababab"),
    "a copy with two bytes of offset": (b"\x05\x04ab\x0a\x02\x00", b"ababa"),
    "a literal of 61 bytes": (b"\x3d\xf0\x3c" + bytes(61), bytes(61)),
    "nothing": (b"\x00", b""),
}


@pytest.mark.parametrize("story", [s for s, (_, wanted) in SNAPPY.items() if wanted is not None])
def test_snappy(story: str) -> None:
    raw, wanted = SNAPPY[story]
    assert decode(raw, Limits()) == wanted
    for cut in range(len(raw)):
        with pytest.raises(DamagedFileError):
            decode(raw[:cut], Limits())
