"""Laws of several processes: together they give what one gives, every image counts once, none waits for the dead."""

import dataclasses
import multiprocessing
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from timm.layers import BatchNormAct2d
from tiny_parts import (
    UNIT,
    TinyImages,
    make_images,
    make_network,
    make_student,
    output_of,
    role,
    stage,
    supervised_stage,
    unsupervised_stage,
    wrapped,
)
from tiny_segmenter import TinyPairs
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchdistill.core.training import get_training_box

from sc2_spic_plugin.cli.running import RunOptions, run_config
from sc2_spic_plugin.errors import CheckpointError, ConfigError, DataError, SpicError
from sc2_spic_plugin.leaderboard.evaluate import evaluate
from sc2_spic_plugin.leaderboard.segmentation_metric import SegmentationMetric
from sc2_spic_plugin.ops.ranks import gathered, is_first, joined, rank, world_size
from sc2_spic_plugin.training import SpicModel, checkpoint, resume, steps
from sc2_spic_plugin.training.build import BuiltConfig, seed_everything
from sc2_spic_plugin.training.calibrate import calibrate
from sc2_spic_plugin.training.distributed import own_batches
from sc2_spic_plugin.training.loop import train
from sc2_spic_plugin.training.resume import PROCESSES, find_state
from sc2_spic_plugin.training.steps import BankStep

CPU = torch.device("cpu")
PROCESS_COUNT = 2
IMAGES = 17  # in batches of 7, 7 and 3: the processes have different shares
UNITS = {
    "low": {**UNIT, "latent_channels": 3, "rate_weight": 8.0},
    "l1": {**UNIT, "topology": "conv", "rate_estimator": {"key": "l1"}},
}
SMALL = {
    "datasets.synthetic/train.init.kwargs.root.init.kwargs.samples_per_class": 6,
    "datasets.synthetic/val.init.kwargs.samples_per_class": 1,
    "train.stage1.num_epochs": 1,
    "train.stage1.train_data_loader.kwargs.batch_size": 12,
}


class NoisyImages(TinyImages):
    """Images augmented with draws from all three global generators."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, target = super().__getitem__(index)
        return image + 0.3 * torch.randn_like(image) + random.random() * float(np.random.rand()), target


def stage_of(config: dict[str, Any], batch_size: int = 7, **optimizer: Any) -> dict[str, Any]:
    config["train_data_loader"]["kwargs"]["batch_size"] = batch_size
    config["val_data_loader"]["kwargs"]["batch_size"] = 3
    config["optimizer"].update(optimizer)
    return config


def built(config: dict[str, Any], model: Any, teacher: Any = None, data: Any = None) -> BuiltConfig:
    data = data or {"train": TinyImages(IMAGES), "held_out": TinyImages(8, seed=1)}
    return BuiltConfig(Path("tiny.yaml"), {"train": config}, data, model, teacher, CPU)


def make_bank(**kwargs: Any) -> SpicModel:
    network = make_network()
    torch.manual_seed(1)
    return SpicModel(network, "layer2", units=UNITS, input_size=(3, 32, 32), **kwargs)


def in_float64() -> dict[str, TinyImages]:
    data = {"train": TinyImages(IMAGES, 16), "held_out": TinyImages(8, 16, seed=1)}
    for images in data.values():
        images.images = images.images.double()
    return data


def supervised_bank() -> BuiltConfig:
    return built(stage_of(supervised_stage(epochs=2)), make_bank())


def clipped_bank() -> BuiltConfig:
    """Unsupervised, in two stages, each with an optimizer of its own."""
    stages = (stage_of(unsupervised_stage(), max_grad_norm=0.05) for _ in range(2))
    return built(dict(zip(("stage1", "stage2"), stages, strict=True)), make_bank(distills=True))


def network_beside_teacher() -> BuiltConfig:
    """Batch norm all through the network, a sum over images in the loss, gradients summed over batches and clipped."""
    matched = wrapped("MSELoss", target=output_of(".", is_from_teacher=True))
    matched = {**matched, "criterion": {"key": "MSELoss", "kwargs": {"reduction": "sum"}}, "weight": 0.1}
    config = stage({"task": wrapped("CrossEntropyLoss"), "match": matched}, 1, teacher=role([]), student=role([]))
    stage_of(config, 5, max_grad_norm=1.0, grad_accum_step=2)
    return built(config, make_network(1).double().train(), make_network(3).double().eval(), in_float64())


class PixelClassifier(nn.Module):
    """Gives the logits of each pixel."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 3, 1))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"out": self.layers(image)}


def pixel_classifier() -> BuiltConfig:
    """A cross-entropy whose mean is over the pixels that are not void; their number differs from image to image."""
    term = {**wrapped("CrossEntropyLoss"), "criterion": {"key": "CrossEntropyLoss", "kwargs": {"ignore_index": 255}}}
    wrapper = term["criterion_wrapper"]["kwargs"]
    term["criterion_wrapper"] = {"key": "DictLossWrapper", "kwargs": {**wrapper, "weights": {"out": 1.0}}}
    config = stage_of(stage({"task": term}, 2, lr=0.5, model=role([])), 3)
    pairs = TinyPairs(((32, 32),) * 6)
    for number, mask in enumerate(pairs.masks):
        mask[: 5 * number] = 255
    pairs.images = [image.double() for image in pairs.images]
    data = {"train": pairs, "held_out": pairs}
    return built(config, PixelClassifier().double(), data=data)


