"""What a target keeps of a file of its own format: a graph around the weights, from a template or from the source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from modelglot.api.reading import existing
from modelglot.core.errors import UnsupportedError
from modelglot.core.format import FileSet, Format
from modelglot.core.layout import Options
from modelglot.core.limits import Limits
from modelglot.core.model import Model
from modelglot.core.notes import Loss
from modelglot.sources.opening import open_files


@runtime_checkable
class Framed(Protocol):
    """A format that can put weights into a file that exists."""

    def frame(self, files: FileSet, limits: Limits) -> Any:
        """All that `layout` needs of a file to write it again around other weights."""
        ...


def has_frames(format: Format, model: Model) -> bool:
    """True where the model is of that format, and weights can be put into its file."""
    return isinstance(format, Framed) and model.format == format.info.name


def framed(format: Format, options: Options, path: str, limits: Limits | None) -> Options:
    """Options that keep everything but the weights of the file at ``path``, where the format can do that."""
    if not isinstance(format, Framed):
        return options
    files = open_files(existing(path))
    try:
        return replace(options, frame=format.frame(files, limits or Limits()))
    finally:
        files.close()


def check_template(format: Format, template: Model) -> None:
    if not has_frames(format, template):
        raise UnsupportedError(
            f"weights cannot be put into a {template.format} file to make {format.info.title}",
            hint="`--into` takes a file of the target's own format, one that `modelglot formats` lists for it",
        )


def type_losses(before: Model, after: Model) -> Iterator[Loss]:
    """Casts change tensors, and nothing of the graph around them."""
    if before.graph is None:
        return
    changed = [n for n, t in after.tensors.items() if n in before.tensors and t.dtype != before.tensors[n].dtype]
    if changed:
        was, now = before.tensors[changed[0]].dtype, after.tensors[changed[0]].dtype
        yield Loss(
            "graph-types",
            f"{len(changed):,} tensors are cast (such as {was} to {now}), and inputs, outputs and operators of the "
            "graph stay as they are: runtimes refuse it where an operator then gets two types",
            "cast the tensors that can change alone (`--dtype 'GLOB=f16'`), or convert the graph with its own tools",
            stops=False,
        )
