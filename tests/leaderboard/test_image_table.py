"""Per-image tables read back: any weighting of the images gives what those images would have given."""

from pathlib import Path

import numpy as np
import pytest

from sc2_spic_plugin.leaderboard import PerImageOverlap, ResultFile, Source, write_per_image_csv
from sc2_spic_plugin.leaderboard.curve import Origin
from sc2_spic_plugin.leaderboard.image_table import image_table, image_table_path
from sc2_spic_plugin.leaderboard.overlap import ClassOverlaps

CLASSES = 4


def _segmented(tmp_path: Path, make_result, absent_classes: str) -> tuple[Origin, ClassOverlaps]:
    """Returns a segmentation point with its table; the last class is in no mask."""
    import dataclasses

    generator = np.random.default_rng(1)
    labelled = generator.integers(0, 50, (12, CLASSES))
    labelled[:, -1] = 0
    intersection = (labelled * generator.random((12, CLASSES))).astype(int)
    union = labelled + generator.integers(0, 9, (12, CLASSES))
    overlaps = ClassOverlaps(intersection, union, labelled)
    result = make_result(rates=[(100.0, 50.0)])
    miou = overlaps.mean_iou(absent_classes)
    sizes = generator.integers(50, 150, 12)
    point = dataclasses.replace(
        result.points[0],
        top1=None,
        miou=miou,
        payload_bytes=float(sizes.mean()),
        confidence_low=None,
        confidence_high=None,
    )
    result = ResultFile("seg", "", [point], dataclasses.replace(result.meta, task="segmentation"))
    path = result.save(tmp_path / "seg.json")
    rows = [
        PerImageOverlap(f"{i:02d}", int(sizes[i]), *(tuple(map(int, c[i])) for c in (intersection, union, labelled)))
        for i in range(12)
    ]
    write_per_image_csv(tmp_path / "seg.u0.csv", rows)
    return Origin(result.points[0], Source(result, path)), overlaps


@pytest.mark.parametrize("absent_classes", ["skip", "zero"])
def test_a_weighted_mean_iou_is_that_of_the_images_drawn_so_often(tmp_path, make_result, absent_classes: str) -> None:
    origin, overlaps = _segmented(tmp_path, make_result, absent_classes)
    table = image_table(origin)
    drawn = [0, 0, 3, 5, 5, 5, 8, 9, 10, 11, 11, 1]
    weights = np.bincount(drawn, minlength=12)[None].astype(float)
    repeated = ClassOverlaps(*(c[drawn] for c in (overlaps.intersection, overlaps.union, overlaps.labelled)))
    assert table.accuracy(weights) == pytest.approx([repeated.mean_iou(absent_classes)])
    assert table.payload(weights) == pytest.approx([table.payload_bytes[drawn].mean()])


def test_a_point_without_a_file_or_a_table_has_none(tmp_path: Path, make_result) -> None:
    result = make_result()
    assert image_table(Origin(result.points[0], Source(result))) is None
    path = result.save(tmp_path / "spic.json")
    assert image_table_path(Origin(result.points[0], Source(result, path))) is None
