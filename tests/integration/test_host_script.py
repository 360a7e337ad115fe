"""The hosts' own flow: sc2bench's script where it is at hand, and its steps with the hosts' functions everywhere.

sc2bench's wheel does not hold its scripts. Set SC2BENCH_REPO to a checkout of sc2bench to run the real one.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from sc2bench.analysis import check_if_analyzable
from sc2bench.models.backbone import check_if_updatable
from sc2bench.models.registry import load_classification_model
from torchdistill.common import yaml_util
from torchdistill.common.main_util import import_dependencies, load_ckpt, save_ckpt, set_seed
from torchdistill.core.distillation import get_distillation_box
from torchdistill.core.training import get_training_box
from torchdistill.datasets.util import build_data_loader

from sc2_spic_plugin.cli.running import RunOptions, run_config
from sc2_spic_plugin.configs import render_config, resolve_config
from sc2_spic_plugin.leaderboard import Point

CONFIGS = ["spic_supervised", "spic_unsupervised", "entropic_student"]
SAMPLES = "datasets.synthetic/train.init.kwargs.root.init.kwargs.samples_per_class"


def rendered(name: str, folder: Path, **values: Any) -> Path:
    """Writes a smoke config whose units send more than a header."""
    overrides = {"train.stage1.criterion.kwargs.sub_terms.rate.weight": 1e-3, **values}
    if name.startswith("spic"):
        overrides["models.model.kwargs.unit.step"] = 0.25
    path = folder / f"{name}.yaml"
    path.write_text(render_config(resolve_config(f"smoke/{name}").read_text(), overrides))
    return path


def measured_again(config: Path, folder: Path) -> Point:
    """What `sc2-spic run CONFIG --test-only` measures with the checkpoint of the hosts' flow."""
    checkpoint = folder / yaml_checkpoint(config)
    assert checkpoint.is_file(), "the hosts keep a checkpoint only if some selection image was classified right"
    return run_config(config, folder / "again", RunOptions(test_only=True, checkpoint=checkpoint, seed=0)).point


def yaml_checkpoint(config: Path) -> str:
    from sc2_spic_plugin.configs.plain import load_plain

    models = load_plain(config.read_text())["models"]
    return (models.get("student_model") or models["model"])["dst_ckpt"]


@pytest.fixture(scope="module")
def script() -> Path:
    """sc2bench's script for image classification."""
    folder = os.environ.get("SC2BENCH_REPO")
    path = Path(folder or "") / "script" / "task" / "image_classification.py"
    if not folder or not path.is_file():
        pytest.skip("set SC2BENCH_REPO to a checkout of sc2bench to run its own script")
    return path


def last_number(pattern: str, log: str) -> float:
    return float(re.findall(pattern, log)[-1])


@pytest.mark.parametrize("name", CONFIGS)
def test_sc2benchs_own_script_and_ours_measure_the_same(name: str, script: Path, tmp_path: Path) -> None:
    config = rendered(name, tmp_path)
    command = [sys.executable, str(script), "--config", str(config), "--device", "cpu", "--seed", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    log = run.stdout + run.stderr
    assert run.returncode == 0, log[-3000:]
    assert "Bottleneck size" in log and "Updating ckpt" in log
    point = measured_again(config, tmp_path)
    assert point.top1 == pytest.approx(last_number(r"\* Acc@1 ([\d.]+)", log), abs=1e-3)
    assert point.harness_kilobytes == pytest.approx(last_number(r"Bottleneck size \[KB\]: mean ([\d.]+)", log))
    if name != "entropic_student":
        assert point.payload_bytes == pytest.approx(last_number(r"payload_bytes: mean ([\d.]+)", log), abs=1e-3)
        assert point.code_bytes == pytest.approx(last_number(r"code_bytes: mean ([\d.]+)", log), abs=1e-3)
        assert point.code_bytes > 10


@torch.inference_mode()
def evaluate(model: torch.nn.Module, loader: Any) -> float:
    """Top-1 accuracy in percent, as the script computes it."""
    model.eval()
    if hasattr(model, "use_cpu4compression"):
        model.use_cpu4compression()
    right = [(model(images).topk(5, 1)[1][:, 0] == labels).float() for images, labels in loader]
    return 100 * float(torch.cat(right).mean())


def follow_the_script(path: Path) -> tuple[torch.nn.Module, float]:
    """Trains, selects, loads, updates and evaluates with the hosts' functions in the script's order."""
    device = torch.device("cpu")
    set_seed(0)
    config = yaml_util.load_yaml_file(str(path))
    import_dependencies(config.get("dependencies"))
    models, data, train_config = config["models"], config["datasets"], config["train"]
    student_config = models.get("student_model") or models["model"]
    teacher = load_classification_model(models["teacher_model"], device, False) if "teacher_model" in models else None
    student = load_classification_model(student_config, device, False)
    rest = (data, train_config, device, None, False, 1)
    box = get_training_box(student, *rest) if teacher is None else get_distillation_box(teacher, student, *rest)
    assert check_if_updatable(student) and check_if_analyzable(student)
    aux_module, best = student.get_aux_module(), -1.0
    for epoch in range(box.num_epochs):
        box.pre_epoch_process(epoch=epoch)
        if train_config.get("epoch_to_update") == epoch:
            student.update()
        for images, targets, supplement in box.train_data_loader:
            loss = box.forward_process(images, targets, supplement)
            if aux_module is not None and not student.bottleneck_updated:
                aux_module.aux_loss().backward()
            box.post_forward_process(loss)
        accuracy = evaluate(student, box.val_data_loader)
        if accuracy > best:
            best = accuracy
            save_ckpt(student, box.optimizer, box.lr_scheduler, best, None, student_config["dst_ckpt"])
        box.post_epoch_process()
    box.clean_modules()
    load_ckpt(student_config["dst_ckpt"], model=student, strict=True)
    test_config = config["test"]["test_data_loader"]
    loader = build_data_loader(data[test_config["dataset_id"]], test_config, False)
    student.update()
    student.activate_analysis()
    return student, evaluate(student, loader)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_steps_of_the_script_measure_what_ours_measures(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = rendered(
        name, tmp_path, **{SAMPLES: 8, "train.stage1.train_data_loader.kwargs.batch_size": 16,
                           "datasets.synthetic/val.init.kwargs.samples_per_class": 2}
    )  # fmt: skip
    model, accuracy = follow_the_script(config)
    point = measured_again(config, tmp_path)
    assert point.top1 == pytest.approx(accuracy, abs=1e-3)
    sizes = {type(analyzer).__name__: analyzer for analyzer in model.analyzers}
    files = sizes["FileSizeAnalyzer"].file_size_list
    assert len(files) == 16 and point.harness_kilobytes == pytest.approx(sum(files) / len(files))
    if name != "entropic_student":
        summary = sizes["SpicSizeAnalyzer"].summary()
        assert point.payload_bytes == pytest.approx(summary["payload_bytes"][0])
        assert point.bpp == pytest.approx(summary["bits_per_image_pixel"][0])
        assert summary["code_bytes"][0] > 10 and summary["code_bytes"][1] > 0
