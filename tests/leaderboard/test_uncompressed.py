"""Features sent as they are, or as pictures: bytes, what comes back, and sc2bench's model around them."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from PIL import Image
from sc2bench.models.wrapper import CodecFeatureCompressionClassifier
from sc2bench.transforms.codec import PILTensorModule
from tiny_parts import TinyImages, make_images, make_network

from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard.codecs.feature_codec import FeatureCodec
from sc2_spic_plugin.leaderboard.codecs.uncompressed import RawFeature
from sc2_spic_plugin.leaderboard.evaluation.model import evaluate

FEATURES = torch.relu(make_images(1, 24)[0].repeat(3, 1, 1) + 0.3)[:7]  # (7, 24, 24): no multiple of three channels


def test_float32_comes_back_bit_for_bit_at_four_bytes_a_value() -> None:
    features, payload_bytes = RawFeature()(FEATURES)
    assert torch.equal(features, FEATURES) and payload_bytes == 4 * FEATURES.numel()


@pytest.mark.parametrize("shift", [0.0, -0.7])
def test_eight_bits_cost_a_byte_a_value_and_less_than_one_step(shift: float) -> None:
    values = FEATURES + shift
    features, payload_bytes = RawFeature("int8")(values)
    step = float(values.max() - values.min()) / 255
    assert payload_bytes == values.numel() + 5
    assert (
        float((features - values).abs().max()) <= (0.501 if shift == 0 else 1.001) * step
    )  # a zero point is truncated


@pytest.mark.parametrize("value", [0.0, 2.5, -1.25])
def test_a_feature_of_one_value_comes_back_exactly(value: float) -> None:
    features = torch.full((2, 3, 4), value)
    assert torch.equal(RawFeature("int8")(features).features, features)


def test_what_cannot_be_sent_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean `int8`"):
        RawFeature("int4")
    for codec in (RawFeature("int8"), FeatureCodec("jpeg", 50)):
        with pytest.raises(DataError, match="not finite"):
            codec(torch.full((3, 8, 8), float("nan")))


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_pictures_are_counted_by_their_own_bytes_and_two_floats_each(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    save = Image.Image.save

    def counting(image: Image.Image, file: Any, *arguments: Any, **options: Any) -> None:
        before = file.tell()
        save(image, file, *arguments, **options)
        written.append(file.tell() - before)

    monkeypatch.setattr(Image.Image, "save", counting)
    for channels, pictures in ((6, 2), (5, 3), (7, 3)):
        written.clear()
        found = FeatureCodec(codec, 50)(FEATURES[:channels])
        assert len(written) == pictures and found.payload_bytes == sum(written) + 8 * pictures
    stock = PILTensorModule(format=codec.upper(), quality=50, optimize=True, method=6)
    assert torch.equal(found.features, stock(FEATURES))


@pytest.mark.parametrize(
    ("values", "message"), [(("heic", 5), "no features are coded with"), (("jpeg", 101), "got 101")]
)
def test_feature_codecs_that_cannot_be_are_refused(values: tuple[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FeatureCodec(*values)


def test_sc2benchs_model_sends_a_raw_feature_and_answers_as_the_network_does() -> None:
    images = TinyImages(8)

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for index in range(8):
            image, label = images[index]
            yield image[None], torch.tensor([label])

    def measured(model: torch.nn.Module) -> Any:
        return evaluate(model, batches(), images.ids, (32, 32), torch.device("cpu")).point("u")

    raw = measured(feature_model(RawFeature()))
    plain = measured(make_network())
    assert raw.payload_bytes == 4 * 128 * 4 * 4 and raw.bpp == raw.payload_bytes * 8 / 1024
    assert (raw.top1, raw.top5) == (plain.top1, plain.top5) and plain.payload_bytes is None


def feature_model(codec: Any) -> torch.nn.Module:
    parts = (["conv1", "bn1", "relu", "maxpool", "layer1", "layer2"], ["layer3", "layer4", "avgpool"], ["fc"])
    front, back, head = ({"sequential": names} for names in parts)
    return CodecFeatureCompressionClassifier(make_network(), "cpu", front, codec, back, head).eval()