TRAININGS = {
    "supervised bank": (supervised_bank, 1e-5),  # float32, of which rate estimators always are
    "clipped bank": (clipped_bank, 1e-5),
    "network beside teacher": (network_beside_teacher, 1e-9),  # float64
    "pixel classifier": (pixel_classifier, 1e-6),  # float64, but for the number of pixels
}


def trained(make: Callable[[], BuiltConfig], out: Path) -> dict[str, Any]:
    seed_everything(5)
    run = make()
    begun = {name: value.clone() for name, value in run.model.state_dict().items()}
    paths = (out / "last.pt", train(run, out))
    last, best = (torch.load(path, weights_only=True) for path in paths)
    return {
        "begun": begun,
        "last": last["model"],
        "value": last["position"]["best"],
        "best": best["model"],
        "own": run.model.state_dict(),
    }


class StoppedError(Exception):
    """A stop in the middle of training."""


def resumed(out: Path) -> dict[str, Any]:
    """Trains in one go and in two, in the middle of whose first epoch gradients are half summed up."""

    def go(folder: Path, seed: int, stops_at: int | None = None) -> None:
        seed_everything(seed)
        config = stage_of(supervised_stage(epochs=2), 4, grad_accum_step=2)
        data = {"train": NoisyImages(16), "held_out": TinyImages(8, seed=1)}
        run = built(config, make_student(rate_estimator={"key": "factorized"}), data=data)
        saved = find_state(folder) if (folder / "last.pt").is_file() else None

        def report(_what: str, done: int, _total: int) -> None:
            if done == stops_at:
                raise StoppedError

        train(run, folder, report=report, resumed=saved, facts={PROCESSES: world_size()}, save_every=0.0)

    go(out / "through", 5)
    with pytest.raises(StoppedError):
        go(out / "stopped", 5, stops_at=4)
    gathered(None)  # or one process would find the state before the other stops
    begun = torch.load(out / "stopped" / "last.pt", weights_only=True)
    go(out / "stopped", 99)
    ends = [torch.load(out / name / "last.pt", weights_only=True) for name in ("through", "stopped")]
    return {"begun": begun, "through": ends[0], "stopped": ends[1]}


def fitted(out: Path) -> list[Tensor]:
    """Quantiles after one step, which no image changes: of a bank, and of a unit alone, whose step is the host's."""
    names = {"one": ["low"], "two": ["low", "l1"]}
    quantiles = []
    for name, units in names.items():
        bank = {unit: {**UNITS[unit], "rate_estimator": {"key": "factorized"}} for unit in units}
        model = SpicModel(make_network(), "layer2", units=bank, input_size=(3, 32, 32))
        train(built(stage_of(supervised_stage(), IMAGES), model), out / name)
        quantiles += [each.density.quantiles.detach() for each in model.rate_estimators.values()]
    return quantiles


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


JOBS: dict[str, Callable[[Path], Any]] = {
    **{name: lambda out, make=make: trained(make, out) for name, (make, _) in TRAININGS.items()},
    **{job.__name__: job for job in (resumed, fitted, refused, calibrated, evaluated, ran)},
}


def set_up(own_rank: int, port: int) -> None:
    """Makes this process what torchrun makes it."""
    torch.set_num_threads(1)
    variables = {"RANK": own_rank, "LOCAL_RANK": own_rank, "WORLD_SIZE": PROCESS_COUNT, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in variables.items()}, MASTER_ADDR="127.0.0.1")


def does_all_jobs(own_rank: int, port: int, folder: Path) -> None:
    set_up(own_rank, port)
    with joined("cpu"):
        if not is_first():
            checkpoint.write_atomic = resume.write_atomic = None  # only the first writes checkpoints and states
        for name, job in JOBS.items():
            torch.save(job(folder / name), folder / f"{name}.{rank()}")


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
def together() -> Callable[[Any, Path], list[int | None]]:
    """Returns what runs a function in two processes at once and gives their exit codes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sc2_spic_plugin.training.loop", "sc2_spic_plugin.cli.running"])

    def run(function: Any, folder: Path) -> list[int | None]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        children = [context.Process(target=function, args=(number, port, folder)) for number in range(PROCESS_COUNT)]
        for child in children:
            child.start()
        for child in children:
            child.join(300)
            child.kill()
        return [child.exitcode for child in children]

    return run


@pytest.fixture(scope="module")
def folder(together: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where two processes left what each job returned."""
    folder = tmp_path_factory.mktemp("together")
    assert together(does_all_jobs, folder) == [0, 0]
    return folder


def results(folder: Path, job: str) -> list[Any]:
    return [torch.load(folder / f"{job}.{number}", weights_only=False) for number in range(PROCESS_COUNT)]


