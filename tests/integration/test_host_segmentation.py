"""The hosts' flow for segmentation: sc2bench's script where it is at hand, and its steps with its functions everywhere.

Set SC2BENCH_REPO to a checkout of sc2bench to run the real script.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sc2bench.analysis import check_if_analyzable
from sc2bench.models.segmentation.base import check_if_updatable_segmentation_model
from sc2bench.models.segmentation.registry import load_segmentation_model
from segmentation_parts import SUPERVISED, TERM
from torch import Tensor
from torch.utils.data import default_collate
from torchdistill.common import yaml_util
from torchdistill.common.main_util import import_dependencies, load_ckpt, save_ckpt, set_seed
from torchdistill.core.training import get_training_box
from torchdistill.datasets.util import build_data_loader

from sc2_spic_plugin.cli.measuring import Measured
from sc2_spic_plugin.cli.running import RunOptions, run_config
from sc2_spic_plugin.leaderboard import render_markdown

Write = Callable[..., Path]
SMALL_DEEPLAB = {
    "pretrained": False,
    "num_classes": 3,
    "num_input_channels": 512,
    "backbone_config": {"key": "resnet18", "kwargs": {"weights": None}},
}
ENTROPIC_STUDENT = {
    "models.model.key": "spic_entropic_student_segmenter",
    "models.model.kwargs": {
        "network": {"key": "deeplabv3_model", "kwargs": SMALL_DEEPLAB},
        "bottleneck_config": {"key": "FPBasedResNetBottleneck", "kwargs": {"num_bottleneck_channels": 8}},
        "analysis_config": {
            "analyzes_after_compress": True,
            "analyzer_configs": [{"key": "FileSizeAnalyzer", "kwargs": {"unit": "KB"}}],
        },
    },
    "train.stage1.model.forward_hook.output": [],
    "train.stage1.criterion.kwargs.sub_terms": {"distortion": SUPERVISED},
    "result.method": "entropic_student",
}
VARIANTS: dict[str, dict[str, Any]] = {
    "unsupervised": {},
    "supervised, bypassed": {
        TERM: SUPERVISED,
        "train.stage1.model.forward_hook.output": ["rate"],
        "models.model.kwargs.distills": False,
        "models.model.kwargs.network.key": "deeplabv3_mobilenet_v3_large",
        "models.model.kwargs.network.src_ckpt": None,
        "models.model.kwargs.cut": "classifier.0.convs.1",
        "models.model.kwargs.allow_bypass": True,
        "result.supervision": "supervised",
    },
    "entropic_student": ENTROPIC_STUDENT,
}


class Confusion:
    """Counts as the script's SegEvaluator does, in whole numbers and without its float32."""

    def __init__(self, classes: int) -> None:
        self.table = torch.zeros(classes, classes, dtype=torch.float64)

    def update(self, targets: Tensor, predictions: Tensor) -> None:
        for target, prediction in zip(targets.flatten().tolist(), predictions.flatten().tolist(), strict=True):
            if target < len(self.table):
                self.table[target, prediction] += 1

    def miou(self) -> float:
        both = self.table.diag()
        return float(100 * (both / (self.table.sum(0) + self.table.sum(1) - both)).mean())


@torch.inference_mode()
def evaluate(model: torch.nn.Module, loader: Any) -> float:
    """mIoU in percent, as the script computes it."""
    model.eval()
    confusion = Confusion(3)
    for images, targets in loader:
        confusion.update(targets, model(images)["out"].argmax(1))
    return confusion.miou()


