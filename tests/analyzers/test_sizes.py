"""Laws of the size analyzer: the same sizes at any batch size and over any ranks, and what the harness would print."""

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from compressai.entropy_models import EntropyBottleneck
from sc2bench.analysis import FileSizeAnalyzer
from sc2bench.models.layer import FPBasedResNetBottleneck
from tiny_parts import make_images, make_split, observe
from torchdistill.common.file_util import get_binary_object_size
from torchdistill.common.tensor_util import quantize_tensor

from sc2_spic_plugin.analyzers import ImageSizes, SpicSizeAnalyzer, further_columns
from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.models import SplitModel

CONFIGS = [{"key": "SpicSizeAnalyzer"}, {"key": "FileSizeAnalyzer", "kwargs": {"unit": "KB"}}]


@pytest.fixture(scope="module")
def model() -> SplitModel:
    model = make_split(analysis_config={"analyzer_configs": CONFIGS, "analyzes_after_compress": True}).eval()
    observe(model, make_images(4, seed=3))
    model.update()
    model.activate_analysis()
    return model


def sizes_at(model: SplitModel, batch_size: int, size: tuple[int, int] = (32, 32)) -> tuple[list[ImageSizes], Any]:
    model.clear_analysis()
    for batch in make_images(8, *size).split(batch_size):
        model(batch)
    return list(model.analyzers[0].images), model.analyzers[1]


@pytest.mark.parametrize("size", [(32, 32), (48, 80)])
def test_every_batch_size_gives_the_same_sizes_of_each_image(model: SplitModel, size: tuple[int, int]) -> None:
    single, _ = sizes_at(model, 1, size)
    for batch_size in (3, 8):
        assert sizes_at(model, batch_size, size)[0] == single
    assert len({image.payload_bytes for image in single}) > 1, "images of one size would prove little"
    header = 1 if size == (32, 32) else 4
    assert all(image.payload_bytes == image.code_bytes + header for image in single)
    assert all(image.image_pixels == size[0] * size[1] for image in single)


def test_harness_kilobytes_are_what_the_hosts_analyzer_measures_at_batch_one(model: SplitModel) -> None:
    single, host = sizes_at(model, 1)
    assert [image.harness_bytes / 1024 for image in single] == host.file_size_list
    summary = model.analyzers[0].summary()
    assert summary["harness_kilobytes"] == (np.mean(host.file_size_list), np.std(host.file_size_list))
    overhead = {image.harness_bytes - image.payload_bytes for image in single}
    assert overhead == {min(overhead)} and 90 < min(overhead) < 120  # what pickling the host's dict costs


def test_bits_per_image_pixel_are_payload_bits_over_image_pixels(model: SplitModel) -> None:
    sizes, _ = sizes_at(model, 8, (48, 80))
    rates = [image.payload_bytes * 8 / (48 * 80) for image in sizes]
    summary = model.analyzers[0].summary()
    assert summary["bits_per_image_pixel"] == pytest.approx((np.mean(rates), np.std(rates)))
    assert summary["payload_bytes"][0] == np.mean([image.payload_bytes for image in sizes])
    assert list(summary) == ["code_bytes", "payload_bytes", "harness_kilobytes", "bits_per_image_pixel"]


def test_nothing_is_recorded_unless_analysis_is_active(model: SplitModel) -> None:
    model.clear_analysis()
    model.deactivate_analysis()
    model(make_images(2))
    model.activate_analysis()
    assert model.analyzers[0].images == [] and model.analyzers[0].summary() == {}


@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_hosts_entropy_bottlenecks_are_measured_per_image(batch_size: int) -> None:
    torch.manual_seed(0)
    bottleneck = FPBasedResNetBottleneck(num_bottleneck_channels=4, num_target_channels=8).eval()
    bottleneck.update()
    assert isinstance(bottleneck.entropy_bottleneck, EntropyBottleneck)
    ours, host = SpicSizeAnalyzer(image_size=[32, 32]), FileSizeAnalyzer(unit="B")
    images = make_images(4) * 20
    for image in images.split(1):
        host.analyze(bottleneck.encode(image))
    for batch in images.split(batch_size):
        ours.analyze(bottleneck.encode(batch))
    assert [sizes.harness_bytes for sizes in ours.images] == host.file_size_list
    assert all(sizes.code_bytes == sizes.payload_bytes < sizes.harness_bytes for sizes in ours.images)
    assert ours.summary()["bits_per_image_pixel"][0] == ours.summary()["payload_bytes"][0] * 8 / 1024


