"""modelglot stats, modelglot compare"""

from __future__ import annotations

from collections.abc import Iterator

import click

from modelglot.api.measuring import compare, stats
from modelglot.cli.options import component_option, exclude_option, include_option, json_option, print_json
from modelglot.core.errors import printable
from modelglot.features.compare.errors import Comparison
from modelglot.features.stats.tensors import Statistics, bars
from modelglot.report.lines import Line, line, plural, size, write


@click.command("stats")
@click.argument("path")
@component_option
@include_option
@exclude_option
@click.option("--histogram", is_flag=True, help="Also how often each power of two occurs.")
@click.option("--plot", metavar="FILE", help="Also draw them to a .png or .svg file (needs matplotlib).")
@json_option
def stats_command(
    path: str,
    component: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    histogram: bool,
    plot: str | None,
    as_json: bool,
) -> int:
    """Per tensor: range, mean, spread, zeros, NaN and infinities, outliers. One pass, quantized blocks decoded."""
    seen = []
    for found in stats(path, component=component, include=include, exclude=exclude):
        seen.append(found)
        if as_json:
            print_json({"schema": "modelglot.stats/1", **found.document()})
        else:
            write(_statistics_lines(found, histogram))
    if plot:
        from modelglot.report.plots import plot_statistics

        plot_statistics(seen, path, plot)
    return 0


def _statistics_lines(found: Statistics, histogram: bool) -> Iterator[Line]:
    odd = "".join(f", {n:,} {what}" for n, what in ((found.nan, "NaN"), (found.inf, "infinite")) if n)
    if found.minimum is None or found.maximum is None or found.mean is None or found.std is None:
        yield line((printable(found.name), "bold"), f"  {found.type} x{found.count:,}", (odd, "red"))
        return
    numbers = f"{found.minimum:.4g} .. {found.maximum:.4g}, mean {found.mean:.4g}, std {found.std:.4g}"
    zeros = f", {found.zeros / found.count:.1%} zero" if found.zeros else ""
    beyond = f", {plural(found.outliers, 'outlier')} from {found.outlier_from:g}" if found.outliers else ""
    yield line(
        (printable(found.name), "bold"), f"  {found.type} x{found.count:,}: {numbers}{zeros}{beyond}", (odd, "red")
    )
    if histogram:
        for span, count, bar in bars(found.histogram):
            yield line(f"    {span:>12} {count:>14,} ", (bar, "cyan"))


@click.command("compare")
@click.argument("left")
@click.argument("right")
@component_option
@include_option
@exclude_option
@click.option("--plot", metavar="FILE", help="Also draw the errors to a .png or .svg file (needs matplotlib).")
@json_option
def compare_command(
    left: str,
    right: str,
    component: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    plot: str | None,
    as_json: bool,
) -> int:
    """What RIGHT lost against LEFT, tensor by tensor: a cast or a quantization in numbers."""
    report = compare(left, right, component=component, include=include, exclude=exclude)
    if plot:
        from modelglot.report.plots import plot_errors

        plot_errors(report, plot)
    if as_json:
        print_json(report.document())
    else:
        write(_comparison_lines(report))
    return 0


def _comparison_lines(report: Comparison) -> Iterator[Line]:
    width = max((len(printable(t.name)) for t in report.tensors), default=4)
    header = f"{'types':<16} {'rmse':>10} {'worst':>10} {'relative':>9} {'SNR dB':>7} {'bits':>6}"
    yield line((f"{'tensor':<{width}}  {header}", "bold"))
    for t in report.tensors:
        snr = f"{t.snr:.1f}" if t.snr is not None else "exact"
        kinds = t.left if t.left == t.right else f"{t.left} -> {t.right}"
        errors = f"{t.rmse:>10.3g} {t.worst:>10.3g} {t.relative:>9.3%} {snr:>7} {t.bits:>6.3g}"
        odd = f"  {t.nonfinite:,} not finite" if t.nonfinite else ""
        yield line(f"{printable(t.name):<{width}}  {kinds:<16} {errors}", (odd, "red"))
    for names, what in ((report.only_left, report.left), (report.only_right, report.right)):
        if names:
            yield line(f"only in {printable(what)}: {plural(len(names), 'tensor')}, such as {printable(names[0])}")
    if report.different:
        yield line(
            f"of different shape: {plural(len(report.different), 'tensor')}, such as {printable(report.different[0])}"
        )
    ratio = report.right_bytes / report.left_bytes if report.left_bytes else 0
    yield line(
        f"{size(report.left_bytes)} -> {size(report.right_bytes)} ({ratio:.1%}), {report.bits:.3f} bits a weight"
    )
