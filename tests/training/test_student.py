"""Laws of the student: one frozen network is teacher and student, hooks give losses what they read."""

from typing import Any

import pytest
import torch
from tiny_parts import (
    NETWORK,
    RATE,
    assert_same,
    datasets,
    make_images,
    make_network,
    make_student,
    network_state,
    output_of,
    role,
    stage,
    wrapped,
)
from torch import Tensor
from torchdistill.core.distillation import get_distillation_box
from torchdistill.core.training import get_training_box

from sc2_spic_plugin.models import spic_eval_teacher
from sc2_spic_plugin.rate_estimators import RateEstimator
from sc2_spic_plugin.training import SpicModel

DEVICE = torch.device("cpu")


def teacher_of(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> torch.nn.Module:
    """The stock box's second model: the same network as a tiny student's, in eval mode."""
    monkeypatch.setattr("sc2_spic_plugin.models.teacher.build_network", lambda *_config: make_network().to(dtype))
    return spic_eval_teacher(NETWORK)


def hooked(model: SpicModel, images: Tensor, *paths: str) -> list[Any]:
    """Runs a model and returns what hooks at `paths` saw, the output first."""
    seen: dict[str, Tensor] = {}
    handles = [
        model.get_submodule(path).register_forward_hook(lambda _m, _i, output, path=path: seen.update({path: output}))
        for path in paths
    ]
    output = model(images)
    for handle in handles:
        handle.remove()
    return [output, *(seen[path] for path in paths)]


def gradients(box: Any, model: SpicModel, images: Tensor) -> dict[str, Tensor]:
    box.pre_epoch_process(epoch=0)
    box.forward_process(images, torch.zeros(len(images), dtype=torch.long), None).backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    box.clean_modules()
    assert all(value is not None and value.abs().max() > 0 for value in found.values())
    return found


SPIC_LOSS = {"criterion": {"key": "SpicDistillationLoss", "kwargs": {"metric": "mae"}}, "weight": 1.0}
LAYER_LOSS = {"criterion": {"key": "SpicDistillationLoss", "kwargs": {"layer": "layer4"}}, "weight": 1.0}
CASES = {  # our term, its hooks, the stock box's layer
    "stock loss on the output": (wrapped("L1Loss", target=output_of("original.output")), ["original.output"], "."),
    "our loss on the output": (SPIC_LOSS, ["original.output"], "."),
    "our loss on a layer": (LAYER_LOSS, ["original.layer4", "back_end.layer4"], "layer4"),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", CASES)
def test_self_distillation_gives_the_gradients_of_the_stock_teacher_student_box(
    case: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    term, hooks, layer = CASES[case]
    images = make_images(6).to(dtype)
    ours = make_student(distillation_layers=["layer4"]).to(dtype)
    config = stage({"distillation": term, "rate": RATE}, model=role(["rate", *hooks]))
    mine = gradients(get_training_box(ours, datasets(), config, DEVICE, None, False, 1), ours, images)

    stock = make_student(distills=False).to(dtype)
    stock.load_state_dict(make_student().state_dict())
    teacher_hooks, student_hooks = ([], []) if layer == "." else ([layer], [f"back_end.{layer}"])
    student_path = layer if layer == "." else f"back_end.{layer}"
    config = stage(
        {"distillation": wrapped("L1Loss", student_path, output_of(layer, is_from_teacher=True)), "rate": RATE},
        teacher=role(teacher_hooks),
        student=role(["rate", *student_hooks]),
    )
    teacher = teacher_of(monkeypatch, dtype)
    theirs = gradients(get_distillation_box(teacher, stock, datasets(), config, DEVICE, None, False, 1), stock, images)
    assert_same(mine, theirs)


@pytest.mark.parametrize("is_training", [True, False])
def test_forward_returns_the_students_output_alone(is_training: bool) -> None:
    student = make_student(distillation_layers=["layer4"]).train(is_training)
    output = student(make_images(4))
    assert isinstance(output, Tensor) and output.shape == (4, 8) and output.requires_grad


@pytest.mark.parametrize("cut", ["layer2", "bn1"])
def test_the_original_output_is_the_uncut_networks(cut: str) -> None:
    images = make_images(3)
    student = make_student(cut=cut, distills=True).train()
    assert student.clones_features == (cut == "bn1"), "cut at bn1 the back-end rectifies in place"
    output, original = hooked(student, images, "original.output")
    uncut = make_network().to(memory_format=torch.channels_last)  # the layout the halves are in
    assert torch.equal(original, uncut(images)) and not original.requires_grad
    assert not torch.equal(output, original)


@pytest.mark.parametrize("activation", ["relu", "identity"])
def test_a_back_end_that_works_in_place_disturbs_neither_features_nor_gradients(activation: str) -> None:
    student = make_student(cut="bn1", distills=True, unit={"output_activation": activation}).train()
    images = make_images(3)
    features = student.front_end(images)
    seen: list[Tensor] = []
    student.unit.encoder.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].clone()))
    student(images).sum().backward()
    assert len(seen) == 2 and all(torch.equal(features, each) for each in seen)
    assert all(parameter.grad.abs().max() > 0 for parameter in student.unit.parameters())


