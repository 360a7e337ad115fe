"""Rate against accuracy in one picture, PNG or SVG."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DataError
from ..ops import write_atomic
from .collect import Source
from .curve import Curve, CurvePoint, build_curves
from .group import METRIC_NAMES, group_results
from .published_curve import PublishedCurve
from .result import ResultFile
from .styles import ORIGINAL_METHOD, SENT_OUTPUT_METHODS, method_style

__all__ = ["check_plot_path", "curve_dashes", "curve_legend", "image_pixels", "is_curve", "plot_rate_accuracy"]

_LINES = ("-", "--", ":", "-.")
_PUBLISHED_LINE = (0, (7, 4))
_FORMATS = (".png", ".svg")
_BARS = (
    "Bars: 95 % bootstrap interval over images; of several seeds, the least to the greatest. Lines join the points on "
    "each curve's own Pareto front."
)


def plot_rate_accuracy(
    results: Sequence[ResultFile],
    path: str | Path,
    title: str | None = None,
    published: Sequence[PublishedCurve] = (),
) -> Path:
    """Draws accuracy over bits per image pixel (logarithmic), one colour and marker per method everywhere.

    The line joins the points on a curve's own Pareto front; the others stand beside it, paler. Filled markers are
    supervised or not trained, open ones unsupervised; a method's second, third and fourth curve (supervision, split)
    differ in the dash of the line; bypassed curves are thin. A point of one seed has its confidence interval as bar;
    one of several seeds is their mean, its bars reach from the least to the greatest seed in accuracy and in rate.
    Published curves are thin, dashed and open, without bars. The dashed level is the original network, the star what
    sending the label costs.

    Args:
        results: results of one protocol, data set and network.
        path: ends in .png or .svg; written whole or not at all, the same bytes for the same results.
        title: instead of the network, data set and protocol.
        published: curves drawn as published; nobody here measured them.

    Raises:
        ConfigError: another ending, or results that must not share a plot.
        DataError: nothing to draw.
    """
    path = Path(path)
    check_plot_path(path)
    groups = group_results(results)
    if len(groups) > 1:
        listed = "; ".join(group.heading for group in groups)
        raise ConfigError(f"Points under different protocols, data sets or networks never share a plot: {listed}.")
    if not any(result.points for result in results):
        raise DataError("There is no point to draw; evaluate a method first.")
    group, members = next(iter(groups.items()))
    curves = build_curves([Source(result) for result in members])

    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "sc2-spic", "font.size": 10, "svg.fonttype": "path"}):
        height = max(5.8, 1.2 + 0.25 * (len(curves) + len(published)))
        figure = Figure(figsize=(11.5, height), layout="constrained")
        axes = figure.add_subplot()
        _draw_curves(axes, curves)
        _draw_published(axes, published)
        _draw_references(axes, curves)
        _dress(axes, curves)
        axes.set_title(title or group.title, pad=12)
        axes.legend(
            *_legend(axes, {curve.label for curve in published}),
            loc="upper left",
            bbox_to_anchor=(1.01, 1.0),
            borderaxespad=0.0,
            frameon=False,
            handlelength=3.2,
            fontsize=9,
            labelspacing=0.6,
        )
        figure.supxlabel(_BARS, x=0.01, ha="left", fontsize=8, color="#666666")
        buffer = io.BytesIO()
        kind = path.suffix.lower().lstrip(".")
        metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
        figure.savefig(buffer, format=kind, dpi=150, metadata=metadata)
    return write_atomic(path, buffer.getvalue())


def check_plot_path(path: Path) -> None:
    """Checks that a plot can be written in the format that a name asks for.

    Raises:
        ConfigError: another ending.
    """
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"Plots are written as {' or '.join(_FORMATS)}, got `{path.name}`.")


def curve_dashes(curves: Sequence[Curve]) -> list[int]:
    """Returns which dash each curve's line has, 0 to 3.

    Where the curves are of several splits, each split has a dash, and open markers tell supervision; else curves of one
    method are numbered.
    """
    cuts = sorted({curve.meta.cut for curve in curves if curve.meta.cut})
    several = len(cuts) > 1
    seen: dict[tuple[str | None, ...], int] = {}
    numbers = []
    for curve in curves:
        meta = curve.meta
        key = (meta.method, meta.supervision, meta.cut) if several else (meta.method,)
        first = cuts.index(meta.cut) if several and meta.cut else 0
        numbers.append(first + seen.get(key, 0) * max(len(cuts), 1))
        seen[key] = seen.get(key, 0) + 1
    return [value % len(_LINES) for value in numbers]


def curve_legend(curve: Curve, curves: Sequence[Curve]) -> str:
    """Returns the curve's label, with its split where the curves have several."""
    several = len({each.meta.cut for each in curves if each.meta.cut}) > 1
    return curve.label + (f", {curve.meta.cut}" if several and curve.meta.cut else "")


def is_curve(curve: Curve) -> bool:
    """Returns whether it is drawn as a curve: neither the original network nor its output sent."""
    return curve.meta.method not in (ORIGINAL_METHOD, *SENT_OUTPUT_METHODS)


