"""The mode table: what images have in common is found while the unit trains, and charged as the mode coder codes it."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sc2_spic_plugin.coding import ModeCoder, SymbolTables
from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.rate_estimators import ModeTableRateEstimator, RateEstimator, build_rate_estimator

CHANNELS, SIZE, KINDS = 6, (2, 3), 4


class KindsOfImages:
    """Each image is of one of four kinds, which says what most of its symbols are; the others are 0 to 3 at random."""

    common = torch.randint(4, (KINDS, CHANNELS, *SIZE), generator=torch.Generator().manual_seed(1))
    share = 0.8

    def sample(self, images: int, generator: torch.Generator) -> Tensor:
        kinds = torch.randint(KINDS, (images,), generator=generator)
        noise = torch.randint(4, (images, CHANNELS, *SIZE), generator=generator)
        common = torch.rand(noise.shape, generator=generator) < self.share
        return torch.where(common, self.common[kinds], noise).float()

    def bits(self) -> float:
        """Returns what an image costs whose kind is named."""
        likely, other = self.share + (1 - self.share) / 4, (1 - self.share) / 4
        return math.log2(KINDS) - math.prod((CHANNELS, *SIZE)) * (
            likely * math.log2(likely) + 3 * other * math.log2(other)
        )


def build(kind: str = "mode_table", **arguments) -> RateEstimator:
    return build_rate_estimator(kind, CHANNELS, latent_size=SIZE, positions=True, **arguments)


def seen(estimator: RateEstimator, batches: int, seed: int = 0, source=None) -> RateEstimator:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(batches):
        estimator((source or KindsOfImages()).sample(64, generator))
    return estimator


def other_images(source=None) -> Tensor:
    return (source or KindsOfImages()).sample(2000, torch.Generator().manual_seed(99))


def test_bits_fall_to_those_of_images_whose_kind_is_named():
    bits = seen(build(), 70).eval()(other_images()).bits.mean()
    assert KindsOfImages().bits() * 0.98 < bits < KindsOfImages().bits() * 1.05
    assert bits < 0.75 * seen(build("static_table"), 70).eval()(other_images()).bits.mean()


def test_bits_are_about_those_of_the_coder_that_calibration_makes_of_the_same_images():
    estimator = seen(build(), 65).eval()
    tables = SymbolTables(CHANNELS, SIZE, modes=16)
    tables.start_calibration()
    generator = torch.Generator().manual_seed(0)
    for _ in range(64):
        tables.count(KindsOfImages().sample(64, generator).long())
    tables.finish_calibration()
    assert isinstance(tables.coder, ModeCoder)
    images = other_images()[:200]
    coded = sum(tables.coder.ideal_bits(image.long()) for image in images)
    assert estimator(images).bits.sum().item() == pytest.approx(coded, rel=0.03)


def test_before_modes_were_looked_for_and_where_none_pay_the_bits_are_those_of_the_static_table():
    images = other_images()
    plain, own = (seen(build(kind, decay=1.0), 5).eval() for kind in ("static_table", "mode_table"))
    torch.testing.assert_close(own(images).bits, plain(images).bits, rtol=0.04, atol=0)

    class OneKind:
        def sample(self, images: int, generator: torch.Generator) -> Tensor:
            return torch.randint(3, (images, CHANNELS, *SIZE), generator=generator).float()

    plain, own = (seen(build(kind, decay=1.0), 65, source=OneKind()).eval() for kind in ("static_table", "mode_table"))
    images = other_images(OneKind())
    torch.testing.assert_close(own(images).bits, plain(images).bits, rtol=0.01, atol=0)
    assert own.naming_bits().isfinite().tolist() == [True] + 15 * [False]


def test_the_side_bits_name_the_mode_and_the_gradient_is_the_slope_of_its_tables():
    estimator = seen(build(), 65).eval()
    image = (KindsOfImages.common[2][None] + 0.25).requires_grad_()
    estimate = estimator(image)
    estimate.bits.sum().backward()
    table = estimator.code_lengths()
    symbols = KindsOfImages.common[2].flatten()
    places = torch.arange(CHANNELS), torch.arange(math.prod(SIZE))
    cells = torch.meshgrid(*places, indexing="ij")
    costs = table.bits[:, cells[0].flatten(), cells[1].flatten(), symbols].sum(1) + estimator.naming_bits()
    mode = int(costs.argmin())
    torch.testing.assert_close(estimate.bits[0], costs[mode])
    torch.testing.assert_close(estimate.side_bits[0], estimator.naming_bits()[mode])
    slopes = table.slopes[mode, cells[0].flatten(), cells[1].flatten(), symbols].view_as(image)
    torch.testing.assert_close(image.grad, slopes)
    assert (slopes > 1).float().mean() > 0.8  # any other symbol is dear here, the next one above too


def test_naming_costs_sum_to_a_distribution_and_unused_modes_cannot_be_named():
    estimator = build()
    assert estimator.naming_bits().tolist() == [0.0] + 15 * [math.inf]
    seen(estimator, 65)
    used = estimator.naming_bits().isfinite()
    assert KINDS <= used.sum() < 16
    assert torch.exp2(-estimator.naming_bits()).sum().item() == pytest.approx(1)


@pytest.mark.parametrize("batches", [0, 40, 64, 65, 100])
def test_training_resumes_exactly_from_a_state_dict(batches):
    estimator, resumed = seen(build(), batches), build()
    resumed.load_state_dict(estimator.state_dict(), strict=True)
    for each in (estimator, resumed):
        seen(each, 70, seed=5)
    assert torch.equal(estimator.counts, resumed.counts)
    assert torch.equal(estimator.recent, resumed.recent)


def test_a_model_in_another_memory_format_counts_on():
    estimator = build().to(memory_format=torch.channels_last)
    for each in (estimator, same := build()):
        generator = torch.Generator().manual_seed(0)
        for _ in range(66):
            each(KindsOfImages().sample(64, generator).to(memory_format=torch.channels_last))
    assert torch.equal(estimator.counts, same.counts)


def test_loading_forgets_what_was_seen_before():
    fresh = build()
    used = seen(build(), 10)
    used.load_state_dict(fresh.state_dict())
    assert torch.equal(seen(used, 70, seed=5).counts, seen(fresh, 70, seed=5).counts)


def test_modes_are_looked_for_among_the_images_of_all_ranks(monkeypatch):
    whole = seen(build(refit_batches=4), 5)
    generator = torch.Generator().manual_seed(0)
    batches = [KindsOfImages().sample(64, generator) for _ in range(4)]
    other = np.concatenate([batch.flatten(1)[32:].to(torch.uint8) for batch in batches])
    monkeypatch.setattr("sc2_spic_plugin.rate_estimators.mode_table.gathered", lambda own: [other, own])
    half = build(refit_batches=4)
    for batch in batches:
        half(batch[:32])
    half(KindsOfImages().sample(64, generator))
    assert whole.naming_bits().isfinite().sum() >= KINDS
    ordered = [estimator.counts.view(16, -1).sort(0).values for estimator in (half, whole)]
    torch.testing.assert_close(*ordered)  # the modes may be numbered otherwise


def test_only_the_images_seen_last_are_kept():
    estimator = build(refit_batches=1000)
    estimator.recent.resize_(100, estimator.recent.shape[1])
    batches = [torch.full((60, CHANNELS, *SIZE), float(value)) for value in (1, 2, 3)]
    for batch in batches:
        estimator(batch)
    assert estimator.recent[:, 0].bincount().tolist() == [0, 0, 40, 60]
    estimator(torch.full((250, CHANNELS, *SIZE), 4.0))  # more than there is room for
    assert estimator.recent.unique().tolist() == [4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent_size": None}, "latent_size"),
        ({"modes": 1}, "2 to 256 modes"),
        ({"modes": 300}, "2 to 256 modes"),
        ({"alphabet": 300}, "at most 256 symbols"),
        ({"refit_batches": 0}, "above 0"),
        ({"mode_smoothing": 0.0}, "above 0"),
    ],
)
def test_settings_that_cannot_work_are_errors_that_say_why(arguments, message):
    with pytest.raises(ConfigError, match=message):
        ModeTableRateEstimator(CHANNELS, **{"latent_size": SIZE, **arguments})


def test_a_latent_of_another_size_is_an_error_that_says_what_to_do():
    with pytest.raises(ConfigError, match=r"latents of \(2, 3\) and got \(3, 3\).*static_table"):
        ModeTableRateEstimator(CHANNELS, SIZE, positions=False)(torch.zeros(1, CHANNELS, 3, 3))
