"""Arithmetic, comparison and logic."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule
from modelglot.graphs.pytorch.ops_number import on_numbers
from modelglot.graphs.pytorch.values import Value

# torch has these dtypes and few operators for them: they are computed in int64, which wraps alike
WIDE = frozenset({"uint16", "uint32", "uint64"})


def wide(call: Call, code: str, *inputs: str) -> str:
    """``code`` with inputs ``{0}``, ``{1}``, computed in int64 where torch lacks the operator for their dtype."""
    kind = call.dtype()
    if kind not in WIDE:
        return code.format(*inputs)
    whole = code.format(*(f"{text}.long()" if not _is_literal(text) else text for text in inputs))
    return f"({whole}).to(torch.{kind})"


def _is_literal(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()


def _pair(call: Call) -> tuple[str, str]:
    """Both inputs; a constant of one element as a number."""
    left, right = call.scalar(0, 1), call.scalar(1, 0)
    if call.array(0) is not None and call.array(1) is not None:
        return call[0], right
    return left, right


def _binary(sign: str) -> Rule:
    def rule(call: Call) -> str | Value:
        found = on_numbers(call, sign)
        if found is not None:
            return found
        return wide(call, f"{{0}} {sign} {{1}}", *_axes_kept(call))

    return rule


def _axes_kept(call: Call) -> tuple[str, str]:
    """Before opset 7 operators had ``axis`` and ``broadcast`` of their own: B starts at that axis of A."""
    left, right = _pair(call)
    axis = call.attr("axis") if call.version < 7 and call.flag("broadcast") else None
    if axis is None:
        return left, right
    rank, inner = call.ranked(0), call.ranked(1)
    behind = rank - inner - int(axis) % max(rank, 1)
    return left, f"{call[1]}[(...,{' None,' * behind})]" if behind > 0 else call[1]


def _compare(sign: str) -> Rule:
    def rule(call: Call) -> str | Value:
        found = on_numbers(call, sign, "bool")
        if found is not None:
            return found
        left, right = _axes_kept(call)
        if call.dtype() in WIDE:
            return f"{call[0]}.long() {sign} {call[1]}.long()"
        return f"{left} {sign} {right}"

    return rule


def _logic(function: str) -> Rule:
    def rule(call: Call) -> str:
        return f"{function}({call[0]}, {_axes_kept(call)[1] if call.version < 7 else call[1]})"

    return rule


def _bits(sign: str) -> Rule:
    def rule(call: Call) -> str:
        return wide(call, f"{{0}} {sign} {{1}}", call[0], call[1])

    return rule


def _unary(function: str) -> Rule:
    def rule(call: Call) -> str:
        return wide(call, f"{function}({{0}})", call[0])

    return rule


def _divide(call: Call) -> str | Value:
    found = on_numbers(call, "//")
    if found is not None:
        return found
    kind = call.dtype(0) or call.dtype(1) or call.out_dtype()
    left, right = _axes_kept(call)
    if kind is None:
        return f"{call.use('divide')}({call[0]}, {call[1]})"
    if "int" in kind:
        return wide(call, '{0}.div({1}, rounding_mode="trunc")', call[0], call[1])
    return f"{left} / {right}"


def _mod(call: Call) -> str | Value:
    found = on_numbers(call, "%") if not call.flag("fmod") else None
    function = "torch.fmod" if call.flag("fmod") else "torch.remainder"
    return found if found is not None else wide(call, f"{function}({{0}}, {{1}})", call[0], call[1])


def _power(call: Call) -> str:
    """The result has the dtype of the base."""
    base, exponent = call.dtype(0), call.dtype(1)
    right = call.scalar(1, 0)
    if base is not None and "float" in base and (base == exponent or right != call.scope.tensor(call.value(1))):
        if right == "2.0":
            return f"torch.square({call[0]})"
        return f"torch.pow({call[0]}, {_axes_kept(call)[1]})"
    return f"{call.use('power')}({call[0]}, {call[1]})"


def _fold(function: str, word: str) -> Rule:
    """An operator of two inputs for any number of them; ``word`` is Python's own for numbers."""

    def rule(call: Call) -> str | Value:
        found = on_numbers(call, word)
        if found is not None:
            return found
        kind = call.dtype()
        made, *others = [f"{code}.long()" for code in call.all()] if kind in WIDE else call.all()
        for other in others:
            made = f"{function}({made}, {other})"
        return f"{made}.to(torch.{kind})" if kind in WIDE else made

    return rule


def _sum(call: Call) -> str:
    return " + ".join(call.all())


def _mean(call: Call) -> str:
    return f"({_sum(call)}) / {call.count}" if call.count > 1 else call[0]


