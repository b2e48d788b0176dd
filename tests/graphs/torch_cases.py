"""Small modules for the importer of TorchScript, by the operators that they use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

F = nn.functional
Case = tuple[nn.Module, tuple[Any, ...], list[str]]


class Of(nn.Module):
    """A function as a module, to be traced."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *values: Any) -> Any:
        return self.function(*values)


def r(*shape: int) -> Tensor:
    return torch.randn(*shape)


IMAGE, ROWS, TIME = (2, 4, 9, 8), (3, 6), (5, 2, 4)

# functions of one float tensor, by the shape of an example
TRACED: dict[str, tuple[tuple[int, ...], Callable[[Tensor], Any]]] = {
    "arithmetic": (ROWS, lambda x: (x + 2 - x * 0.5) / (x * x + 1) ** 0.5 - 3 // (x.abs() + 1)),
    "promotion": (ROWS, lambda x: x.long() + 0.5 + (x > 0) * 2 + x.int() // 2 + x.long() / 3),
    "remainder": (ROWS, lambda x: (x % 0.7, torch.fmod(x, 0.7), (x * 9).long() % 4, -x % 3, (x * 9).int() // -4)),
    "functions": (
        ROWS,
        lambda x: [
            f(x.abs() * 0.5)
            for f in (
                torch.sqrt,
                torch.exp,
                torch.log1p,
                torch.sin,
                torch.atan,
                torch.tanh,
                torch.rsqrt,
                torch.erf,
                torch.expm1,
                torch.log2,
                torch.floor,
                torch.trunc,
                torch.sign,
                torch.reciprocal,
                torch.frac,
                torch.log10,
            )
        ],
    ),
    "atan2": (ROWS, lambda x: torch.atan2(x, x.flip(0))),
    "comparisons": (
        ROWS,
        lambda x: (x > 0, x <= 0.5, x.eq(x), x.ne(0), (x > 0) & (x < 1), ~(x > 0), (x > 0) | (x < -1)),
    ),
    "where": (ROWS, lambda x: torch.where(x > 0, x, -x).masked_fill(x > 1, 7.0).clamp(-0.5, 3).clamp(min=0.1)),
    "activations": (
        ROWS,
        lambda x: [
            f(x)
            for f in (
                F.relu,
                F.gelu,
                F.silu,
                F.elu,
                F.selu,
                F.leaky_relu,
                F.softplus,
                F.mish,
                F.hardswish,
                F.hardsigmoid,
                F.relu6,
                F.hardtanh,
                F.logsigmoid,
                F.celu,
                F.softsign,
                F.tanhshrink,
                F.hardshrink,
                F.softshrink,
                F.glu,
                torch.sigmoid,
            )
        ],
    ),
    "gelu tanh": (ROWS, lambda x: F.gelu(x, approximate="tanh")),
    "softmax": (ROWS, lambda x: (x.softmax(-1), x.log_softmax(0), F.softmin(x, 1))),
    "reductions": (
        IMAGE,
        lambda x: (
            x.sum(),
            x.mean((2, 3)),
            x.sum(1, True),
            x.amax((1, 2)),
            x.max(),
            x.min(1)[0],
            x.max(2, keepdim=True)[1],
            x.argmax(1),
            x.argmin(),
            x.prod(3),
            x.logsumexp(1),
        ),
    ),
    "spread": (IMAGE, lambda x: (x.std(), x.var(1), x.std((2, 3), unbiased=False), torch.var_mean(x, 1)[1])),
    "norms of vectors": (
        ROWS,
        lambda x: (x.norm(), x.norm(1, 1), F.normalize(x), x.norm(3, 1), torch.linalg.norm(x, dim=1)),
    ),
    "any and all": (ROWS, lambda x: ((x > 0).any(1), (x > -9).all(), x.cumsum(1), torch.count_nonzero(x))),
    "sorting": (
        ROWS,
        lambda x: (x.topk(2, 1)[0], x.sort(1, descending=True)[0], x.argsort(1), x.topk(3, largest=False)[1]),
    ),
    "views": (
        IMAGE,
        lambda x: (
            x.view(2, -1),
            x.reshape(2, 2, 2, 72),
            x.flatten(1),
            x.permute(0, 2, 3, 1),
            x.transpose(1, 3),
            x[:, None].squeeze(1),
            x.unsqueeze(-1),
            x.unflatten(1, (2, 2)),
            x.movedim(1, -1),
        ),
    ),
    "slices": (IMAGE, lambda x: (x[:, 1:3], x[..., ::2], x[0, :, -3:], x[:, -1], x.narrow(2, 1, 4), x.select(1, 2))),
    "cuts": (
        IMAGE,
        lambda x: (*x.chunk(3, 3), *x.split(4, 2), *x.split([1, 3], 1), *x.unbind(0), *x.tensor_split(2, 3)),
    ),
    "joins": (ROWS, lambda x: (torch.cat([x, x * 2], 1), torch.stack([x, x], 1), torch.cat([x, x.long()]))),
    "expand": (
        ROWS,
        lambda x: (
            x[:, None].expand(-1, 4, -1),
            x.repeat(2, 3),
            x.repeat(2, 1, 1),
            x[:1].expand_as(x),
            x.repeat_interleave(2, 1),
            x.repeat_interleave(3),
        ),
    ),
    "roll and flip": (IMAGE, lambda x: (x.roll((1, -2), (1, 2)), x.flip(1, 3), x.roll(3))),
    "padding": (
        IMAGE,
        lambda x: (
            F.pad(x, (1, 2, 3, 0)),
            F.pad(x, (1, 1), value=3.0),
            F.pad(x, (2, 1, 1, 2), "reflect"),
            F.pad(x, (1, 1, 1, 1), "replicate"),
            F.pad(x, (-1, 2)),
            F.pad(x, (1, 2, 2, 1), "circular"),
        ),
    ),
    "products": (
        TIME,
        lambda x: (
            x @ x.transpose(1, 2),
            torch.bmm(x, x.mT),
            x[0].mm(x[1].t()),
            x[0, 0].dot(x[0, 1]),
            torch.baddbmm(x, x @ x.mT, x),
            torch.einsum("bij,bkj->bik", x, x),
            torch.cdist(x, x),
        ),
    ),
    "triangles": (ROWS, lambda x: (x.tril(), x.triu(1), torch.ones(4, 4).tril(-1) + x[0, 0])),
    "creation": (
        ROWS,
        lambda x: (
            torch.zeros_like(x) + 1,
            torch.full((2, 3), 4.0) + x[0, 0],
            torch.arange(6) + x,
            x.new_ones(3, 1) * x,
            torch.arange(1, 7, 2),
            torch.linspace(0, 1, 6) * x,
            torch.eye(6) @ x.t(),
        ),
    ),
    "gathers": (
        ROWS,
        lambda x: (
            x.gather(1, torch.tensor([[0, 1], [2, 3], [5, 4]])),
            x.index_select(1, torch.tensor([3, 0])),
            x[torch.tensor([2, 0])],
            x[:, torch.tensor([1, 1, 0])],
            x[torch.tensor([0, 1]), torch.tensor([2, 3])],
            x.take(torch.tensor([0, 7])),
        ),
    ),
    "more indexing": (
        IMAGE,
        lambda x: (
            x[:, :, torch.tensor([0, 1]), torch.tensor([2, 3])],
            x[torch.tensor([0, 1]), :, torch.tensor([2, 3])],
            x[:, torch.tensor([[0], [1]]), torch.tensor([2, 3])],
            x[x > 0],
            x[:, x[0, :, 0, 0] > -9],
        ),
    ),
    "scatters": (
        ROWS,
        lambda x: (
            x.scatter(1, torch.tensor([[0], [2], [4]]), 9.0),
            x.index_fill(0, torch.tensor([1]), 3.0),
            x.scatter_add(0, torch.tensor([[0, 1, 2, 0, 1, 2]]), x[:1]),
            F.one_hot(x.long().abs() % 4, 4),
        ),
    ),
    "resizing": (
        IMAGE,
        lambda x: (
            F.interpolate(x, scale_factor=2),
            F.interpolate(x, (5, 13)),
            F.interpolate(x, scale_factor=2, mode="bilinear"),
            F.interpolate(x, (7, 5), mode="bilinear"),
            F.interpolate(x, (17, 15), mode="bilinear", align_corners=True),
            F.interpolate(x, scale_factor=2, mode="bicubic"),
            F.pixel_shuffle(x, 2),
            F.interpolate(x, (5, 13), mode="nearest-exact"),
        ),
    ),
    "resizing in one axis": (TIME, lambda x: (F.interpolate(x, scale_factor=2.0), F.interpolate(x, 7, mode="linear"))),
    "windows": (
        IMAGE,
        lambda x: (x.unfold(2, 3, 2), F.unfold(x, 3, padding=1, stride=2), F.pixel_unshuffle(x[:, :, :8], 2)),
    ),
    "pooling": (
        IMAGE,
        lambda x: (
            F.max_pool2d(x, 2),
            F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
            F.avg_pool2d(x, 3, 2, 1),
            F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
            F.adaptive_avg_pool2d(x, 1),
            F.adaptive_avg_pool2d(x, (3, 4)),
            F.adaptive_avg_pool2d(x, (5, 3)),
            F.adaptive_max_pool2d(x, (3, 2)),
            F.max_pool1d(x[0], 2),
            F.avg_pool1d(x[0], 3),
            F.lp_pool2d(x, 2, 3),
        ),
    ),
    "attention": (
        (2, 3, 5, 8),
        lambda x: (
            F.scaled_dot_product_attention(x, x, x),
            F.scaled_dot_product_attention(x, x, x, is_causal=True),
            F.scaled_dot_product_attention(x, x, x, torch.ones(5, 5).tril().bool(), scale=0.3),
        ),
    ),
    "in place": (ROWS, lambda x: in_place(x.clone())),
    "cosine": (ROWS, lambda x: (F.cosine_similarity(x, x.flip(1)), F.local_response_norm(x[None], 3))),
    "composed": (
        ROWS,
        lambda x: (
            torch.vstack([x, x[0]]),
            x.median(1)[0],
            x.kthvalue(2, 0)[0],
            torch.bucketize(x, torch.tensor([-1.0, 0.0, 1.0])),
            x.diagonal(1),
            x.index_add(0, torch.tensor([2, 0]), x[:2], alpha=2),
            F.softplus(x, 3, 0.2),
            torch.hypot(x, x),
            x.nan_to_num(),
            torch.tensordot(x, x, ([1], [1])),
            torch.take_along_dim(x, torch.tensor([[1], [0], [5]]), 1),
            x.rot90(),
            torch.logaddexp(x, x * 2),
        ),
    ),
    "meshgrid": (ROWS, lambda x: torch.meshgrid(x[0], x[:, 1], indexing="ij")),
    "sampling": (
        IMAGE,
        lambda x: F.grid_sample(
            x,
            F.affine_grid(torch.eye(2, 3)[None].repeat(2, 1, 1) * 0.9, (2, 4, 5, 5), align_corners=False),
            align_corners=False,
        ),
    ),
}


def in_place(x: Tensor) -> tuple[Tensor, ...]:
    """Changes through views, seen by every other view."""
    y, row, part = x * 1, x[0], x[:, 1:3]
    x[:, 2] = 5
    row.mul_(2)
    part += 1
    x[1:, ::2] = -1
    x.t()[0].add_(10)
    y[:, 0:2] = x[:, 4:]
    x.view(-1)[3:5] = 0
    return x, row, part, y.relu_(), x[x > 0]


def modules() -> dict[str, Case]:
    """Modules with weights; traced and scripted."""
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(4)
    norm(r(8, 4, 3, 3))
    row, cube = r(3, 4, 3), r(2, 1, 2, 2, 2)
    image, time = "x=f32[batch,4,9,8]", "x=f32[5,batch,4]"
    return {
        "conv": (
            nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=3, dilation=2, padding=2)),
            (r(*IMAGE),),
            [image],
        ),
        "conv same": (nn.Conv2d(4, 3, (2, 5), padding="same"), (r(*IMAGE),), [image]),
        "conv 1 and 3 axes": (
            Of(lambda x: (F.conv1d(x[:, :, 0], row), F.conv3d(x[:, None], cube))),
            (r(*IMAGE),),
            [image],
        ),
        "conv transposed": (nn.ConvTranspose2d(4, 3, 3, 2, 1, 1), (r(*IMAGE),), [image]),
        "batch norm": (norm, (r(*IMAGE),), [image]),
        "group norm": (nn.Sequential(nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True)), (r(*IMAGE),), [image]),
        "layer norm": (
            nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 5), nn.LayerNorm(5, elementwise_affine=False), nn.RMSNorm(5)),
            (r(*ROWS),),
            ["x=f32[n,6]"],
        ),
        "prelu": (nn.Sequential(nn.Conv2d(4, 4, 1), nn.PReLU(4)), (r(*IMAGE),), [image]),
        "linear": (nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2, bias=False)), (r(*TIME),), [time]),
        "lstm": (nn.LSTM(4, 3, 2), (r(*TIME),), [time]),
        "lstm both ways": (
            nn.LSTM(4, 3, 2, bidirectional=True, batch_first=True, bias=False),
            (r(*TIME),),
            ["x=f32[5,time,4]"],
        ),
        "gru": (nn.GRU(4, 3, 2, bidirectional=True), (r(*TIME),), [time]),
        "rnn": (nn.RNN(4, 3, nonlinearity="relu"), (r(*TIME),), [time]),
        "gru cell": (nn.GRUCell(6, 4), (r(*ROWS),), ["x=f32[n,6]"]),
        "embedding": (nn.Embedding(9, 4), (torch.tensor([[1, 0], [1, 1]]),), ["x=i64[n,2]"]),
        "multi-head attention": (
            nn.MultiheadAttention(8, 2, batch_first=True),
            (r(2, 3, 8),) * 3,
            ["query=f32[n,3,8]", "key=f32[n,3,8]", "value=f32[n,3,8]"],
        ),
        "transformer": (
            nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
            (r(2, 3, 8),),
            ["x=f32[n,3,8]"],
        ),
    }
