"""TorchScript to ONNX: what ONNX Runtime makes of the graph is what PyTorch makes of the archive."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelglot.api.converting import convert
from modelglot.core.errors import LimitError, ModelFileError, UnsupportedError
from modelglot.graphs.torchscript import emitter, interpreter
from modelglot.graphs.wishes import Wishes

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")
sys.path.insert(0, str(Path(__file__).parent))

import control_flow as flow  # noqa: E402
import torch_cases as cases  # noqa: E402

sys.path.pop(0)
pytestmark = pytest.mark.filterwarnings("ignore")
MODULES = cases.modules()


def flat(value: Any) -> list[np.ndarray[Any, Any]]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [one for part in value for one in flat(part)]
    return [] if value is None else [np.asarray(value)]


def exported(module: Any, inputs: list[str], folder: Path, **wishes: Any) -> Any:
    """A session of the graph of a scripted or traced module."""
    module.save(folder / "m.pt")
    convert(folder / "m.pt", folder / "m.onnx", wishes=Wishes(tuple(inputs), check=False, **wishes))
    onnx.checker.check_model(str(folder / "m.onnx"), full_check=True)
    return ort.InferenceSession(folder / "m.onnx")


def same(module: Any, arguments: tuple[Any, ...], inputs: list[str], folder: Path) -> Any:
    with torch.no_grad():
        wanted = flat(module(*arguments))
    session = exported(module, inputs, folder)
    names = [i.name for i in session.get_inputs()]
    feed = dict(zip(names, (np.asarray(a) for a in arguments), strict=False))
    found = session.run(None, feed)
    assert len(found) == len(wanted)
    for value, target in zip(found, wanted, strict=True):
        assert (value.shape, value.dtype) == (target.shape, target.dtype)
        np.testing.assert_allclose(value.astype("f8"), target.astype("f8"), rtol=1e-4, atol=1e-4)
    return session


@pytest.mark.parametrize("name", cases.TRACED)
def test_traced_functions(name: str, tmp_path: Path) -> None:
    shape, function = cases.TRACED[name]
    x = cases.r(*shape)
    module = torch.jit.trace(cases.Of(function).eval(), x, check_trace=False)
    same(module, (x,), [f"f32[{','.join(map(str, shape))}]"], tmp_path)


@pytest.mark.parametrize("how", ["traced", "scripted"])
@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str, how: str, tmp_path: Path) -> None:
    module, arguments, inputs = MODULES[name]
    module = module.eval()
    if how == "scripted" and isinstance(module, cases.Of):
        pytest.skip("a function that has no script")
    if how == "scripted" and isinstance(module, torch.nn.RNNBase):
        module = torch.nn.Sequential(module)  # by itself it has several `forward`
    made = torch.jit.trace(module, arguments, check_trace=False) if how == "traced" else torch.jit.script(module)
    names = [a.name for a in made.forward.schema.arguments[1:]]
    texts = [f"{n}={t.partition('=')[2]}" for n, t in zip(names, inputs, strict=False)]
    same(made, arguments, texts, tmp_path)


@pytest.mark.parametrize("name", flow.CASES)
def test_control_flow(name: str, tmp_path: Path) -> None:
    module, inputs, examples = flow.CASES[name]
    made = torch.jit.script(module().eval())
    for arguments in examples:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        same(made, arguments, inputs, folder)


def test_what_is_known_is_no_node(tmp_path: Path) -> None:
    """A number that is given decides; as an input it makes a branch and a loop."""
    made = torch.jit.script(flow.Powers())
    known = exported(made, ["x=f32[n]", "times=3"], tmp_path)
    assert len(known.get_inputs()) == 1
    kinds = [n.op_type for n in onnx.load(tmp_path / "m.onnx").graph.node]
    assert not {"If", "Loop"} & set(kinds)
    assert known.run(None, {"x": np.array([2], "f4")})[0].tolist() == [8]


@pytest.mark.parametrize(("inputs", "step"), [(["x=f32[n]", "step=3"], 3), (["x=f32[7]", "step=i64[]"], 2)])
def test_another_method(inputs: list[str], step: int, tmp_path: Path) -> None:
    torch.jit.script(flow.Several()).save(tmp_path / "m.pt")
    settings = {"torchscript:method": "sums"}
    convert(tmp_path / "m.pt", tmp_path / "m.onnx", settings=settings, wishes=Wishes(tuple(inputs), allow_code=True))
    session = ort.InferenceSession(tmp_path / "m.onnx")
    x = np.arange(7, dtype="f4")
    feed = {"x": x, "step": np.array(step)}
    found = session.run(None, {i.name: feed[i.name] for i in session.get_inputs()})[0]
    assert found.tolist() == [float(x[i : i + step].sum()) for i in range(0, 7, step)]


def test_what_is_a_view_or_a_copy_by_chance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="as memory happens to lie"):
        exported(torch.jit.script(flow.Unsure()), ["x=f32[2,3]"], tmp_path)


def test_state_is_an_input_and_an_output(tmp_path: Path) -> None:
    made = torch.jit.script(flow.Counting())
    session = exported(made, ["x=f32[3]", "total=f32[3]"], tmp_path)
    assert [i.name for i in session.get_inputs()] == ["x", "total"]
    assert [o.name for o in session.get_outputs()] == ["output", "total_next"]
    state = np.zeros(3, "f4")
    for _ in range(3):
        x = np.random.default_rng(1).standard_normal(3).astype("f4")
        wanted = made(torch.from_numpy(x))
        value, state = session.run(None, {"x": x, "total": state})
        np.testing.assert_allclose(value, wanted, rtol=1e-5)


def test_weights_keep_their_names_and_ties(tmp_path: Path) -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(7, 4)
            self.head = torch.nn.Linear(4, 7, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.embed(ids))

    same(torch.jit.script(Tied()), (torch.tensor([[1, 2]]),), ["ids=i64[1,n]"], tmp_path)
    graph = onnx.load(tmp_path / "m.onnx").graph
    assert [i.name for i in graph.initializer] == ["embed.weight"]


def test_several_outputs_have_names(tmp_path: Path) -> None:
    made = torch.jit.script(flow.Named())
    session = exported(made, ["x=f32[2]", "more.0=f32[2]", "more.1=f32[2]"], tmp_path)
    assert [o.name for o in session.get_outputs()] == ["sum_0", "sum_1", "both_0", "both_1"]


def scripted(source: str, folder: Path, name: str = "m.pt") -> Path:
    """An archive whose code is replaced: what nobody's PyTorch would write."""
    torch.jit.script(flow.Plain()).save(folder / "plain.pt")
    with zipfile.ZipFile(folder / "plain.pt") as old, zipfile.ZipFile(folder / name, "w") as new:
        for member in old.namelist():
            data = source.encode() if member.endswith(".py") else old.read(member)
            new.writestr(member, data)
    return folder / name