def assert_equal(one: Any, other: Any) -> None:
    if isinstance(one, Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_equal(*pair)
    else:
        assert one == other


@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_train_what_one_trains_on_the_same_batches(name: str, folder: Path, tmp_path: Path) -> None:
    make, tolerance = TRAININGS[name]
    alone = trained(make, tmp_path)
    first, second = results(folder, name)
    assert_equal(first["own"], second["own"])
    assert_equal(first["own"], first["best"])
    assert first["value"] == pytest.approx(alone["value"], rel=1e-5)
    moved = 0.0
    for key, value in alone["last"].items():
        assert torch.allclose(first["last"][key].double(), value.double(), tolerance, 0.1 * tolerance), key
        if value.is_floating_point() and not key.endswith(("histogram", "counts")):
            moved = max(moved, float((value - alone["begun"][key]).abs().max()))
    assert moved > 1e-2, "else it proves nothing"
    histograms = [key for key in alone["last"] if key.endswith(".histogram")]
    assert bool(histograms) == ("bank" in name)
    for key in histograms:
        assert alone["last"][key].any() and torch.equal(first["last"][key], alone["last"][key])


def test_two_processes_count_the_tables_that_one_counts(folder: Path, tmp_path: Path) -> None:
    alone = calibrated(tmp_path)
    assert alone["images"] == IMAGES
    assert results(folder, "calibrated") == [alone, alone]


def test_two_processes_measure_every_image_once_and_as_one_does(folder: Path, tmp_path: Path) -> None:
    alone = evaluated(tmp_path)
    assert [len(rows) for rows in alone[:2]] == [9, 3]
    for result in results(folder, "evaluated"):
        assert_equal(result, alone)


def test_a_run_in_two_processes_measures_and_writes_as_one_run(folder: Path, tmp_path: Path) -> None:
    first, second = results(folder, "ran")
    alone = ran(tmp_path)
    assert first == second and first["samples"] == alone["samples"] == len(first["rows"])
    assert [row[0] for row in first["rows"]] == [row[0] for row in alone["rows"]]
    written = {path.name for path in (folder / "ran").iterdir()}
    assert written == {path.name for path in tmp_path.iterdir()} > {"result.json", "checkpoint.pt", "last.pt"}


def test_a_stopped_training_goes_on_in_every_process_bit_for_bit(folder: Path) -> None:
    for result in results(folder, "resumed"):
        assert result["begun"]["position"]["step"] == 3 and not result["begun"]["position"]["finished"]
        assert any(gradient is not None for gradient in result["begun"]["gradients"])
        (other,) = result["begun"]["others"]
        assert not torch.equal(other["generators"]["torch"], result["begun"]["generators"]["torch"])
        assert_equal(result["through"], result["stopped"])


def test_a_training_is_not_resumed_by_another_number_of_processes(folder: Path, tmp_path: Path) -> None:
    saved = find_state(folder / "resumed" / "through")
    with pytest.raises(ConfigError, match=r"made with another number of processes \(2, now 1\)"):
        saved.check({PROCESSES: world_size()})
    run = built(stage_of(supervised_stage(epochs=3)), make_student(rate_estimator={"key": "factorized"}))
    with pytest.raises(CheckpointError, match="made by another number of processes"):
        train(run, tmp_path, resumed=saved)
    earlier = dataclasses.replace(saved, content={**saved.content, "facts": {}})  # of a version that knew one process
    earlier.check({PROCESSES: 1})
    with pytest.raises(ConfigError, match=r"number of processes \(1, now 2\)"):
        earlier.check({PROCESSES: 2})


def test_the_loss_that_reads_no_image_counts_once(folder: Path, tmp_path: Path) -> None:
    alone = fitted(tmp_path)
    assert len(alone) == 3 and all((each - each.round()).abs().max() > 1e-4 for each in alone), "they moved"
    for result in results(folder, "fitted"):
        assert_equal(result, alone)


def test_units_go_through_the_back_end_in_chunks_that_suit_the_largest_share(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_bank().train()
    opened = model.open_batch(make_images(4))
    run = built(stage_of(supervised_stage()), model)
    box = get_training_box(model, run.datasets, run.config["train"], CPU, None, False, 1)
    own = BankStep(box, model)
    assert own._chunk(opened) == 2 and own._kept_by_one
    monkeypatch.setattr(steps, "gathered", lambda kept: [kept, 4 * kept])
    assert BankStep(box, model, 2 * own._kept_by_one)._chunk(opened) == 1


def test_what_several_processes_cannot_share_is_refused_by_all(folder: Path) -> None:
    for few, drifting, own in results(folder, "refused"):
        assert "a training batch has 1 images for 2 processes; set `drop_last: True`" in few
        assert "the teacher's batch norm is in training mode" in drifting and "use `spic_eval_teacher`" in drifting
        assert "`rate_estimators.low.norm` is a BatchNormAct2d" in own


def test_an_error_in_one_process_ends_the_other(together: Any, tmp_path: Path) -> None:
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
