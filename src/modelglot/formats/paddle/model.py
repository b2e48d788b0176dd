"""A Paddle model as a `Model`: a program and its weights, together in one file or each in one of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from modelglot.containers.protobuf_file import message
from modelglot.core.dtype import DTYPES
from modelglot.core.errors import CannotOpenError, InvalidFileError, located, printable
from modelglot.core.format import FileSet, Source
from modelglot.core.limits import Limits
from modelglot.core.metadata import Metadata
from modelglot.core.model import Model
from modelglot.core.notes import Note
from modelglot.core.tensor import Missing, Tensor
from modelglot.formats.paddle.program import Program, Variable, described, parse
from modelglot.formats.paddle.stream import tensors

PROGRAM, WEIGHTS = ".pdmodel", ".pdiparams"
OLD_PROGRAM, OLD_WEIGHTS = "__model__", "__params__"


def read(files: FileSet, limits: Limits) -> Model:
    structure, together = _names(files)
    program = _program(files, structure, limits) if structure else None
    if program is None:
        found, notes = _unnamed(files, together or "", limits)
    elif together is not None:
        found, notes = _together(files, together, program, limits), ()
    else:
        found, notes = {n: _alone(files, n, program.variables[n], limits) for n in program.weights}, ()
    extras = described(program) if program else {}
    made = {n: replace(t, extra=extras[n]) if n in extras else t for n, t in found.items()}
    graph = program.graph() if program else None
    return Model(
        "paddle", files.refs(), made, None if structure else "weights only", Metadata(), notes=notes, graph=graph
    )


def _names(files: FileSet) -> tuple[str | None, str | None]:
    """The program, and the file that all weights are in; None where there is none."""
    names = [n for n in files.names() if "/" not in n]
    given = files.primary
    if given is None:
        programs = [n for n in names if n.endswith(PROGRAM) or n == OLD_PROGRAM]
        if len(programs) > 1:
            raise InvalidFileError(
                f"the folder holds {len(programs)} programs", path=files.root, hint="name one of the files",
                detail=", ".join(printable(n) for n in programs[:6]),
            )  # fmt: skip
        given = programs[0] if programs else next((n for n in names if n.endswith(WEIGHTS)), None)
        if given is None:
            raise InvalidFileError("there is no program in this folder", path=files.root)
    if given.endswith(WEIGHTS) or given == OLD_WEIGHTS:
        partner = OLD_PROGRAM if given == OLD_WEIGHTS else given.removesuffix(WEIGHTS) + PROGRAM
        return (partner if partner in names else None), given
    if given == OLD_PROGRAM:
        return given, OLD_WEIGHTS if OLD_WEIGHTS in names else None
    together = given.removesuffix(PROGRAM) + WEIGHTS
    alone = any(
        n not in (given, together) and not n.endswith((WEIGHTS, PROGRAM, ".info", ".json", ".txt")) for n in names
    )
    return given, together if together in names or not alone else None


def _program(files: FileSet, name: str, limits: Limits) -> Program:
    source = files.open(name)
    files.index(name, "primary")
    with located(path=source.path):
        return parse(message(source, limits), limits)


def _together(files: FileSet, name: str, program: Program, limits: Limits) -> dict[str, Tensor]:
    """All weights in one file, in the order of their names."""
    names = program.weights
    try:
        source = files.open(name)
    except CannotOpenError:
        return {
            n: _missing(n, program.variables[n], f"the file {printable(name, code=True)} is not there") for n in names
        }
    number = files.index(name)
    found: dict[str, Tensor] = {}
    with located(path=source.path):
        for tensor in tensors(source, number, limits):
            if len(found) == len(names):
                raise InvalidFileError(f"has more than the {len(names):,} weights of the program")
            found[names[len(found)]] = _fitting(tensor, program.variables[names[len(found)]])
        if len(found) < len(names):
            raise InvalidFileError(
                f"has {len(found):,} weights, and the program {len(names):,}: "
                f"{printable(names[len(found)], code=True)} is the first that is missing",
                hint="are program and weights of one model, and whole?",
            )
    return found


def _alone(files: FileSet, name: str, variable: Variable, limits: Limits) -> Tensor:
    """A weight in a file of its own, called like it."""
    try:
        source = files.open(name)
    except CannotOpenError:
        return _missing(name, variable, f"the file {printable(name, code=True)} is not there")
    with located(path=source.path, tensor=name):
        return _fitting(_single(source, files.index(name), limits), variable)


def _single(source: Source, number: int, limits: Limits) -> Tensor:
    found = list(_first_two(tensors(source, number, limits)))
    if len(found) != 1:
        raise InvalidFileError(f"holds {len(found) or 'no'} tensors where one belongs")
    return found[0]


def _first_two(made: Iterator[Tensor]) -> Iterator[Tensor]:
    for number, tensor in enumerate(made):
        yield tensor
        if number:
            return


def _fitting(tensor: Tensor, variable: Variable) -> Tensor:
    """Under its name, if it is what the program says: sizes below zero are open there."""
    open_ = len(tensor.shape) == len(variable.shape) and all(
        want < 0 or want == size for want, size in zip(variable.shape, tensor.shape, strict=True)
    )
    if tensor.dtype.name != variable.dtype or not open_:
        raise InvalidFileError(
            f"is {tensor.dtype} {list(tensor.shape)}, and the program says {variable.dtype} {list(variable.shape)}",
            tensor=variable.name,
            hint="are program and weights of one model?",
        )
    return replace(tensor, name=variable.name)


def _missing(name: str, variable: Variable, why: str) -> Tensor:
    dtype = DTYPES.get(variable.dtype, DTYPES["f32"])
    return Tensor(name, dtype, tuple(max(size, 0) for size in variable.shape), Missing(why))


def _unnamed(files: FileSet, name: str, limits: Limits) -> tuple[dict[str, Tensor], tuple[Note, ...]]:
    """Weights whose program is not there: numbered, in the order of their names."""
    source = files.open(name)
    number = files.index(name, "primary")
    found: dict[str, Tensor] = {}
    with located(path=source.path):
        for index, tensor in enumerate(tensors(source, number, limits)):
            limits.check("tensors", index + 1, "tensors")
            found[str(index)] = replace(tensor, name=str(index))
    text = (
        "the program with the names of the weights is not beside them: they are numbered, in the order of their names"
    )
    return found, (Note("no-names", text, "warning"),)
