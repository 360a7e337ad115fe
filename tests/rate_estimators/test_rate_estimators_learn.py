"""Rate estimators must really learn: their bits fall to the entropy of a known source."""

import math

import pytest
import torch
from torch import Tensor

from sc2_spic_plugin.rate_estimators import RateEstimator, build_rate_estimator

CHANNELS, SIZE, STEPS = 8, (4, 4), 200


class GeometricSource:
    """Independent symbols 0, 1, 2, ..., each channel with its own decay; the shape of a quantised ReLU latent."""

    decays = torch.linspace(0.15, 0.85, CHANNELS)

    def entropy(self) -> float:
        q = self.decays.double()
        return float((-(1 - q) * q.neg().log1p() - q * q.log()).div(1 - q).sum() / math.log(2))

    def sample(self, images: int, generator: torch.Generator) -> Tensor:
        uniform = 1 - torch.rand(images, CHANNELS, *SIZE, generator=generator)
        return torch.floor(uniform.log() / self.decays.log().view(1, -1, 1, 1))


class RoundedGaussianSource:
    """Independent rounded Gaussians, each channel with its own scale and, if wanted, mean."""

    scales = torch.linspace(0.7, 4, CHANNELS)

    def __init__(self, with_means: bool) -> None:
        self.means = torch.linspace(-2.3, 5.1, CHANNELS) * with_means

    def entropy(self) -> float:
        normal = torch.distributions.Normal(self.means.double()[:, None], self.scales.double()[:, None])
        symbols = torch.arange(-60, 61)
        probability = (normal.cdf(symbols + 0.5) - normal.cdf(symbols - 0.5)).clamp_min(1e-300)
        return float(-(probability * probability.log2()).sum())

    def sample(self, images: int, generator: torch.Generator) -> Tensor:
        noise = torch.randn(images, CHANNELS, *SIZE, generator=generator)
        return torch.round(noise * self.scales.view(1, -1, 1, 1) + self.means.view(1, -1, 1, 1))


class ImageScaledSource:
    """Rounded Gaussians whose common scale differs from image to image: what a hyper-latent is for."""

    def sample(self, images: int, generator: torch.Generator) -> Tensor:
        scales = torch.tensor([0.3, 6.0])[torch.randint(2, (images, 1, 1, 1), generator=generator)]
        return torch.round(torch.randn(images, CHANNELS, *SIZE, generator=generator) * scales)


def train(estimator: RateEstimator, source, steps: int = STEPS, learning_rate: float = 1e-2) -> None:
    generator = torch.Generator().manual_seed(5)
    parameters = list(estimator.parameters())
    optimizer = torch.optim.Adam(parameters, lr=learning_rate) if parameters else None
    for step in range(steps):
        loss = estimator(source.sample(32, generator)).bits.mean() / math.prod(SIZE) + 0.01 * estimator.aux_loss()
        if optimizer is not None:
            optimizer.param_groups[0]["lr"] = learning_rate * (0.52 + 0.48 * math.cos(math.pi * step / steps))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@torch.no_grad()
def bits_per_position(estimator: RateEstimator, source) -> tuple[float, float]:
    estimate = estimator.eval()(source.sample(512, torch.Generator().manual_seed(77)))
    return tuple(float(part.mean()) / math.prod(SIZE) for part in estimate)


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("static_table", GeometricSource()),
        ("factorized", GeometricSource()),
        ("scale_hyperprior", RoundedGaussianSource(with_means=False)),
        ("mean_scale_hyperprior", RoundedGaussianSource(with_means=True)),
    ],
)
def test_bits_fall_to_within_two_percent_of_the_entropy_of_a_known_source(kind, source):
    estimator = build_rate_estimator(kind, channels=CHANNELS, seed=1)
    untrained, _ = bits_per_position(estimator, source)
    train(estimator.train(), source)
    bits, side_bits = bits_per_position(estimator, source)
    entropy = source.entropy()
    assert untrained > 1.1 * entropy  # it had something to learn
    assert 0.99 * entropy < bits < 1.02 * entropy  # nobody codes below the entropy, up to the sample's scatter
    assert side_bits < 0.002 * entropy  # an independent source leaves a hyper-latent nothing to say


def test_the_factorized_density_learns_at_the_learning_rate_of_a_bottleneck_unit():
    source = GeometricSource()
    excess = {}
    for gain in (1.0, 20.0):
        estimator = build_rate_estimator("factorized", channels=CHANNELS, seed=1, learning_gain=gain)
        train(estimator, source, learning_rate=2e-3)
        excess[gain] = bits_per_position(estimator, source)[0] / source.entropy() - 1
    assert excess[20.0] < 0.05 < 5 * excess[20.0] < excess[1.0]


@pytest.mark.parametrize("kind", ["scale_hyperprior", "mean_scale_hyperprior"])
def test_a_hyperprior_beats_the_factorized_density_where_the_scale_depends_on_the_image(kind):
    source, bits = ImageScaledSource(), {}
    for name in (kind, "factorized"):
        estimator = build_rate_estimator(name, channels=CHANNELS, seed=1)
        train(estimator, source)
        bits[name], side_bits = bits_per_position(estimator, source)
        if name == kind:
            assert side_bits > 0  # it pays because the hyper-latent speaks
    assert bits[kind] < 0.95 * bits["factorized"]
