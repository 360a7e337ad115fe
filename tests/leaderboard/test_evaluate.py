"""Laws of measuring: accuracy of what was decoded, sizes of every image, and a model left as it was found."""

import dataclasses

import pytest
import torch
from sc2bench.analysis import FileSizeAnalyzer
from sc2bench.models.wrapper import CodecInputCompressionClassifier
from tiny_parts import TinyImages, make_network, make_student, observe
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sc2_spic_plugin.errors import DataError
from sc2_spic_plugin.leaderboard.evaluation.model import Evaluation, evaluate
from sc2_spic_plugin.training import SpicModel

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model() -> SpicModel:
    model = make_student().eval()
    observe(model, TinyImages(8, seed=4).images)
    return model


def measure(model: nn.Module, batch_size: int = 1, data: TinyImages | None = None) -> Evaluation:
    data = data or TinyImages()
    return evaluate(model, DataLoader(data, batch_size), data.ids, (32, 32), CPU)


@pytest.mark.parametrize("batch_size", [1, 5, 16])
def test_a_split_model_is_measured_alike_at_any_batch_size(model: SpicModel, batch_size: int) -> None:
    data = TinyImages()
    found = measure(model, batch_size)
    expected = [model.encode(image[None])["strings"][0][0] for image in data.images]
    assert [sizes.payload_bytes for sizes in found.sizes] == [len(payload) for payload in expected]
    decoded = torch.cat([model.decode([[payload]], (1, 1)) for payload in expected])
    assert found.correct == (decoded.argmax(1) == torch.tensor(data.targets)).tolist()
    point = found.point("u0", seed=1)
    assert point.payload_bytes == sum(map(len, expected)) / 16 and point.bpp == point.payload_bytes * 8 / 1024
    assert point.top1 == 100 * sum(found.correct) / 16 <= point.top5 and point.seed == 1
    assert [row.image for row in found.rows()] == data.ids


def test_measuring_leaves_the_models_analyzers_as_they_were(model: SpicModel) -> None:
    before = model.analyzers, model.analyzes_after_compress, model.activated_analysis
    measure(model)
    assert (model.analyzers, model.analyzes_after_compress, model.activated_analysis) == before


def test_accuracy_comes_from_decoded_symbols(model: SpicModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def swapped(**_compressed: object) -> Tensor:
        return torch.nn.functional.one_hot(torch.tensor([7]), 8).float()

    monkeypatch.setattr(model, "decode", swapped)
    assert measure(model).correct == [index % 8 == 7 for index in range(16)]


def test_a_network_that_codes_nothing_has_no_size() -> None:
    found = measure(make_network(), 4)
    point = found.point("original")
    assert found.sizes == [] and point.bpp is None and point.payload_bytes is None
    assert found.correct == (make_network()(TinyImages().images).argmax(1) == torch.arange(16) % 8).tolist()


class Codec(nn.Module):
    """Stands for an image codec: returns the image and a number of bytes."""

    def forward(self, image: Tensor) -> tuple[Tensor, int]:
        return image, 100


def test_the_hosts_codec_wrappers_are_measured() -> None:
    config = {"analyzer_configs": [{"key": "FileSizeAnalyzer", "kwargs": {"unit": "KB"}}]}
    wrapper = CodecInputCompressionClassifier(make_network(), CPU, Codec(), analysis_config=config)
    found = measure(wrapper)
    assert {sizes.payload_bytes for sizes in found.sizes} == {100} and found.point("q").bpp == 800 / 1024
    assert isinstance(wrapper.analyzers[0], FileSizeAnalyzer) and wrapper.analyzers[0].file_size_list == []


def test_what_cannot_be_scored_is_refused(model: SpicModel) -> None:
    with pytest.raises(DataError, match="image without a label"):
        measure(model, data=TinyImages(labels=[-1] * 16))
    with pytest.raises(DataError, match="returns NaN"):
        measure(nn.Sequential(model, nn.Threshold(1e9, float("nan"))).eval())
    with pytest.raises(DataError, match="no image to evaluate"):
        evaluate(model, [], [], (32, 32), CPU)


def test_further_counts_become_columns_of_the_point_and_say_how_many_are_unknown(model: SpicModel) -> None:
    found = measure(model)
    columns = [{"huffman_bytes": None if index < 2 else index, "escapes": index} for index in range(16)]
    pairs = zip(found.sizes, columns, strict=True)
    sizes = [size._replace(columns=column) for size, column in pairs]
    extra = dataclasses.replace(found, sizes=sizes).point("u0").extra
    assert extra == {"huffman_bytes": sum(range(2, 16)) / 14, "huffman_bytes_unknown": 2, "escapes": 7.5}
    assert found.point("u0").extra == {}


def test_fewer_than_five_classes_have_no_top5() -> None:
    network = nn.Sequential(make_network(), nn.Linear(8, 3)).eval()
    found = measure(network, data=TinyImages(labels=[0] * 16))
    assert found.correct5 is None and found.point("original").top5 is None
