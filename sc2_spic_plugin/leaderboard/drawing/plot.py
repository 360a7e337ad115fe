"""Rate against accuracy in one picture, PNG or SVG."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import ConfigError, DataError
from ...ops import write_atomic
from ..published import PublishedCurve
from ..results import Curve, ResultFile, Source, build_curves, group_results
from .axes import Look, draw_curves, draw_published, draw_references, dress_axes
from .looks import curve_dashes, curve_legend, curve_panels, label_dashes

__all__ = ["check_plot_path", "plot_rate_accuracy"]

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
    panels: bool | None = None,
    floor: float | None = None,
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
        panels: one panel below another for each split, methods without a split in all of them; None: where more than
            ten curves are of several splits.
        floor: accuracy in percent where the axis begins; the picture says how many points lie below it.

    Raises:
        ConfigError: another ending, results that must not share a plot, panels of a single split, or a floor above
            every point.
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
    members_of = curve_panels(curves, panels)
    if panels and not members_of:
        raise ConfigError("These results are not of several splits, so there is nothing to put into panels.")
    note = _below(curves, floor)

    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "sc2-spic", "font.size": 10, "svg.fonttype": "path"}):
        looks = _looks(curves, bool(members_of))
        entries = len({look.legend for look in looks}) + len(published)
        height = max(5.8, 1.2 + 0.25 * entries, 1.4 + 3.1 * len(members_of))
        figure = Figure(figsize=(11.5, height), layout="constrained")
        several = figure.subplots(len(members_of) or 1, sharex=True, sharey=True, squeeze=False)[:, 0].tolist()
        for axes, (cut, shown) in zip(several, members_of or [("", curves)], strict=True):
            draw_curves(axes, [look for look in looks if look.curve in shown])
            draw_published(axes, published)
            draw_references(axes, shown)
            if cut:
                axes.set_title(f"split: {cut}", loc="left", fontsize=10, fontweight="bold")
        for axes in several:  # their scales are one, so dressed when all are drawn
            dress_axes(axes, curves, top=axes is several[0], bottom=axes is several[-1])
            if floor is not None:
                axes.set_ylim(bottom=floor)
        if members_of:
            figure.suptitle(title or group.title, x=0.01, ha="left")
        else:
            several[0].set_title(title or group.title, pad=12)
        handles, labels = _legend(several, [look.legend for look in looks], {curve.label for curve in published})
        figure.legend(
            handles,
            labels,
            loc="outside right upper",
            frameon=False,
            handlelength=3.2,
            fontsize=9,
            labelspacing=0.6,
        )
        figure.supxlabel(_BARS + note, x=0.01, ha="left", fontsize=8, color="#666666")
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


def _looks(curves: Sequence[Curve], in_panels: bool) -> list[Look]:
    dashes = label_dashes(curves) if in_panels else curve_dashes(curves)
    legends = [curve.label if in_panels else curve_legend(curve, curves) for curve in curves]
    return [Look(*each) for each in zip(curves, dashes, legends, strict=True)]


def _legend(several: Sequence[Any], order: Sequence[str], last: set[str]) -> tuple[list[Any], list[str]]:
    """Returns what the legend shows, each label once: reference rows, curves in their order, the labels `last`."""
    entries: dict[str, Any] = {}
    for axes in several:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    ranks = {label: rank for rank, label in enumerate(dict.fromkeys(order))}
    labels = sorted(entries, key=lambda label: (label in last, ranks.get(label, -1)))
    return [entries[label] for label in labels], labels


def _below(curves: Sequence[Curve], floor: float | None) -> str:
    """Returns what the picture says of the points below its floor."""
    if floor is None:
        return ""
    heights = [point.accuracy for curve in curves for point in curve.points]
    if floor >= max(heights):
        raise ConfigError(f"No point reaches the floor of {floor:g} %; the highest is at {max(heights):.1f} %.")
    below = sum(height < floor for height in heights)
    return f" Points below {floor:g} %, not shown: {below}." if below else ""