def _clip(call: Call) -> str:
    """Bounds were attributes before opset 11, with defaults that bound nothing."""
    if call.version < 11:
        least, most = call.attr("min"), call.attr("max")
        texts = [None if v is None or abs(v) > 3.4e38 else literals.number(v, "float32") for v in (least, most)]
    else:
        texts = [_bound(call, number) for number in (1, 2)]
    if call.dtype() in WIDE or any(t is not None and t.startswith("self.") for t in texts):
        return f"{call.use('clip')}({call[0]}, {texts[0]}, {texts[1]})"
    known = [f"{name}={text}" for name, text in zip(("min", "max"), texts, strict=True) if text is not None]
    if not known:
        return call[0]
    if any(call.has(n) and call.array(n) is None for n in (1, 2)):
        return f"{call.use('clip')}({call[0]}, {texts[0]}, {texts[1]})"
    return f"torch.clamp({call[0]}, {', '.join(known)})"


def _bound(call: Call, number: int) -> str | None:
    if not call.has(number):
        return None
    array = call.array(number)
    return call.number(number) if array is not None and array.size == 1 else call[number]


def _gemm(call: Call) -> str:
    a, b = call[0] + ".T" * call.flag("transA"), call[1]
    alpha, beta = call.float("alpha", 1.0), call.float("beta", 1.0)
    bias = call.has(2) and beta != "0.0"
    if alpha == "1.0" and call.flag("transB") and call.dtype() not in WIDE:
        if not bias:
            return f"F.linear({a}, {b})"
        if beta == "1.0" and call.rank(2) == 1:
            return f"F.linear({a}, {b}, {call[2]})"
    made = wide(call, "{0} @ {1}", a, b + ".T" * call.flag("transB"))
    made = made if alpha == "1.0" else f"{alpha} * ({made})"
    return f"{made} + {'' if beta == '1.0' else beta + ' * '}{call[2]}" if bias else made


def _matmul(call: Call) -> str:
    return wide(call, "{0} @ {1}", call[0], call[1])


def _is_inf(call: Call) -> str:
    up, down = call.flag("detect_positive", 1), call.flag("detect_negative", 1)
    name = "isinf" if up and down else "isposinf" if up else "isneginf"
    x = call[0] if (call.dtype() or "").startswith(("float16", "float32", "float64")) else f"{call[0]}.float()"
    return f"torch.{name}({x})" if up or down else f"torch.zeros_like({call[0]}, dtype=torch.bool)"


def _cumulative(function: str) -> Rule:
    def rule(call: Call) -> str:
        flags = [f"{name}=True" for name in ("exclusive", "reverse") if call.flag(name)]
        if not flags:
            return f"torch.{function}({call[0]}, dim={call.number(1)}, dtype={call[0]}.dtype)"
        return f"{call.use('cumulative')}({', '.join((f'torch.{function}', call[0], call.number(1), *flags))})"

    return rule


def _triangle(call: Call) -> str:
    k = call.number(1) if call.has(1) else "0"
    return f"torch.{'triu' if call.flag('upper', 1) else 'tril'}({call[0]}, {k})"


def _shift(call: Call) -> str:
    sign = {"LEFT": "<<", "RIGHT": ">>"}.get(call.text("direction", ""))
    if sign is None:
        raise call.unsupported("`direction` is neither `LEFT` nor `RIGHT`")
    return wide(call, f"{{0}} {sign} {{1}}", call[0], call[1])


def _einsum(call: Call) -> str:
    return f"torch.einsum({literals.text(call.text('equation', ''))}, {', '.join(call.all())})"


def _not_a_number(call: Call) -> str:
    return (
        f"torch.isnan({call[0]})"
        if not (call.dtype() or "").startswith("float8")
        else f"torch.isnan({call[0]}.float())"
    )


_SAME_NAME = (
    "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Cos", "Cosh", "Erf", "Exp", "Floor", "Log",
    "Reciprocal", "Round", "Sin", "Sinh", "Sqrt", "Tan", "Tanh",
)  # fmt: skip
RULES: dict[str, Rule] = {
    **{name: f"torch.{name.lower()}({{0}})" for name in _SAME_NAME},
    "Abs": _unary("torch.abs"), "Neg": "-{0}", "Sign": _unary("torch.sign"),
    "Add": _binary("+"), "Sub": _binary("-"), "Mul": _binary("*"), "Div": _divide, "Mod": _mod, "Pow": _power,
    "Max": _fold("torch.maximum", "max"), "Min": _fold("torch.minimum", "min"), "Sum": _sum, "Mean": _mean,
    "Clip": _clip,
    "Equal": _compare("=="), "Greater": _compare(">"), "GreaterOrEqual": _compare(">="), "Less": _compare("<"),
    "LessOrEqual": _compare("<="), "And": _logic("torch.logical_and"), "Or": _logic("torch.logical_or"),
    "Xor": _logic("torch.logical_xor"), "BitwiseAnd": _bits("&"),
    "BitwiseOr": _bits("|"), "BitwiseXor": _bits("^"), "BitwiseNot": _unary("~"), "BitShift": _shift,
    "IsInf": _is_inf, "IsNaN": _not_a_number, "Gemm": _gemm, "MatMul": _matmul, "Einsum": _einsum,
    "CumSum": _cumulative("cumsum"), "CumProd": _cumulative("cumprod"), "Det": "torch.linalg.det({0})",
    "Trilu": _triangle,
}  # fmt: skip
