"""Modules with branches, loops, lists and state, to be scripted. PyTorch reads their source from this file."""

from typing import Dict, List, Optional, Tuple  # noqa: UP035  (TorchScript knows these)

import torch
from torch import Tensor, nn


class Plain(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1


class Branch(nn.Module):
    """On a value, with tensors, numbers and tuples on both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tuple[Tensor, int, float]:  # noqa: UP006
        if bool(x.sum() > 0):
            y, n, f = self.a(x), 1, 0.5
        elif bool(x.max() > -0.5):
            y, n, f = self.b(x), x.size(0), 1.5
        else:
            y, n, f = self.a(x) + self.b(x), 3, 2.5
        return y, n, f


class Early(nn.Module):
    """A result from inside, an error that a graph cannot have, an optional."""

    def forward(self, x: Tensor, y: Optional[Tensor] = None) -> Tensor:  # noqa: UP045
        if x.size(0) == 0:
            raise ValueError("empty")
        if bool(x[0] > 0):
            return x * 2
        if y is not None:
            x = x + y
        if bool(x[0] < -1):
            return x - 1
        return -x


class Powers(nn.Module):
    def forward(self, x: Tensor, times: int) -> Tensor:
        y = torch.ones_like(x)
        for _ in range(times):
            y = y * x
        return y


class Until(nn.Module):
    """A ``while`` whose tensor grows, with a counter and a break."""

    def forward(self, x: Tensor) -> Tuple[Tensor, int]:  # noqa: UP006
        n = 0
        while bool(x.sum() < 50):
            x = torch.cat([x, x[:1] + 1])
            n += 1
            if n > 7:
                break
        return x, n


class Collect(nn.Module):
    """A list that a loop fills, and one that is known."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(2, 3)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:  # noqa: UP006
        h = torch.zeros(x.size(1), 3)
        found: List[Tensor] = []  # noqa: UP006
        for t in range(x.size(0)):
            h = self.cell(x[t], h)
            found.append(h)
        parts = [h, h * 2]
        parts.append(h * 3)
        return torch.stack(found), torch.cat(parts[::2], 1)


class InPlace(nn.Module):
    """A tensor that branches and loops change in place."""

    def forward(self, x: Tensor, n: int) -> Tensor:
        y = torch.zeros_like(x)
        for i in range(n):
            y[i] = x[i] * i
            if bool(x[i, 0] > 0):
                y.add_(1)
        y[:, 0] = n
        return y


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.total = torch.zeros(3)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.total = self.total + x
        self.calls += 1
        return self.total * 2


class Several(nn.Module):
    """A method beside `forward`, whose loop goes over a range with a step."""

    def forward(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def sums(self, x: Tensor, step: int) -> Tensor:
        found: List[Tensor] = []  # noqa: UP006
        for i in range(0, x.size(0), step):
            found.append(x[i : i + step].sum())
        return torch.stack(found)


class Named(nn.Module):
    def forward(self, x: Tensor, more: List[Tensor]) -> Dict[str, Tuple[Tensor, Tensor]]:  # noqa: UP006
        return {"sum": (x, x), "both": (more[0] + x, more[1])}


class Mixed(nn.Module):
    """Known lists, dicts, text, nested loops, functions of other modules."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes = [1, 2, 3]
        self.names = {"a": 0.5, "b": 2.0}
        self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.nn.functional.relu(layer(x))
        total = 0
        for i in self.sizes:
            for j in range(i):
                total += i * j if j % 2 == 0 else -j
        scale = self.names["a"] if "b" in self.names else 1.0
        rows, columns = x.shape
        return x.view(columns, rows) * total * scale + len(self.sizes) + min(rows, 3)


class Reshaped(nn.Module):
    """A reshaped tensor that is changed alone, and its source not read again."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.transpose(0, 1).contiguous()
        y[0] = 1.0
        z = y.reshape(-1)
        z += 1
        return z


class Unsure(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        z = y.reshape(-1)
        z += 1
        return y


def t(*values: float) -> Tensor:
    return torch.tensor(values)


CASES = {
    "branch": (Branch, ["x=f32[n,3]"], [(torch.full((2, 3), v),) for v in (1.0, -0.1, -2.0)]),
    "early": (Early, ["x=f32[n]", "y=f32[n]"], [(t(v, 1.0), t(0.5, 0.5)) for v in (1.0, -0.7, -3.0)]),
    "without an optional": (Early, ["x=f32[2]"], [(t(v, 1.0),) for v in (1.0, -0.7)]),
    "for": (Powers, ["x=f32[n]", "times=i64[]"], [(t(1.5, 2.0), v) for v in (0, 1, 5)]),
    "while": (Until, ["x=f32[n]"], [(t(1.0),), (t(60.0),), (t(0.1, 0.2),)]),
    "collect": (Collect, ["x=f32[time,2,2]"], [(torch.randn(n, 2, 2),) for n in (1, 4)]),
    "collect, unrolled": (Collect, ["x=f32[3,n,2]"], [(torch.randn(3, 2, 2),)]),
    "in place": (InPlace, ["x=f32[4,2]", "n=i64[]"], [(torch.randn(4, 2), n) for n in (0, 3)]),
    "reshaped": (Reshaped, ["x=f32[2,3]"], [(torch.randn(2, 3),)]),
    "mixed": (Mixed, ["x=f32[n,4]"], [(torch.randn(3, 4),), (torch.randn(2, 4),)]),
}
