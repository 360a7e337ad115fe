"""Frozen means frozen: two training stages of the hosts leave every bit of the network where it was."""

import copy
from typing import Any

import pytest
import torch
from tiny_parts import (
    NETWORK,
    RATE,
    assert_same,
    datasets,
    make_network,
    make_student,
    network_state,
    output_of,
    role,
    stage,
    supervised_stage,
    unsupervised_stage,
    wrapped,
)
from torchdistill.core.distillation import get_distillation_box
from torchdistill.core.training import MultiStagesTrainingBox, get_training_box

from sc2_spic_plugin.models import spic_eval_teacher
from sc2_spic_plugin.models.frozen import frozen_state
from sc2_spic_plugin.training import SpicModel

DEVICE = torch.device("cpu")


def run(box: Any) -> None:
    """What sc2bench's script does with a box."""
    for epoch in range(box.num_epochs):
        box.pre_epoch_process(epoch=epoch)
        for images, targets, supplement in box.train_data_loader:
            box.post_forward_process(box.forward_process(images, targets, supplement))
        box.post_epoch_process()
    box.clean_modules()


def assert_units_moved(model: SpicModel, before: dict[str, torch.Tensor]) -> None:
    still = [name for name, value in model.units.named_parameters() if torch.equal(value, before[name])]
    assert still == []


def test_two_stages_of_the_training_box_change_the_unit_and_nothing_of_the_network() -> None:
    student = make_student(distills=True)
    before, unit = network_state(student), copy.deepcopy(dict(student.units.named_parameters()))
    config = {"stage1": unsupervised_stage(), "stage2": supervised_stage()}
    box = get_training_box(student, datasets(), config, DEVICE, None, False, 1)
    assert isinstance(box, MultiStagesTrainingBox)
    run(box)
    assert box.stage_number == 2 and len(before) > 60
    assert_same(before, network_state(student))
    assert_units_moved(student, unit)
    optimised = {id(value) for group in box.optimizer.param_groups for value in group["params"]}
    assert optimised == {id(value) for value in student.parameters()}, "the hosts must find the unit's parameters only"


def test_two_stages_beside_an_eval_teacher_change_neither_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sc2_spic_plugin.models.teacher.build_network", lambda *_config: make_network())
    teacher, student = spic_eval_teacher(NETWORK), make_student()
    teacher_before = {name: value.clone() for name, value in frozen_state(teacher).items()}
    before, unit = network_state(student), copy.deepcopy(dict(student.units.named_parameters()))
    terms = {"distillation": wrapped("L1Loss", target=output_of(".", is_from_teacher=True)), "rate": RATE}
    stages = {f"stage{k}": stage(terms, teacher=role([]), student=role(["rate"])) for k in (1, 2)}
    run(get_distillation_box(teacher, student, datasets(), stages, DEVICE, None, False, 1))
    assert_same(teacher_before, frozen_state(teacher))
    assert any("running_mean" in name for name in teacher_before)
    assert_same(before, network_state(student))
    assert_units_moved(student, unit)
