"""Laws of training in several processes: together they learn what one learns, and go on where they stopped."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from distributed_parts import (
    CPU,
    IMAGES,
    UNITS,
    Job,
    PixelClassifier,
    built,
    done_together,
    make_bank,
    network_beside_teacher,
    results,
    stage_of,
    supervised_bank,
)
from tiny_parts import (
    TinyImages,
    make_images,
    make_network,
    make_student,
    role,
    stage,
    supervised_stage,
    unsupervised_stage,
    wrapped,
)
from tiny_segmenter import TinyPairs
from torch import Tensor
from torchdistill.core.training import get_training_box
from training_parts import NoisyImages, StoppedError, assert_same_content

from sc2_spic_plugin.errors import CheckpointError, ConfigError
from sc2_spic_plugin.ops.ranks import gathered, world_size
from sc2_spic_plugin.training import SpicModel, steps
from sc2_spic_plugin.training.build import BuiltConfig, seed_everything
from sc2_spic_plugin.training.loop import train
from sc2_spic_plugin.training.resume import PROCESSES, find_state
from sc2_spic_plugin.training.steps import BankStep


def clipped_bank() -> BuiltConfig:
    """Unsupervised, in two stages, each with an optimizer of its own."""
    stages = (stage_of(unsupervised_stage(), max_grad_norm=0.05) for _ in range(2))
    return built(dict(zip(("stage1", "stage2"), stages, strict=True)), make_bank(distills=True))


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
        "best": dict(best["model"]),
        "own": dict(run.model.state_dict()),
    }


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


JOBS: dict[str, Job] = {
    **{name: functools.partial(trained, make) for name, (make, _) in TRAININGS.items()},
    "resumed": resumed,
    "fitted": fitted,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return done_together(JOBS, tmp_path_factory.mktemp("together"))


@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_train_what_one_trains_on_the_same_batches(name: str, folder: Path, tmp_path: Path) -> None:
    make, tolerance = TRAININGS[name]
    alone = trained(make, tmp_path)
    first, second = results(folder, name)
    assert_same_content(first["own"], second["own"])
    assert_same_content(first["own"], first["best"])
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


def test_a_stopped_training_goes_on_in_every_process_bit_for_bit(folder: Path) -> None:
    for result in results(folder, "resumed"):
        assert result["begun"]["position"]["step"] == 3 and not result["begun"]["position"]["finished"]
        assert any(gradient is not None for gradient in result["begun"]["gradients"])
        (other,) = result["begun"]["others"]
        assert not torch.equal(other["generators"]["torch"], result["begun"]["generators"]["torch"])
        assert_same_content(result["through"], result["stopped"])


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
        assert_same_content(result, alone)


def test_units_go_through_the_back_end_in_chunks_that_suit_the_largest_share(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_bank().train()
    opened = model.open_batch(make_images(4))
    run = built(stage_of(supervised_stage()), model)
    box = get_training_box(model, run.datasets, run.config["train"], CPU, None, False, 1)
    own = BankStep(box, model)
    assert own._chunk(opened) == 2 and own._kept_by_one
    monkeypatch.setattr(steps, "gathered", lambda kept: [kept, 4 * kept])
    assert BankStep(box, model, 2 * own._kept_by_one)._chunk(opened) == 1
