"""IQ1: sorted numbers are cut in three, the thirds stand for -1, 0 and 1, all moved an eighth up or down."""

from __future__ import annotations

import numpy as np

from modelglot.kernels.reference.numbers import Array, F

UP = np.array([-0.875, 0.125, 1.125], np.float32)
DOWN = np.array([-1.125, -0.125, 0.875], np.float32)


class Cut:
    """The best cut so far, lane by lane: sorted numbers before ``first`` are -1, from ``second`` on 1.

    ``moved``: the groups moved down, a bit each. ``none``: nothing fits.
    """

    def __init__(self, scale: Array) -> None:
        self.scale, self.best = scale, np.full(scale.shape, np.finfo(np.float32).min)
        self.first, self.second, self.moved = (np.zeros(scale.shape, np.int32) for _ in range(3))
        self.none = np.ones(scale.shape, bool)

    def offer(self, qx: Array, q2: Array, first: int, second: int, moved: int) -> None:
        better = (q2 > 0) & (qx * qx > self.best * q2)
        self.scale = np.where(better, qx / q2, self.scale)
        self.best = np.where(better, self.scale * qx, self.best)
        self.first, self.second = np.where(better, first, self.first), np.where(better, second, self.second)
        self.moved, self.none = np.where(better, moved, self.moved), self.none & ~better


def running(values: Array) -> Array:
    """Sums of the first 0, 1, 2 ... rows, added in order."""
    return np.add.accumulate(np.concatenate([np.zeros_like(values[:1]), values]), axis=0)


def cut_whole(x: Array, w: Array, cut: Cut) -> None:
    """IQ1_S: 32 numbers in order; all groups are moved alike."""
    sx, sw = running(w * x), running(w)
    for first in range(len(x) + 1):
        for second in range(first, len(x) + 1):
            parts_x = sx[first], sx[second] - sx[first], sx[-1] - sx[second]
            parts_w = sw[first], sw[second] - sw[first], sw[-1] - sw[second]
            for level_of, moved in ((UP, 0), (DOWN, 15)):
                (a, b, c), (d, e, f) = parts_x, parts_w
                p, q, r = level_of
                cut.offer(a * p + b * q + c * r, d * p * p + e * q * q + f * r * r, first, second, moved)


def cut_halves(x: Array, w: Array, order: Array, cut: Cut) -> None:
    """IQ1_M: 16 numbers in order, ``order`` says where they were; each eight is moved by itself."""
    own = [order < 8, order >= 8]
    sx, sw = [running(np.where(o, w * x, F(0))) for o in own], [running(np.where(o, w, F(0))) for o in own]
    for first in range(len(x) + 1):
        for second in range(first, len(x) + 1):
            qx, q2 = {}, {}
            for h in (0, 1):
                both, total_w = sx[h][first] + sx[h][second], sw[h][-1]
                for down, (low, mid, high) in enumerate((UP, DOWN)):
                    qx[h, down] = sx[h][-1] * high - both
                    left, right = low * low - mid * mid, mid * mid - high * high
                    q2[h, down] = total_w * high * high + sw[h][first] * left + sw[h][second] * right
            for a in (0, 1):
                for b in (0, 1):
                    cut.offer(qx[0, a] + qx[1, b], q2[0, a] + q2[1, b], first, second, a | b << 1)
