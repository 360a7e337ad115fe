"""Laws of SPIC around segmentation networks: sizes travel, the auxiliary head stays out, a bypass is never silent."""

from typing import Any

import pytest
import torch
from tiny_parts import make_images
from torch import Tensor, nn

from sc2_spic_plugin.analyzers import SpicSizeAnalyzer
from sc2_spic_plugin.errors import BitstreamError, ConfigError, CutError
from sc2_spic_plugin.models import build_network
from sc2_spic_plugin.training import SpicModel, spic_segmenter

UNIT = {"latent_channels": 4, "stride": 2}


def network(key: str, **kwargs: Any) -> dict[str, Any]:
    return {"key": key, "kwargs": {"weights": None, "num_classes": 5, **kwargs}}


def segmenter(key: str, cut: str, side: int = 64, aux: bool = False, **kwargs: Any) -> SpicModel:
    torch.manual_seed(0)
    extra = {"aux_loss": True} if aux else {}
    model = spic_segmenter(network(key, **extra), cut=cut, input_size=[3, side, side], unit=UNIT, **kwargs)
    settle(model, side)
    return model


@torch.no_grad()
def settle(model: SpicModel, side: int) -> None:
    features, _ = model._split_front(make_images(2, side, seed=3))
    for norm in (module for module in model.unit.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.momentum = 1.0
    model.unit.train()(features)
    model.train()(make_images(2, side, seed=3))
    model.eval()
    model.update()


@pytest.mark.parametrize(
    ("key", "cut"),
    [
        ("deeplabv3_mobilenet_v3_large", "backbone.13"),
        ("lraspp_mobilenet_v3_large", "backbone.4"),
        ("fcn_resnet50", "backbone.layer4.1"),
        ("deeplabv3_mobilenet_v3_large", "classifier.0"),
        ("deeplabv3_resnet101", "backbone.layer3.5"),
    ],
)
def test_decoding_payloads_gives_the_output_at_the_size_of_the_image(key: str, cut: str) -> None:
    model = segmenter(key, cut)
    for images in (make_images(2, 64), make_images(1, 72, 56, seed=1)):
        expected = through_the_unit(model, images)
        output = model(images)
        assert list(output) == ["out"]
        assert output["out"].shape == (len(images), 5, *images.shape[-2:])
        assert torch.equal(output["out"], expected)
        decoded = model.decode(**model.encode(images))
        assert torch.equal(decoded["out"], expected)


@torch.no_grad()
def through_the_unit(model: SpicModel, images: Tensor) -> Tensor:
    features, crossing = model._split_front(images)
    return model.back_end(model.unit.decode(model.unit.encode(features), features.shape[-2:]), *crossing)["out"]


def test_sizes_cost_nothing_at_the_default_input_size_and_a_few_bytes_elsewhere() -> None:
    model = segmenter("deeplabv3_mobilenet_v3_large", "backbone.13")
    header = [
        len(payload) - code
        for images in (make_images(1, 64), make_images(1, 72, 56))
        for encoded in [model.encode_batch(images)]
        for payload, code in zip(encoded.payloads, encoded.code_bytes, strict=True)
    ]
    assert header[0] == 1 and 2 <= header[1] <= 9


def test_a_branch_beside_others_is_refused_unless_a_bypass_is_allowed_and_then_said() -> None:
    with pytest.raises(CutError, match=r"not a cut of DeepLabV3.*classifier\.0\.convs\.4.*true cuts"):
        segmenter("deeplabv3_mobilenet_v3_large", "classifier.0.convs.1")
    model = segmenter("deeplabv3_mobilenet_v3_large", "classifier.0.convs.1", allow_bypass=True)
    assert model.bypassed and not segmenter("deeplabv3_mobilenet_v3_large", "classifier.0", allow_bypass=True).bypassed
    images = make_images(2, 64)
    compressed = model.encode(images)
    assert len(compressed["bypass"]) == 4
    expected = through_the_unit(model, images)
    assert torch.equal(model.decode(**compressed)["out"], expected)
    assert torch.equal(model(images)["out"], expected)
    with pytest.raises(BitstreamError, match=r"4 tensors cross beside the payload.*true cut"):
        model.decode(compressed["strings"], compressed["shape"])


def test_the_bypass_is_not_part_of_what_analyzers_count() -> None:
    model = segmenter("deeplabv3_mobilenet_v3_large", "classifier.0.convs.1", allow_bypass=True)
    seen: list[Any] = []
    analyzer = SpicSizeAnalyzer()
    analyzer.record = lambda compressed, **details: seen.append(compressed)  # type: ignore[method-assign]
    model.analyzers, model.analyzes_after_compress = [analyzer], True
    model.activate_analysis()
    model(make_images(1, 64))
    assert [sorted(compressed) for compressed in seen] == [["shape", "strings"]]


def test_the_auxiliary_head_is_there_for_the_loss_and_gone_from_decoded_output() -> None:
    model = segmenter("deeplabv3_mobilenet_v3_large", "backbone.3", aux=True, uses_aux=True)
    assert list(model(make_images(1, 64))) == ["out"]
    model.bottleneck_updated = False
    output = model.train()(make_images(2, 64))
    assert sorted(output) == ["aux", "out"]
    output["aux"].sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.unit.decoder.parameters())
    assert not [name for name in model.state_dict() if "auxiliary" in name]
    assert list(segmenter("deeplabv3_mobilenet_v3_large", "backbone.3", aux=True).train()(make_images(2, 64))) == [
        "out"
    ]


