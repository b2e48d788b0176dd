"""A Darknet ``.cfg``: its sections, the sizes that go from layer to layer, and the weights of each, in stored order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from modelglot.core.errors import InvalidFileError, UnsupportedError, printable
from modelglot.core.layer import GROUPS, describe
from modelglot.core.limits import Limits

_MOST = 1 << 24  # of a size in one direction


class Size(NamedTuple):
    """Height, width and channels of what goes between layers."""

    h: int
    w: int
    c: int


class Weight(NamedTuple):
    name: str
    shape: tuple[int, ...]
    extra: Mapping[str, Any]


@dataclass(slots=True)
class Section:
    kind: str
    line: int
    options: dict[str, str] = field(default_factory=dict)

    def number(self, key: str, default: int = 0) -> int:
        """An integer as Darknet's atoi reads it; anything that is none, or too large to be meant, is an error."""
        text = self.options.get(key)
        if text is None:
            return default
        plain = text.removeprefix("-")
        if not (plain.isascii() and plain.isdigit() and len(plain) < 10) or abs(int(text)) > _MOST:
            raise InvalidFileError(f"line {self.line}, [{self.kind}]: `{key}={printable(text)}` is no size")
        return int(text)

    def numbers(self, key: str) -> list[int]:
        texts = [part.strip() for part in self.options.get(key, "").split(",") if part.strip()]
        return [Section(self.kind, self.line, {key: text}).number(key) for text in texts]


def sections(text: str, limits: Limits) -> list[Section]:
    """The sections in order. Raises InvalidFileError for options before the first, LimitError for very many."""
    found: list[Section] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = "".join(raw.split())
        if not line or line[0] in "#;":
            continue
        if line.startswith("["):
            limits.check("tensors", len(found) + 1, "sections")
            found.append(Section(line.strip("[]"), number))
            continue
        key, equals, value = line.partition("=")
        if not found or not equals:
            raise InvalidFileError(f"line {number} is neither a section nor an option: {printable(line, code=True)}")
        found[-1].options.setdefault(key, value)
    if not found or found[0].kind not in ("net", "network"):
        raise InvalidFileError("the configuration does not begin with [net]")
    return found


def walk(parts: list[Section]) -> Iterator[tuple[Section, list[Weight]]]:
    """Each layer with its weights. Raises UnsupportedError for layers whose weights are not known here."""
    net = parts[0]
    size = Size(net.number("height"), net.number("width"), net.number("channels"))
    sizes: list[Size] = []
    for section in parts[1:]:
        rule = _LAYERS.get(section.kind)
        if rule is None:
            raise UnsupportedError(
                f"line {section.line}: layers of the kind {printable(section.kind, code=True)} are not known",
                hint="their weights would shift all that follow",
            )
        size, weights = rule(section, size, sizes)
        if min(size) < 0 or max(size) > _MOST:
            raise InvalidFileError(f"line {section.line}, [{section.kind}] would make {size.w} x {size.h} x {size.c}")
        sizes.append(size)
        yield section, weights


Made = tuple[Size, list[Weight]]
Rule = Callable[[Section, Size, list[Size]], Made]


def _natural(section: Section, key: str, default: int) -> int:
    value = section.number(key, default)
    if value < 1:
        raise InvalidFileError(f"line {section.line}, [{section.kind}]: `{key}={value}` is not above zero")
    return value


def _padding(section: Section, size: int) -> int:
    return size // 2 if section.number("pad") else section.number("padding")


