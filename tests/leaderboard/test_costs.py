"""Costs of a point: sizes by sc2bench's rules, operations on either side, for every kind of model."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sc2bench.analysis import AnalyzableModule
from sc2bench.models.backbone import SplittableResNet
from sc2bench.models.layer import larger_resnet_bottleneck
from sc2bench.models.wrapper import CodecFeatureCompressionClassifier, CodecInputCompressionClassifier
from sc2bench.transforms.codec import PILImageModule, PILTensorModule
from sc2bench.transforms.misc import SimpleDequantizer, SimpleQuantizer
from tiny_parts import NETWORK, make_images, make_network, make_split, observe
from torch import nn
from torchvision.models import resnet50
from torchvision.models.resnet import BasicBlock
from torchvision.transforms import CenterCrop, Compose, ToTensor

from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard import CodecPoint, Point, Protocol, TimingRules
from sc2_spic_plugin.leaderboard.codecs.uncompressed import RawFeature
from sc2_spic_plugin.leaderboard.costs import latency as latency_module
from sc2_spic_plugin.leaderboard.costs.encoder_size import stored_kilobytes
from sc2_spic_plugin.leaderboard.costs.latency import Latency
from sc2_spic_plugin.leaderboard.costs.point_costs import Costs, measure_costs
from sc2_spic_plugin.leaderboard.costs.sides import sides_of
from sc2_spic_plugin.models import (
    SplitModel,
    build_network,
    spic_entropic_student,
    spic_entropic_student_segmenter,
)
from sc2_spic_plugin.models.neural_input import spic_neural_input

PROTOCOL = Protocol(
    name="p", resize=32, crop=32, denominator=(32, 32), selection="a", report="b", threads=1,
    timing=TimingRules(warm_up=0, repeats=1),
)  # fmt: skip
PICTURES = [Image.fromarray(np.random.default_rng(seed).integers(0, 255, (32, 32, 3), np.uint8)) for seed in (0, 1)]
FRONT = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2"]
RESNET_50 = {"key": "resnet50", "kwargs": {"num_classes": 1000}}


def split(cut: str = "layer2") -> SplitModel:
    model = make_split(cut=cut)
    observe(model, make_images(8))
    return model.eval()


def coded_input(codec: Any) -> nn.Module:
    return CodecInputCompressionClassifier(make_network(), "cpu", codec, Compose([ToTensor()])).eval()


def coded_feature(codec: Any) -> nn.Module:
    front, back, head = ({"sequential": names} for names in (FRONT, ["layer3", "layer4", "avgpool"], ["fc"]))
    return CodecFeatureCompressionClassifier(make_network(), "cpu", front, codec, back, head).eval()


def student(key: str, **kwargs: Any) -> nn.Module:
    """An Entropic Student whose bottleneck takes the place of layer1."""
    network = {**NETWORK, "kwargs": {**NETWORK["kwargs"]}}
    return spic_entropic_student(network, {"key": key, "kwargs": kwargs}).eval()


def neural(key: str) -> nn.Module:
    model = spic_neural_input(NETWORK, {"key": key, "kwargs": {"quality": 1}}, post_transform=CenterCrop(32))
    return model.eval()


def macs_by_shape(model: nn.Module, names: list[str], images: torch.Tensor | None = None) -> int:
    """Multiply-accumulates of the layers below these modules by their shapes: an independent count."""
    found: list[int] = []

    def count(layer: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        ends = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        found.append(ends[0].numel() * layer.weight[0].numel())

    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    layers = [each for name in names for each in model.get_submodule(name).modules() if isinstance(each, kinds)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        model(make_images(1) if images is None else images)
    for hook in hooks:
        hook.remove()
    return sum(found)


def costs_of(model: nn.Module, images: Any = None, **options: Any) -> Costs:
    return measure_costs(
        model, make_images(2) if images is None else images, PROTOCOL, **{"is_timed": False, **options}
    )


def test_a_split_network_does_its_own_operations_on_either_side_and_those_of_the_unit() -> None:
    network, model = make_network(), split()
    front, whole = macs_by_shape(network, FRONT), macs_by_shape(network, [""])
    found = costs_of(model)
    assert found.encoder_macs == front + macs_by_shape(model, ["units.unit.encoder"])
    assert found.server_macs == whole - front + macs_by_shape(model, ["units.unit.decoder"])
    assert found.encoder_macs > front and found.server_macs > whole - front


def test_a_later_cut_moves_operations_and_tensors_to_the_device() -> None:
    earlier, later = costs_of(split("layer1")), costs_of(split("layer3"))
    assert earlier.encoder_macs < later.encoder_macs and earlier.server_macs > later.server_macs
    assert earlier.frozen_kilobytes < later.frozen_kilobytes


def test_the_encoder_of_a_split_model_is_the_network_up_to_the_cut_and_the_units_own() -> None:
    model, network = split(), make_network()
    front = [tensor for name in FRONT for tensor in network.get_submodule(name).state_dict().values()]
    unit = model.unit.encoder.state_dict().values()
    found = costs_of(model)
    assert found.frozen_kilobytes * 1024 == sum(tensor.numel() * tensor.element_size() for tensor in front)
    rest = (found.encoder_kilobytes - found.frozen_kilobytes) * 1024
    assert rest == pytest.approx(sum(tensor.numel() * tensor.element_size() for tensor in unit))
    assert model.state_dict().keys() & {"front_end.conv1.weight"} == set(), "sc2bench's own count would miss it"


@pytest.mark.parametrize(("cut", "kilobytes"), [("layer4.2", 92_036), ("layer4.0", 57_124), ("layer3.4", 29_116)])
def test_the_network_up_to_each_published_split_has_its_known_size(cut: str, kilobytes: int) -> None:
    unit = {"latent_channels": 4}
    model = SplitModel(build_network(RESNET_50), cut, {"unit": unit}, (3, 64, 64), proof_size=(3, 32, 32))
    assert stored_kilobytes(model, ["front_end."]) == pytest.approx(kilobytes, abs=1)


def test_entropic_student_has_the_published_encoder_size() -> None:
    model = student("FPBasedResNetBottleneck", num_bottleneck_channels=24)
    found = costs_of(model)
    assert found.encoder_kilobytes == pytest.approx(542, abs=0.5) and found.coder_kilobytes > 0
    assert found.frozen_kilobytes == 0


def test_a_hyperprior_adds_its_networks_and_tables_to_the_device() -> None:
    plain = costs_of(student("FPBasedResNetBottleneck", num_bottleneck_channels=8), make_images(1, 64))
    model = student("MSHPBasedResNetBottleneck", num_bottleneck_channels=8, num_latent_channels=4)
    found = costs_of(model, make_images(1, 64))
    hyper = [model.bottleneck_layer.get_submodule(name) for name in ("h_a", "h_s")]
    added = sum(parameter.numel() for part in hyper for parameter in part.parameters()) * 4 / 1024
    assert found.encoder_kilobytes == pytest.approx(plain.encoder_kilobytes + added)
    assert found.encoder_macs > plain.encoder_macs and found.coder_kilobytes > plain.coder_kilobytes


def test_an_image_codec_leaves_every_operation_and_tensor_to_the_server() -> None:
    whole = macs_by_shape(make_network(), [""])
    for codec in (CodecPoint("jpeg", 20), Compose([PILImageModule(returns_file_size=True, format="WEBP")])):
        assert costs_of(coded_input(codec), PICTURES) == Costs(0.0, 0.0, 0.0, 0, whole)


def test_a_network_that_sends_nothing_runs_as_a_whole_on_one_side() -> None:
    network = make_network()
    on_server, on_device = costs_of(network), costs_of(network, on_device=True)
    assert (on_server.encoder_kilobytes, on_server.encoder_macs) == (0.0, 0)
    assert (on_device.server_macs, on_device.encoder_macs) == (0, on_server.server_macs)
    assert on_device.encoder_kilobytes == pytest.approx(
        sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values()) / 1024
    )


@pytest.mark.parametrize("codec", [RawFeature("int8"), PILTensorModule(True, format="JPEG", quality=50)])
def test_a_coded_feature_leaves_the_front_on_the_device(codec: Any) -> None:
    network = make_network()
    front, whole = macs_by_shape(network, FRONT), macs_by_shape(network, [""])
    found = costs_of(coded_feature(codec))
    assert (found.encoder_macs, found.server_macs) == (front, whole - front)
    assert found.encoder_kilobytes == found.frozen_kilobytes == costs_of(split()).frozen_kilobytes


def test_a_neural_codec_computes_its_probabilities_on_both_sides() -> None:
    factorized, hyperprior = (
        costs_of(neural(key), make_images(1, 64)) for key in ("bmshj2018_factorized", "mbt2018_mean")
    )
    assert 0 < factorized.encoder_macs < hyperprior.encoder_macs and factorized.frozen_kilobytes == 0
    assert factorized.server_macs < hyperprior.server_macs
    assert factorized.encoder_kilobytes < hyperprior.encoder_kilobytes


KINDS: dict[str, Callable[[], nn.Module]] = {
    "split": split,
    "input": lambda: coded_input(CodecPoint("jpeg", 20)),
    "raw feature": lambda: coded_feature(RawFeature()),
    "pictures": lambda: coded_feature(PILTensorModule(True, format="JPEG", quality=50)),
    "student": lambda: student("FPBasedResNetBottleneck", num_bottleneck_channels=4),
    "hyperprior student": lambda: student("MSHPBasedResNetBottleneck", num_bottleneck_channels=4),
    "neural": lambda: neural("bmshj2018_factorized"),
    "autoregressive": lambda: neural("mbt2018"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_codes_on_both_sides_and_is_left_as_it_was(kind: str, ticking: None) -> None:
    model = KINDS[kind]()
    images = PICTURES if kind == "input" else make_images(2, 64)
    found = costs_of(model, images, is_timed=True)
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    with torch.no_grad():
        before = model(images[:1])
    assert costs_of(model, images).server_macs == found.server_macs
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes
    with torch.no_grad():
        assert torch.equal(model(images[:1]), before)
    latency = found.latency
    assert latency is not None and latency.encode_coding_ms > 0 and latency.decode_coding_ms > 0
    assert latency.decode_network_ms > 0 and latency.threads == 1 and latency.device.startswith("cpu (")


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on whenever it is read, so that a place that a pass goes through costs time for sure."""
    monkeypatch.setattr(latency_module, "_clock", lambda _device: itertools.count(1.0).__next__)


