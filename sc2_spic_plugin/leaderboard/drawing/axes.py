"""One pair of axes of a plot: curves, published curves, reference rows, scales."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..published import PublishedCurve
from ..results import METRIC_NAMES, Curve, CurvePoint
from ..styles import ORIGINAL_METHOD, method_style
from .looks import image_pixels, is_curve

__all__ = ["Look", "draw_curves", "draw_published", "draw_references", "dress_axes"]

_LINES = ("-", "--", ":", "-.")
_PUBLISHED_LINE = (0, (7, 4))


class Look(NamedTuple):
    """How one curve is drawn, beside the style of its method."""

    curve: Curve
    dash: int
    legend: str


def draw_curves(axes: Any, looks: Sequence[Look]) -> None:
    """Draws curves with their bars; points beside a curve's own front are paler and on no line."""
    for curve, dash, legend in looks:
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
            label=legend,
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


def draw_published(axes: Any, published: Sequence[PublishedCurve]) -> None:
    """Draws published curves thin, dashed and open; names tell those of one style apart."""
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


def draw_references(axes: Any, curves: Sequence[Curve]) -> None:
    """Draws the level of the original network, and what sending its output costs."""
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


def dress_axes(axes: Any, curves: Sequence[Curve], top: bool = True, bottom: bool = True) -> None:
    """Sets scales, grid and names; `top` and `bottom` say which of the two rate axes are named here."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.set_xscale("log")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=9, steps=[1, 2, 5, 10]))
    axes.margins(x=0.06, y=0.06)
    if bottom:
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
    if top and pixels is not None:
        bytes_axis = axes.secondary_xaxis(
            "top", functions=(lambda bpp: bpp * pixels / 8, lambda payload: payload * 8 / pixels)
        )
        bytes_axis.set_xlabel("payload bytes per image")
        horizontal.append(bytes_axis.xaxis)
    low, high = axes.get_xlim()
    subs = (1.0,) if high / low > 1e5 else (1.0, 3.0) if high / low > 100 else (1.0, 2.0, 5.0)
    for axis in horizontal:
        axis.set_major_locator(LogLocator(subs=subs))
        axis.set_major_formatter(plain)
        axis.set_minor_formatter(NullFormatter())