@pytest.mark.parametrize("layer", ["layer4", "layer4.0.conv1", "avgpool"])
def test_hooks_give_original_and_student_at_any_layer_behind_the_cut(layer: str) -> None:
    images, network = make_images(3), make_network().to(memory_format=torch.channels_last)
    expected: list[Tensor] = []
    network.get_submodule(layer).register_forward_hook(lambda _m, _i, output: expected.append(output))
    network(images)
    student = make_student(distillation_layers=[layer]).train()
    key = layer.replace(".", "_")
    _, original, own = hooked(student, images, f"original.{key}", f"back_end.{layer}")
    assert torch.equal(original, expected[0]) and not original.requires_grad
    assert own.shape == original.shape and own.requires_grad and not torch.equal(own, original)


@pytest.mark.parametrize("kind", ["l1", "static_table", "factorized", "scale_hyperprior", "mean_scale_hyperprior"])
def test_the_rate_is_the_estimators_bits_per_image_pixel(kind: str) -> None:
    student = make_student(rate_estimator={"key": kind, "kwargs": {"seed": 0}}).train()
    seen: list[tuple[Tensor, Tensor]] = []
    student.rate_estimator.register_forward_hook(lambda _m, inputs, output: seen.append((inputs[0], output.bits)))
    _, rate = hooked(student, make_images(3, 32, 64), "rate")
    latent, bits = seen[0]
    assert rate.shape == (3,) and torch.equal(rate, bits / (32 * 64)) and rate.requires_grad
    assert torch.equal(torch.round(latent), torch.round(latent).int().float()) and latent.max() > 1
    aux = student.get_aux_module()
    if kind in ("l1", "static_table"):
        assert aux is None
    else:
        assert isinstance(aux, RateEstimator) and aux.aux_loss().requires_grad


def test_training_counts_eval_mode_symbols_and_evaluating_counts_nothing() -> None:
    student, images = make_student(), make_images(4)
    student.train()(images)
    expected = student.unit.encode(student.front_end(images))  # with the statistics that this batch has moved
    counted = student.symbol_tables.histogram.clone()
    assert float(counted.sum()) == expected.numel()
    assert [float(counted[..., symbol].sum()) for symbol in range(8)] == [
        float((expected == symbol).sum()) for symbol in range(8)
    ]
    student.eval()(images)
    assert torch.equal(student.symbol_tables.histogram, counted)


def test_a_step_changes_the_unit_and_not_one_bit_of_the_network() -> None:
    student = make_student(distills=True).train()
    before, unit = network_state(student), {n: v.clone() for n, v in student.named_parameters()}
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    student(make_images(4)).square().sum().backward()
    optimizer.step()
    assert_same(before, network_state(student))
    assert all(not torch.equal(value, unit[name]) for name, value in student.named_parameters())


def test_without_distillation_the_original_network_does_not_run_behind_the_cut() -> None:
    calls: list[bool] = []
    for distills in (False, True):
        student = make_student(distills=distills).train()
        student.back_end.register_forward_hook(lambda *_, distills=distills: calls.append(distills))
        student(make_images(2))
    assert calls == [False, True, True]