def test_a_quantised_latent_is_coded_by_its_quantiser(ticking: None) -> None:
    bottleneck = larger_resnet_bottleneck(2, 7, SimpleQuantizer(8), SimpleDequantizer(8))
    model = SplittableResNet(
        bottleneck,
        resnet50(num_classes=8),
        skips_avgpool=False,
        skips_fc=False,
        short_module_names=["layer3", "layer4"],
    )
    found = costs_of(model.eval(), make_images(1), is_timed=True)
    encoder = sum(tensor.numel() * tensor.element_size() for tensor in bottleneck.encoder.state_dict().values())
    assert found.encoder_kilobytes == pytest.approx(encoder / 1024) and found.coder_kilobytes == 0
    assert found.latency is not None and min(found.latency.encode_coding_ms, found.latency.decode_coding_ms) > 0


def test_costs_fill_a_point_and_say_how_they_were_measured() -> None:
    latency = Latency(3.0, 5.0, 2.0, 1.0, 4.5, 0.5, 1, 20, "cpu", 2)
    costs = Costs(10.0, 8.0, 1.0, 7, 9, latency)
    point = Point(bpp=0.1, top1=50.0, unit="u", **costs.point_fields(), extra=costs.extra())
    assert (point.encoder_kilobytes, point.encoder_macs, point.encode_ms, point.decode_ms) == (10.0, 7, 3.0, 5.0)
    assert point.extra == {
        "frozen_kilobytes": 8.0, "coder_kilobytes": 1.0, "server_macs": 9, "encode_network_ms": 2.0,
        "encode_coding_ms": 1.0, "decode_network_ms": 4.5, "decode_coding_ms": 0.5, "timing_batch_size": 1,
        "timing_repeats": 20, "timing_device": "cpu", "timing_threads": 2,
    }  # fmt: skip
    untimed = Costs(10.0, 8.0, 1.0, 7, 9)
    assert "encode_ms" not in untimed.point_fields() and not any(
        "ms" in name or "timing" in name for name in untimed.extra()
    )


