"""All candidates of a search in one picture: accuracy over rate, the front drawn as a line."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..ops import write_atomic
from .dimensions import CUT
from .front import FrontPoint, values_of

__all__ = ["plot_candidates"]

_COLOURS = ("#0b3c8c", "#e69f00", "#117a55", "#b30059", "#56b4e9", "#6a3d9a")
_FRONT = "#222222"
_LOOKS = (("COMPLETE", "o", 1.0, ""), ("PRUNED", "x", 0.5, ", stopped early"))


def plot_candidates(
    trials: Sequence[Any], front: Sequence[FrontPoint], path: Path, name: str, measure: str, original: float | None
) -> Path:
    """Draws every candidate that was measured, and the front as a line through its own.

    One colour for each cut. Filled: trained to the end; crosses, paler: stopped early, where they stood then.

    Args:
        trials: of the study.
        front: the Pareto set.
        path: the .png to write, whole or not at all.
        name: of the search.
        measure: what accuracy means.
        original: the original network's accuracy, percent, where it is known.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    measured = [trial for trial in trials if trial.user_attrs.get("bpp")]
    cuts = sorted({str(values_of(trial)[CUT]) for trial in measured})
    with matplotlib.rc_context({"font.size": 10}):
        figure = Figure(figsize=(9.0, 5.8), layout="constrained")
        axes = figure.add_subplot()
        axes.step(
            [each.bpp for each in front],
            [each.accuracy for each in front],
            where="post",
            color=_FRONT,
            linewidth=1.3,
            label=f"Pareto set ({len(front)})",
            zorder=2,
        )
        for index, cut in enumerate(cuts):
            colour = _COLOURS[index % len(_COLOURS)]
            own = [trial for trial in measured if values_of(trial)[CUT] == cut]
            for state, marker, alpha, more in _LOOKS:
                facts = [trial.user_attrs for trial in own if trial.state.name == state]
                if facts:
                    rates, accuracies = [fact["bpp"] for fact in facts], [fact["accuracy"] for fact in facts]
                    label = f"{cut}{more} ({len(facts)})"
                    axes.scatter(rates, accuracies, s=30, c=colour, marker=marker, alpha=alpha, label=label, zorder=3)
        if original is not None:
            axes.axhline(original, color=_FRONT, linestyle=(0, (6, 3)), linewidth=1.0, label="original network")
        axes.set_xscale("log")
        plain = FuncFormatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(plain)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("bits per image pixel (payload, measured)")
        axes.set_ylabel(measure)
        axes.set_title(f"Search `{name}`: {len(measured)} candidates")
        axes.grid(True, which="major", color="#dddddd", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False, fontsize=9)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return write_atomic(path, buffer.getvalue())
