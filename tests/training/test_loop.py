"""Laws of the training loop: checkpoints are whole and good, selection needs no report image, seeds reproduce."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_parts import (
    TinyImages,
    assert_same,
    datasets,
    loader,
    make_network,
    make_student,
    network_state,
    role,
    stage,
    supervised_stage,
    unsupervised_stage,
    wrapped,
)
from tiny_segmenter import TinyPairs, make_host_segmenter
from torch import Tensor, nn
from torchdistill.common.main_util import load_ckpt

from sc2_spic_plugin.errors import ConfigError, DataError, TrainingError
from sc2_spic_plugin.training import SpicModel
from sc2_spic_plugin.training.build import BuiltConfig, seed_everything
from sc2_spic_plugin.training.calibrate import calibrate
from sc2_spic_plugin.training.checkpoint import load_model_checkpoint, save_model_checkpoint
from sc2_spic_plugin.training.distributed import sums_as_means
from sc2_spic_plugin.training.loading import resumable_config
from sc2_spic_plugin.training.loop import train

DEVICE = torch.device("cpu")


def built(config: dict[str, Any] | None = None, data: Any = None, model: nn.Module | None = None) -> BuiltConfig:
    config = {"train": config or supervised_stage(epochs=2)}
    return BuiltConfig(Path("tiny.yaml"), config, data or datasets(), model or make_student(), None, DEVICE)


def state_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


class PoisonedAfter(TinyImages):
    """Images that turn into NaN after so many were read."""

    def __init__(self, good: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.left = good

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.left -= 1
        image, target = super().__getitem__(index)
        return (image if self.left >= 0 else image * math.nan), target


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    data = {"train": PoisonedAfter(16 + 8), "held_out": TinyImages(8, seed=1)}
    with pytest.raises(TrainingError, match=r"nan in epoch 2/3, step 2; the last good checkpoint is .*checkpoint\.pt"):
        train(built(supervised_stage(epochs=3), data), tmp_path)
    model = make_student()
    load_model_checkpoint(tmp_path / "checkpoint.pt", model)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values() if value.is_floating_point())


def test_a_loss_that_is_not_finite_at_once_says_that_there_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no checkpoint was made yet"):
        train(built(data={"train": PoisonedAfter(0), "held_out": TinyImages(8)}), tmp_path)
    assert not list(tmp_path.iterdir())


def test_weights_that_break_in_the_last_step_of_an_epoch_are_never_saved(tmp_path: Path) -> None:
    data = {"train": TinyImages(8), "held_out": TinyImages(8, seed=1)}  # one step an epoch
    with pytest.raises(TrainingError, match="on the selection images after epoch 1/1; no checkpoint"):
        train(built(supervised_stage(lr=math.inf), data), tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_best_epoch_on_the_selection_images_is_kept_and_loaded(tmp_path: Path, monkeypatch: Any) -> None:
    values = iter([3.0, 1.0, 2.0])
    states: list[dict[str, Tensor]] = []

    def value(_step: Any, _box: Any, model: nn.Module, _precision: str) -> dict[str, float]:
        states.append(state_of(model))
        return {"": next(values)}

    monkeypatch.setattr("sc2_spic_plugin.training.loop._held_out_values", value)
    run = built(supervised_stage(epochs=3))
    checkpoint = train(run, tmp_path)
    assert_same(states[1], state_of(run.model))
    content = torch.load(checkpoint, weights_only=True)
    assert content["best_value"] == 1.0
    assert_same(states[1], content["model"])
    last = torch.load(tmp_path / "last.pt", weights_only=True)
    assert_same(states[2], last["model"])
    assert {"optimizer", "lr_scheduler", "generators"} <= set(last)
    assert last["position"]["epoch"] == 2 and last["position"]["finished"] and last["position"]["best"] == {"": 1.0}
    before = torch.load(tmp_path / "previous.pt", weights_only=True)
    assert_same(states[1], before["model"])


def test_a_new_training_takes_nothing_of_the_one_before_it_in_the_folder(tmp_path: Path) -> None:
    save_model_checkpoint(tmp_path / "checkpoint.pt", make_student(seed=5), 0.0)
    run = built(data={**datasets(), "train": PoisonedAfter(0)})
    with pytest.raises(TrainingError, match="no checkpoint was made yet"):
        train(run, tmp_path)
    assert not (tmp_path / "checkpoint.pt").exists()


@pytest.mark.parametrize("images", [1, 4])
def test_sums_over_images_are_means_whatever_the_batch(images: int) -> None:
    class Criterion(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.term_dict = {"sum": (nn.MSELoss(reduction="sum"), 2.0), "mean": (nn.MSELoss(), 3.0)}

    criterion = Criterion()
    with sums_as_means(criterion, images):
        assert [weight for _, weight in criterion.term_dict.values()] == [2.0 / images, 3.0]
    assert [weight for _, weight in criterion.term_dict.values()] == [2.0, 3.0]


def test_the_last_stage_selects_afresh(tmp_path: Path, monkeypatch: Any) -> None:
    values = iter([1.0, 5.0])
    monkeypatch.setattr("sc2_spic_plugin.training.loop._held_out_values", lambda *_: {"": next(values)})
    train(built({"stage1": supervised_stage(), "stage2": supervised_stage()}), tmp_path)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["best_value"] == 5.0


def test_the_hosts_load_the_checkpoint_strictly_into_a_fresh_model(tmp_path: Path) -> None:
    run = built(unsupervised_stage(), model=make_student(distills=True))
    checkpoint = train(run, tmp_path)
    calibrate(run.model, [images for images, _ in [run.datasets["train"][:]]], DEVICE)
    save_model_checkpoint(checkpoint, run.model, 0.0)
    fresh = make_student(distills=True)
    best_value, arguments = load_ckpt(str(checkpoint), model=fresh, strict=True)
    assert best_value == 0.0 and arguments is None
    assert_same(state_of(run.model), state_of(fresh))
    images = run.datasets["report"].images
    for model in (run.model, fresh):
        model.eval().update()
    assert torch.equal(fresh(images), run.model(images)) and fresh.encode(images) == run.model.encode(images)


@pytest.mark.parametrize("kind", ["static_table", "mean_scale_hyperprior"])
def test_one_seed_gives_the_same_bits_and_another_seed_others(kind: str, tmp_path: Path) -> None:
    def trained(seed: int) -> SpicModel:
        seed_everything(seed)
        network = make_network()
        torch.manual_seed(seed)
        unit = {"latent_channels": 6, "stride": 2, "step": 0.5}
        model = SpicModel(network, "layer2", unit, input_size=(3, 32, 32), rate_estimator={"key": kind})
        train(built(supervised_stage(epochs=1), model=model), tmp_path / str(seed))
        return model

    first, second, other = (state_of(trained(seed)) for seed in (5, 5, 6))
    assert_same(first, second)
    assert not torch.equal(first["units.unit.encoder.0.weight"], other["units.unit.encoder.0.weight"])


def test_training_leaves_the_network_bitwise_and_feeds_the_tables(tmp_path: Path) -> None:
    run = built({"stage1": unsupervised_stage(), "stage2": supervised_stage()}, model=make_student(distills=True))
    before = network_state(run.model)
    train(run, tmp_path)
    assert_same(before, network_state(run.model))
    run.model.eval().update()
    assert run.model(run.datasets["report"].images).shape == (8, 8)


def test_selection_needs_no_real_bytes_even_after_an_early_update(tmp_path: Path) -> None:
    config = {"epoch_to_update": 1, "stage1": supervised_stage(epochs=1), "stage2": supervised_stage(epochs=1)}
    run = built(config)
    train(run, tmp_path)
    assert run.model.bottleneck_updated


def test_an_update_within_the_training_waits_for_the_tables_of_a_split_model(tmp_path: Path) -> None:
    run = built({"epoch_to_update": 0, "stage1": supervised_stage()})
    run.model.observes = False
    train(run, tmp_path)
    assert (tmp_path / "checkpoint.pt").is_file()


def test_workers_do_not_outlive_an_epoch_for_no_stop_could_keep_their_generators() -> None:
    config = {"stage1": {**supervised_stage(), "num_epochs": 1}, "log_freq": 5}
    config["stage1"]["train_data_loader"]["kwargs"].update(num_workers=2, persistent_workers=True)
    changed = resumable_config(config)
    assert changed["stage1"]["train_data_loader"]["kwargs"]["persistent_workers"] is False
    assert config["stage1"]["train_data_loader"]["kwargs"]["persistent_workers"] is True
    assert changed["log_freq"] == 5 and changed["stage1"]["val_data_loader"] is config["stage1"]["val_data_loader"]


def test_a_config_without_training_and_a_selection_without_images_are_refused(tmp_path: Path) -> None:
    run = built()
    run.config["train"] = None
    with pytest.raises(ConfigError, match="no `train`"):
        train(run, tmp_path)
    config = supervised_stage()
    config["train_data_loader"] = loader("train", batch_size=500)
    config["train_data_loader"]["kwargs"]["drop_last"] = True
    with pytest.raises(DataError, match="make no batch: lower `batch_size`"):
        train(built(config), tmp_path)
    assert list(tmp_path.iterdir()) == []
    config = supervised_stage()
    config["val_data_loader"] = loader("held_out", batch_size=50)
    config["val_data_loader"]["kwargs"]["drop_last"] = True
    with pytest.raises(DataError, match="no image, or none with a labelled pixel, to select"):
        train(built(config), tmp_path)


def test_calibration_counts_exactly_and_survives_update() -> None:
    model, images = make_student(), TinyImages(12).images
    seen: list[int] = []
    assert calibrate(model, [images[:8], (images[8:], None)], DEVICE, seen.append) == 12 and seen == [8, 12]
    digest = model.symbol_tables.coder.digest
    again = make_student()
    calibrate(again, [images[:5], images[5:]], DEVICE)
    assert again.symbol_tables.coder.digest == digest, "batches must not matter"
    model.update()
    assert model.symbol_tables.coder.digest == digest
    with pytest.raises(DataError, match="no image to calibrate on"):
        calibrate(model, [], DEVICE)


def test_an_optimizer_value_that_yaml_read_as_text_is_refused_with_the_reason(tmp_path: Path) -> None:
    config = supervised_stage()
    config["optimizer"]["kwargs"]["lr"] = "1e-3"
    with pytest.raises(ConfigError, match=r"YAML reads 1e-3 as text"):
        train(built(config), tmp_path)
    assert not list(tmp_path.iterdir())


PER_PIXEL = {
    **wrapped("CrossEntropyLoss"),
    "criterion": {"key": "CrossEntropyLoss", "kwargs": {"ignore_index": 255}},
}
PER_PIXEL["criterion_wrapper"] = {
    "key": "DictLossWrapper",
    "kwargs": {**PER_PIXEL["criterion_wrapper"]["kwargs"], "weights": {"out": 1.0}},
}


def segmentation_stage(epochs: int = 1) -> dict[str, Any]:
    config = stage({"task": PER_PIXEL}, epochs=epochs, model=role([]))
    for name in ("train_data_loader", "val_data_loader"):
        config[name] = {**config[name], "collate_fn": "spic_pair_collate"}
    config["train_data_loader"]["kwargs"]["batch_size"] = 4
    return config


def segmentation_run(config: dict[str, Any], **kwargs: Any) -> BuiltConfig:
    data = {"train": TinyPairs(((32, 32), (24, 40)) * 4), "held_out": TinyPairs(((32, 32), (40, 24), (28, 28)), seed=9)}
    return built(config, data, make_host_segmenter(**kwargs))


def test_a_segmentation_model_of_the_host_learns_with_its_auxiliary_loss_until_it_is_updated(tmp_path: Path) -> None:
    run = segmentation_run(segmentation_stage())
    bottleneck = run.model.backbone.bottleneck_layer.entropy_bottleneck
    quantiles, weights = bottleneck.quantiles.detach().clone(), run.model.classifier.weight.detach().clone()
    train(run, tmp_path / "one")
    assert not torch.equal(bottleneck.quantiles, quantiles), "only the auxiliary loss moves the quantiles"
    assert not torch.equal(run.model.classifier.weight, weights)
    again = segmentation_run({"epoch_to_update": 0, "stage1": segmentation_stage(), "stage2": segmentation_stage()})
    kept = again.model.backbone.bottleneck_layer.entropy_bottleneck
    before = kept.quantiles.detach().clone()
    train(again, tmp_path / "two")
    assert torch.equal(kept.quantiles, before)


def test_selection_images_without_a_labelled_pixel_say_nothing_and_stop_nothing(tmp_path: Path) -> None:
    class HalfVoid(TinyPairs):
        def __getitem__(self, index: int) -> Any:
            image, mask = super().__getitem__(index)
            return image, torch.full_like(mask, 255) if index % 2 else mask

    config = segmentation_stage()
    config["val_data_loader"]["kwargs"]["batch_size"] = 1
    run = segmentation_run(config, compresses=False)
    run.datasets["held_out"] = HalfVoid(((32, 32),) * 4)
    train(run, tmp_path)
    assert (tmp_path / "checkpoint.pt").is_file()


def test_the_original_network_of_a_segmentation_is_trained_like_any_other(tmp_path: Path) -> None:
    run = segmentation_run(segmentation_stage(epochs=2), compresses=False)
    checkpoint = train(run, tmp_path)
    fresh = make_host_segmenter(seed=5, compresses=False)
    load_model_checkpoint(checkpoint, fresh)
    assert_same(state_of(run.model), state_of(fresh))


def test_calibration_counts_images_of_every_size_without_enlarging_them() -> None:
    images = [TinyImages(1, size, seed=size).images for size in (32, 40, 32, 48)]
    grouped, single = make_student(), make_student()
    assert calibrate(grouped, [([torch.cat([images[0], images[2]]), images[1]],), ([images[3]],)], DEVICE) == 4
    calibrate(single, images, DEVICE)
    assert grouped.symbol_tables.coder.digest == single.symbol_tables.coder.digest
