"""Laws of the geometry: what a unit covers, what comes back, and the sizes of the released units."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.layers import TOPOLOGIES, BottleneckUnit, CoveringGeometry, PublishedGeometry, published_geometry
from sc2_spic_plugin.layers.strided import Downsample, Upsample

SIDES = st.integers(1, 23)


def with_ones(layer: nn.Module) -> nn.Module:
    nn.init.ones_(layer.weight)
    return layer


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.integers(1, 9), st.sampled_from(sorted(TOPOLOGIES)))
def test_every_topology_returns_exactly_the_size_it_was_given(
    height: int, width: int, stride: int, topology: str
) -> None:
    unit = BottleneckUnit(3, 2, stride=stride, topology=topology).eval()
    symbols = unit.encode(torch.rand(2, 3, height, width))
    assert tuple(symbols.shape) == (2, 2, *unit.latent_size((height, width)))
    assert unit.latent_size((height, width)) == (-(-height // stride), -(-width // stride))
    assert unit.decode(symbols, (height, width)).shape == (2, 3, height, width)
    assert unit.train()(torch.rand(2, 3, height, width)).features_hat.shape == (2, 3, height, width)


@settings(max_examples=80, deadline=None)
@given(SIDES, SIDES, st.integers(1, 9))
def test_the_covering_geometry_sees_every_input_and_reaches_every_output(height: int, width: int, stride: int) -> None:
    geometry = CoveringGeometry(stride)
    features = torch.ones(1, 1, height, width, requires_grad=True)
    latent = with_ones(Downsample(1, 1, geometry))(features)
    assert latent.min() > 0, "every latent position must see at least one input"
    latent.sum().backward()
    assert features.grad.min() > 0, "every input position must reach the latent"
    source = torch.ones_like(latent, requires_grad=True)
    output = with_ones(Upsample(1, 1, geometry))(source, (height, width))
    assert output.min() > 0, "every output position must be reached"
    output.sum().backward()
    assert source.grad.min() > 0, "every latent position must be used"


@given(st.integers(1, 40))
def test_the_covering_kernel_is_odd_and_at_least_the_stride(stride: int) -> None:
    kernel = CoveringGeometry(stride).encoder_kernel
    assert kernel % 2 == 1 and max(3, stride) <= kernel <= max(3, stride + 1)


# (task, split, stride): output side for the published feature side, from the released code
PUBLISHED = {
    ("classification", "S1", 2): (7, 4, 7),
    ("classification", "US1", 4): (7, 2, 7),
    ("classification", "US2", 2): (7, 4, 7),
    ("classification", "S3", 2): (14, 7, 15),
    ("classification", "S3", 4): (14, 4, 17),
    ("classification", "S3", 6): (14, 3, 17),
    ("segmentation", "S1", 8): (65, 8, 65),
    ("segmentation", "S2", 6): (65, 11, 65),
    ("segmentation", "US2", 4): (65, 16, 65),
    ("segmentation", "S3", 2): (65, 32, 65),
}


@pytest.mark.parametrize(("task", "split", "stride"), PUBLISHED)
def test_published_geometries_give_the_released_sizes(task: str, split: str, stride: int) -> None:
    side, latent, output = PUBLISHED[task, split, stride]
    geometry = published_geometry(task, split, stride)
    unit = BottleneckUnit(2, 1, stride=stride, geometry=geometry).eval()
    symbols = unit.encode(torch.rand(1, 2, side, side))
    assert tuple(symbols.shape[2:]) == (latent, latent)
    assert unit.decode(symbols, (side, side)).shape[2:] == (output, output) == geometry.output_size((side, side))


@pytest.mark.parametrize(("kernel", "stride"), [(3, 4), (5, 6)])
def test_a_published_decoder_kernel_below_the_stride_leaves_positions_without_input(kernel: int, stride: int) -> None:
    geometry = PublishedGeometry(stride, 1, kernel, 0)
    output = with_ones(Upsample(1, 1, geometry))(torch.ones(1, 1, 3, 3), (14, 14))
    empty = [position for position in range(output.shape[-1]) if position % stride >= kernel]
    assert empty and bool((output[..., empty, :] == 0).all()) and bool((output[..., :, empty] == 0).all())


def test_a_latent_of_other_features_is_refused() -> None:
    unit = BottleneckUnit(4, 2, stride=2)
    symbols = torch.zeros(1, 2, 3, 3, dtype=torch.int32)
    with pytest.raises(ConfigError, match=r"does not belong to features of \(9, 9\) at stride 2"):
        unit.decode(symbols, (9, 9))


@pytest.mark.parametrize("stride", [0, -1, 1.5, True])
def test_a_stride_must_be_a_whole_number_of_one_or_more(stride: object) -> None:
    for geometry in (CoveringGeometry, lambda s: PublishedGeometry(s, 1, 3, 1)):
        with pytest.raises(ConfigError, match="stride must be a whole number"):
            geometry(stride)


def test_unknown_releases_and_features_without_positions_are_refused() -> None:
    for task, split in itertools.product(("classification", "detection"), ("S4", "X")):
        with pytest.raises(ConfigError, match="no unit was released"):
            published_geometry(task, split, 2)
    with pytest.raises(ConfigError, match="at least one row"):
        CoveringGeometry(2).latent_size((0, 4))
    with pytest.raises(ConfigError, match="too small for stride"):
        published_geometry("segmentation", "S2", 4).latent_size((2, 2))