def _convolution(section: Section, size: Size, _: list[Size]) -> Made:
    filters, groups, kernel = (_natural(section, k, 1) for k in ("filters", "groups", "size"))
    across, down = (_natural(section, f"stride_{d}", _natural(section, "stride", 1)) for d in "xy")
    reach = (kernel - 1) * _natural(section, "dilation", 1) + 1
    if size.c % groups or filters % groups:
        raise InvalidFileError(f"line {section.line}: {size.c} channels and {filters} filters in {groups} groups")
    pad = _padding(section, reach)
    out = Size((size.h + 2 * pad - reach) // down + 1, (size.w + 2 * pad - reach) // across + 1, filters)
    inner = size.c // groups
    kind = "depthwise-conv" if groups > 1 and inner == 1 else "conv"
    shape = (filters, inner, kernel, kernel)
    weights = _normed(section, kind, filters)
    if not section.number("dontload"):
        axes = "o1hw" if kind == "depthwise-conv" else "oihw"
        more = {GROUPS: groups} if groups > 1 else {}
        return out, [*weights, Weight("weights", shape, describe(kind, "kernel", axes) | more)]
    return out, []


def _transposed(section: Section, size: Size, _: list[Size]) -> Made:
    filters, kernel, stride = (_natural(section, k, 1) for k in ("filters", "size", "stride"))
    pad = _padding(section, kernel)
    out = Size((size.h - 1) * stride + kernel - 2 * pad, (size.w - 1) * stride + kernel - 2 * pad, filters)
    kernels = Weight("weights", (size.c, filters, kernel, kernel), describe("conv-transpose", "kernel", "iohw"))
    return out, [*_normed(section, "conv-transpose", filters), kernels]


def _normed(section: Section, kind: str, count: int) -> list[Weight]:
    """A bias, which is the offset of the batch norm where there is one; then the rest of that."""
    if not section.number("batch_normalize"):
        return [Weight("biases", (count,), describe(kind, "bias"))]
    names = (("biases", "offset"), ("scales", "scale"), ("rolling_mean", "mean"), ("rolling_variance", "variance"))
    return [Weight(name, (count,), describe("batch-norm", role)) for name, role in names]


def _connected(section: Section, size: Size, _: list[Size]) -> Made:
    """Here the bias and the weights come before the batch norm."""
    out, inner = _natural(section, "output", 1), size.h * size.w * size.c
    normed = _normed(section, "dense", out)
    kernel = Weight("weights", (out, inner), describe("dense", "kernel", "oi"))
    return Size(1, 1, out), [normed[0], kernel, *normed[1:]]


def _batchnorm(_: Section, size: Size, __: list[Size]) -> Made:
    names = (("scales", "scale"), ("rolling_mean", "mean"), ("rolling_variance", "variance"))
    return size, [Weight(name, (size.c,), describe("batch-norm", role)) for name, role in names]


def _pool(section: Section, size: Size, _: list[Size]) -> Made:
    stride = _natural(section, "stride", 1)
    kernel = section.number("size", stride)
    pad = section.number("padding", kernel - 1)
    return Size((size.h + pad - kernel) // stride + 1, (size.w + pad - kernel) // stride + 1, size.c), []


def _reorganized(section: Section, size: Size, _: list[Size]) -> Made:
    stride = _natural(section, "stride", 1)
    return Size(size.h // stride, size.w // stride, size.c * stride * stride), []


def _upsampled(section: Section, size: Size, _: list[Size]) -> Made:
    stride = section.number("stride", 2)
    if stride < 0:
        return Size(size.h // -stride, size.w // -stride, size.c), []
    return Size(size.h * stride, size.w * stride, size.c), []


def _layer(section: Section, index: int, sizes: list[Size]) -> Size:
    at = index if index >= 0 else len(sizes) + index
    if not 0 <= at < len(sizes):
        raise InvalidFileError(f"line {section.line}, [{section.kind}] takes layer {index}, which is not there")
    return sizes[at]


def _route(section: Section, _: Size, sizes: list[Size]) -> Made:
    given = [_layer(section, index, sizes) for index in section.numbers("layers")]
    if not given:
        raise InvalidFileError(f"line {section.line}: [route] takes no layer")
    return Size(given[0].h, given[0].w, sum(size.c for size in given) // _natural(section, "groups", 1)), []


def _shortcut(section: Section, size: Size, _: list[Size]) -> Made:
    if section.options.get("weights_type", "none") != "none":
        raise UnsupportedError(f"line {section.line}: shortcuts with weights are not known")
    return size, []


def _average(_: Section, size: Size, __: list[Size]) -> Made:
    return Size(1, 1, size.c), []


def _crop(section: Section, size: Size, _: list[Size]) -> Made:
    return Size(section.number("crop_height", size.h), section.number("crop_width", size.w), size.c), []


def _same(_: Section, size: Size, __: list[Size]) -> Made:
    return size, []


def _scaled(section: Section, _: Size, sizes: list[Size]) -> Made:
    """Channels scaled by another layer: the result has that layer's size."""
    return _layer(section, section.number("from"), sizes), []


_LAYERS: dict[str, Rule] = {
    "convolutional": _convolution, "conv": _convolution, "deconvolutional": _transposed, "deconv": _transposed,
    "connected": _connected, "conn": _connected, "batchnorm": _batchnorm, "maxpool": _pool, "max": _pool,
    "local_avgpool": _pool, "reorg": _reorganized, "reorg3d": _reorganized, "upsample": _upsampled, "route": _route,
    "shortcut": _shortcut, "avgpool": _average, "avg": _average, "crop": _crop, "scale_channels": _scaled,
    "sam": _scaled,
    **dict.fromkeys(("dropout", "yolo", "Gaussian_yolo", "region", "detection", "softmax", "soft", "cost", "activation",
                     "logistic", "lrn", "normalization", "l2norm", "iseg", "empty", "silence"), _same),
}  # fmt: skip
