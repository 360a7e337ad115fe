"""Laws of the halves: the network's own tensors and names, hooks at every module path, always in eval mode."""

import copy

import torch
import torchvision.models as tv
from torch import Tensor, nn
from torchdistill.common.module_util import get_module

from sc2_spic_plugin.models.cut import CutNetwork, cut_network


def images(size: int, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(7))


def run(halves: CutNetwork, image: Tensor):
    sent = halves.front_end(image)
    return halves.back_end(*sent) if isinstance(sent, tuple) else halves.back_end(sent)


def test_halves_of_a_network_that_calls_a_module_twice_fire_its_hook_twice() -> None:
    network = tv.resnet18(num_classes=5)
    halves = cut_network(network, "maxpool", images(32))
    fired: list[int] = []
    get_module(halves.back_end, "layer1.0.relu").register_forward_hook(lambda *_: fired.append(1))
    run(halves, images(32))
    assert len(fired) == 2
    first = cut_network(network, "layer2.1.relu#1", images(32))
    assert first.feature_size == (128, 4, 4)


def test_a_back_end_that_overwrites_the_cut_tensor_says_so(resnet: nn.Module) -> None:
    halves = cut_network(resnet, "bn1", images(64))
    assert halves.mutates_input
    features = halves.front_end(images(64)).detach()
    before = features.clone()
    halves.back_end(features)
    assert not torch.equal(features, before)
    assert not cut_network(resnet, "layer4.0", images(64)).mutates_input


def test_the_network_is_left_as_it_was_and_its_tensors_are_shared(resnet: nn.Module) -> None:
    state = {name: value.clone() for name, value in resnet.state_dict().items()}
    halves = cut_network(resnet.train(), "layer4.0", images(64))
    assert all(torch.equal(value, state[name]) for name, value in resnet.state_dict().items())
    assert all(module.training and not module._forward_hooks for module in resnet.modules())
    parts = {**dict(halves.front_end.named_parameters()), **dict(halves.back_end.named_parameters())}
    assert all(parts[name] is parameter for name, parameter in resnet.named_parameters())
    assert {*halves.front_end.state_dict(), *halves.back_end.state_dict()} == set(state)
    assert not set(halves.front_end.state_dict()) & set(halves.back_end.state_dict())


def test_a_hook_fires_once_at_every_module_with_what_the_module_returned(resnet: nn.Module) -> None:
    network = copy.deepcopy(resnet).eval()
    halves = cut_network(network, "layer4.0", images(64))
    seen: dict[str, list[Tensor]] = {}

    def watch(root: nn.Module, names: list[str], key: str) -> list:
        return [
            get_module(root, name).register_forward_hook(
                lambda _m, _i, output, name=name: seen.setdefault(f"{key} {name}", []).append(output.clone())
            )
            for name in names
        ]

    names = [name for name, module in network.named_modules() if name and not isinstance(module, nn.ReLU)]
    watch(network, names, "original")
    late = [name for name in names if name in ("layer4", "avgpool", "fc") or name.startswith(("layer4.1", "layer4.2"))]
    watch(halves.front_end, [name for name in names if name not in late], "cut")
    watch(halves.back_end, late, "cut")
    with torch.no_grad():
        network(images(64))
        run(halves, images(64))
    assert {"layer1", "layer4.0", "layer4.0.downsample", "layer4", "layer4.1"} <= set(names)
    for name in names:
        original, ours = seen[f"original {name}"], seen[f"cut {name}"]
        assert len(original) == len(ours) == 1 and torch.equal(original[0], ours[0]), name


def test_a_container_of_several_outputs_fires_with_those_of_its_half(deeplab: nn.Module) -> None:
    halves = cut_network(deeplab, "backbone.layer4.1", images(64))
    outputs: list = []
    get_module(halves.back_end, "backbone").register_forward_hook(lambda _m, _i, output: outputs.append(output))
    run(halves, images(64))
    assert len(outputs) == 1 and list(outputs[0]) == ["out"] and outputs[0]["out"].shape[1] == 2048


def test_a_hook_may_replace_what_a_container_returned(resnet: nn.Module) -> None:
    halves = cut_network(resnet, "layer4.0", images(64))
    get_module(halves.back_end, "layer4").register_forward_hook(lambda _m, _i, output: output * 0)
    assert torch.equal(run(halves, images(64))[0], resnet.fc.bias)


def test_halves_stay_in_eval_mode_and_copies_work_alone(resnet: nn.Module) -> None:
    halves = cut_network(resnet, "layer4.0", images(64))
    copied = copy.deepcopy(halves.back_end)
    assert nn.ModuleList([halves.back_end, copied]).train() is not None
    assert not any(module.training for half in (halves.back_end, copied) for module in half.modules())
    features = halves.front_end(images(64)).detach()
    fired: list[int] = []
    get_module(copied, "layer4").register_forward_hook(lambda *_: fired.append(1))
    with torch.no_grad():
        expected = halves.back_end(features)
        assert not fired and torch.equal(copied(features), expected) and fired == [1]
        copied.fc.weight.zero_()
        assert torch.equal(halves.back_end(features), expected)
    assert list(copied.state_dict()) == list(halves.back_end.state_dict())