@pytest.mark.parametrize("number", [321, np.int64(321)])
def test_the_number_of_bytes_of_a_codec_wrapper_is_every_size(number: Any) -> None:
    analyzer = SpicSizeAnalyzer()
    analyzer.analyze(number)
    assert analyzer.images == [ImageSizes(321, 321, 321, 0)]
    assert "bits_per_image_pixel" not in analyzer.summary(), "no image size, no rate"


def test_further_counts_stay_with_their_image_and_are_averaged_where_known() -> None:
    analyzer = SpicSizeAnalyzer()
    compressed = {"strings": [[b"abc", b"d"]], "shape": (1, 1)}
    columns = [{"huffman_bytes": 5, "escapes": 0}, {"huffman_bytes": None, "escapes": 2}]
    analyzer.record(compressed, columns=columns)
    assert [image.columns for image in analyzer.images] == columns
    assert further_columns(analyzer.images) == {"huffman_bytes": [5, None], "escapes": [0, 2]}
    summary = analyzer.summary()
    assert summary["huffman_bytes"] == (5.0, 0.0) and summary["escapes"] == (1.0, 1.0)
    analyzer.record(7, columns=[{"escapes": 4}])
    assert analyzer.summary()["escapes"] == (2.0, pytest.approx(np.std([0, 2, 4])))
    with pytest.raises(ConfigError, match="`columns` describes 1 images, the compressed object has 2"):
        analyzer.record(compressed, columns=columns[:1])


@pytest.mark.parametrize("foreign", [torch.zeros(3), {"shape": (1, 1)}, "bytes", None])
def test_what_cannot_be_measured_is_refused(foreign: Any) -> None:
    with pytest.raises(ConfigError, match=r"cannot measure a .*FileSizeAnalyzer"):
        SpicSizeAnalyzer().analyze(foreign)


def test_the_summary_is_printed_line_by_line(model: SplitModel, caplog: pytest.LogCaptureFixture) -> None:
    sizes, _ = sizes_at(model, 8)
    with caplog.at_level("INFO"):
        model.analyzers[0].summarize()
    mean = np.mean([image.payload_bytes for image in sizes])
    assert f"payload_bytes: mean {mean:.4f}" in caplog.text and "for 8 images" in caplog.text


def rank(index: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    address = f"tcp://127.0.0.1:{port}"
    torch.distributed.init_process_group("gloo", init_method=address, rank=index, world_size=2)
    analyzer = SpicSizeAnalyzer(image_size=[8, 8])
    for number in range(1 + 2 * index):  # ranks with unequal shares
        analyzer.analyze(10 * index + number)
    Path(folder, str(index)).write_text(repr((analyzer.gathered(), analyzer.summary())))
    torch.distributed.destroy_process_group()


def test_sizes_are_gathered_over_ranks(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.start_processes(rank, args=(port, str(tmp_path)), nprocs=2, start_method="fork")
    expected = SpicSizeAnalyzer(image_size=[8, 8])
    for number in (0, 10, 11, 12):
        expected.analyze(number)
    for index in range(2):
        assert (tmp_path / str(index)).read_text() == repr((expected.images, expected.summary()))


def test_a_quantised_latent_is_counted_as_its_integers_and_what_it_takes_to_read_them() -> None:
    analyzer = SpicSizeAnalyzer(image_size=(32, 32))
    latent = quantize_tensor(make_images(2, 8))
    analyzer.analyze({"z": latent})
    one = {"z": latent._replace(tensor=latent.tensor[:1].clone())}
    size = 3 * 8 * 8
    harness = int(get_binary_object_size(one, unit_size=1))
    assert analyzer.images == [ImageSizes(size, size + 5, harness, 1024)] * 2
