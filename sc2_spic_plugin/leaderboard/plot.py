"""Rate against accuracy in one picture, PNG or SVG."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DataError
from ..ops import write_atomic
from .point import Point
from .result import ResultFile
from .rows import METRIC_NAMES, curve_label, group_results
from .styles import ORIGINAL_METHOD, SENT_OUTPUT_METHODS, method_style

__all__ = ["plot_rate_accuracy"]

_LINES = ("-", "--", ":", "-.")
_FORMATS = (".png", ".svg")


def plot_rate_accuracy(results: Sequence[ResultFile], path: str | Path, title: str | None = None) -> Path:
    """Draws accuracy over bits per image pixel (logarithmic), one colour and marker per method everywhere.

    Filled markers are supervised or not trained, open ones unsupervised; a method's second, third and fourth curve
    (supervision, split) differ in the dash of the line; bypassed and published curves are thin. Bars are the
    confidence intervals. The dashed level is the original network, the star what sending the label costs.

    Args:
        results: results of one protocol, data set and network.
        path: ends in .png or .svg; written whole or not at all, the same bytes for the same results.
        title: instead of the network, data set and protocol.

    Raises:
        ConfigError: another ending, or results that must not share a plot.
        DataError: nothing to draw.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"Plots are written as {' or '.join(_FORMATS)}, got `{path.name}`.")
    groups = group_results(results)
    if len(groups) > 1:
        listed = "; ".join(group.heading for group in groups)
        raise ConfigError(f"Points under different protocols, data sets or networks never share a plot: {listed}.")
    if not any(result.points for result in results):
        raise DataError("There is no point to draw; evaluate a method first.")
    group, members = next(iter(groups.items()))

    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "sc2-spic", "font.size": 10, "svg.fonttype": "path"}):
        figure = Figure(figsize=(11.5, 5.8), layout="constrained")
        axes = figure.add_subplot()
        _draw_curves(axes, members)
        _draw_references(axes, members)
        _dress(axes, members)
        axes.set_title(title or f"{group.network} on {group.dataset}, protocol {group.protocol}", pad=12)
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            borderaxespad=0.0,
            frameon=False,
            handlelength=3.2,
            fontsize=9,
            labelspacing=0.6,
        )
        buffer = io.BytesIO()
        kind = path.suffix.lower().lstrip(".")
        metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
        figure.savefig(buffer, format=kind, dpi=150, metadata=metadata)
    return write_atomic(path, buffer.getvalue())


def _draw_curves(axes: Any, members: Sequence[ResultFile]) -> None:
    variants: dict[str, list[tuple[str | None, str | None]]] = {}
    several_cuts = len({result.meta.cut for result in members if result.meta.cut}) > 1
    for result in members:
        meta, style = result.meta, method_style(result.meta.method)
        if meta.method in (ORIGINAL_METHOD, *SENT_OUTPUT_METHODS):
            continue
        known = variants.setdefault(meta.method, [])
        if (meta.supervision, meta.cut) not in known:
            known.append((meta.supervision, meta.cut))
        label = curve_label(result) + (f", {meta.cut}" if several_cuts and meta.cut else "")
        faint = meta.bypassed or meta.bits != "measured"
        for number, points in enumerate(_seeds(result)):
            _, _, bars = axes.errorbar(
                [point.bpp for point in points],
                [point.accuracy for point in points],
                yerr=_bars(points),
                label=label if number == 0 else None,
                color=style.colour,
                marker=style.marker,
                markersize=6,
                markerfacecolor="white" if meta.supervision == "unsupervised" else style.colour,
                linestyle=_LINES[known.index((meta.supervision, meta.cut)) % len(_LINES)],
                linewidth=0.8 if faint else 1.6,
                elinewidth=0.9,
                zorder=2 if style.reference else 3,
            )
            for bar in bars:
                bar.set_alpha(0.55)


def _seeds(result: ResultFile) -> list[list[Point]]:
    """Splits a result into one curve per seed, without the points that a logarithmic axis cannot show."""
    curves: dict[int | None, list[Point]] = {}
    for point in result.points:
        if point.bpp:
            curves.setdefault(point.seed, []).append(point)
    return list(curves.values())


def _bars(points: Sequence[Point]) -> list[list[float]] | None:
    if all(point.confidence_low is None for point in points):
        return None
    low = [p.accuracy if p.confidence_low is None else p.confidence_low for p in points]
    high = [p.accuracy if p.confidence_high is None else p.confidence_high for p in points]
    return [
        [max(0.0, p.accuracy - value) for p, value in zip(points, low, strict=True)],
        [max(0.0, value - p.accuracy) for p, value in zip(points, high, strict=True)],
    ]


def _draw_references(axes: Any, members: Sequence[ResultFile]) -> None:
    for result in members:
        style = method_style(result.meta.method)
        for point in result.points:
            if result.meta.method == ORIGINAL_METHOD:
                label = f"{style.label}, {point.accuracy:.1f} %"
                axes.axhline(point.accuracy, color=style.colour, linestyle=(0, (6, 3)), linewidth=1.1, label=label)
            elif result.meta.method in SENT_OUTPUT_METHODS and point.bpp:
                label = style.label + (f", {point.payload_bytes:.4g} B" if point.payload_bytes else "")
                axes.axvline(point.bpp, color="#999999", linestyle=(0, (1, 2)), linewidth=1.0, zorder=1)
                look = {"marker": style.marker, "markersize": 14, "markeredgecolor": "white", "linestyle": "none"}
                axes.plot([point.bpp], [point.accuracy], color=style.colour, label=label, zorder=5, **look)


def _dress(axes: Any, members: Sequence[ResultFile]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.set_xscale("log")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 5, 10]))
    axes.margins(x=0.06, y=0.06)
    axes.set_xlabel("bits per image pixel (payload)")
    axes.set_ylabel(
        f"{METRIC_NAMES[members[0].meta.metric]} accuracy, %" if members[0].meta.metric == "top1" else "mIoU, %"
    )
    axes.grid(True, which="major", color="#dddddd", linewidth=0.7)
    axes.grid(True, which="minor", axis="x", color="#eeeeee", linewidth=0.4)
    axes.set_axisbelow(True)
    axes.spines["right"].set_visible(False)
    plain = FuncFormatter(lambda value, _: f"{value:,g}")
    horizontal = [axes.xaxis]
    pixels = _pixels(members)
    if pixels is not None:
        top = axes.secondary_xaxis(
            "top", functions=(lambda bpp: bpp * pixels / 8, lambda payload: payload * 8 / pixels)
        )
        top.set_xlabel("payload bytes per image")
        horizontal.append(top.xaxis)
    low, high = axes.get_xlim()
    subs = (1.0,) if high / low > 1e5 else (1.0, 3.0) if high / low > 100 else (1.0, 2.0, 5.0)
    for axis in horizontal:
        axis.set_major_locator(LogLocator(subs=subs))
        axis.set_major_formatter(plain)
        axis.set_minor_formatter(NullFormatter())


def _pixels(members: Sequence[ResultFile]) -> float | None:
    """Returns the image pixels behind all rates, or None where points disagree or sizes are missing."""
    points = [point for result in members for point in result.points if point.bpp]
    if not points or any(point.payload_bytes is None for point in points):
        return None
    pixels = [float(point.payload_bytes or 0) * 8 / float(point.bpp or 1) for point in points]
    return pixels[0] if max(pixels) - min(pixels) <= 0.01 * max(pixels) else None
