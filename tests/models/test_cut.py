"""Laws of the cut: exact halves, a proved cut, sizes that cross, clear refusals."""

import copy
from collections.abc import Callable

import pytest
import timm
import torch
import torchvision.models as tv
from torch import Tensor, nn

from sc2_spic_plugin.errors import CutError
from sc2_spic_plugin.models.cut import CutNetwork, cut_network


def images(size: int, batch: int = 1) -> Tensor:
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(7))


def run(halves: CutNetwork, image: Tensor):
    sent = halves.front_end(image)
    return halves.back_end(*sent) if isinstance(sent, tuple) else halves.back_end(sent)


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    torch.manual_seed(0)
    return tv.VisionTransformer(32, 8, 3, 2, 24, 48, num_classes=5)


def small_swin() -> nn.Module:
    return tv.SwinTransformer([4, 4], 12, [2, 2, 2], [2, 2, 2], [4, 4], num_classes=5)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], str, int, tuple[int, ...]]] = {
    "regnet_y": (lambda: tv.regnet_y_400mf(num_classes=5), "trunk_output.block3", 64, (208, 4, 4)),
    "mobilenet_v3": (lambda: tv.mobilenet_v3_small(num_classes=5), "features.5", 64, (40, 4, 4)),
    "efficientnet": (lambda: tv.efficientnet_b0(num_classes=5), "features.4", 64, (80, 4, 4)),
    "convnext": (lambda: tv.convnext_tiny(num_classes=5), "features.5", 64, (384, 4, 4)),
    "swin": (small_swin, "features.3", 72, (9, 9, 24)),
    "densenet": (lambda: tv.densenet121(num_classes=5), "features.denseblock3", 64, (1024, 4, 4)),
    "timm_resnest": (lambda: timm.create_model("resnest14d", num_classes=5), "layer4.0", 64, (2048, 2, 2)),
    "timm_vit": (
        lambda: timm.create_model("vit_tiny_patch16_224", img_size=64, depth=3, num_classes=5),
        "blocks.1",
        64,
        (17, 192),
    ),
    "timm_efficientnet": (lambda: timm.create_model("efficientnet_b0", num_classes=5), "blocks.3", 64, (80, 4, 4)),
}


@pytest.mark.parametrize(
    ("cut", "shape"), [("layer4.2", (2048, 2, 2)), ("layer4.0", (2048, 2, 2)), ("layer3.4", (1024, 4, 4))]
)
def test_front_end_then_back_end_equals_resnet_bit_for_bit(resnet: nn.Module, cut: str, shape: tuple[int, ...]) -> None:
    halves = cut_network(resnet, cut, images(64))
    assert (halves.cut, halves.feature_size, halves.bypassed, halves.crossing) == (cut, shape, False, ())
    with torch.no_grad():
        for probe in (images(64), images(96, batch=3)):
            assert torch.equal(run(halves, probe), copy.deepcopy(resnet).eval()(probe))


@pytest.mark.parametrize("name", NETWORKS)
def test_halves_equal_the_network_bit_for_bit(name: str) -> None:
    build, cut, size, shape = NETWORKS[name]
    torch.manual_seed(0)
    network = build().train()
    halves = cut_network(network, cut, images(size))
    assert halves.feature_size == shape and halves.crossing == ()
    assert all(module.training for module in network.modules()), "the network's training flags must be given back"
    with torch.no_grad():
        assert torch.equal(run(halves, images(size, 2)), network.eval()(images(size, 2)))


def test_transformer_tokens_are_cut_and_its_size_check_stays(vit: nn.Module) -> None:
    halves = cut_network(vit, "encoder.layers.encoder_layer_1", images(32))
    assert halves.feature_size == (17, 24) and halves.crossing == ()
    assert "class_token" in halves.front_end.state_dict() and "heads.head.weight" in halves.back_end.state_dict()
    with pytest.raises(AssertionError, match="image height"):
        halves.front_end(images(40))


def test_a_bypassed_cut_is_refused_naming_the_bypassing_node_and_the_true_cuts(resnet: nn.Module) -> None:
    with pytest.raises(CutError, match=r"`layer4\.0\.downsample\.1` \(joins at `layer4\.0\.add`\)") as caught:
        cut_network(resnet, "layer4.0.conv2", images(64))
    assert "`layer3` and `layer4.0`" in str(caught.value) and "allow_bypass=True" in str(caught.value)


def test_an_allowed_bypass_crosses_and_is_marked(resnet: nn.Module) -> None:
    halves = cut_network(resnet, "layer4.0.conv2", images(64), allow_bypass=True)
    assert halves.bypassed and halves.crossing == ("layer4.0.downsample.1",)
    with torch.no_grad():
        assert torch.equal(run(halves, images(96)), copy.deepcopy(resnet).eval()(images(96)))


def test_a_true_cut_is_never_marked_as_bypassed(resnet: nn.Module) -> None:
    assert not cut_network(resnet, "layer4.2", images(64), allow_bypass=True).bypassed


def test_the_output_size_of_a_segmenter_crosses_as_integers_and_the_auxiliary_output_is_dropped(
    deeplab: nn.Module,
) -> None:
    halves = cut_network(deeplab, "backbone.layer4.1", images(64))
    assert halves.crossing == ("image.shape[-2:][0]", "image.shape[-2:][1]") and halves.dropped_outputs == ("aux",)
    probe = images(80)[..., :72]
    with torch.no_grad():
        features, *sizes = halves.front_end(probe)
        assert sizes == [80, 72]
        ours, original = halves.back_end(features, *sizes), copy.deepcopy(deeplab).eval()(probe)
    assert list(ours) == ["out"] and torch.equal(ours["out"], original["out"])


