"""What every rate estimator promises, whatever its kind."""

import copy
import pickle

import pytest
import torch
from compressai.entropy_models import EntropyBottleneck, GaussianConditional

from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.rate_estimators import RATE_ESTIMATORS, RateEstimate, RateEstimator, build_rate_estimator
from sc2_spic_plugin.rate_estimators.densities import factorized_bits, gaussian_bits
from sc2_spic_plugin.rate_estimators.quick_bottleneck import QuickEntropyBottleneck

KINDS = sorted(RATE_ESTIMATORS)
NOISY = ["factorized", "mean_scale_hyperprior", "scale_hyperprior"]
HYPER = ["mean_scale_hyperprior", "scale_hyperprior"]


def relu_latent(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)).relu()


def build(kind: str, channels: int, latent_size: tuple[int, int], seed: int | None = None) -> RateEstimator:
    """Says the size of the latents only to the kind that must know it: the others take any."""
    needs_size = kind == "mode_table"
    return build_rate_estimator(kind, channels, latent_size=latent_size if needs_size else None, seed=seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 2), (5, 3), (15, 15)])
def test_any_latent_size_gives_one_finite_rate_per_image_and_a_finite_gradient(kind, size):
    estimator = build(kind, 6, size, seed=1)
    latent = relu_latent(3, 6, *size).requires_grad_()
    estimate = estimator(latent)
    assert isinstance(estimate, RateEstimate)
    assert estimate.bits.shape == estimate.side_bits.shape == (3,)
    assert (estimate.bits >= estimate.side_bits).all() and (estimate.side_bits >= 0).all()
    estimate.bits.sum().backward()
    assert latent.grad.isfinite().all() and latent.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_images_are_charged_independently(kind):
    estimator = build(kind, 4, (3, 2), seed=1).eval()
    latent = relu_latent(5, 4, 3, 2)
    together = estimator(latent).bits
    alone = torch.cat([estimator(image[None]).bits for image in latent])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("kind", [*NOISY, "mode_table", "static_table"])
def test_eval_bits_are_those_of_the_symbols_on_the_integer_grid(kind):
    estimator = build(kind, 4, (2, 2), seed=1).eval()
    symbols = torch.round(relu_latent(5, 4, 2, 2))
    if kind in HYPER:  # the hyper-latent of a real encoder sees the latent before rounding: hold it still
        estimator.analysis = copy.deepcopy(estimator.analysis).apply(
            lambda layer: [parameter.data.zero_() for parameter in layer.parameters(recurse=False)]
        )
    torch.testing.assert_close(estimator(symbols + 0.3).bits, estimator(symbols).bits)
    torch.testing.assert_close(estimator(symbols - 0.3).bits, estimator(symbols).bits)


@pytest.mark.parametrize("kind", NOISY)
def test_the_same_seed_gives_the_same_bits_whatever_the_global_generator_does(kind):
    latent = relu_latent(2, 6, 2, 2)
    runs = []
    for disturbance in (1, 2):
        torch.manual_seed(disturbance)
        estimator = build(kind, 6, (2, 2), seed=7)
        torch.rand(disturbance)
        runs.append(torch.stack([estimator(latent).bits for _ in range(3)]))
    assert torch.equal(*runs)
    assert not torch.equal(runs[0][0], runs[0][1])
    other = build(kind, 6, (2, 2), seed=8)
    other.load_state_dict(estimator.state_dict())
    assert not torch.equal(other(latent).bits, runs[0][0])


@pytest.mark.parametrize("kind", KINDS)
def test_estimating_leaves_the_global_generator_alone(kind):
    estimator = build(kind, 6, (2, 2), seed=7)
    before = torch.get_rng_state()
    build(kind, 6, (2, 2), seed=7)
    estimator(relu_latent(2, 6, 2, 2))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("kind", NOISY)
@pytest.mark.parametrize("draws_before", [0, 3])
def test_the_noise_resumes_exactly_from_its_saved_state(kind, draws_before, tmp_path):
    latent = relu_latent(2, 6, 2, 2)
    estimator = build(kind, 6, (2, 2))
    for _ in range(draws_before):
        estimator(latent)
    torch.save((estimator.state_dict(), estimator.get_rng_state()), tmp_path / "state.pt")
    state, rng_state = torch.load(tmp_path / "state.pt", weights_only=True)
    resumed = build(kind, 6, (2, 2))
    resumed.load_state_dict(state)
    resumed.set_rng_state(rng_state)
    assert torch.equal(
        torch.stack([estimator(latent).bits for _ in range(2)]), torch.stack([resumed(latent).bits for _ in range(2)])
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_dict_holds_tensors_only_and_restores_the_estimator(kind):
    estimator = build(kind, 6, (2, 2), seed=1)
    estimator(relu_latent(4, 6, 2, 2))
    state = estimator.state_dict()
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    assert not any("extra_state" in name for name in state)
    other = build(kind, 6, (2, 2), seed=2)
    other.load_state_dict(state, strict=True)
    latent = relu_latent(3, 6, 2, 2, seed=5)
    assert torch.equal(estimator.eval()(latent).bits, other.eval()(latent).bits)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("clone", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])  # noqa: S301
