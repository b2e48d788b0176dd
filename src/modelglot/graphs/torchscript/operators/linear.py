"""Products of matrices."""

from __future__ import annotations

from typing import Any

from modelglot.core.errors import UnsupportedError
from modelglot.graphs.torchscript.kit import Kit
from modelglot.graphs.torchscript.operators.pointwise import add, mul
from modelglot.graphs.torchscript.operators.table import Table

TABLE = Table()


@TABLE("linear")
def linear(g: Kit, x: Any, weight: Any, bias: Any = None) -> Any:
    """``x @ weight.T + bias``; a weight stays as it is stored."""
    if g.rank(x) == 2 and (bias is None or g.rank(bias) == 1):
        return g.op("Gemm", x, weight, bias, transB=1)
    made = g.op("MatMul", x, g.transpose(weight, [1, 0]) if g.rank(weight) == 2 else weight)
    return made if bias is None else g.op("Add", made, bias)


@TABLE("addmm")
def addmm(g: Kit, c: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    return g.op("Gemm", a, b, c, alpha=float(alpha), beta=float(beta))


@TABLE("matmul", "mm", "bmm", "mv", "dot")
def matmul(g: Kit, a: Any, b: Any) -> Any:
    return g.op("MatMul", a, b)


@TABLE("baddbmm")
def baddbmm(g: Kit, c: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    return add(g, mul(g, g.op("MatMul", a, b), alpha), mul(g, c, beta))


@TABLE("addbmm")
def addbmm(g: Kit, c: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    total = g.op("ReduceSum", g.op("MatMul", a, b), g.ints([0]), keepdims=0)
    return add(g, mul(g, total, alpha), mul(g, c, beta))


@TABLE("outer", "ger")
def outer(g: Kit, a: Any, b: Any) -> Any:
    return g.op("Mul", g.unsqueeze(a, [1]), g.unsqueeze(b, [0]))


@TABLE("einsum")
def einsum(g: Kit, equation: str, operands: Any, path: Any = None) -> Any:
    return g.op("Einsum", *operands, equation=equation)


@TABLE("bilinear")
def bilinear(g: Kit, a: Any, b: Any, weight: Any, bias: Any = None) -> Any:
    made = g.op("Einsum", a, weight, b, equation="...i,kij,...j->...k")
    return made if bias is None else g.op("Add", made, bias)


TABLE["tril"] = lambda g, x, diagonal=0: g.op("Trilu", x, g.constant(diagonal), upper=0)
TABLE["triu"] = lambda g, x, diagonal=0: g.op("Trilu", x, g.constant(diagonal), upper=1)


@TABLE("cdist")
def cdist(g: Kit, a: Any, b: Any, p: float = 2.0, compute_mode: Any = None) -> Any:
    if p != 2:
        raise UnsupportedError(f"`cdist` with p = {p}")
    apart = g.op("Sub", g.unsqueeze(a, [g.rank(a) - 1]), g.unsqueeze(b, [g.rank(b) - 2]))
    return g.op("ReduceL2", apart, g.ints([-1]), keepdims=0)
