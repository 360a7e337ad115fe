"""Laws of freezing: no host can change a bit, nothing is saved with the owner, gradients still pass."""

import copy
import io

import pytest
import timm
import torch
import torchvision.models as tv
from torch import Tensor, nn
from torchdistill.common.module_util import freeze_module_params, unfreeze_module_params
from torchdistill.models.util import redesign_model

from sc2_spic_plugin.models.cut import cut_network
from sc2_spic_plugin.models.frozen import freeze_network, frozen_state


def random_head(network: nn.Module) -> nn.Module:
    nn.init.normal_(network.heads.head.weight)  # zero at first, and so would every gradient be
    return network


NETWORKS = {
    "resnet": lambda: tv.resnet18(num_classes=5),
    "convnext": lambda: tv.ConvNeXt([tv.convnext.CNBlockConfig(8, 16, 1), tv.convnext.CNBlockConfig(16, None, 1)]),
    "vit": lambda: random_head(tv.VisionTransformer(32, 8, 2, 2, 24, 48, num_classes=5)),
    "swin": lambda: tv.SwinTransformer([4, 4], 12, [2, 2], [2, 2], [4, 4], num_classes=5),
    "timm_vit": lambda: timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=5),
}


def images(batch: int = 2) -> Tensor:
    return torch.rand(batch, 3, 32, 32, generator=torch.Generator().manual_seed(3))


class Owner(nn.Module):
    """A trained layer before a frozen network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.unit, self.network = nn.Conv2d(3, 3, 1), network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(self.unit(x))


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[request.param]()


@torch.no_grad()  # with gradients torch's attention takes another route, equal to the last digits only
def output(network: nn.Module, *halves: nn.Module) -> Tensor:
    result = network(images())
    for half in halves:
        result = half(result)
    return result


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in frozen_state(module).items()}


def assert_same(state: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert list(state) == list(other) and all(torch.equal(state[name], other[name]) for name in state)


def test_the_frozen_state_is_the_state_dict_before_and_after_freezing(network: nn.Module) -> None:
    original = {name: value.clone() for name, value in network.state_dict().items()}
    assert_same(original, frozen_state(network))
    expected = output(network.eval())
    freeze_network(network)
    freeze_network(network)
    assert_same(original, frozen_state(network))
    assert list(network.parameters()) == [] and network.state_dict() == {}
    assert torch.equal(output(network), expected)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_hosts_that_unfreeze_and_train_everything_change_no_bit(network: nn.Module, optimizer: type) -> None:
    freeze_network(network)
    before, owner = snapshot(network), Owner(network)
    for _stage in range(2):
        unfreeze_module_params(owner)
        owner.train()
        stepper = optimizer(owner.parameters(), lr=0.1)
        unit = owner.unit.weight.clone()
        owner(images()).square().mean().backward()
        stepper.step()
        assert not torch.equal(owner.unit.weight, unit), "the gradient must pass through the network to the unit"
        freeze_module_params(owner)
    assert_same(before, snapshot(network))
    assert set(owner.state_dict()) == {"unit.weight", "unit.bias"}
    assert not any(module.training for module in network.modules())


def test_the_gradient_of_the_input_is_the_unfrozen_networks(network: nn.Module) -> None:
    reference, image = copy.deepcopy(network).eval(), images().requires_grad_()
    (expected,) = torch.autograd.grad(reference(image).square().sum(), image)
    freeze_network(network)
    network.train()
    (gradient,) = torch.autograd.grad(network(image).square().sum(), image)
    torch.testing.assert_close(gradient, expected)
    assert gradient.abs().sum() > 0


def test_every_part_stays_in_eval_mode_alone_and_rewrapped() -> None:
    network = tv.resnet18(num_classes=5)
    freeze_network(network)
    before = snapshot(network)
    assert network.bn1.train() is network.bn1 and network.train() is network
    redesigned = redesign_model(network, {"sequential": ["conv1", "bn1", "relu", "layer1"]}, "student")
    redesigned.train()
    redesigned(images())
    assert redesigned.training and not any(module.training for module in network.modules())
    assert_same(before, snapshot(network))


def test_copies_and_pickles_are_frozen_too(network: nn.Module) -> None:
    freeze_network(network)
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    for copied in (copy.deepcopy(network), torch.load(file, weights_only=False)):
        copied.train()
        assert not any(module.training for module in copied.modules()) and list(copied.parameters()) == []
        assert copied.state_dict() == {}
        assert_same(snapshot(network), snapshot(copied))
        assert (
            next(iter(frozen_state(copied).values())).data_ptr()
            != next(iter(frozen_state(network).values())).data_ptr()
        )
        assert all(module.train.module is module for module in copied.modules())


def test_an_owners_checkpoint_loads_strictly_and_touches_nothing(network: nn.Module) -> None:
    freeze_network(network)
    before, owner = snapshot(network), Owner(network)
    owner.load_state_dict({"unit.weight": torch.zeros(3, 3, 1, 1), "unit.bias": torch.zeros(3)}, strict=True)
    assert_same(before, snapshot(network))
    name = next(iter(before))
    with pytest.raises(RuntimeError, match="Unexpected key"):
        owner.load_state_dict({**owner.state_dict(), f"network.{name}": before[name]})


CUTS = {
    "resnet": "layer3",
    "convnext": "features.1",
    "vit": "encoder.layers.encoder_layer_0",
    "swin": "features.1",
    "timm_vit": "blocks.0",
}


@pytest.mark.parametrize("name", NETWORKS)
def test_frozen_halves_hold_the_networks_state_and_copies_keep_it_out_of_checkpoints(name: str) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name]().eval()
    expected = output(network)
    halves = cut_network(network, CUTS[name], images())
    for half in (halves.front_end, halves.back_end):
        freeze_network(half)
    assert any(isinstance(value, nn.Parameter) for value in network.parameters()), "the network itself is not frozen"
    for front, back in (
        (halves.front_end, halves.back_end),
        (copy.deepcopy(halves.front_end), copy.deepcopy(halves.back_end)),
    ):
        state = {**frozen_state(front), **frozen_state(back)}
        assert_same({name: state[name] for name in network.state_dict()}, network.state_dict())
        owner = nn.ModuleDict({"front": front, "back": back}).train()
        assert owner.state_dict() == {} and list(owner.parameters()) == []
        assert not any(module.training for half in (front, back) for module in half.modules())
        assert torch.equal(output(front, back), expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_frozen_first_can_be_cut(name: str) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name]().eval()
    original, expected = snapshot(network), output(network)
    freeze_network(network)
    halves = cut_network(network, CUTS[name], images())
    assert torch.equal(output(halves.front_end, halves.back_end), expected)
    state = {**frozen_state(halves.front_end), **frozen_state(halves.back_end)}
    assert_same({name: state[name] for name in original}, original)
    assert halves.front_end.state_dict() == {} == halves.back_end.state_dict()


def test_tied_tensors_stay_tied() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    network[1].weight = network[0].weight
    freeze_network(network)
    assert network[0].weight is network[1].weight and not network[0].weight.requires_grad
