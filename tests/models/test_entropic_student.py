"""Laws of Entropic Student for segmentation: the network's own weights, sizes counted once, checkpoints of any age."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_parts import assert_same, make_images
from torch import nn
from torchvision.models.resnet import BasicBlock

from sc2_spic_plugin.analyzers import SpicSizeAnalyzer
from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.models import (
    build_network,
    spic_entropic_student,
    spic_entropic_student_segmenter,
    spic_eval_teacher,
)
from sc2_spic_plugin.models.frozen import frozen_state

RESNET = {"key": "ResNet", "kwargs": {"block": BasicBlock, "layers": [1, 1, 1], "num_classes": 2}}
BOTTLENECK = {"key": "FPBasedResNetBottleneck", "kwargs": {"num_bottleneck_channels": 4}}
SIZE = (33, 40)


def network(**kwargs: Any) -> dict[str, Any]:
    """sc2bench's DeepLabv3 around a ResNet of three stages, five classes."""
    backbone = {**RESNET, "kwargs": {**RESNET["kwargs"], "layers": [1, 1, 1, 1]}}
    layers = {"layer2": "aux", "layer3": "out"} if kwargs.get("uses_aux") else {"layer3": "out"}
    options = {"backbone_config": backbone, "pretrained": False, "num_classes": 5, "num_input_channels": 256}
    return {"key": "deeplabv3_model", "kwargs": {**options, "return_layer_dict": layers, **kwargs}}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("network") / "network.pt"
    torch.manual_seed(3)
    torch.save(build_network(network(), "segmentation").state_dict(), path)
    return {**network(), "src_ckpt": str(path)}


def student(saved: dict[str, Any], **kwargs: Any) -> Any:
    torch.manual_seed(0)
    return spic_entropic_student_segmenter(saved, BOTTLENECK, **kwargs).eval()


def test_all_layers_behind_the_bottleneck_are_those_of_the_network(saved: dict[str, Any]) -> None:
    state = torch.load(saved["src_ckpt"], weights_only=True)
    own = student(saved).state_dict()
    behind = {name: value for name, value in own.items() if "bottleneck_layer" not in name}
    assert {name.split(".")[0] for name in behind} == {
        "backbone",
        "classifier",
    } and "backbone.layer3.0.conv1.weight" in own
    assert_same(behind, {name: state[name] for name in behind})


def test_torchvisions_network_serves_too_and_brings_its_auxiliary_head() -> None:
    config = {"key": "fcn_resnet50", "kwargs": {"num_classes": 3, "aux_loss": True}}
    model = spic_entropic_student_segmenter(config, BOTTLENECK, uses_aux=True).eval()
    with torch.no_grad():
        output = model(make_images(1, *SIZE))
    assert {name: tuple(value.shape) for name, value in output.items()} == {"out": (1, 3, *SIZE), "aux": (1, 3, *SIZE)}


def test_every_image_is_measured_once_in_the_bytes_that_were_decoded(saved: dict[str, Any]) -> None:
    config = {
        "analyzes_after_compress": True,
        "analyzer_configs": [{"key": "FileSizeAnalyzer", "kwargs": {"unit": "B"}}],
    }
    model = student(saved, analysis_config=config)
    images = make_images(2, *SIZE)
    with torch.inference_mode():
        model(images)
        model.update()
        model(images)
        assert model.bottleneck_updated and model.analyzers[0].file_size_list == []
        model.activate_analysis()
        output = model(images)["out"]
        (own,) = model.analyzers
        assert len(own.file_size_list) == 1
        model.analyzers, analyzer = [SpicSizeAnalyzer(SIZE)], SpicSizeAnalyzer(SIZE)
        model.analyzers = [analyzer]
        decoded = model(images)["out"]
        compressed = model.backbone.bottleneck_layer.encode(images)
    assert torch.equal(output, decoded) and output.shape == (2, 5, *SIZE)
    assert [image.payload_bytes for image in analyzer.images] == [len(code) for code in compressed["strings"][0]]
    model.summarize()
    model.clear_analysis()
    assert analyzer.images == [] and len(own.file_size_list) == 1


