"""Everything that a result file from outside lacks for an entry, in one go."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import DataError
from ..comparison.comparison import ORIGINAL_TOLERANCE
from ..readers import FORMATS, detect_format
from ..results import Origin, ResultFile, Source, check_agreement, group_of, image_table
from ..styles import ORIGINAL_METHOD
from .content import content_items
from .evidence import evidence_items
from .item import Item
from .layout import layout_items

__all__ = ["Submission", "check_submission"]


class Submission(NamedTuple):
    """A judged result file.

    Attributes:
        path: of the file.
        result: its content; None where it cannot be read as a result.
        items: what is missing, what is required first.
    """

    path: Path
    result: ResultFile | None
    items: list[Item]

    @property
    def is_complete(self) -> bool:
        """Whether nothing that is required is missing."""
        return not any(item.is_required for item in self.items)

    def render(self) -> str:
        """Returns what a reader is told: each item with what to do."""
        required = [item for item in self.items if item.is_required]
        advice = [item for item in self.items if not item.is_required]
        lines = [f"{self.path}: " + (f"{len(required)} missing or wrong" if required else "complete")]
        if self.result is not None:
            meta = self.result.meta
            points = f"{len(self.result.points)} point" + ("s" if len(self.result.points) != 1 else "")
            lines[0] += f" ({points} of {meta.method}, {group_of(self.result).title})"
        for title, items in (("required", required), ("advised", advice)):
            lines += [f"{title}:"] if items else []
            for number, item in enumerate(items, 1):
                lines += [f"  {number}. {item.what}", f"     to do: {item.to_do}"]
        return "\n".join(lines)


def check_submission(path: str | Path, board: Sequence[Source] = ()) -> Submission:
    """Judges a result file for an entry into the leaderboard: layout, provenance, figures, and what lies beside it.

    Nothing of the file is run or unpickled.

    Args:
        path: the file.
        board: results that are there already; the file must not contradict them, and should share their tables.

    Raises:
        DataError: the file cannot be read at all.
    """
    path = Path(path)
    found = detect_format(path)
    if found is not None:
        item = Item(
            f"the file has another format ({FORMATS[found]}), which says what was counted, not how it was measured",
            "measure the points again with `sc2-spic run` or `bench`; or, for rows marked as reported, "
            "`sc2-spic convert`",
        )
        return Submission(path, None, [item])
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return Submission(path, None, [Item(f"it is no JSON: {error}", "write the layout of benchmarks/SUBMITTING.md")])
    items = layout_items(document)
    if items:
        return Submission(path, None, items)
    try:
        result = ResultFile.load(path)
    except DataError as error:
        return Submission(path, None, [Item("the points do not go together", str(error))])
    items = [*content_items(result), *evidence_items(result, path), *_beside(Source(result, path), board)]
    return Submission(path, result, sorted(items, key=lambda item: not item.is_required))


def _beside(source: Source, board: Sequence[Source]) -> list[Item]:
    """Returns what stands between a result and the tables that are there."""
    others = [each for each in board if each.path is None or each.path.resolve() != source.path.resolve()]  # type: ignore[union-attr]
    if not others:
        return []
    items = []
    try:
        check_agreement([*others, source])
    except DataError as error:
        items.append(Item("it contradicts a result that is there", str(error)))
    group, groups = group_of(source.result), {group_of(each.result) for each in others}
    if source.result.meta.method == ORIGINAL_METHOD:
        items += _other_originals(source, [each for each in others if group_of(each.result) == group])
    if group not in groups:
        nearest = max(groups, key=lambda other: sum(a == b for a, b in zip(group, other, strict=True)))
        pairs = zip(group._fields, group, nearest, strict=True)
        differences = "; ".join(f"{name} {mine}, there {theirs}" for name, mine, theirs in pairs if mine != theirs)
        items.append(
            Item(
                f"it shares no table with the results that are there, nearest {nearest.title}: {differences}",
                "measure with the same network and protocol if it should; otherwise it gets a table of its own",
                False,
            )
        )
    ids = _images(source)
    for each in (other for other in others if group_of(other.result) == group and ids):
        there = _images(each)
        if there and there != ids:
            items.append(
                Item(
                    f"it reports other images than {each.path}: {len(ids - there)} of its own, {len(there - ids)} not",
                    "report the images of the protocol's report set, under their ids there",
                )
            )
            break
    return items


def _other_originals(source: Source, others: Sequence[Source]) -> list[Item]:
    """Returns where the original network has another accuracy than there."""
    mine = [point.accuracy for point in source.result.points]
    return [
        Item(
            f"the original network reaches {value} %, in {each.path} {point.accuracy} %",
            "measure the network with that digest under that protocol",
        )
        for each in others
        if each.result.meta.method == ORIGINAL_METHOD
        for point in each.result.points
        for value in mine
        if abs(value - point.accuracy) > ORIGINAL_TOLERANCE
    ]


def _images(source: Source) -> set[str]:
    """Returns the ids of a result's images; none where its first point has no table that can be read."""
    try:
        table = image_table(Origin(source.result.points[0], source)) if source.result.points else None
    except DataError:  # said where tables are looked at
        return set()
    return set() if table is None else set(table.images)