def test_images_of_several_sizes_are_given_one_by_one() -> None:
    images = [make_images(1, 32)[0], make_images(1, 48)[0]]
    assert costs_of(make_network(), images) == costs_of(make_network(), images[0][None])
    assert costs_of(make_network(), images[::-1]).server_macs > costs_of(make_network(), images).server_macs


def test_a_segmentation_student_codes_in_its_backbone() -> None:
    resnet = {"key": "ResNet", "kwargs": {"block": BasicBlock, "layers": [1, 1, 1, 1], "num_classes": 2}}
    options = {"pretrained": False, "num_classes": 3, "num_input_channels": 256, "return_layer_dict": {"layer3": "out"}}
    network = {"key": "deeplabv3_model", "kwargs": {"backbone_config": resnet, **options}}
    bottleneck = {"key": "FPBasedResNetBottleneck", "kwargs": {"num_bottleneck_channels": 24}}
    found = costs_of(spic_entropic_student_segmenter(network, bottleneck).eval(), make_images(1, 40))
    assert found.encoder_kilobytes == pytest.approx(542, abs=0.5) and 0 < found.encoder_macs < found.server_macs


def test_what_cannot_be_measured_is_refused() -> None:
    many = Protocol(**{**vars(PROTOCOL), "timing": TimingRules(batch_size=4)})
    with pytest.raises(DataError, match="2 images for batches of 4"):
        measure_costs(make_network(), make_images(2), many)
    with pytest.raises(ConfigError, match=r"runs on the device is not known; say it in `leaderboard/costs/sides\.py`"):
        sides_of(AnalyzableModule())
    with pytest.raises(ConfigError, match="sends nothing"):
        sides_of(coded_input(None))
