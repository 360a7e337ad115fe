"""Laws of running a segmentation config: the protocol says the task, tables fit what is sent, one network is one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from segmentation_parts import SUPERVISED

from sc2_spic_plugin.cli.original_network import original_network
from sc2_spic_plugin.cli.running import RunOptions, run_config
from sc2_spic_plugin.configs import resolve_config
from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard import (
    ResultFile,
    per_image_csv_path,
    read_overlap_csv,
    render_markdown,
    write_per_image_csv,
)
from sc2_spic_plugin.training.build import build_config
from sc2_spic_plugin.training.calibrate import calibrate
from sc2_spic_plugin.training.loading import calibration_loader

Write = Callable[..., Path]
CPU = torch.device("cpu")
LRASPP = {"num_classes": 3, "weights": None, "weights_backbone": None}
NETWORK = {"key": "lraspp_mobilenet_v3_large", "kwargs": LRASPP, "src_ckpt": "./network.pt"}
TEACHER = {"key": "spic_eval_teacher", "kwargs": {"task": "segmentation", "network": NETWORK}}
ORIGINAL = {"key": "lraspp_mobilenet_v3_large", "kwargs": LRASPP, "dst_ckpt": "./network.pt"}


def test_a_run_trains_calibrates_and_measures_and_its_table_gives_the_same_figures(
    segmentation: Write, tmp_path: Path
) -> None:
    measured = run_config(segmentation(), tmp_path / "out", RunOptions(seed=3))
    result = measured.result()
    path = result.save(tmp_path / "out" / "result.json")
    table = write_per_image_csv(per_image_csv_path(path, "tiny"), measured.evaluation.rows())
    point, meta = ResultFile.load(path).points[0], ResultFile.load(path).meta
    assert (meta.task, meta.protocol, meta.cut, meta.samples) == ("segmentation", "tiny-pairs", "backbone.4", 6)
    assert meta.network == NETWORK["key"] and not meta.bypassed and point.seed == 3
    rows = read_overlap_csv(table)
    one, all_ = (np.array([getattr(row, name) for row in rows]).sum(0) for name in ("intersection", "union"))
    assert point.miou == pytest.approx(100 * (one / all_).mean()) and point.top1 is None
    assert point.confidence_low < point.miou < point.confidence_high
    assert point.extra["unit_parameters"] > 0 and point.extra["table_bytes"] > 0
    sizes, evaluation = [row.payload_bytes for row in rows], measured.evaluation
    assert point.payload_bytes == pytest.approx(np.mean(sizes)) and point.payload_bytes > point.code_bytes > 10
    assert evaluation.pixel_counts != [48 * 64] * 6 and all(pixels % 48 == 0 for pixels in evaluation.pixel_counts)
    assert point.bpp == pytest.approx(np.mean(8 * np.array(sizes) / evaluation.pixel_counts))
    assert "mIoU" in render_markdown([result])


def test_tables_are_counted_on_the_training_images_prepared_as_when_measured_each_in_its_own_size(
    segmentation: Write,
) -> None:
    built = build_config(segmentation(), CPU, "segmentation")
    loader = calibration_loader(built)
    train, selection = built.datasets["tiny/train"], built.datasets["tiny/held_out"]
    assert loader.dataset.ids == train.ids and loader.dataset.transforms is selection.transforms
    assert train.transforms is not selection.transforms, "the training images keep their own"
    images = calibrate(built.model, loader, CPU)
    digest = built.model.symbol_tables.coder.digest
    alone = [loader.dataset[index][0][None] for index in range(len(train))]
    assert len({image.shape for image in alone}) > 1 and images == len(train)
    calibrate(built.model, alone, CPU)
    assert built.model.symbol_tables.coder.digest == digest


def test_every_method_names_the_same_original_network(segmentation: Write) -> None:
    codec = {"key": "CodecInputCompressionSegmentationModel", "kwargs": {}, "segmentation_model": TEACHER}
    values: list[dict[str, Any]] = [
        {},
        {"models.model": {**ORIGINAL, "src_ckpt": "./network.pt"}},
        {"models.model": codec},
        {"models.student_model": ORIGINAL, "models.teacher_model": TEACHER},
    ]
    found = {original_network(build_config(segmentation(**each), CPU, "segmentation")) for each in values}
    assert [name for name, _ in found] == [NETWORK["key"]]


def test_a_network_made_of_two_is_named_by_both(segmentation: Write) -> None:
    backbone = {"key": "resnet18", "kwargs": {"weights": None}}
    kwargs = {"pretrained": False, "num_classes": 3, "num_input_channels": 512, "backbone_config": backbone}
    path = segmentation(**{"models.model": {"key": "deeplabv3_model", "kwargs": kwargs}})
    assert original_network(build_config(path, CPU))[0] == "deeplabv3_model (resnet18)"


def test_the_original_network_is_trained_and_measured_without_bytes(segmentation: Write, tmp_path: Path) -> None:
    path = segmentation(
        **{
            "models.model": ORIGINAL,
            "train.stage1.model.forward_hook.output": [],
            "train.stage1.criterion.kwargs.sub_terms": {"cross_entropy": SUPERVISED},
            "result": {"name": "original", "method": "original", "protocol": "./protocol.yaml"},
        }
    )
    measured = run_config(path, tmp_path / "out", RunOptions())
    assert measured.point.bpp is None and measured.point.miou > 0 and measured.meta.cut is None
    assert measured.evaluation.sizes == [] and measured.result().points


def test_a_model_and_a_protocol_of_different_tasks_are_refused_before_anything_is_trained(
    segmentation: Write, tmp_path: Path
) -> None:
    with pytest.raises(
        ConfigError, match=r"`spic_segmenter` of .* is for segmentation, the protocol for classification"
    ):
        run_config(segmentation(), tmp_path / "out", RunOptions(protocol="synthetic-64"))
    with pytest.raises(ConfigError, match=r"`spic_classifier` of .* is for classification, the protocol for segm"):
        run_config(resolve_config("smoke/spic_supervised"), tmp_path / "two", RunOptions(protocol="synthetic-scenes"))


def test_a_test_set_in_which_images_are_left_out_or_drawn_is_refused(segmentation: Write, tmp_path: Path) -> None:
    protocol = tmp_path / "protocol.yaml"
    protocol.write_text(protocol.read_text().replace("denominator: image", "denominator: [48, 64]"))
    options = RunOptions(test_only=True, checkpoint=tmp_path / "network.pt")
    loader = "test.test_data_loader"
    drops = {f"{loader}.kwargs.drop_last": True, f"{loader}.kwargs.batch_size": 4}
    sampled = {f"{loader}.sampler.class_or_func.key": "torch.utils.data.RandomSampler"}
    with pytest.raises(DataError, match=r"4 of 6 images were evaluated; set `drop_last: False`"):
        run_config(segmentation("drops", **{"models.model": ORIGINAL, **drops}), tmp_path / "drops", options)
    with pytest.raises(ConfigError, match="draws images at random"):
        run_config(segmentation("sampled", **{"models.model": ORIGINAL, **sampled}), tmp_path / "sampled", options)
