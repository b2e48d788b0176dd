"""Numbers as Prometheus' text format has them, for node_exporter's textfile collector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from modelglot.sources.sink import replacing


class Metric(NamedTuple):
    """``values``: labels -> number. Only gauges: a file is what the last run found."""

    name: str
    help: str
    values: Mapping[tuple[tuple[str, str], ...], float]


def exposition(metrics: list[Metric]) -> str:
    """One block a metric. Specification: prometheus.io/docs/instrumenting/exposition_formats"""
    lines = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} gauge"]
        for labels, value in metric.values.items():
            shown = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
            lines.append(f"{metric.name}{{{shown}}} {value:.17g}")
    return "\n".join(lines) + "\n"


def write_metrics(metrics: list[Metric], path: str) -> None:
    """Replaces the file in one rename. Raises CannotWriteError."""
    with replacing(path, force=True) as place, open(place, "w", encoding="utf-8") as file:
        file.write(exposition(metrics))


def _escaped(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
