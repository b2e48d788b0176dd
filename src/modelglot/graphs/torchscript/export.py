"""A TorchScript archive as an ONNX graph around its own tensors. Nothing of the archive is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelglot.core.errors import LimitError, UnsupportedError, located, printable
from modelglot.core.format import FileSet
from modelglot.core.limits import Limits
from modelglot.core.model import FileRef
from modelglot.core.notes import Note
from modelglot.core.tensor import EMPTY, Stored, Tensor
from modelglot.formats.onnx.frame import Frame
from modelglot.formats.onnx.types import NUMBERS
from modelglot.graphs.frames import frame_of
from modelglot.graphs.inputs import HINT, Fixed, Given, Port
from modelglot.graphs.torchscript import dtypes
from modelglot.graphs.torchscript.archive import Instances, Program, Source, read_program
from modelglot.graphs.torchscript.emitter import IR_VERSION, OPSET
from modelglot.graphs.torchscript.interpreter import Interpreter
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.live import live, used
from modelglot.graphs.torchscript.state import Change, Place
from modelglot.graphs.torchscript.values import Cell, Object, Raised, Scalar, Unknown

Read = Callable[[Tensor], "bytes | bytearray"]
NEXT = "_next"  # what a state is called after the call


@dataclass(frozen=True, slots=True)
class Export:
    """The graph as a frame, and the tensors that go into it. ``states`` are (input, output) names of what a call leaves
    for the next one."""

    frame: Frame
    tensors: dict[str, Tensor]
    files: tuple[FileRef, ...]
    inputs: dict[str, Port]
    outputs: tuple[str, ...]
    fixed: dict[str, Fixed]
    states: tuple[tuple[str, str], ...] = ()
    notes: tuple[Note, ...] = ()


def export(files: FileSet, given: Mapping[str, Given], limits: Limits, read: Read, method: str = "forward") -> Export:
    """Raises the errors of reading the archive; UnsupportedError for an operator without a form in ONNX, for inputs
    that are missing or not known, for code that ends in an error of its own; LimitError; MissingExtraError."""
    program = read_program(files, limits)
    path = program.archive.zip.source.path
    with located(path=path):
        made = _Making(program, dict(given), read, method)
        try:
            return made.run(files)
        except Raised as error:
            raise UnsupportedError(
                f"with these inputs the code ends in an error of its own: {printable(str(error))}",
                hint="give other sizes or values with `--input`",
            ) from None
        except RecursionError:
            raise LimitError("the code is nested too deep to be followed") from None


@dataclass(slots=True)
class _Making:
    program: Program
    given: dict[str, Given]
    read: Read
    method: str
    kit: Kit = field(init=False)
    runner: Interpreter = field(init=False)
    inputs: dict[str, Any] = field(default_factory=dict)  # values of the graph
    ports: dict[str, Port] = field(default_factory=dict)
    fixed: dict[str, Fixed] = field(default_factory=dict)
    named: list[Any] = field(default_factory=list)  # values that are outputs

    def run(self, files: FileSet) -> Export:
        kit = self.kit = Kit(self.read)
        kit.taken |= set(self.program.tensors)
        instances = Instances(self._cells())
        root = instances.of(self.program.root, "")
        constants = [instances.of(value, "") for value in self.program.constants]
        kit.wrapped |= {id(c.value) for c in constants if isinstance(c, Cell) and kit.rank(c.value) == 0}
        self.runner = Interpreter(self.program, kit, constants)
        source = self.program.method(root.kind, self.method)
        if source is None:
            raise UnsupportedError(f"the module has no method `{printable(self.method)}`")
        arguments = self._arguments(source, root)
        self._attributes(root)
        changes: dict[Place, Change] = {}
        self.runner.state.logs.append(changes)
        result = self.runner.call(root, self.method, arguments)
        outputs = self._outputs(result)
        states = self._states(changes, root, outputs)
        return self._finished(files, outputs, states)

    def _cells(self) -> dict[str, Cell]:
        """A variable a tensor; tensors that share their bytes are one, under the first of their names."""
        found: dict[str, Cell] = {}
        first: dict[Any, Cell] = {}
        for name, tensor in self.program.tensors.items():
            plain = Tensor(name, tensor.dtype, tensor.shape, tensor.data, tensor.encoding, EMPTY)
            key = (
                (tensor.data, tensor.shape, tensor.dtype) if isinstance(tensor.data, Stored) and tensor.numel else name
            )
            if key not in first:
                first[key] = Cell(self.kit.weight(plain)) if tensor.type_name in NUMBERS else Cell(None)
            found[name] = first[key]
        return found

    # inputs

    def _arguments(self, source: Source, root: Object) -> list[Any]:
        node = source.node
        parameters = node.args.args[1:]  # type: ignore[union-attr]
        if "" in self.given and len(parameters) == 1:
            self.given[parameters[0].arg] = self.given.pop("")
        defaults = node.args.defaults  # type: ignore[union-attr]
        required = parameters[: len(parameters) - len(defaults)]
        kinds = {p.arg: _kind(p.annotation) for p in parameters}
        missing = [f"{p.arg}: {kinds[p.arg]}" for p in required if not self._is_given(p.arg)]
        if missing or "" in self.given:
            raise UnsupportedError(
                f"the types and sizes of inputs are not in the file: {printable(', '.join(missing))}"
                if missing else "several inputs, and one is given without a name",
                detail="inputs: " + printable(", ".join(f"{n}: {k}" for n, k in kinds.items())),
                hint=HINT,
            )  # fmt: skip
        bound = self.runner.bound(
            source, [root], {p.arg: self._taken(p.arg, kinds[p.arg]) for p in parameters if self._is_given(p.arg)}
        )
        return [bound[p.arg] for p in parameters]

    def _is_given(self, name: str) -> bool:
        return name in self.given or any(g.startswith(f"{name}.") for g in self.given)

    def _taken(self, name: str, kind: str) -> Any:
        """The value of an argument: ``x``, or ``x.0``, ``x.1`` of a list or tuple, ``x.key`` of a dict."""
        if name in self.given:
            return self._value(name, self.given.pop(name), kind)
        parts = [g for g in self.given if g.startswith(f"{name}.")]
        keys = {key.removeprefix(f"{name}.").partition(".")[0]: None for key in parts}
        inner = re.findall(r"[A-Za-z]+", kind)[-1:] or ["Tensor"]
        values = {key: self._taken(f"{name}.{key}", inner[0]) for key in keys}
        if all(k.isdigit() for k in values):
            made = [values[k] for k in sorted(values, key=int)]
            return tuple(made) if "Tuple" in kind else made
        return values

    def _value(self, name: str, given: Given, kind: str) -> Any:
        if isinstance(given, Fixed):
            self.fixed[name] = given
            return float(given.value) if kind == "float" and isinstance(given.value, int) else given.value
        value = self.kit.value(self.kit.named(name), NUMBERS[given.dtype], given.dims)
        self.ports[value.name] = given
        self.inputs[value.name] = value
        if kind in ("int", "float", "bool"):
            if given.dims:
                raise UnsupportedError(
                    f"the input `{name}` is a number, not {given}", hint=f"`{name}=i64[]`, or a value"
                )
            return Scalar(self.kit.cast(value, dtypes.OF_KIND[kind]), kind)
        return Cell(value)

    def _attributes(self, root: Object) -> None:
        """What is left of the given inputs are attributes of modules: states, and settings."""
        for name, given in list(self.given.items()):
            *path, last = name.split(".")
            owner: Any = root
            for part in path:
                owner = owner.attributes.get(part) if isinstance(owner, Object) else None
            if not isinstance(owner, Object) or last not in owner.attributes:
                known = [a for a, v in root.attributes.items() if not isinstance(v, Object)]
                raise UnsupportedError(
                    f"the module has neither an input nor an attribute {printable(name, code=True)}",
                    detail="its attributes: " + printable(", ".join(known)),
                )
            old = owner.attributes[last]
            kind = type(old).__name__ if isinstance(old, (bool, int, float)) else "Tensor"
            self.kit.taken.discard(name)  # the tensor of that name gives way
            owner.attributes[last] = self._value(name, given, kind)

    # outputs

    def _outputs(self, result: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        _flatten(result, "output", found)
        values = {name: self._plain(value) for name, value in found.items()}
        kept = {name: value for name, value in values.items() if value is not None}
        if not kept:
            raise UnsupportedError("the module gives back no tensor")
        return kept

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Unknown):
            raise UnsupportedError(value.why)
        made = self.kit.plain(self.runner.read(value))
        return made if isinstance(made, self.kit.ir.Value) else None

    def _states(self, changes: dict[Place, Change], root: Object, outputs: dict[str, Any]) -> list[tuple[str, str]]:
        """Attributes that the call sets and that depend on its inputs are outputs as well."""
        found = []
        for change in changes.values():
            owner = change.owner
            if not isinstance(owner, Object) or not (owner.path or owner is root):
                continue
            name = f"{owner.path}.{change.attribute}" if owner.path else change.attribute
            value = owner.attributes.get(change.attribute)
            if isinstance(value, (Cell, Scalar)):
                outputs[name + NEXT] = self._plain(value)
                found.append((name, name + NEXT))
        return found

    def _finished(self, files: FileSet, outputs: dict[str, Any], states: list[tuple[str, str]]) -> Export:
        kit, ir = self.kit, self.kit.ir
        ends = [self._named(name, value) for name, value in outputs.items()]
        nodes = live(kit.nodes, ends)
        needed = {id(v): v for node in nodes for v in used(node)}
        constants = [v for v in kit.constants.values() if id(v) in needed]
        tensors = {n: kit.tensors[n] for n, v in kit.weights.items() if id(v) in needed}
        about = {"opset_imports": {"": OPSET}, "name": _title(self.program.root.global_)}
        graph = ir.Graph(list(self.inputs.values()), ends, nodes=nodes, initializers=constants, **about)
        model = ir.Model(graph, ir_version=IR_VERSION, producer_name="modelglot")
        names = tuple(outputs)
        return Export(
            frame_of(model, tensors), tensors, files.refs(), self.ports, names, self.fixed, tuple(states),
            tuple(self._notes(states)),
        )  # fmt: skip

    def _named(self, name: str, value: Any) -> Any:
        """The value under the name of an output; one that is an input or a weight passes through a node."""
        if value.producer() is None or any(value is other for other in self.named):
            node = self.kit.ir.node("Identity", [value])
            self.kit.name(node)
            node.outputs[0].type, node.outputs[0].shape = value.type, value.shape
            self.kit.add(node)
            value = node.outputs[0]
        value.name = self.kit.named(name)
        self.named.append(value)
        return value

    def _notes(self, states: list[tuple[str, str]]) -> list[Note]:
        notes = []
        open_ = [name for name, _ in states if name not in self.ports]
        if open_:
            shown = ", ".join(printable(n, code=True) for n in open_[:6])
            text = f"{shown}: the module keeps this from call to call; the graph starts as the file does each time"
            notes.append(Note("state", text + "; give it with `--input` to make it an input", "warning"))
        if self.runner.assumed:
            first = printable(next(iter(self.runner.assumed)))
            count = len(self.runner.assumed)
            text = f"{count} checks of the code, which end in errors, are not in the graph, such as: {first}"
            notes.append(Note("checks-left", text))
        return notes


def _flatten(value: Any, name: str, into: dict[str, Any]) -> None:
    if isinstance(value, Object):
        value = dict(value.attributes)
    if isinstance(value, dict):
        for key, item in value.items():
            _flatten(item, f"{name}.{key}" if name != "output" else str(key), into)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            _flatten(item, f"{name}_{number}", into)
    else:
        into[name] = value


def _kind(annotation: Any) -> str:
    text = ast.unparse(annotation) if annotation is not None else "Tensor"
    optional = re.fullmatch(r"Optional\[(.*)\]", text)
    return optional[1] if optional else text


def _title(kind: str) -> str:
    return kind.rpartition(".")[2] or "module"