HEAD = "class Plain(Module):\n  training : bool\n"
FORWARD = "  def forward(self: __torch__.Plain,\n    x: Tensor) -> Tensor:\n"
LOOPS = "".join("  " * (n + 2) + f"for i{n} in range(999):\n" for n in range(9)) + " " * 22 + "y = 1\n"
HOSTILE: dict[str, tuple[str, type[ModelFileError] | None]] = {
    "recursion": ("    return (self).forward(x, )\n", LimitError),
    "a loop without end": ("    while True:\n      y = 1\n    return x\n", LimitError),
    "a long loop": ("    for i in range(99999999999):\n      x = torch.add(x, 1)\n    return x\n", LimitError),
    "loops in loops": (LOOPS, LimitError),
    "a long list": ("    y = torch.mul([0], 99999999999)\n    return x\n", LimitError),
    "a large number": ("    y = torch.pow(10, 99999999)\n    return x\n", UnsupportedError),
    "a large shift": ("    y = torch.__lshift__(1, 99999999999)\n    return x\n", UnsupportedError),
    "deep expressions": ("    return " + "(" * 250 + "x" + ")" * 250 + "\n", ModelFileError),
    "deep calls": ("    return " + "torch.neg(" * 4000 + "x" + ")" * 4000 + "\n", ModelFileError),
    "an import": ("    import os\n    return x\n", UnsupportedError),
    "a builtin": ("    y = open(\"/etc/passwd\")\n    return x\n", UnsupportedError),
    "an attribute of ours": ("    y = x.__class__\n    return x\n", UnsupportedError),
    "a huge tensor": ("    return torch.add(x, torch.sum(torch.arange(99999999999)))\n", None),
    "a huge constant": ("    return torch.add(x, torch.linspace(0., 1., 99999999999))\n", LimitError),
    "many parts": ("    y = torch.split(torch.zeros([99999999999]), 1)\n    return x\n", LimitError),
    "a huge norm": ("    return torch.layer_norm(torch.zeros([99999, 99999]), [99999, 99999])\n", LimitError),
    "a size of 100 bits": ("    return torch.zeros([torch.mul(9223372036854775807, 3)])\n", UnsupportedError),
    "not code": ("    return return\n", ModelFileError),
    "no such function": ("    return __torch__.other.f(x)\n", UnsupportedError),
}  # fmt: skip


