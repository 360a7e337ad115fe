"""What a reader of the published figures should know, one paragraph each, every count taken from figures and units."""

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .figure import DrawnCurve, PublishedFigure
from .pairs import pair_with_units
from .unit import UnitFacts

__all__ = ["Oddity", "drawn_under_another_name", "published_oddities", "shared_points"]

_NEAR = 0.1
_READING = (0.01, 0.15)
"""How far two readings of one marker may be apart: rate (relative) and accuracy (points)."""


class Oddity(NamedTuple):
    """A paragraph under its title."""

    title: str
    text: str


class _Named(NamedTuple):
    """A curve of released units, with its figure."""

    figure: PublishedFigure
    drawn: DrawnCurve

    @property
    def name(self) -> str:
        return f"{self.figure.task} {self.drawn.split}"

    def gaps(self, split: str, facts: Sequence[UnitFacts]) -> list[float]:
        """Returns how far its rates are from what the tables of a split's units expect."""
        units = [unit for unit in facts if (unit.task, unit.split) == (self.figure.task, split)]
        return [pair.gap for pair in pair_with_units(self.drawn.curve, units, self.figure.pixels).values()]


def published_oddities(figures: Sequence[PublishedFigure], facts: Sequence[UnitFacts]) -> list[Oddity]:
    """Returns the paragraphs that hold for these figures and units.

    Args:
        figures: with curves of released units.
        facts: the released units.
    """
    curves = [_Named(figure, drawn) for figure in figures for drawn in figure.curves if drawn.split is not None]
    found = [*_wrong_names(curves, facts), *_rates(curves, facts), *_markers(curves, facts), *_units(facts)]
    return [*found, *_CODE]


def drawn_under_another_name(figure: PublishedFigure, drawn: DrawnCurve, facts: Sequence[UnitFacts]) -> str | None:
    """Returns the split whose tables a curve agrees with where these are not its own's; None where its own do as well.

    It agrees with tables if more than half of its points are within 10 % of what they expect.
    """
    curve = _Named(figure, drawn)
    own = _near(curve.gaps(str(drawn.split), facts))
    splits = dict.fromkeys(unit.split for unit in facts if unit.task == figure.task)
    counts = {split: _near(curve.gaps(split, facts)) for split in splits}
    best = max(counts, key=lambda split: counts[split])
    return best if counts[best] > max(own, len(drawn.curve.bpp) / 2) else None


def shared_points(first: DrawnCurve, second: DrawnCurve) -> tuple[int, int]:
    """Counts the rates that two curves share, and the whole points, within what reading them off a figure allows."""
    rates = points = 0
    for rate, accuracy in zip(first.curve.bpp, first.curve.accuracy, strict=True):
        for other_rate, other_accuracy in zip(second.curve.bpp, second.curve.accuracy, strict=True):
            if abs(rate / other_rate - 1) <= _READING[0]:
                rates += 1
                points += abs(accuracy - other_accuracy) <= _READING[1]
    return rates, points


def _near(gaps: Sequence[float]) -> int:
    return sum(abs(gap) <= _NEAR for gap in gaps)


def _wrong_names(curves: Sequence[_Named], facts: Sequence[UnitFacts]) -> Iterator[Oddity]:
    for curve in curves:
        other = drawn_under_another_name(curve.figure, curve.drawn, facts)
        if other is None:
            continue
        own = sorted(abs(gap) for gap in curve.gaps(str(curve.drawn.split), facts))
        theirs = curve.gaps(other, facts)
        text = (
            f"Of its {len(curve.drawn.curve.bpp)} points, {_near(theirs)} are within 10 % of what the tables of the "
            f"released {other} units expect; from those of its own units they are {100 * own[0]:.0f} to "
            f"{100 * own[-1]:.0f} % away."
        )
        for twin in curves:
            if (twin.figure.task, twin.drawn.split) == (curve.figure.task, other):
                rates, points = shared_points(curve.drawn, twin.drawn)
                text += f" With the curve drawn as {other} it shares {rates} rates and {points} whole points."
        yield Oddity(
            f"The curve drawn as {curve.name} is not that of the released units",
            f"{text} Figures and weights cannot both be right; what is imported here follows the weights.",
        )


def _rates(curves: Sequence[_Named], facts: Sequence[UnitFacts]) -> Iterator[Oddity]:
    gaps = [gap for curve in curves for gap in curve.gaps(str(curve.drawn.split), facts)]
    middle = statistics.median(gaps)
    yield Oddity(
        "Published rates are not the expected ones",
        f"A unit's table says what its symbols cost on the images that it was counted on. Over the {len(gaps)} points "
        f"that can be paired with a unit, the published rate is {100 * abs(middle):.0f} % "
        f"{'below' if middle < 0 else 'above'} that in the median, {_near(gaps)} of them within 10 %. Images that are "
        "reported need not cost what those of the table do; how much they do cost, measuring the unit says. The "
        "pairing is ours (nearest rates): the figures do not say which marker is which unit.",
    )


