"""Every measured point of any number of results as one CSV, with its provenance."""

import csv
import io
from collections.abc import Sequence

from ..results import Source, build_curves, column_names, grouped
from ..statistics import pareto_front

__all__ = ["render_csv"]

_GROUP = ("task", "protocol", "protocol_sha256", "dataset", "network", "network_sha256")
_CURVE = ("method", "supervision", "cut", "bypassed", "bits")
_PROVENANCE = ("samples", "code_version", "date")


def render_csv(sources: Sequence[Source]) -> str:
    """Returns one line per measured point, seeds apart; `on_front` tells the front of its group (means over seeds).

    A cell that holds nothing was not measured. Rows of different protocols, data sets or networks differ in the first
    columns; do not compare across them.
    """
    extras = sorted({name for source in sources for point in source.result.points for name in point.extra})
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow([*_GROUP, *_CURVE, "variant", *column_names(), *extras, "on_front", *_PROVENANCE, "file"])
    for group, members in grouped((source.result, source) for source in sources).items():
        curves = build_curves(members)
        front = {id(point) for point in pareto_front([p for c in curves if c.competes for p in c.points])}
        for curve in curves:
            for point in curve.points:
                for measured, source in point.origins:
                    meta = source.result.meta
                    cells = [getattr(curve.meta, name) for name in _CURVE]
                    values = [getattr(measured, name) for name in column_names()]
                    more = [measured.extra.get(name) for name in extras]
                    told = [getattr(meta, name) for name in _PROVENANCE]
                    file = source.path.name if source.path else None
                    writer.writerow(
                        [*group, *cells, curve.variant, *values, *more, int(id(point) in front), *told, file]
                    )
    return lines.getvalue()
