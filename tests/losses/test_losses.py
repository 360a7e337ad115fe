"""Laws of the losses: what they compute, what gradient they give, and what they say of a path that is not hooked."""

import pytest
import torch
from torch import Tensor

from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.losses import SpicDistillationLoss, SpicRateLoss


def io_dict(**outputs: Tensor) -> dict[str, dict[str, Tensor]]:
    return {path.replace("__", "."): {"output": output} for path, output in outputs.items()}


@pytest.mark.parametrize(("metric", "expected"), [("mae", 1.5), ("mse", 2.5)])
def test_the_distortion_is_the_mean_difference_to_the_original_at_the_same_layer(metric: str, expected: float) -> None:
    student, original = torch.tensor([[1.0, 2.0]], requires_grad=True), torch.tensor([[2.0, 4.0]])
    for layer, paths in (
        (".", {".": student, "original__output": original}),
        ("layer4.0", {"back_end__layer4__0": student, "original__layer4_0": original}),
    ):
        loss = SpicDistillationLoss(layer, metric)(io_dict(**paths), targets=None)
        assert float(loss.detach()) == expected
        (gradient,) = torch.autograd.grad(loss, student)
        assert bool((gradient < 0).all())


def test_the_divergence_is_of_the_classes_and_of_nothing_that_all_scores_share() -> None:
    generator = torch.Generator().manual_seed(0)
    student, original = (torch.randn(3, 5, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    loss = SpicDistillationLoss(metric="kl")

    def divergence(scores: Tensor) -> Tensor:
        return loss(io_dict(**{".": scores, "original__output": original}))

    mine, others = student.softmax(1), original.softmax(1)
    expected = (others * (others / mine).log()).sum(1).mean()  # of images and of places, each with its classes
    torch.testing.assert_close(divergence(student), expected)
    torch.testing.assert_close(divergence(student + torch.randn(3, 1, 2, generator=generator)), expected)
    assert float(divergence(original)) == pytest.approx(0, abs=1e-12)
    scores = student.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(divergence(scores), scores)
    torch.testing.assert_close(gradient, (mine - others) / 6)


def test_the_divergence_of_a_layer_without_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"`kl` compares classes, and `layer4\.1` has features: use `mae` or `mse`"):
        SpicDistillationLoss("layer4.1", "kl")


def test_the_rate_is_the_mean_over_the_batch() -> None:
    assert float(SpicRateLoss()(io_dict(rate=torch.tensor([1.0, 2.0, 6.0])))) == 3.0
    assert float(SpicRateLoss("other")(io_dict(other=torch.tensor([4.0])))) == 4.0


def test_a_path_that_no_hook_kept_is_named_with_the_line_to_add() -> None:
    with pytest.raises(ConfigError, match=r"`rate`, which no hook kept: add 'rate' .*forward_hook"):
        SpicRateLoss()(io_dict())
    with pytest.raises(ConfigError, match=r"`original\.output`.*`distills: True`"):
        SpicDistillationLoss()({".": {"output": torch.zeros(1)}, "original.output": {}})


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown metric `maee`\. Did you mean `mae`"):
        SpicDistillationLoss(metric="maee")


def test_of_outputs_that_are_dicts_one_entry_is_compared() -> None:
    student = {"out": torch.tensor([1.0, 2.0]), "aux": torch.tensor([9.0])}
    hooked = {".": {"output": student}, "original.output": {"output": {"out": torch.tensor([2.0, 4.0])}}}
    assert float(SpicDistillationLoss()(hooked)) == 1.5
    with pytest.raises(ConfigError, match=r"`original\.output` has no entry `aux`.* Set `entry`"):
        SpicDistillationLoss(entry="aux")(hooked)