def follow_the_script(path: Path) -> tuple[Any, float]:
    """Trains, selects, loads, updates and evaluates with the hosts' functions in the script's order."""
    device = torch.device("cpu")
    set_seed(0)
    config = yaml_util.load_yaml_file(str(path))
    import_dependencies(config.get("dependencies"))
    model_config, data, train_config = config["models"]["model"], config["datasets"], config["train"]
    model = load_segmentation_model(model_config, device)
    box = get_training_box(model, data, train_config, device, None, False, 1)
    assert check_if_updatable_segmentation_model(model) and check_if_analyzable(model)
    aux_module, best = model.get_aux_module(), 0.0
    for epoch in range(box.num_epochs):
        box.pre_epoch_process(epoch=epoch)
        for images, targets, supplement in box.train_data_loader:
            loss = box.forward_process(images, targets, default_collate(supplement))
            if aux_module is not None:
                aux_module.aux_loss().backward()
            box.post_forward_process(loss)
        miou = evaluate(model, box.val_data_loader)
        if miou > best:
            best = miou
            save_ckpt(model, box.optimizer, box.lr_scheduler, best, None, model_config["dst_ckpt"])
        box.post_epoch_process()
    box.clean_modules()
    load_ckpt(model_config["dst_ckpt"], model=model, strict=True)
    test_config = config["test"]["test_data_loader"]
    loader = build_data_loader(data[test_config["dataset_id"]], test_config, False)
    model.update()
    model.activate_analysis()
    return model, evaluate(model, loader)


def measured_again(config: Path) -> Measured:
    """What `sc2-spic run CONFIG --test-only` measures with the checkpoint of the hosts' flow."""
    return run_config(config, Path("again"), RunOptions(test_only=True, checkpoint=Path("student.pt"), seed=0))


@pytest.mark.parametrize("name", VARIANTS)
def test_the_steps_of_the_script_measure_what_ours_measures(name: str, segmentation: Write) -> None:
    config = segmentation(name, **VARIANTS[name])
    model, miou = follow_the_script(config)
    measured = measured_again(config)
    point = measured.point
    assert point.miou == pytest.approx(miou, abs=1e-9) and 0 < miou < 95
    assert point.extra["miou_all_classes"] == point.extra["miou_present_classes"] == point.miou
    analyzers = model.backbone.analyzers if name == "entropic_student" else model.analyzers
    sizes = {type(analyzer).__name__: analyzer for analyzer in analyzers}
    files = sizes["FileSizeAnalyzer"].file_size_list
    assert len(files) == 6 and point.harness_kilobytes == pytest.approx(sum(files) / len(files))
    if name != "entropic_student":
        summary = sizes["SpicSizeAnalyzer"].summary()
        assert point.payload_bytes == pytest.approx(summary["payload_bytes"][0])
        assert point.bpp == pytest.approx(summary["bits_per_image_pixel"][0])
        assert "bypassed" in name or summary["code_bytes"][1] > 0, "images of one size would prove little"
    assert measured.meta.bypassed == ("bypassed" in name) and measured.meta.task == "segmentation"
    assert ("bypassed)" in render_markdown([measured.result()])) == ("bypassed" in name)


@pytest.mark.parametrize("name", VARIANTS)
def test_sc2benchs_own_script_and_ours_measure_the_same(name: str, segmentation: Write, tmp_path: Path) -> None:
    folder = os.environ.get("SC2BENCH_REPO")
    script = Path(folder or "") / "script" / "task" / "semantic_segmentation.py"
    if not folder or not script.is_file():
        pytest.skip("set SC2BENCH_REPO to a checkout of sc2bench to run its own script")
    config = segmentation(name, **VARIANTS[name])
    command = [sys.executable, str(script), "--config", str(config), "--device", "cpu", "--seed", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [*command, "--num_classes", "3"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    log = run.stdout + run.stderr
    assert run.returncode == 0, log[-3000:]
    assert "Updating ckpt" in log

    def last(pattern: str) -> float:
        return float(re.findall(pattern, log)[-1])

    point = measured_again(config).point
    assert point.miou == pytest.approx(last(r"mean IoU: ([\d.]+)"), abs=0.051)
    assert point.extra["pixel_accuracy"] == pytest.approx(last(r"Global pixelwise acc: ([\d.]+)"), abs=0.051)
    assert point.harness_kilobytes == pytest.approx(last(r"Bottleneck size \[KB\]: mean ([\d.]+)"))
    if name != "entropic_student":
        assert point.payload_bytes == pytest.approx(last(r"payload_bytes: mean ([\d.]+)"), abs=1e-3)
        assert point.bpp == pytest.approx(last(r"bits_per_image_pixel: mean ([\d.]+)"), abs=1e-4)