def test_an_auxiliary_output_computed_after_the_cut_is_kept(deeplab: nn.Module) -> None:
    halves = cut_network(deeplab, "backbone.layer3.4", images(64))
    assert halves.dropped_outputs == () and not halves.bypassed
    assert set(run(halves, images(64))) == {"out", "aux"}


def test_a_branch_of_aspp_is_refused_naming_every_other_branch_and_the_true_cut(deeplab: nn.Module) -> None:
    with pytest.raises(CutError) as caught:
        cut_network(deeplab, "classifier.0.convs.1", images(64))
    message = str(caught.value)
    assert all(f"`classifier.0.convs.{branch}" in message for branch in (0, 2, 3, 4))
    assert "`backbone.layer4` and `classifier.0`" in message
    halves = cut_network(deeplab, "classifier.0.convs.1", images(64), allow_bypass=True)
    assert halves.bypassed and len(halves.crossing) == 6


def test_a_module_called_several_times_needs_an_index(resnet: nn.Module) -> None:
    with pytest.raises(CutError, match=r"called 3 times.*`layer1.0.relu#2`"):
        cut_network(resnet, "layer1.0.relu", images(64))
    with pytest.raises(CutError, match=r"use `layer1.0.relu#0` to `layer1.0.relu#2`"):
        cut_network(resnet, "layer1.0.relu#3", images(64))
    halves = cut_network(resnet, "layer1.0.relu#2", images(64))
    assert halves.feature_size == (256, 16, 16)


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ("layer4.3", "no module `layer4.3`.*Did you mean `layer4.2`"),
        ("", "no module ``"),
        ("layer5", "Did you mean .*`layer4`"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_names(resnet: nn.Module, cut: str, message: str) -> None:
    with pytest.raises(CutError, match=message):
        cut_network(resnet, cut, images(64))


def test_names_that_no_tensor_belongs_to_are_refused(vit: nn.Module, deeplab: nn.Module) -> None:
    with pytest.raises(CutError, match=r"part of `encoder.layers.encoder_layer_1.self_attention`, which is one piece"):
        cut_network(vit, "encoder.layers.encoder_layer_1.self_attention.out_proj", images(32))
    with pytest.raises(CutError, match="`backbone` does not return one tensor"):
        cut_network(deeplab, "backbone", images(64))
    with pytest.raises(CutError, match=r"`classifier.0.convs`: it is never called"):
        cut_network(deeplab, "classifier.0.convs", images(64))
    with pytest.raises(CutError, match="does not reach the output"):
        cut_network(SideBranch(), "side", images(8))
    with pytest.raises(CutError, match="does not depend on the image"):
        cut_network(SideBranch(), "constant", images(8))


class SideBranch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.main, self.side, self.constant = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.Linear(2, 4)
        self.seed = nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        self.side(x)
        return self.main(x) + self.constant(self.seed)[:, None, None]


class DataDependent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 4, 1), Chooser())

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class Chooser(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.mean() > 0 else -x


def test_what_cannot_be_traced_is_refused_with_the_place_and_the_reason() -> None:
    network = DataDependent().train()
    with pytest.raises(CutError, match=r"DataDependent cannot be traced by torch.fx \(in `block.1`\).*control flow"):
        cut_network(network, "block.0", images(8))
    assert network.training and network.block[1].training


def test_an_example_the_network_does_not_take_is_refused(vit: nn.Module) -> None:
    with pytest.raises(CutError, match="does not take the example input of shape"):
        cut_network(vit, "encoder", images(40))


class Random(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y + torch.rand_like(y)


def test_a_forward_pass_that_does_not_repeat_itself_is_refused() -> None:
    with pytest.raises(CutError, match="do not reproduce its output"):
        cut_network(Random(), "conv", images(8))


class SizesAndConstants(nn.Module):
    """Reads batch, size, device and constants from before the cut, after it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.register_buffer("scale", torch.rand(4, 1, 1))

    def forward(self, x: Tensor, gain: Tensor | None = None) -> Tensor:
        batch, _, height, width = x.shape
        y = self.head(self.stem(x)) * (self.scale * 2) + torch.tensor([0.5])
        ramp = torch.arange(width, device=x.device, dtype=x.dtype)
        y = (y + ramp).reshape(batch, 4, height * width)
        return y if gain is None else y * gain


def test_sizes_cross_as_integers_while_batch_device_and_constants_do_not() -> None:
    network = SizesAndConstants()
    attributes = set(vars(network))
    halves = cut_network(network, "stem", images(8))
    assert halves.crossing == ("image.shape[3]", "mul(image.shape[2], image.shape[3])")
    with torch.no_grad():
        assert torch.equal(run(halves, images(12, batch=3)), network(images(12, batch=3)))
    assert set(vars(network)) == attributes and set(halves.back_end.state_dict()) == {
        "head.weight",
        "head.bias",
        "scale",
    }


class CountsElements(nn.Module):
    """Divides by a number that grows with the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x) / x.numel())


def test_a_number_that_depends_on_the_size_of_the_batch_cannot_cross() -> None:
    with pytest.raises(CutError, match=r"`image\.numel\(\)`, depends on how many images are in a batch"):
        cut_network(CountsElements(), "stem", images(8))
    assert cut_network(CountsElements(), "head", images(8)).crossing == ()


class WritesInPlace(nn.Module):
    """Mixes a second path into a tensor by an operation whose result is never named."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        y.add_(self.b(x))
        return self.c(y)


def test_a_path_hidden_in_an_in_place_operation_is_seen() -> None:
    with pytest.raises(CutError, match=r"`b` \(joins at `add_`\).*`c`"):
        cut_network(WritesInPlace(), "a", images(8))