def test_the_auxiliary_head_reads_what_was_decoded_though_the_main_path_overwrites_it() -> None:
    model = segmenter("deeplabv3_mobilenet_v3_large", "backbone.0.1", aux=True, uses_aux=True)
    batch = model.open_batch(make_images(1, 64))
    expected = model.auxiliary_end(batch.features.clone(), *batch.crossing)["aux"]
    assert model.clones_features and torch.equal(
        model.run_behind(batch.features.clone(), batch.crossing)["aux"], expected
    )
    output = model.train()(make_images(2, 64))
    (output["out"].mean() + output["aux"].mean()).backward()


def test_an_auxiliary_head_that_does_not_see_the_cut_is_refused() -> None:
    with pytest.raises(CutError, match=r"`uses_aux` needs an auxiliary head behind `backbone.13`"):
        segmenter("deeplabv3_mobilenet_v3_large", "backbone.13", aux=True, uses_aux=True)
    with pytest.raises(CutError, match=r"`uses_aux`.*has no output `aux`"):
        segmenter("deeplabv3_mobilenet_v3_large", "backbone.3", uses_aux=True)


def test_the_original_output_beside_the_student_is_that_of_the_uncut_network() -> None:
    torch.manual_seed(0)
    images = make_images(2, 64)
    plain = build_network(network("deeplabv3_mobilenet_v3_large"), "segmentation").to(memory_format=torch.channels_last)
    with torch.no_grad():
        expected = plain(images)["out"]
    for options in ({}, {"allow_bypass": True}):
        cut = "classifier.0.convs.1" if options else "backbone.13"
        model = segmenter("deeplabv3_mobilenet_v3_large", cut, distills=True, **options)
        seen: list[Any] = []
        model.original["output"].register_forward_hook(lambda _m, _i, output, seen=seen: seen.append(output["out"]))
        model.bottleneck_updated = False
        model(images)
        torch.testing.assert_close(seen[0], expected, rtol=1e-4, atol=1e-5)


def test_segmenters_refuse_unknown_networks_and_arguments_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown network `deeplabv3_resnet51`.*deeplabv3_resnet50"):
        spic_segmenter({"key": "deeplabv3_resnet51"}, cut="classifier.0", unit=UNIT)
    with pytest.raises(ConfigError, match=r"unknown key `allows_bypass`.*allow_bypass"):
        spic_segmenter(network("fcn_resnet50"), cut="classifier.0", unit=UNIT, allows_bypass=True)
    with pytest.raises(ConfigError, match=r"unknown task `segmentaton`.*segmentation"):
        build_network(network("fcn_resnet50"), "segmentaton")