@pytest.mark.parametrize("story", HOSTILE)
def test_hostile_code_ends(story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emitter, "_MOST_NODES", 2000)
    monkeypatch.setattr(interpreter, "_MOST_STEPS", 200_000)
    body, error = HOSTILE[story]
    path = scripted(HEAD + FORWARD + body, tmp_path)
    if error is None:  # the graph may ask for it, we do not make it
        convert(path, tmp_path / "m.onnx", wishes=Wishes(("x=f32[1]",), check=False))
        assert (tmp_path / "m.onnx").stat().st_size < 10_000
        return
    with pytest.raises(error):
        convert(path, tmp_path / "m.onnx", wishes=Wishes(("x=f32[1]",)))
    assert not (tmp_path / "m.onnx").exists()


def test_an_unknown_operator_is_named_with_its_place(tmp_path: Path) -> None:
    path = scripted(HEAD + FORWARD + "    y = torch.mystery(x)\n    return torch.mystery(torch.other(y))\n", tmp_path)
    with pytest.raises(UnsupportedError, match=r"`mystery` \(2x in the code\)") as caught:
        convert(path, tmp_path / "m.onnx", wishes=Wishes(("x=f32[1]",)))
    assert caught.value.member == "__torch__/control_flow.py:5"
    assert "`other` (1x)" in str(caught.value)


REFUSED: dict[str, tuple[list[str], str]] = {
    "nothing": ([], "the types and sizes of inputs are not in the file: x: Tensor"),
    "a name that is not there": (["x=f32[1]", "y=f32[1]"], "neither an input nor an attribute `y`"),
    "no type": (["x=float[1]"], "is no dtype of ONNX"),
    "no size": (["x=f32[-1]"], "is no size"),
    "twice": (["x=f32[1]", "x=f32[2]"], "given twice"),
    "no form": (["x=?"], "is no input"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_inputs_that_are_wrong(case: str, tmp_path: Path) -> None:
    inputs, text = REFUSED[case]
    torch.jit.script(flow.Plain()).save(tmp_path / "m.pt")
    with pytest.raises(UnsupportedError, match=text):
        convert(tmp_path / "m.pt", tmp_path / "m.onnx", wishes=Wishes(tuple(inputs)))


@pytest.mark.parametrize("module", [torch.nn.Conv1d(3, 2, 1), torch.nn.LSTM(3, 2), torch.nn.Linear(3, 2)])
def test_a_size_that_does_not_fit(module: Any, tmp_path: Path) -> None:
    made = torch.jit.trace(module, torch.randn(2, 3, 3), check_trace=False)
    with pytest.raises(UnsupportedError):
        exported(made, ["f32[2,4,4]"], tmp_path)


def test_a_module_in_training_mode_is_refused(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Sequential(torch.nn.Dropout())).save(tmp_path / "m.pt")
    with pytest.raises(UnsupportedError, match="training mode"):
        convert(tmp_path / "m.pt", tmp_path / "m.onnx", wishes=Wishes(("input=f32[2]",)))


def test_tensors_alone_are_still_to_be_had(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "m.pt")
    convert(tmp_path / "m.pt", tmp_path / "m.onnx", plain=True)
    with pytest.raises(UnsupportedError, match="--dtype"):
        convert(tmp_path / "m.pt", tmp_path / "n.onnx", dtype=["f16"], wishes=Wishes(("input=f32[2,2]",)))


def run(check: Callable[..., Any], *arguments: Any) -> str:
    result = check(*arguments)
    return result.stdout + result.stderr


def test_the_source_is_run_only_where_that_is_allowed(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from modelglot.cli.main import cli

    torch.jit.script(torch.nn.Linear(3, 2)).save(tmp_path / "m.pt")
    command = ["convert", str(tmp_path / "m.pt"), str(tmp_path / "m.onnx"), "--input", "f32[n,3]", "--force"]
    said = CliRunner().invoke(cli, command)
    assert "not checked: PyTorch would run the code of the file" in said.output + said.stderr, said.output
    said = CliRunner().invoke(cli, [*command, "--allow-code"])
    assert "checked: 1 output of PyTorch and ONNX Runtime" in said.output + said.stderr, said.output