def _legend(axes: Any, last: set[str]) -> tuple[list[Any], list[str]]:
    """Returns what the legend shows, the labels `last` at its end."""
    entries = list(zip(*axes.get_legend_handles_labels(), strict=True))
    entries.sort(key=lambda entry: entry[1] in last)
    return [handle for handle, _ in entries], [label for _, label in entries]


def _draw_curves(axes: Any, curves: Sequence[Curve]) -> None:
    for curve, dash in zip(curves, curve_dashes(curves), strict=True):
        points = [point for point in curve.points if point.bpp]
        if not is_curve(curve) or not points:
            continue
        style = curve.style
        faint = curve.meta.bypassed or curve.meta.bits != "measured"
        front = [point for point in curve.front if point.bpp]
        look = {
            "color": style.colour,
            "marker": style.marker,
            "markersize": 6,
            "markerfacecolor": "white" if curve.meta.supervision == "unsupervised" else style.colour,
            "zorder": 2 if style.reference else 3,
        }
        beside = [point for point in points if point not in front]
        if beside:
            axes.plot([p.bpp for p in beside], [p.accuracy for p in beside], linestyle="none", alpha=0.4, **look)
        _, _, bars = axes.errorbar(
            [point.bpp for point in front],
            [point.accuracy for point in front],
            yerr=_reach(front, [point.error for point in front], [point.accuracy for point in front]),
            xerr=_reach(front, [point.spread("bpp") for point in front], [float(p.bpp or 0) for p in front]),
            label=curve_legend(curve, curves),
            linestyle=_LINES[dash],
            linewidth=0.8 if faint else 1.6,
            elinewidth=0.9,
            **look,
        )
        for bar in bars:
            bar.set_alpha(0.55)


def _reach(points: Sequence[CurvePoint], ends: Sequence[Any], centres: Sequence[float]) -> list[list[float]] | None:
    """Returns how far the bars reach below and above (2, N), or None where no point has one."""
    if all(end is None for end in ends):
        return None
    pairs = list(zip(ends, centres, strict=True))
    return [
        [0.0 if end is None else max(0.0, centre - end.low) for end, centre in pairs],
        [0.0 if end is None else max(0.0, end.high - centre) for end, centre in pairs],
    ]


def _draw_published(axes: Any, published: Sequence[PublishedCurve]) -> None:
    styles = [method_style(curve.method or curve.name) for curve in published]
    for curve, style in zip(published, styles, strict=True):
        if styles.count(style) > 1:  # several curves of one method: their names tell them apart
            axes.annotate(
                curve.name,
                (curve.bpp[0], curve.accuracy[0]),
                xytext=(0, -6),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=7,
                color=style.colour,
            )
        axes.plot(
            curve.bpp,
            curve.accuracy,
            label=curve.label,
            color=style.colour,
            marker=style.marker,
            markersize=5,
            markerfacecolor="white",
            markeredgewidth=0.8,
            linestyle=_PUBLISHED_LINE,
            linewidth=0.9,
            alpha=0.8,
            zorder=1.5,
        )


def _draw_references(axes: Any, curves: Sequence[Curve]) -> None:
    for curve in curves:
        style = curve.style
        for point in curve.points:
            if curve.meta.method == ORIGINAL_METHOD:
                label = f"{style.label}, {point.accuracy:.1f} %"
                axes.axhline(point.accuracy, color=style.colour, linestyle=(0, (6, 3)), linewidth=1.1, label=label)
            elif not is_curve(curve) and point.bpp:
                payload = point.mean("payload_bytes")
                label = style.label + (f", {payload:.4g} B" if payload else "")
                axes.axvline(point.bpp, color="#999999", linestyle=(0, (1, 2)), linewidth=1.0, zorder=1)
                look = {"marker": style.marker, "markersize": 14, "markeredgecolor": "white", "linestyle": "none"}
                axes.plot([point.bpp], [point.accuracy], color=style.colour, label=label, zorder=5, **look)


def _dress(axes: Any, curves: Sequence[Curve]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.set_xscale("log")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 5, 10]))
    axes.margins(x=0.06, y=0.06)
    axes.set_xlabel("bits per image pixel (payload)")
    axes.set_ylabel(
        f"{METRIC_NAMES[curves[0].meta.metric]} accuracy, %" if curves[0].meta.metric == "top1" else "mIoU, %"
    )
    axes.grid(True, which="major", color="#dddddd", linewidth=0.7)
    axes.grid(True, which="minor", axis="x", color="#eeeeee", linewidth=0.4)
    axes.set_axisbelow(True)
    axes.spines["right"].set_visible(False)
    plain = FuncFormatter(lambda value, _: f"{value:,g}")
    horizontal = [axes.xaxis]
    pixels = image_pixels(curves)
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


def image_pixels(curves: Sequence[Curve]) -> float | None:
    """Returns the image pixels behind all rates, or None where points disagree or sizes are missing."""
    points = [measured for curve in curves for point in curve.points for measured in point.points if measured.bpp]
    if not points or any(point.payload_bytes is None for point in points):
        return None
    pixels = [float(point.payload_bytes or 0) * 8 / float(point.bpp or 1) for point in points]
    return pixels[0] if max(pixels) - min(pixels) <= 0.01 * max(pixels) else None
