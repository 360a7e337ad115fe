"""A neural codec on the input: trained alone, its tables built afterwards, the network never touched."""

from pathlib import Path
from typing import Any

import pytest
import torch
from compressai.models import CompressionModel
from tiny_parts import NETWORK, assert_same, make_images
from torch import nn
from torchvision.transforms import CenterCrop

from sc2_spic_plugin.analyzers import SpicSizeAnalyzer
from sc2_spic_plugin.errors import CheckpointError, ConfigError
from sc2_spic_plugin.models import build_network
from sc2_spic_plugin.models.frozen import frozen_state
from sc2_spic_plugin.models.neural_input import NeuralInputClassifier, spic_neural_input

CODEC = {"key": "bmshj2018_factorized", "kwargs": {"quality": 1}}
IMAGES = make_images(2, 64).sigmoid()


def make_model(codec: dict[str, Any] | None = None, seed: int = 0, **kwargs: Any) -> NeuralInputClassifier:
    torch.manual_seed(seed)
    return spic_neural_input(NETWORK, codec or CODEC, post_transform=CenterCrop(32), **kwargs)


@pytest.fixture(scope="module")
def model() -> NeuralInputClassifier:
    return make_model().eval()


@torch.no_grad()
def test_after_update_the_output_comes_from_decoded_bytes_and_these_are_measured(model: NeuralInputClassifier) -> None:
    analyzer = SpicSizeAnalyzer(image_size=(64, 64))
    before = model(IMAGES)
    model.update()
    model.analyzers, model.analyzes_after_compress = [analyzer], True
    model.activate_analysis()
    after = model(IMAGES)
    compressed = model.compression_model.compress(IMAGES)
    decoded = model.compression_model.decompress(**compressed)["x_hat"]
    assert torch.equal(after, model.classification_model(CenterCrop(32)(decoded)))
    assert before.shape == after.shape == (2, 8) and not torch.equal(before, after)
    assert [image.payload_bytes for image in analyzer.images] == [len(string) for string in compressed["strings"][0]]


def test_update_builds_the_tables_of_the_weights_as_they_are_now() -> None:
    model = make_model().eval()
    model.update()
    before = model.compression_model.entropy_bottleneck._quantized_cdf.clone()
    with torch.no_grad():
        model.compression_model.entropy_bottleneck.quantiles[:, 0, ::2] *= 2.0  # as a training would
    model.update()
    after = model.compression_model.entropy_bottleneck._quantized_cdf
    assert before.shape != after.shape or not torch.equal(before, after)


def test_the_network_is_frozen_and_in_no_checkpoint(model: NeuralInputClassifier) -> None:
    network = build_network(NETWORK)
    assert {name.split(".")[0] for name in model.state_dict()} == {"compression_model"}
    assert not list(model.classification_model.parameters()) and not model.train().classification_model.training
    assert list(frozen_state(model.classification_model)) == list(network.state_dict())
    assert isinstance(model.get_aux_module(), CompressionModel)
    model.eval()


@torch.no_grad()
@pytest.mark.parametrize("key", ["bmshj2018_factorized", "mbt2018_mean"])
def test_a_checkpoint_loads_whether_tables_were_built_before_it_or_not(key: str) -> None:
    codec = {"key": key, "kwargs": {"quality": 1}}
    trained, updated = make_model(codec, seed=1).eval(), make_model(codec, seed=2).eval()
    untabled = {name: value.clone() for name, value in trained.state_dict().items()}
    updated.update()
    updated.load_state_dict(untabled)
    updated.update()
    trained.update()
    assert_same(trained.state_dict(), updated.state_dict())
    fresh = make_model(codec, seed=3).eval()
    fresh.load_state_dict(trained.state_dict())
    fresh.update()
    assert fresh.compression_model.compress(IMAGES)["strings"] == trained.compression_model.compress(IMAGES)["strings"]


def test_weights_of_the_codec_alone_are_loaded_strictly(tmp_path: Path) -> None:
    source, path = make_model(seed=4), tmp_path / "codec.pt"
    torch.save({"state_dict": source.compression_model.state_dict()}, path)
    loaded = make_model({**CODEC, "src_ckpt": str(path)})
    assert_same(source.state_dict(), loaded.state_dict())
    with pytest.raises(CheckpointError, match="does not hold the weights of `bmshj2018_hyperprior`"):
        make_model({"key": "bmshj2018_hyperprior", "kwargs": {"quality": 1}, "src_ckpt": str(path)})
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        make_model({**CODEC, "src_ckpt": str(tmp_path / "absent.pt")})


@pytest.mark.parametrize(
    ("codec", "message"),
    [
        ({"key": "bmshj2018_factorised"}, "Did you mean `bmshj2018_factorized`"),
        ({**CODEC, "src_chpt": "x"}, "unknown key `src_chpt` .*Did you mean `src_ckpt`"),
        ({"key": "mbt2018", "kwargs": {"quality": 99}}, "`mbt2018` cannot be built with"),
    ],
)
def test_codecs_that_cannot_be_are_refused(codec: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_model(codec)


def test_images_are_prepared_before_the_codec_and_restored_after_it() -> None:
    seen: list[tuple[int, ...]] = []

    class Pad(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(tuple(images.shape))
            return nn.functional.pad(images, (8, 8, 8, 8))

    model = make_model(pre_transform=Pad()).eval()
    with torch.no_grad():
        assert model(make_images(1, 48).sigmoid()).shape == (1, 8)
        model.update()
        assert model(make_images(1, 48).sigmoid()).shape == (1, 8)
    assert seen == [(1, 3, 48, 48)] * 2
