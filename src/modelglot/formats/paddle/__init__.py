"""PaddlePaddle's inference models: ``.pdmodel`` (the program) with ``.pdiparams``, or a folder with a file a weight.

Specification: github.com/PaddlePaddle/Paddle, paddle/fluid/framework/framework.proto and lod_tensor.cc.
"""

from __future__ import annotations

from modelglot.containers.protobuf import BYTES, in_sight
from modelglot.core.errors import ModelFileError
from modelglot.core.format import FileSet, FormatInfo, Match, Probe, ReadOnly
from modelglot.core.limits import Limits
from modelglot.core.model import Model

PROGRAM, WEIGHTS = ".pdmodel", ".pdiparams"
OLD_PROGRAM, OLD_WEIGHTS = "__model__", "__params__"


class Paddle(ReadOnly):
    info = FormatInfo(
        name="paddle",
        title="PaddlePaddle",
        suffixes=(PROGRAM, WEIGHTS),
        spec="https://github.com/PaddlePaddle/Paddle/blob/develop/paddle/fluid/framework/framework.proto",
        can=frozenset({"read", "folder"}),
        blurb="inference models: a program, and its weights in the order of their names",
    )

    def sniff(self, probe: Probe) -> Match | None:
        name = probe.name
        if probe.is_folder:
            found = any(n.endswith((PROGRAM, WEIGHTS)) or n == OLD_PROGRAM for n in probe.names)
            return Match(75, "holds a Paddle program") if found else None
        if name.endswith(WEIGHTS) or name == OLD_WEIGHTS:
            return Match(86, "a stream of tensors, and its name") if _is_stream(probe.head) else None
        if _is_program(probe.head):
            return Match(88, "begins with the variables of a program")
        partner = name.removesuffix(WEIGHTS)
        return Match(48, "only the name says so") if name.endswith(PROGRAM) and partner and probe.size else None

    def read(self, files: FileSet, limits: Limits) -> Model:
        from modelglot.formats.paddle.model import read

        return read(files, limits)


def _is_stream(head: bytes) -> bool:
    """Versions of zero around levels of detail, mostly none, then a description that begins with an element type."""
    levels = int.from_bytes(head[4:12], "little")
    if len(head) < 24 or head[:4] != bytes(4) or levels > 8:
        return False
    return levels > 0 or (head[12:16] == bytes(4) and head[20:21] == b"\x08")


def _is_program(head: bytes) -> bool:
    """A block with its number and its parent's, then a variable that begins with its name."""
    try:
        for number, wire, _, data in in_sight(head):
            if number != 1 or wire != BYTES:
                return False
            numbers = []
            for inner, kind, _, content in in_sight(bytes(data)):
                if inner in (1, 2, 5):
                    numbers.append(inner)
                elif inner == 3 and kind == BYTES and numbers[:2] == [1, 2]:
                    first = next(in_sight(bytes(content)), None)
                    return first is not None and first[0] == 1 and all(byte >= 32 for byte in first[3])
                else:
                    return False
            return False
    except ModelFileError:
        return False
    return False


FORMAT = Paddle()
