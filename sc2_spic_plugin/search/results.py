"""What a search found: every candidate as CSV, the Pareto set as a table."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..ops import write_atomic
from .dimensions import DIMENSIONS
from .front import FrontPoint, front_of, save_front, values_of
from .job import SearchJob
from .plot import plot_candidates
from .study import failure

__all__ = ["front_table", "save_results", "summary"]

OUTCOMES = {"COMPLETE": "measured", "PRUNED": "stopped early"}
_REACHED = ("accuracy", "bpp", "payload_bytes", "code_bytes", "epochs")


def save_results(job: SearchJob, trials: Sequence[Any], measure: str, original: float | None) -> list[Path]:
    """Writes the front as banks, `front.md`, `candidates.csv` and `candidates.png` into the search's folder.

    Args:
        job: the search.
        trials: of its study.
        measure: what accuracy means.
        original: the original network's accuracy, percent, where it is known.

    Returns:
        The folders of the front's banks.
    """
    front = front_of(trials)
    folders = save_front(job, front)
    write_atomic(job.out / "front.md", front_table(job, trials, front, measure, original))
    write_atomic(job.out / "candidates.csv", _csv(trials, front))
    if front:
        plot_candidates(trials, front, job.out / "candidates.png", job.space.name, measure, original)
    return folders


def summary(trials: Sequence[Any]) -> str:
    """Returns one sentence: how many candidates were tried, and what became of them."""
    counts = Counter(outcome(trial, trials) for trial in trials)
    parts = [f"{counts[name]} {name}" for name in (*OUTCOMES.values(), "failed") if counts[name]]
    total = sum(counts[name] for name in (*OUTCOMES.values(), "failed"))
    return f"{total} candidates: {', '.join(parts) or 'none done'}"


def outcome(trial: Any, trials: Sequence[Any]) -> str:
    """Returns what became of a trial of a study; empty where it was withdrawn, or is not done."""
    if trial.state.name == "FAIL":
        return "failed" if failure(trial, trials) is not None else ""
    return OUTCOMES.get(trial.state.name, "")


def front_table(
    job: SearchJob, trials: Sequence[Any], front: Sequence[FrontPoint], measure: str, original: float | None
) -> str:
    """Returns the Pareto set in Markdown, under a list of what its columns mean."""
    facts = {trial.number: trial.user_attrs for trial in trials}
    names = [name for name in DIMENSIONS if name in job.space.dimensions]
    images = {facts[each.candidate.number]["images"] for each in front}
    lines = [
        f"# Search `{job.space.name}`: the Pareto set",
        "",
        f"{summary(trials)}, {len(front)} on the front. They were chosen by these very figures, so the figures flatter "
        "them: measure the front on images that chose nothing.",
        "",
        "- **Unit**: name in the bank of its cut, below `front/`.",
        f"- **Accuracy**: {measure}" + ("." if original is None else f"; the original network: {original:.2f}."),
        "- **bpp**: bits per image pixel, measured on decoded bytes.",
        "- **Bytes**: payload, mean per image.",
        *(f"- Images: {', '.join(map(str, sorted(images)))}." for _ in range(1) if images),
        "",
        f"| Unit | Accuracy | bpp | Bytes | {' | '.join(names)} |",
        f"| --- | ---: | ---: | ---: | {' | '.join('---' for _ in names)} |",
    ]
    for each in front:
        values = [_shown(each.candidate.values[name]) for name in names]
        payload = facts[each.candidate.number]["payload_bytes"]
        cells = [each.candidate.name, f"{each.accuracy:.2f}", f"{each.bpp:.5f}", f"{payload:.2f}", *values]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"`{value}`" if isinstance(value, str) else str(value)


def _csv(trials: Sequence[Any], front: Sequence[FrontPoint]) -> str:
    """Returns a line for each candidate that is done; what was reached early stands with its epochs."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["candidate", "outcome", *DIMENSIONS, *_REACHED, "on_front", "reason"])
    on_front = {each.candidate.number for each in front}
    for trial in trials:
        if not (became := outcome(trial, trials)):
            continue
        values, facts = values_of(trial), trial.user_attrs
        cells = [*(values.get(name) for name in DIMENSIONS), *(facts.get(name) for name in _REACHED)]
        writer.writerow([f"t{trial.number}", became, *cells, trial.number in on_front, failure(trial, trials)])
    return lines.getvalue()
