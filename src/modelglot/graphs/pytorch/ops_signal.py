"""Fourier transforms and windows."""

from __future__ import annotations

from modelglot.graphs.pytorch.call import Call, Rule


def _fourier(call: Call) -> str:
    """Since opset 20 the axis is an input; the last axis is that of real and imaginary parts."""
    if call.version < 20:
        axis = str(call.attr("axis", 1))
    else:
        axis = call.number(2) if call.has(2) else "-2"
    length = call.number(1) if call.has(1) else "None"
    flags = f"{call.flag('inverse')}, {call.flag('onesided')}"
    return f"{call.use('fourier')}({call[0]}, {length}, {axis}, {flags})"


def _short_time(call: Call) -> str:
    length = call.number(3) if call.has(3) else "None"
    parts = (call[0], call.number(1), call.tensor_or(2), length, str(call.flag("onesided", 1)))
    return f"{call.use('short_time_fourier')}({', '.join(parts)})"


def _window(function: str, *more: str) -> Rule:
    def rule(call: Call) -> str:
        parts = [call.number(0), f"periodic={call.flag('periodic', 1)}", *more]
        kind = call.to("output_datatype") if call.attr("output_datatype") is not None else "float32"
        return f"torch.{function}({', '.join(parts)}, dtype=torch.float64, device={call.device}).to(torch.{kind})"

    return rule


def _mel(call: Call) -> str:
    kind = call.to("output_datatype") if call.attr("output_datatype") is not None else "float32"
    numbers = ", ".join(call.number(n) for n in range(5))
    return f"{call.use('mel_weights')}({numbers}).to(torch.{kind})"


RULES: dict[str, Rule] = {
    "DFT": _fourier, "STFT": _short_time, "HannWindow": _window("hann_window"),
    "HammingWindow": _window("hamming_window", "alpha=25 / 46", "beta=21 / 46"),
    "BlackmanWindow": _window("blackman_window"), "MelWeightMatrix": _mel,
}  # fmt: skip
