"""Fourier transforms with real and imaginary parts in the last axis."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def fourier(x: Tensor, length: int | None, dim: int, inverse: bool, onesided: bool) -> Tensor:
    """``onesided``: only the half of a real signal's transform that tells all; backwards, a real signal of it."""
    dim %= x.ndim
    values = torch.view_as_complex(x.contiguous()) if x.shape[-1] == 2 else x[..., 0]
    if inverse and onesided:
        signal: Tensor = torch.fft.irfft(values, n=length, dim=dim)
        return signal.unsqueeze(-1)
    if onesided and not values.is_complex():
        return torch.view_as_real(torch.fft.rfft(values, n=length, dim=dim))
    made = (torch.fft.ifft if inverse else torch.fft.fft)(values, n=length, dim=dim)
    if onesided:
        made = made.narrow(dim, 0, made.shape[dim] // 2 + 1)
    return torch.view_as_real(made)


def short_time_fourier(signal: Tensor, step: int, window: Tensor | None, length: int | None, onesided: bool) -> Tensor:
    """(batch, frames, bins, 2) of a signal (batch, samples, 1 or 2)."""
    length = length or (window.shape[0] if window is not None else signal.shape[1])
    frames = signal.unfold(1, length, step).transpose(2, 3)
    if window is not None:
        spare = length - window.shape[0]
        frames = frames * F.pad(window, (spare // 2, spare - spare // 2)).reshape(-1, 1)
    return fourier(frames, None, 2, False, onesided)


def mel_weights(bands: int, length: int, rate: int, lowest: float, highest: float) -> Tensor:
    """(bins, bands): triangles over the bins of a transform, evenly apart on the mel scale."""
    low, high = (2595 * math.log10(1 + edge / 700) for edge in (lowest, highest))
    step = (high - low) / (bands + 2)
    corners = [int((length + 1) * 700 * (10 ** ((low + i * step) / 2595) - 1) // rate) for i in range(bands + 2)]
    made = torch.zeros(length // 2 + 1, bands)
    for band, (left, middle, right) in enumerate(zip(corners, corners[1:], corners[2:])):
        for place in range(left, middle + 1):
            made[place, band] = (place - left) / (middle - left) if middle > left else 1.0
        for place in range(middle, right):
            made[place, band] = (right - place) / (right - middle)
    return made
