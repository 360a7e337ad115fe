"""Laws of the unit: its quantiser, its size, what deployment sees, and what it refuses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.layers import TOPOLOGIES, BottleneckUnit, CoveringGeometry, UniformQuantizer

STEPS = st.floats(0.05, 20)


def parameters(unit: BottleneckUnit) -> int:
    return sum(parameter.numel() for parameter in unit.parameters())


def trained_unit(**kwargs: object) -> tuple[BottleneckUnit, Tensor]:
    """A unit whose batch-norm statistics have moved, so that training and eval mode differ, and features."""
    torch.manual_seed(0)
    unit = BottleneckUnit(6, 4, **{"stride": 2, "step": 0.5, **kwargs})
    features = torch.rand(3, 6, 7, 5)
    unit.train()
    for _ in range(3):
        unit(features * 3 + 1)
    return unit, features


@settings(max_examples=50, deadline=None)
@given(STEPS, st.integers(0, 2**31))
def test_the_quantiser_errs_by_half_a_step_at_most_and_its_gradient_is_exactly_one(step: float, seed: int) -> None:
    quantizer = UniformQuantizer(step)
    latent = (torch.randn(64, generator=torch.Generator().manual_seed(seed)) * 8 * step).requires_grad_()
    output = quantizer(latent)
    assert float((output - latent).detach().abs().max()) <= step / 2 * (1 + 1e-5)
    (gradient,) = torch.autograd.grad(output.sum(), latent)
    assert torch.equal(gradient, torch.ones_like(gradient))
    assert torch.equal(quantizer.dequantize(quantizer.quantize(latent)), output.detach())


def test_symbols_are_integers_also_where_the_latent_is_huge_and_never_where_it_is_not_finite() -> None:
    quantizer = UniformQuantizer(1.0)
    assert quantizer.quantize(torch.tensor([1e30, -1e30, 2.5, 3.5])).tolist() == [2**31 - 128, -(2**31) + 128, 2, 4]
    for value in (float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="latent is not finite"):
            quantizer.quantize(torch.tensor([value]))
    uncounted = torch.tensor([float("nan"), float("inf"), 3.2])
    assert quantizer.quantize(uncounted, checks_finite=False).tolist() == [0, 2**31 - 128, 3]
    halves = torch.tensor([3e4, -1.0])
    assert UniformQuantizer(0.5).quantize(halves.half()).tolist() == [60000, -2]
    assert UniformQuantizer(0.5).quantize(halves.bfloat16()).tolist() == [int(halves.bfloat16()[0]) * 2, -2]


# Tables 3 and 4 of Ahuja et al., CVPR 2023: 0.57 M at stride 2
@pytest.mark.parametrize(("stride", "count"), [(1, 573_696), (2, 573_696), (4, 639_232), (6, 737_536)])
def test_the_separable_unit_has_the_published_number_of_parameters(stride: int, count: int) -> None:
    with torch.device("meta"):
        assert parameters(BottleneckUnit(2048, 128, stride=stride)) == count


def test_the_topologies_compare_as_in_the_paper() -> None:
    with torch.device("meta"):
        size = {name: parameters(BottleneckUnit(2048, 128, topology=name)) for name in TOPOLOGIES}
    assert size["separable"] < size["separable2"] < 0.62e6
    assert 4.7e6 < size["conv"] < 4.75e6 < size["conv2"]


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_deployment_uses_eval_statistics_and_changes_nothing(topology: str) -> None:
    unit, features = trained_unit(topology=topology)
    state = {name: value.clone() for name, value in unit.state_dict().items()}
    assert not torch.equal(unit(features).latent, unit.eval()(features).latent), (
        "the modes must differ to be told apart"
    )
    unit.load_state_dict(state)
    symbols = unit.train().encode(features)
    decoded = unit.decode(symbols, (7, 5))
    assert unit.training and all(module.training for module in unit.modules())
    assert all(torch.equal(value, state[name]) for name, value in unit.state_dict().items())
    deployed = unit.eval()(features)
    assert torch.equal(symbols, torch.round(deployed.latent / 0.5).int()) and symbols.dtype == torch.int32
    assert torch.equal(decoded, deployed.features_hat), "real symbols and the differentiable path must agree"


def test_every_parameter_gets_a_gradient_through_the_quantiser() -> None:
    for topology in TOPOLOGIES:
        unit, features = trained_unit(topology=topology)
        unit.zero_grad()
        unit(features).features_hat.square().sum().backward()
        assert all(float(parameter.grad.abs().max()) > 0 for parameter in unit.parameters())


def test_features_are_rectified_only_where_they_were() -> None:
    rectified, features = trained_unit(output_activation="relu")
    plain, _ = trained_unit(output_activation="identity")
    assert rectified(features).features_hat.min() >= 0 > plain(features).features_hat.min()


@pytest.mark.parametrize("step", [0, -1.0, float("nan"), float("inf"), "1", None, True])
def test_a_step_must_be_a_positive_number(step: object) -> None:
    with pytest.raises(ConfigError, match="step must be a positive number"):
        BottleneckUnit(4, 2, step=step)


def test_symbols_that_are_no_integers_are_refused() -> None:
    unit = BottleneckUnit(4, 2)
    for dtype in (torch.float32, torch.bool, torch.complex64):
        with pytest.raises(ConfigError, match="symbols must be integers"):
            unit.decode(torch.zeros(1, 2, 2, 2, dtype=dtype), (4, 4))


def test_tensors_of_another_unit_are_refused() -> None:
    unit = BottleneckUnit(4, 2)
    for features in (torch.rand(1, 5, 4, 4), torch.rand(4, 4, 4)):
        with pytest.raises(ConfigError, match=r"expected features \(B, 4, H, W\)"):
            unit.encode(features)
    for symbols in (torch.zeros(1, 3, 2, 2, dtype=torch.int32), torch.zeros(2, 2, 2, dtype=torch.int32)):
        with pytest.raises(ConfigError, match=r"expected symbols \(B, 2, h, w\)"):
            unit.decode(symbols, (4, 4))


def test_what_makes_no_unit_is_refused_with_the_nearest_name() -> None:
    for kwargs, message in (
        ({"in_channels": 0}, "in_channels must be a whole number"),
        ({"latent_channels": 1.5}, "latent_channels must be a whole number"),
        ({"topology": "seperable"}, "Did you mean `separable`"),
        ({"output_activation": "rleu"}, "Did you mean `relu`"),
        ({"stride": 2, "geometry": CoveringGeometry(4)}, "geometry has stride 4, the unit 2"),
    ):
        with pytest.raises(ConfigError, match=message):
            BottleneckUnit(**{"in_channels": 4, "latent_channels": 2, **kwargs})
