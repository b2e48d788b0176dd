"""Element types, and tensors made of nothing."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.module import known
from modelglot.graphs.pytorch.values import NUMBER, NUMBERS, Value, number

_POWERS = 24  # ONNX's FLOAT8E8M0


def cast_to(call: Call, element: int) -> str | Value:
    """The first input as another element type; types that torch lacks become the values they can hold."""
    value, to = call.value(0), literals.dtype_name(element)
    if to is None:
        raise call.unsupported(f"torch has no dtype for element type {element}")
    if value.kind in (NUMBER, NUMBERS):
        if to == "int64" and value.dtype == "int64":
            return value.copy()
        if value.kind == NUMBER and to == value.dtype:
            return value.copy()
        if value.kind == NUMBER and to in ("bool", "int64"):
            return number(f"{'bool' if to == 'bool' else 'int'}({value.code})", to)
        return call.scope.module.new(value.code, to)
    kind, x = call.element(), call[0]
    if value.dtype == to and kind == element:
        return value.copy()
    if element in literals.SMALL:
        return f"{call.use('to_' + _family(element))}({x}, {literals.text(literals.SMALL[element])})"
    if element == _POWERS:
        how = call.text("round_mode", "up")
        return f"{call.use('to_power')}({x}, {literals.text(how if how in ('down', 'nearest') else 'up')})"
    if to.startswith("float8"):
        return f"{call.use('to_float8')}({x}, torch.{to}, {bool(call.attr('saturate', 1))})"
    if value.dtype is not None and "float" in value.dtype and "int" in to:
        return f"{call.use('to_int')}({x}, torch.{to})" if to != "int64" else f"{x}.long()"
    return {"float32": f"{x}.float()", "int64": f"{x}.long()"}.get(to, f"{x}.to(torch.{to})")


def _family(element: int) -> str:
    return "small_int" if "int" in literals.SMALL[element] else "small_float"


def _cast(call: Call) -> str | Value:
    return cast_to(call, int(call.attr("to", 1)))


def _cast_like(call: Call) -> str | Value:
    element = call.element(1)
    if element is None:
        return f"{call[0]}.to({call[1]}.dtype)"
    return cast_to(call, element)


def _bit_cast(call: Call) -> str:
    return f"{call[0]}.view(torch.{call.to('to')})"


def _constant(call: Call) -> str | Value | None:
    """A tensor, or numbers in attributes."""
    output = call.node.outputs[0]
    for name, dtype in (
        ("value_int", "int64"),
        ("value_ints", "int64"),
        ("value_float", "float32"),
        ("value_floats", "float32"),
    ):
        if call.attr(name) is not None:
            import numpy as np

            array = np.asarray(call.attr(name), dtype)
            element = 7 if dtype == "int64" else 1
            return Value("", dtype=dtype, shape=array.shape, array=array, element=element)
    tensor = call.stored("value")
    if tensor is None or literals.dtype_name(int(tensor.dtype)) is None:
        raise call.unsupported("torch has no tensors of text, and sparse values are not read")
    call.scope.constant(output, tensor, initializer=False)
    return None


def _fill(call: Call) -> str:
    array = known(call.stored("value")) if call.stored("value") is not None else None
    kind = literals.dtype_name(int(call.stored("value").dtype)) if array is not None else "float32"
    value = literals.number(array.reshape(-1)[0], str(kind)) if array is not None else "0.0"
    where = f"dtype=torch.{kind}, device={call.device}"
    if value in ("0", "0.0"):
        return f"torch.zeros({call.numbers(0)}, {where})"
    if value in ("1", "1.0"):
        return f"torch.ones({call.numbers(0)}, {where})"
    return f"torch.full({call.numbers(0)}, {value}, {where})"


def _range(call: Call) -> str:
    start, end, step = (call.number(number) for number in (0, 1, 2))
    kind = call.dtype(0) or "int64"
    where = f"dtype=torch.{kind}, device={call.device}"
    if start == "0" and step == "1":
        return f"torch.arange({end}, {where})"
    return f"{call.use('arange')}({start}, {end}, {step}, {where})"


def _eye(call: Call) -> str:
    kind = call.to("dtype") if call.attr("dtype") is not None else call.dtype()
    return f"{call.use('eye')}({call[0]}, {call.attr('k', 0)}, torch.{kind or 'float32'})"


def _random(function: str, like: bool) -> Rule:
    """Other numbers than another runtime draws; a seed is not kept either."""

    def rule(call: Call) -> str:
        shape = f"{call[0]}.shape" if like else literals.items([str(n) for n in call.ints_attr("shape") or []])
        own = call.dtype() if like else "float32"
        kind = call.to("dtype") if call.attr("dtype") is not None else own
        made = f"torch.{function}({shape}, dtype=torch.{kind}, device={call.device})"
        if function == "rand":
            low, high = call.attr("low", 0.0), call.attr("high", 1.0)
            return made if (low, high) == (0, 1) else f"{made} * {literals.number(high - low)} + {literals.number(low)}"
        mean, scale = call.float("mean", 0.0), call.float("scale", 1.0)
        return made if (mean, scale) == ("0.0", "1.0") else f"{made} * {scale} + {mean}"

    return rule


def _bernoulli(call: Call) -> str:
    kind = call.to("dtype") if call.attr("dtype") is not None else call.dtype()
    return f"torch.bernoulli({call[0]}.float()).to(torch.{kind})"


def _multinomial(call: Call) -> str:
    kind = call.to("dtype") if call.attr("dtype") is not None else "int32"
    return f"torch.multinomial(torch.softmax({call[0]}, dim=-1), {call.attr('sample_size', 1)}, True).to(torch.{kind})"


RULES: dict[str, Rule] = {
    "Cast": _cast, "CastLike": _cast_like, "BitCast": _bit_cast, "Constant": _constant, "ConstantOfShape": _fill,
    "Range": _range, "EyeLike": _eye, "RandomNormal": _random("randn", False), "RandomUniform": _random("rand", False),
    "RandomNormalLike": _random("randn", True), "RandomUniformLike": _random("rand", True), "Bernoulli": _bernoulli,
    "Multinomial": _multinomial,
}  # fmt: skip
