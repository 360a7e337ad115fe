"""Laws of several processes: every image counts once, what they cannot share is refused, none waits for the dead."""

from pathlib import Path
from typing import Any

import pytest
from distributed_parts import (
    CPU,
    IMAGES,
    Job,
    PixelClassifier,
    built,
    done_together,
    make_bank,
    network_beside_teacher,
    results,
    set_up,
    stage_of,
    supervised_bank,
    together,
)
from timm.layers import BatchNormAct2d
from tiny_parts import TinyImages, make_student, supervised_stage
from tiny_segmenter import TinyPairs
from torch import Tensor
from torch.utils.data import DataLoader
from training_parts import assert_same_content

from sc2_spic_plugin.cli.running import RunOptions, run_config
from sc2_spic_plugin.errors import ConfigError, DataError, SpicError
from sc2_spic_plugin.leaderboard.evaluation.model import evaluate
from sc2_spic_plugin.leaderboard.evaluation.segmentation_metric import SegmentationMetric
from sc2_spic_plugin.ops.ranks import gathered, is_first, joined, rank, world_size
from sc2_spic_plugin.training.calibrate import calibrate
from sc2_spic_plugin.training.distributed import own_batches
from sc2_spic_plugin.training.loop import train

SMALL = {
    "datasets.synthetic/train.init.kwargs.root.init.kwargs.samples_per_class": 6,
    "datasets.synthetic/val.init.kwargs.samples_per_class": 1,
    "train.stage1.num_epochs": 1,
    "train.stage1.train_data_loader.kwargs.batch_size": 12,
}


def refused(out: Path) -> list[str]:
    few = built(stage_of(supervised_stage()), make_student(), data={"train": TinyImages(8), "held_out": TinyImages(8)})
    drifting = network_beside_teacher()
    drifting.teacher.train()
    own = supervised_bank()
    own.model.rate_estimators["low"].norm = BatchNormAct2d(3)
    said = []
    for run in (few, drifting, own):
        with pytest.raises(ConfigError) as refusal:
            train(run, out)
        said.append(str(refusal.value))
    return said


def calibrated(_out: Path) -> dict[str, Any]:
    model = make_bank()
    data = DataLoader(TinyImages(IMAGES), 4, shuffle=True)
    images = calibrate(model, own_batches(data), CPU)
    return {"images": images, "digests": {name: tables.coder.digest for name, tables in model.tables.items()}}


def evaluated(_out: Path) -> list[Any]:
    """Measures 9 images in 5 batches, and 3 of different sizes whose masks each lack a class."""
    model = make_student().eval()
    calibrate(model, own_batches(DataLoader(TinyImages(8, seed=4), 4)), CPU)
    data = TinyImages(9)
    found = evaluate(model, own_batches(DataLoader(data, 2)), data.ids, (32, 32), CPU)
    pairs = TinyPairs(((32, 32), (24, 40), (28, 28)))
    for number, mask in enumerate(pairs.masks):
        mask[mask == number] = 255
    metric, batches = SegmentationMetric(pairs.classes), own_batches(DataLoader(pairs, 1))
    overlaps = evaluate(PixelClassifier(), batches, pairs.ids, None, CPU, metric=metric)
    points = [vars(each.point("u")) for each in (found, overlaps)]
    return [[tuple(row) for row in each.rows()] for each in (found, overlaps)] + points


def ran(out: Path) -> dict[str, Any]:
    measured = run_config("smoke/spic_unsupervised", out, RunOptions(overrides=SMALL))
    measured.save(out / "result.json")
    return {"rows": [tuple(row) for row in measured.evaluation.rows()], "samples": measured.meta.samples}


JOBS: dict[str, Job] = {job.__name__: job for job in (refused, calibrated, evaluated, ran)}


def meets_an_error(own_rank: int, port: int, folder: Path) -> None:
    """The second process cannot read an image, in the middle of an epoch."""

    class Broken(TinyImages):
        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            if not is_first() and self.left() == 0:
                raise DataError("the image is damaged")
            return super().__getitem__(index)

        def left(self) -> int:
            self.reads = getattr(self, "reads", 0) + 1
            return max(0, 6 - self.reads)

    set_up(own_rank, port)
    try:
        with joined("cpu"):
            data = {"train": Broken(IMAGES), "held_out": TinyImages(8)}
            train(built(stage_of(supervised_stage()), make_student(), data=data), folder / "broken")
    except SpicError as error:
        (folder / f"error.{own_rank}").write_text(str(error))
        raise SystemExit(3) from error


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return done_together(JOBS, tmp_path_factory.mktemp("together"))


def test_two_processes_count_the_tables_that_one_counts(folder: Path, tmp_path: Path) -> None:
    alone = calibrated(tmp_path)
    assert alone["images"] == IMAGES
    assert results(folder, "calibrated") == [alone, alone]


def test_two_processes_measure_every_image_once_and_as_one_does(folder: Path, tmp_path: Path) -> None:
    alone = evaluated(tmp_path)
    assert [len(rows) for rows in alone[:2]] == [9, 3]
    for result in results(folder, "evaluated"):
        assert_same_content(result, alone)


def test_a_run_in_two_processes_measures_and_writes_as_one_run(folder: Path, tmp_path: Path) -> None:
    first, second = results(folder, "ran")
    alone = ran(tmp_path)
    assert first == second and first["samples"] == alone["samples"] == len(first["rows"])
    assert [row[0] for row in first["rows"]] == [row[0] for row in alone["rows"]]
    written = {path.name for path in (folder / "ran").iterdir()}
    assert written == {path.name for path in tmp_path.iterdir()} > {"result.json", "checkpoint.pt", "last.pt"}


def test_what_several_processes_cannot_share_is_refused_by_all(folder: Path) -> None:
    for few, drifting, own in results(folder, "refused"):
        assert "a training batch has 1 images for 2 processes; set `drop_last: True`" in few
        assert "the teacher's batch norm is in training mode" in drifting and "use `spic_eval_teacher`" in drifting
        assert "`rate_estimators.low.norm` is a BatchNormAct2d" in own


def test_an_error_in_one_process_ends_the_other(tmp_path: Path) -> None:
    assert together(meets_an_error, tmp_path) == [3, 3]
    assert (tmp_path / "error.1").read_text() == "the image is damaged"
    assert "another process of this run ended" in (tmp_path / "error.0").read_text()


@pytest.mark.parametrize(
    ("variables", "device", "message"),
    [
        ({"RANK": None}, "cpu", "WORLD_SIZE is set, RANK not; start the processes with torchrun"),
        ({}, "cuda:1", "each takes a GPU of its own"),
        ({"LOCAL_RANK": "99"}, "cuda", "process 99 of this machine has no GPU"),
    ],
)
def test_processes_that_cannot_be_joined_are_told_why(
    variables: dict[str, str | None], device: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in {**usual, **variables}.items():
        monkeypatch.setenv(name, value or "")
    with pytest.raises(ConfigError, match=message), joined(device):
        pass


def test_a_process_without_torchrun_is_alone() -> None:
    with joined("cpu") as device:
        assert (device, world_size(), rank(), is_first()) == ("cpu", 1, 0, True)
        batches = DataLoader(TinyImages(4), 2)
        assert own_batches(batches) is batches and gathered("all") == ["all"]