def test_a_copy_goes_on_as_the_original_would(kind, clone):
    estimator = build(kind, 6, (2, 2), seed=1)
    latent = relu_latent(4, 6, 2, 2)
    estimator(latent)
    other = clone(estimator)
    assert torch.equal(estimator(latent).bits, other(latent).bits)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_does_not_change_the_bits(kind):
    latent = relu_latent(4, 6, 2, 2)
    plain = build(kind, 6, (2, 2), seed=1)(latent).bits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = build(kind, 6, (2, 2), seed=1)(latent).bits
    assert cast.dtype == torch.float32
    assert torch.equal(plain, cast)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_latent_that_is_not_finite_gives_a_rate_that_is_not_finite(kind, training, value):
    estimator = build(kind, 6, (2, 2), seed=1).train(training)
    latent = relu_latent(4, 6, 2, 2)
    latent[2, 1, 0, 1] = value
    assert estimator(latent).bits.isfinite().tolist() == [True, True, False, True]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_negative_and_huge_latents_cost_finite_bits(kind, training):
    estimator = build(kind, 6, (1, 1), seed=1).train(training)
    latent = torch.tensor([-1e4, -3.0, 0.0, 7.0, 300.0, 1e4]).view(1, 6, 1, 1).requires_grad_()
    bits = estimator(latent).bits
    bits.sum().backward()
    assert bits.isfinite().all() and latent.grad.isfinite().all()
    if training:
        assert (latent.grad[0, 4:] != 0).all()  # outliers are not given up, as a bounded likelihood would


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_receives_a_finite_gradient(kind):
    estimator = build(kind, 6, (4, 4), seed=1)
    latent = relu_latent(8, 6, 4, 4).requires_grad_()
    (estimator(latent).bits.mean() + estimator.aux_loss()).backward()
    assert latent.grad.isfinite().all() and latent.grad.abs().sum() > 0
    for name, parameter in estimator.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", NOISY)
def test_quantiles_learn_from_the_auxiliary_loss_alone_and_nothing_else_does(kind):
    estimator = build(kind, 6, (2, 2), seed=1)
    estimator.aux_loss().backward()
    with_gradient = {name for name, parameter in estimator.named_parameters() if parameter.grad is not None}
    assert {name.rsplit(".", 1)[-1] for name in with_gradient} == {"quantiles"}
    estimator.zero_grad()
    estimator(relu_latent(8, 6, 4, 4)).bits.mean().backward()
    assert all(p.grad is None for name, p in estimator.named_parameters() if name.endswith("quantiles"))


@pytest.mark.parametrize("kind", ["l1", "mode_table", "static_table"])
def test_the_auxiliary_loss_is_zero_where_there_are_no_quantiles(kind):
    assert build(kind, 6, (2, 2)).aux_loss().item() == 0


def test_only_l1_says_that_it_does_not_measure_bits():
    assert [kind for kind in KINDS if not RATE_ESTIMATORS[kind].measures_bits] == ["l1"]
    latent = relu_latent(3, 6, 2, 2).requires_grad_()
    norm = build_rate_estimator("l1", channels=6)(latent).bits
    torch.testing.assert_close(norm, latent.abs().sum((1, 2, 3)))


def test_the_factorized_bits_are_those_of_compressais_likelihood():
    torch.manual_seed(0)
    reference = EntropyBottleneck(5, init_scale=4.0)
    torch.manual_seed(0)
    quick = QuickEntropyBottleneck(5, init_scale=4.0)
    symbols = torch.round(relu_latent(3, 5, 2, 2))
    likelihood, _, _ = reference._likelihood(symbols.transpose(0, 1).reshape(5, 1, -1))
    expected = -likelihood.log2().reshape(5, 3, -1).sum((0, 2))
    for density in (reference, quick):
        torch.testing.assert_close(factorized_bits(density, symbols), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("with_means", [True, False])
def test_the_gaussian_bits_are_those_of_compressais_likelihood(with_means):
    conditional = GaussianConditional(None)
    values, scales = relu_latent(3, 5, 2, 2), 0.05 + relu_latent(3, 5, 2, 2, seed=1)
    means = 0.3 * relu_latent(3, 5, 2, 2, seed=2) if with_means else None
    scales = torch.maximum(scales, (values - (means if with_means else 0)).abs() / 3)  # the reference knows no outliers
    likelihood = conditional._likelihood(values, scales, means)
    torch.testing.assert_close(
        gaussian_bits(conditional, values, scales, means), -likelihood.log2().flatten(1).sum(1), rtol=1e-4, atol=1e-4
    )


def test_an_unknown_kind_is_an_error_that_names_the_nearest():
    with pytest.raises(ConfigError, match="mean_scale_hyperprior"):
        build_rate_estimator("mean_scale_hyper_prior", channels=4)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_argument_is_an_error_that_names_the_accepted_ones(kind):
    with pytest.raises(ConfigError, match=r"does not take `sede`; it takes `channels`, .*`seed`"):
        build_rate_estimator(kind, channels=4, sede=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_latent_of_other_channels_or_dimensions_is_an_error(kind):
    estimator = build(kind, 4, (2, 2))
    for shape in [(2, 5, 1, 1), (2, 4)]:
        with pytest.raises(ConfigError, match=r"built for latents \(B, 4, h, w\)"):
            estimator(torch.zeros(shape))


@pytest.mark.parametrize("arguments", [{"channels": 0}, {"channels": 4, "latent_size": (0, 2)}])
def test_sizes_that_are_not_positive_are_an_error(arguments):
    with pytest.raises(ConfigError, match="at least 1"):
        build_rate_estimator("static_table", **arguments)