def test_a_checkpoint_loads_whether_or_not_it_and_the_model_were_updated(saved: dict[str, Any]) -> None:
    first, images = student(saved), make_images(1, *SIZE)
    early = {name: value.clone() for name, value in first.state_dict().items()}
    first.update()
    late = {name: value.clone() for name, value in first.state_dict().items()}
    with torch.inference_mode():
        expected = first(images)["out"]
        for state in (early, late):
            for is_updated in (False, True):
                second = student(saved)
                if is_updated:
                    second.update()
                second.load_state_dict(state)
                second.update()
                assert torch.equal(second(images)["out"], expected)


def test_a_network_without_resnet_or_without_auxiliary_head_is_refused(saved: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"`lraspp_mobilenet_v3_large` has none .* ResNet"):
        spic_entropic_student_segmenter({"key": "lraspp_mobilenet_v3_large", "kwargs": {"num_classes": 2}}, BOTTLENECK)
    with pytest.raises(ConfigError, match="no auxiliary head; set `uses_aux: False`"):
        student(saved, uses_aux=True)


def test_the_eval_teacher_of_a_segmentation_network_never_changes(saved: dict[str, Any]) -> None:
    teacher = spic_eval_teacher(saved, task="segmentation")
    before = {name: value.clone() for name, value in frozen_state(teacher).items()}
    teacher.train()(make_images(2, *SIZE))
    assert_same(before, frozen_state(teacher))
    assert_same(before, torch.load(saved["src_ckpt"], weights_only=True))
    assert isinstance(teacher.get_submodule("backbone.layer2"), nn.Module) and list(teacher.parameters()) == []


def test_the_segmentation_student_is_registered_with_the_host() -> None:
    from sc2bench.models.segmentation.registry import get_segmentation_model

    kwargs = {"network": network(), "bottleneck_config": BOTTLENECK}
    assert (
        type(get_segmentation_model("spic_entropic_student_segmenter", **kwargs)).__name__ == "EntropicStudentSegmenter"
    )


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no checkpoint at"):
        spic_entropic_student_segmenter({**network(), "src_ckpt": str(tmp_path / "n.pt")}, BOTTLENECK)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"key": "FPBasedResNetBottleneck", "kwarg": {}},
            "unknown key `kwarg` for `bottleneck_config`",
        ),
        ({"kwargs": {}}, "needs a `key`"),
        ({"key": "FPBasedResnetBottleneck"}, "Did you mean `FPBasedResNetBottleneck`"),
    ],
)
def test_a_bottleneck_that_is_misspelt_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spic_entropic_student({"key": "resnet50", "kwargs": {"num_classes": 3}}, config)


def test_a_bottleneck_of_cr_bq_stands_in_for_two_stages_of_the_network() -> None:
    network = {"key": "resnet50", "kwargs": {"num_classes": 3}}
    bottleneck = {"key": "larger_resnet_bottleneck", "kwargs": {"bottleneck_channel": 2}}
    model = spic_entropic_student(network, bottleneck, short_module_names=["layer3", "layer4"]).eval()
    with torch.no_grad():
        assert model(make_images(1, 64)).shape == (1, 3)
    assert model.layer2 is None and not hasattr(model, "layer1")


@pytest.mark.parametrize("key", ["FPBasedResNetBottleneck", "MSHPBasedResNetBottleneck"])
def test_a_checkpoint_of_before_the_update_loads_after_it(key: str) -> None:
    network = {**RESNET, "kwargs": {**RESNET["kwargs"], "layers": [1, 1, 1, 1]}}
    bottleneck = {"key": key, "kwargs": {"num_bottleneck_channels": 4}}
    trained, updated = spic_entropic_student(network, bottleneck), spic_entropic_student(network, bottleneck)
    state = {name: value.clone() for name, value in trained.state_dict().items()}
    updated.update()
    updated.load_state_dict(dict(state))
    assert_same(updated.state_dict(), state)
    updated.update()
    trained.update()
    assert_same(updated.state_dict(), trained.state_dict())
