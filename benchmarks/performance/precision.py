"""Measures what a frozen network in bf16 costs in accuracy: units trained from bf16 features against fp32 features.

Run: python benchmarks/performance/precision.py IMAGENETTE NETWORK [--cut layer4.2] [--images 1500] [--seeds 3]

IMAGENETTE is a folder with train/CLASS images, NETWORK a ResNet-50 file. Two feature stores of the same images and
views, one computed under bf16 autocast; from each, the same ladder of units is trained label-free with some seeds and
measured with real bytes on the selection images' fp32 features, as deployed. Units are float32 in both. A difference
below the spread over seeds is none.
"""

from timing import machine_line

# isort: split
import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler
from torchvision import transforms

import sc2_spic_plugin  # noqa: F401 - registers the losses
from sc2_spic_plugin.datasets import HeldOut
from sc2_spic_plugin.leaderboard.evaluation.model import evaluate_units
from sc2_spic_plugin.training import SpicModel, spic_classifier
from sc2_spic_plugin.training.build import BuiltConfig, quiet_hosts, seed_everything
from sc2_spic_plugin.training.calibrate import calibrate
from sc2_spic_plugin.training.loop import train
from sc2_spic_plugin.training.store import FeatureStore, build_store, plan_store, subset

CPU = torch.device("cpu")
WEIGHTS = {"low": 300.0, "mid": 60.0, "high": 10.0}
NORMALIZE = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def build_model(arguments: argparse.Namespace) -> SpicModel:
    """Builds the ladder around the given network."""
    network = {"key": "resnet50", "kwargs": {"num_classes": 10}, "src_ckpt": str(arguments.network)}
    units = {name: {"latent_channels": 32, "stride": 2, "rate_weight": weight} for name, weight in WEIGHTS.items()}
    model = spic_classifier(network, cut=arguments.cut, units=units, input_size=[3, 160, 160], distills=True)
    model.observes = False  # calibrated at the end
    return model


def stage(epochs: int) -> dict[str, Any]:
    """Returns the train config: label-free distillation plus rate."""

    def loader(dataset: str, sampler: type) -> dict[str, Any]:
        kwargs = {"batch_size": 64, "num_workers": 0, "drop_last": sampler is RandomSampler}
        return {"dataset_id": dataset, "sampler": {"class_or_func": sampler, "kwargs": None}, "kwargs": kwargs}

    terms = {
        "distillation": {"criterion": {"key": "SpicDistillationLoss", "kwargs": {}}, "weight": 1.0},
        "rate": {"criterion": {"key": "SpicRateLoss", "kwargs": {}}, "weight": 1.0},
    }
    hooks = {"input": [], "output": ["rate", "original.output"]}
    return {
        "num_epochs": epochs,
        "train_data_loader": loader("train", RandomSampler),
        "val_data_loader": loader("selection", SequentialSampler),
        "model": {"forward_proc": "forward_batch_only", "forward_hook": hooks, "requires_grad": True},
        "optimizer": {"key": "Adam", "kwargs": {"lr": 2e-3}},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": terms}},
    }


def build_stores(arguments: argparse.Namespace, folder: Path) -> None:
    """Writes both stores: the same images, drawn with the same seeds."""
    crop = [transforms.RandomResizedCrop(160, scale=(0.35, 1.0)), transforms.RandomHorizontalFlip()]
    centre = [transforms.Resize(160), transforms.CenterCrop(160)]
    finish = [transforms.ToTensor(), NORMALIZE]
    root = arguments.images_folder / "train"
    drawn, plain = (transforms.Compose([*steps, *finish]) for steps in (crop, centre))
    parts = {
        "train": subset(HeldOut(root, transform=drawn), arguments.images),
        "selection": HeldOut(root, "selection", transform=plain),
        "calibration": subset(HeldOut(root, transform=plain), arguments.images),
    }
    model = build_model(arguments)
    for precision in ("fp32", "bf16"):
        plan = plan_store(model, parts, {part: {} for part in parts}, 1, labelled=True, precision=precision)
        build_store(model, plan, folder / precision)


def run(arguments: argparse.Namespace, store: Path, deployed: Path, seed: int, out: Path) -> dict[str, tuple]:
    """Trains the ladder from a store; returns accuracy and bytes of each unit on the deployed features."""
    seed_everything(seed)
    model = build_model(arguments)
    data = {"train": FeatureStore(store), "selection": FeatureStore(store, "selection")}
    train(BuiltConfig(Path("precision.yaml"), {"train": stage(arguments.epochs)}, data, model, None, CPU), out)
    calibrate(model, DataLoader(FeatureStore(deployed, "calibration"), 64), CPU)
    selection = FeatureStore(deployed, "selection")
    ids = [str(index) for index in range(len(selection))]
    measured = evaluate_units(model, DataLoader(selection, 64), ids, (160, 160), CPU)
    points = {name: evaluation.point(name) for name, evaluation in measured.items()}
    return {name: (point.top1, point.payload_bytes) for name, point in points.items()}


def main() -> None:
    """Prints accuracy and bytes for both precisions, with their spread over seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images_folder", type=Path, help="folder with train/CLASS images")
    parser.add_argument("network", type=Path, help="weights of a ResNet-50 with 10 classes")
    parser.add_argument("--cut", default="layer4.2", help="split point of ResNet-50")
    parser.add_argument("--images", type=int, default=1500, help="training images")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of each training")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each precision")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    quiet_hosts()
    found: dict[str, dict[str, list[tuple]]] = {"fp32": {}, "bf16": {}}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        build_stores(arguments, folder)
        for precision, runs in found.items():
            for seed in range(arguments.seeds):
                out = folder / f"{precision}-{seed}"
                for name, point in run(arguments, folder / precision, folder / "fp32", seed, out).items():
                    runs.setdefault(name, []).append(point)
    print(
        f"ResNet-50 at {arguments.cut}, {arguments.images} images, {arguments.epochs} epochs, {arguments.seeds} seeds"
    )
    print(machine_line())
    for name in WEIGHTS:
        for precision, runs in found.items():
            accuracies, sizes = zip(*runs[name], strict=True)
            print(
                f"  {name:5s} {precision}: top-1 {statistics.mean(accuracies):.2f} % ({min(accuracies):.2f} to "
                f"{max(accuracies):.2f}), payload {statistics.mean(sizes):.2f} B ({min(sizes):.2f} to {max(sizes):.2f})"
            )


if __name__ == "__main__":
    main()
