"""Targets that are a graph written as a program: which there are, and what `convert` does for one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelglot.api.finishing import plan_model
from modelglot.api.reading import PathLike
from modelglot.api.target import Target, Verify
from modelglot.core.errors import UnsupportedError, printable
from modelglot.core.layout import Options
from modelglot.core.limits import Limits
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model, SideFile
from modelglot.core.notes import Loss, Note
from modelglot.core.tensor import Tensor
from modelglot.engine.plan import Plan
from modelglot.engine.pool import SourcePool
from modelglot.engine.stream import read
from modelglot.formats import registry
from modelglot.graphs.inputs import Port, parse_inputs
from modelglot.graphs.running import TOLERANCE, Comparison
from modelglot.graphs.wishes import Wishes
from modelglot.passes.text_metadata import to_text
from modelglot.sources.opening import open_files


@dataclass(frozen=True, slots=True)
class GraphTarget:
    """``--to NAME``, or a target with the suffix. ``weights`` are the formats of the file beside, by their suffix."""

    name: str
    title: str
    suffix: str
    stem: str
    weights: Mapping[str, str]


PYTORCH = GraphTarget(
    "pytorch", "PyTorch source", ".py", "net", {"safetensors": "safetensors", "pth": "torch-zip", "pt": "torch-zip"}
)
TARGETS = {target.name: target for target in (PYTORCH,)}
_SETTING = "weights"


def graph_target(path: str, to: str | None) -> GraphTarget | None:
    """The target that ``--to`` names, or the suffix of the path."""
    if to is not None:
        return TARGETS.get(to)
    return next((target for target in TARGETS.values() if path.lower().endswith(target.suffix)), None)


def plan_program(
    target: GraphTarget,
    model: Model,
    source: str,
    path: str,
    settings: Mapping[str, str],
    allow: Iterable[str],
    limits: Limits | None,
    given: Mapping[str, Any],
    wishes: Wishes,
) -> tuple[Plan, Target]:
    """What `convert` would do. ``given`` are the choices that change tensors, which a graph would not know of.

    Raises UnsupportedError where the source has no graph that is read, a choice was made, or an operator has no rule.
    """
    changed = [name for name, value in given.items() if value]
    if changed:
        raise UnsupportedError(
            f"`--{changed[0]}` changes weights, and the graph would not know",
            hint="convert the graph first, then the weights that were written",
        )
    if model.format != "onnx" or model.graph is None:
        title = registry.get(model.format).info.title
        raise UnsupportedError(
            f"{target.title} is written from the graph of an ONNX file, and this is {title}",
            path=source,
            hint="`--to safetensors` or `--to torch-zip` write weights",
        )
    folder, name, suffix = _place(target, path, settings)
    format = registry.get(target.weights[suffix])
    weights = f"{name}.{suffix}"
    made, losses = _written(model, source, (format.info.name, weights), limits or Limits())
    side = SideFile(name + target.suffix, None, "the graph as source", made.source.encode())
    properties = {key: e for key, e in model.metadata.entries() if not key.startswith("onnx.")}
    model = replace(model, tensors=made.tensors, metadata=Metadata(properties), sides=(side,), graph=None, tree=None)
    check = ProgramCheck(source, side.name, wishes.inputs) if wishes.check else None
    place = Target(format, folder, Options(None, weights, {}, folder=True), check)
    route = ["read onnx", f"write {target.title} ({side.name})"]
    return plan_model(model, place, allow, route, losses), place


def in_container(model: Model, place: Target, allowed: bool) -> Model:
    """An ONNX graph's weights on their way to GGUF, which has no place for the graph: a box, where that was asked for.

    Raises UnsupportedError where it was not: GGUF is what runtimes load, and none would run this.
    """
    if place.format.info.name != "gguf" or model.format != "onnx" or model.graph is None:
        return model
    if not allowed:
        raise UnsupportedError(
            "GGUF keeps no graphs, and no runtime of GGUF knows this one",
            hint="`--container` writes a box of its tensors that nothing runs; `--to pytorch` keeps the graph",
        )
    said = Note(
        "container", "a container of tensors: no runtime will run it (`general.architecture` is `onnx`)", "warning"
    )
    texts = {key: str(value) for key, value in to_text(model.metadata).items()}
    return replace(model, metadata=Metadata({"general.architecture": "onnx", **texts}), notes=(*model.notes, said))


@dataclass(slots=True)
class ProgramCheck:
    """The written program and its source, each in its own runtime, on random inputs."""

    source: str
    name: str
    inputs: tuple[str, ...]
    said: list[str] = field(default_factory=list)

    def after(self, verify: Verify) -> Verify:
        def both(folder: str, names: list[str]) -> dict[str, str]:
            digests = verify(folder, names)
            self.run(folder)
            return digests

        return both

    def run(self, folder: str) -> None:
        """Raises UnsupportedError where an output is further away than it should be."""
        made = compare_program(self.source, os.path.join(folder, self.name), self.inputs)
        if not made.close:
            name, apart = max(made.outputs.items(), key=lambda item: item[1])
            raise UnsupportedError(
                f"output {printable(name, code=True)} differs by {apart:.3g} from ONNX Runtime's",
                detail=f"the tolerance is {TOLERANCE:g}",
                hint="nothing was published; without `--check` it is written all the same",
            )
        inputs = ", ".join(f"{printable(name)} {list(shape)}" for name, shape in made.inputs.items())
        self.said.append(f"checked: equal to ONNX Runtime within {made.worst:.1e} on random {inputs}")


def compare_program(source: PathLike, program: PathLike, inputs: Iterable[str] = ()) -> Comparison:
    """An ONNX file beside the ``net.py`` that was written of it, on random inputs. ``inputs`` say sizes and values:
    ``x=f32[1,3,224,224]``, ``rate=16000``.

    Raises MissingExtraError without torch or onnxruntime, UnsupportedError where no random inputs fit.
    """
    from modelglot.graphs.pytorch.verify import verify

    sizes: dict[str, int] = {}
    fixed: dict[str, float] = {}
    for name, given in parse_inputs(inputs).items():
        if isinstance(given, Port):
            sizes |= {f"{name}.{n}": size for n, size in enumerate(given.dims) if isinstance(size, int)}
        elif isinstance(given.value, (int, float)):
            fixed[name] = given.value
    return verify(os.fspath(source), os.fspath(program), sizes, fixed)


def _place(target: GraphTarget, path: str, settings: Mapping[str, str]) -> tuple[str, str, str]:
    """Folder, name without suffix, suffix of the weights."""
    suffix = next(iter(target.weights))
    for key, value in settings.items():
        if key != f"{target.name}:{_SETTING}" or value not in target.weights:
            raise UnsupportedError(
                f"{printable(f'{key}={value}', code=True)} is no setting of {target.title}",
                hint=f"`{target.name}:{_SETTING}=` takes {', '.join(target.weights)}",
            )
        suffix = value
    if path.lower().endswith(target.suffix):
        return os.path.dirname(path) or ".", os.path.basename(path)[: -len(target.suffix)], suffix
    return path, target.stem, suffix


def _written(model: Model, source: str, weights: tuple[str, str], limits: Limits) -> tuple[Any, list[Loss]]:
    from modelglot.graphs.pytorch.generate import generate
    from modelglot.graphs.pytorch.rules import NEWEST
    from modelglot.graphs.skeleton import graph_of

    pool, files = SourcePool(model.files), open_files(source)

    def bytes_of(tensor: Tensor) -> bytearray:
        return read(tensor, pool)

    try:
        graph = graph_of(files, limits, bytes_of)
        made = generate(graph, model.tensors, bytes_of, os.path.basename(source), weights)
    finally:
        pool.close()
        files.close()
    return made, list(_losses(made.renamed, made.opset, NEWEST))


def _losses(renamed: Mapping[str, str], opset: int, newest: int) -> Iterable[Loss]:
    if opset > newest:
        what = f"opset {opset} is newer than {newest}, whose definitions are known: operators may mean something else"
        yield Loss("opset", what, "`--check` compares with onnxruntime; `--allow-loss opset` goes on")
    if renamed:
        pairs = ", ".join(
            f"{printable(name, code=True)} is {printable(key, code=True)}" for name, key in list(renamed.items())[:4]
        )
        more = f" and {len(renamed) - 4:,} more" if len(renamed) > 4 else ""
        yield Loss("name", f"names that a module cannot have: {pairs}{more}", stops=False)
