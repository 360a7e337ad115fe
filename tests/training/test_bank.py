"""Laws of training a bank: each unit learns as it would alone, whatever it is trained beside."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_parts import (
    RATE,
    UNIT,
    TinyImages,
    assert_same,
    datasets,
    make_images,
    make_network,
    network_state,
    output_of,
    role,
    stage,
    supervised_stage,
    unsupervised_stage,
    wrapped,
)
from torch import Tensor, nn
from torchdistill.core.training import get_training_box

from sc2_spic_plugin.errors import ConfigError, TrainingError
from sc2_spic_plugin.models import load_unit
from sc2_spic_plugin.training import SpicModel
from sc2_spic_plugin.training.build import BuiltConfig, seed_everything
from sc2_spic_plugin.training.calibrate import calibrate
from sc2_spic_plugin.training.loop import train
from sc2_spic_plugin.training.resume import find_state
from sc2_spic_plugin.training.steps import BankStep

DEVICE = torch.device("cpu")
UNITS = {
    "low": {**UNIT, "latent_channels": 3, "rate_weight": 8.0},
    "mid": {**UNIT, "stride": 1, "rate_weight": 2.0, "rate_estimator": {"key": "mean_scale_hyperprior"}},
    "high": {**UNIT, "step": 0.25, "rate_weight": 0.5, "rate_estimator": {"key": "factorized"}},
    "l1": {**UNIT, "topology": "conv", "rate_estimator": {"key": "l1"}},
}


def make_bank(names: list[str] | None = None, seed: int = 3, **kwargs: Any) -> SpicModel:
    network = make_network()
    torch.manual_seed(seed)
    units = {name: UNITS[name] for name in names or list(UNITS)}
    return SpicModel(network, "layer2", units=units, input_size=(3, 32, 32), **kwargs)


def built(model: SpicModel, config: dict[str, Any], data: Any = None) -> BuiltConfig:
    return BuiltConfig(Path("tiny.yaml"), {"train": config}, data or datasets(), model, None, DEVICE)


def state_of_unit(model: SpicModel, name: str) -> dict[str, Tensor]:
    parts = ("units", "tables", "rate_estimators")
    return {key: value.clone() for key, value in model.state_dict().items() if key.split(".")[:2][1:] == [name]
            and key.split(".")[0] in parts}  # fmt: skip


def ten_steps(model: SpicModel, config: dict[str, Any], memory_limit: int | None = None) -> dict[str, list[Tensor]]:
    """Trains ten steps in float64 on the same batches, all units at once; returns the losses."""
    model.double().train().rate_estimators.float()  # whose arithmetic is float32 always
    box = get_training_box(model, datasets(), config, DEVICE, None, False, 1)
    step = BankStep(box, model, **({} if memory_limit is None else {"memory_limit": memory_limit}))
    losses: dict[str, list[Tensor]] = {name: [] for name in model.units}
    for number in range(10):
        images, targets = make_images(8, seed=number).double(), torch.arange(8)
        values, left = step.forward(images, targets, None)
        step.take(left, False)
        for name, value in values.items():
            losses[name].append(value)
    return losses


def inner_stage() -> dict[str, Any]:
    """Distils at a layer inside the back-end, whose hooks see the batch of all units."""
    target = output_of("original.layer3")
    terms = {"inner": wrapped("MSELoss", "back_end.layer3", target), "rate": RATE}
    return stage(terms, model=role(["rate", "original.layer3", "back_end.layer3"]))


@pytest.mark.parametrize(
    ("config", "options"),
    [
        (supervised_stage(), {}),
        (unsupervised_stage(), {"distills": True}),
        (inner_stage(), {"distillation_layers": ["layer3"]}),
    ],
    ids=["supervised", "unsupervised", "inner layer"],
)
def test_a_unit_trained_in_a_bank_equals_the_unit_trained_alone(config: dict, options: dict) -> None:
    bank = make_bank(**options)
    begun = {name: state_of_unit(bank, name) for name in UNITS}
    losses = ten_steps(bank, config)
    for name in UNITS:
        alone = make_bank([name], **options)
        assert_same(begun[name], state_of_unit(alone, name))
        assert torch.allclose(torch.stack(losses[name]), torch.stack(ten_steps(alone, config)[name]), rtol=1e-9)
        one, other = state_of_unit(bank, name), state_of_unit(alone, name)
        for key, value in one.items():
            assert torch.allclose(value.double(), other[key].double(), rtol=1e-6, atol=1e-7), key
        changed = [key for key, value in one.items() if not torch.equal(value, begun[name][key].to(value.dtype))]
        assert any("encoder" in key for key in changed) and any("decoder" in key for key in changed)


def test_a_bank_of_one_takes_the_step_of_the_host() -> None:
    bank, plain = make_bank(["low"]), make_bank(["low"])
    losses = ten_steps(bank, supervised_stage())["low"]
    plain.double().train().rate_estimators.float()
    box = get_training_box(plain, datasets(), supervised_stage(), DEVICE, None, False, 1)
    for number in range(10):
        loss = box.forward_process(make_images(8, seed=number).double(), torch.arange(8), None)
        assert torch.equal(loss.detach(), losses[number])
        box.post_forward_process(loss)
    assert_same(state_of_unit(bank, "low"), state_of_unit(plain, "low"))


def test_units_that_go_through_the_back_end_one_by_one_learn_the_same() -> None:
    together, apart = make_bank(distills=True), make_bank(distills=True)
    losses, same = ten_steps(together, unsupervised_stage()), ten_steps(apart, unsupervised_stage(), memory_limit=1)
    for name in UNITS:
        assert torch.allclose(torch.stack(losses[name]), torch.stack(same[name]), rtol=1e-9)


def test_how_many_units_go_through_together_follows_from_the_memory_they_keep() -> None:
    model = make_bank().train()
    box = get_training_box(model, datasets(), supervised_stage(), DEVICE, None, False, 1)
    step = BankStep(box, model)
    opened = model.open_batch(make_images(8))
    assert step._chunk(opened) == len(UNITS) and step._kept_by_one is not None
    step.memory_limit = 2 * step._kept_by_one
    assert step._chunk(opened) == 2
    twice = BankStep(box, model)
    twice._chunk(model.open_batch(make_images(16)))
    assert twice._kept_by_one == pytest.approx(2 * step._kept_by_one, rel=0.05)


def test_a_bank_trains_every_unit_and_nothing_of_the_network(tmp_path: Path) -> None:
    model = make_bank(distills=True)
    network = network_state(model)
    begun = {name: state_of_unit(model, name) for name in UNITS}
    run = built(model, unsupervised_stage(epochs=2))
    checkpoint = train(run, tmp_path)
    calibrate(model, [TinyImages(16).images], DEVICE)
    assert_same(network, network_state(model))
    content = torch.load(checkpoint, weights_only=True)
    assert set(content["model"]) == set(model.state_dict())
    for name in UNITS:
        state = state_of_unit(model, name)
        assert any(not torch.equal(value, begun[name][key]) for key, value in state.items() if "encoder" in key)
        assert model.tables[name].calibrated
    model.update()
    answers = dict(model.eval().answers(make_images(2)))
    assert list(answers) == list(UNITS)
    for name, answer in answers.items():
        model.select(name)
        assert torch.equal(answer, model(make_images(2)))


def test_each_unit_keeps_its_own_best_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([{"low": 3.0, "l1": 1.0}, {"low": 2.0, "l1": 2.0}, {"low": 2.5, "l1": 3.0}])
    states: list[dict[str, Tensor]] = []

    def value(_step: Any, _box: Any, model: nn.Module, _precision: str) -> dict[str, float]:
        states.append({key: value.clone() for key, value in model.state_dict().items()})
        return next(values)

    monkeypatch.setattr("sc2_spic_plugin.training.loop._held_out_values", value)
    model = make_bank(["low", "l1"])
    checkpoint = train(built(model, supervised_stage(epochs=3)), tmp_path)
    expected = {key: states[0 if ".l1." in key else 1][key] for key in states[0]}
    assert_same(expected, torch.load(checkpoint, weights_only=True)["model"])
    assert_same(expected, dict(model.state_dict()))


class StoppedError(Exception):
    """A stop in the middle of training."""


@pytest.mark.parametrize("stop_at", [2, 3, 5])
def test_a_bank_that_stopped_goes_on_bit_for_bit(stop_at: int, tmp_path: Path) -> None:
    def run(out: Path, resumed: Any = None, stop: int | None = None) -> None:
        seed_everything(0)
        model = make_bank(distills=True)

        def report(what: str, done: int, _total: int) -> None:
            if stop is not None and what.startswith("epoch") and done == stop:
                raise StoppedError

        train(built(model, unsupervised_stage(epochs=3)), out, report=report, resumed=resumed, save_every=0.0)

    run(tmp_path / "whole")
    with pytest.raises(StoppedError):
        run(tmp_path / "parts", stop=stop_at)
    run(tmp_path / "parts", resumed=find_state(tmp_path / "parts"))
    one, other = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts"))
    assert one["best_value"] == other["best_value"]
    assert_same(one["model"], other["model"])


def test_a_unit_whose_loss_is_not_finite_is_named(tmp_path: Path) -> None:
    model = make_bank(["low", "l1"])
    with torch.no_grad():
        next(model.units["l1"].parameters()).fill_(math.nan)
    with pytest.raises(TrainingError, match="the loss of unit `l1` is nan in epoch 1/1, step 1; no checkpoint"):
        train(built(model, supervised_stage()), tmp_path)


def test_gradients_are_clipped_unit_by_unit() -> None:
    config = supervised_stage(lr=1.0)
    config["optimizer"]["max_grad_norm"] = 1e-3
    for names in (["low"], ["low", "l1"]):
        model = make_bank(names)
        before = state_of_unit(model, "low")
        box = get_training_box(model.double().train(), datasets(), config, DEVICE, None, False, 1)
        step = BankStep(box, model)
        step.take(step.forward(make_images(8).double(), torch.arange(8), None)[1], False)
        moved = [value - before[key] for key, value in state_of_unit(model, "low").items()
                 if key in dict(model.named_parameters())]  # fmt: skip
        assert torch.cat([each.flatten() for each in moved]).norm() == pytest.approx(1e-3, rel=1e-4)


def test_a_bank_refuses_a_teacher_of_its_own() -> None:
    with pytest.raises(ConfigError, match="remove `teacher_model` and set `distills: True`"):
        BankStep(object(), make_bank())


def test_the_stock_harness_trains_the_unit_that_the_config_chooses() -> None:
    model = make_bank(active="l1").train()
    begun = {name: state_of_unit(model, name) for name in UNITS}
    box = get_training_box(model, datasets(), supervised_stage(), DEVICE, None, False, 1)
    for images, targets, supplement in box.train_data_loader:
        box.post_forward_process(box.forward_process(images, targets, supplement))
    for name in UNITS:
        moved = any(not torch.equal(value, begun[name][key]) for key, value in state_of_unit(model, name).items())
        assert moved == (name == "l1")
    model.update()
    assert model.eval()(make_images(2)).shape == (2, 8)
    assert model.tables["l1"].is_ready and not model.tables["low"].is_ready


def test_a_unit_that_was_loaded_can_be_trained_on(tmp_path: Path) -> None:
    from sc2_spic_plugin.models import export_unit

    source = make_bank()
    calibrate(source, [make_images(8)], DEVICE)
    pair = export_unit(source, "low", tmp_path / "unit")
    model = make_bank(["l1"])
    load_unit(model, pair.description)
    before = state_of_unit(model, "low")
    train(built(model, supervised_stage()), tmp_path / "run")
    assert any(not torch.equal(value, before[key]) for key, value in state_of_unit(model, "low").items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"unit": UNIT, "units": UNITS}, "`unit`, or `units` for a bank, and not both"),
        ({}, "needs `unit`, or `units`"),
        ({"units": {}}, "must be a mapping of names to units"),
        ({"units": {"low": {**UNIT, "rate_weight": 0}}}, "`rate_weight` of unit `low` is 0; give a positive number"),
        ({"units": {"low": {**UNIT, "rate_wait": 1}}}, "unknown key `rate_wait` for unit `low`"),
        ({"units": {"low": UNIT}, "active": "lwo"}, "no unit `lwo`. Did you mean `low`"),
        ({"units": {"low": {**UNIT, "rate_estimator": {}}}}, "`rate_estimator` of unit `low` needs a `key`"),
    ],
)
def test_a_bank_that_makes_no_sense_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SpicModel(make_network(), "layer2", input_size=(3, 32, 32), **arguments)