def _markers(curves: Sequence[_Named], facts: Sequence[UnitFacts]) -> Iterator[Oddity]:
    released = Counter((unit.task, unit.split) for unit in facts)
    more, hidden = [], []
    for curve in curves:
        units, markers = released[curve.figure.task, str(curve.drawn.split)], curve.drawn.markers or 0
        read = len(curve.drawn.curve.bpp)
        if markers > units:
            more.append(f"{curve.name} shows {markers} markers, {units} units were released")
        if markers > read:
            hidden.append(f"{markers - read} of {curve.name}")
    if more:
        yield Oddity(
            "More markers than units",
            f"{'; '.join(more)}. So at least one point of each of these curves cannot be measured again."
            + (f" Markers that could not be read off: {', '.join(hidden)}." if hidden else ""),
        )


def _units(facts: Sequence[UnitFacts]) -> Iterator[Oddity]:
    def having(words: str) -> list[UnitFacts]:
        return [unit for unit in facts if any(words in oddity for oddity in unit.oddities)]

    twins = having("duplicate")
    if twins:
        files = sorted({words for unit in twins for words in re.findall(r"duplicate: (\w+)", " ".join(unit.oddities))})
        yield Oddity(
            "One unit under two names",
            f"{' and '.join(unit.name for unit in twins)} have the same {' and '.join(files)}, byte for byte: one of "
            "the two, supervised or unsupervised, was not released.",
        )
    untrained = having("untrained prior")
    if untrained:
        yield Oddity(
            "The hyperprior was never trained",
            f"In {len(untrained)} of {len(facts)} checkpoints every batch-norm scale and every bias of the prior "
            "networks is one constant and every shift is 0: the values they were made with, times a weight decay. "
            "The weights used for inference are trained. So the published figures do not show what a trained neural "
            "rate estimator brings.",
        )
    bypassed = having("bypassed")
    if bypassed:
        yield Oddity(
            "Segmentation split 1 is not a cut",
            f"`classifier.0.convs.1`, where {len(bypassed)} units sit, is one of five parallel branches; the other "
            "four reach the output without passing the unit, and their bits are in no published rate. Rows and curves "
            "of it say `bypassed` everywhere and are on no front.",
        )
    counted = Counter(round(unit.table_images) for unit in having("its table counts"))
    if counted:
        listed = ", ".join(f"{images:,} images ({count} of them)" for images, count in sorted(counted.items()))
        yield Oddity(
            "Tables that were not counted on the training set",
            f"{counted.total()} tables count other numbers of images than the training set has: {listed}. ImageNet's "
            "training and validation sets together have 1,331,167 images and the validation set has 50,000, so tables "
            "of these counts seem fitted to the very images that the figures report. Rates depend on the table, "
            "accuracies do not.",
        )
    sizes = having("features for")
    unreached, unseen = having("reached by no symbol"), having("never read")
    yield Oddity(
        "Features of another size, and positions without input",
        f"{len(sizes)} units return larger features than they were given, and the rest of the network runs on those; "
        f"in {len(unreached)} some rows and columns of the output are reached by no symbol and hold constants; in "
        f"{len(unseen)} some rows and columns of the features are never read. Imported units do all of this as "
        "released; units trained here cover every position and return the size that they were given.",
    )
    savings = sorted((unit.saving, unit.name) for unit in facts)
    yield Oddity(
        "At least one bit a symbol",
        f"A Huffman code spends no less than a bit on a symbol, however sure it is. An ideal coder of the same table "
        f"needs {100 * statistics.median(saving for saving, _ in savings):.1f} % fewer bits in the median and "
        f"{100 * savings[-1][0]:.1f} % at most ({savings[-1][1]}), at the same accuracy. "
        "The two expected rates of the tables stand for the two.",
    )


_CODE = (
    Oddity(
        "Nothing is decoded",
        "One Huffman table serves all channels. The released code counts the bytes of the encoded symbols and takes "
        "the accuracy from the tensor that was never encoded; a symbol that the table lacks stops it with an error. "
        "Rates here are of bytes that were decoded again, and an escape code takes the place of the error.",
    ),
    Oddity(
        "What bits are divided by",
        "Published bpp is bytes x 8 over 224 x 224 or 513 x 513 pixels, with each image's code filled up to whole "
        "bytes. The segmentation code leaves out the last batch if it is not full, so its figures depend on the batch "
        "size.",
    ),
)
