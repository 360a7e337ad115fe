"""Measures a ladder of units trained as a bank against the stock box, one run for each unit.

Run: python benchmarks/performance/bank_training.py IMAGENETTE [--cut layer4.2] [--units 8] [--epochs 20] [--views 2]

IMAGENETTE is a folder with train/CLASS images; the network is a ResNet-50 of 10 classes with random weights. Every side
trains the same units on the same terms, mean absolute difference to the original network's output plus rate, on random
crops. The stock side is torchdistill's DistillationBox with a whole second network as teacher, float32, one unit a run.
Steps are timed in turns, so that a busy machine slows all sides alike; a run of so many epochs
is extrapolated from its steps. The store's side counts the building of all its parts.
"""

from timing import machine_line, median, median_ratio, take_turns

# isort: split
import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, RandomSampler
from torchvision import transforms
from training_step import hooked, stage

import sc2_spic_plugin  # noqa: F401 - registers the losses
from sc2_spic_plugin.datasets import HeldOut
from sc2_spic_plugin.models import spic_eval_teacher
from sc2_spic_plugin.training import SpicModel, spic_classifier
from sc2_spic_plugin.training.build import quiet_hosts
from sc2_spic_plugin.training.steps import BankStep, HostStep
from sc2_spic_plugin.training.store import FeatureStore, build_store, plan_store, subset

NETWORK = {"key": "resnet50", "kwargs": {"num_classes": 10}}
UNIT = {"latent_channels": 64, "stride": 2, "step": 1.0}
CPU = torch.device("cpu")
Step = Callable[[], Any]


def model_of(arguments: argparse.Namespace, units: int, distills: bool = True) -> SpicModel:
    """Builds a bank of so many equal units."""
    torch.manual_seed(0)
    size = [3, arguments.size, arguments.size]
    bank = {f"unit{number}": {**UNIT, "rate_weight": 2.0**number} for number in range(units)}
    model = spic_classifier(NETWORK, cut=arguments.cut, units=bank, input_size=size, distills=distills)
    model.observes = not distills  # the stock harness counts symbols as it trains, ours once at the end
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def stock_step(arguments: argparse.Namespace) -> HostStep:
    """Returns the step of torchdistill's box with a teacher."""
    from torchdistill.core.distillation import get_distillation_box

    teacher, model = spic_eval_teacher(NETWORK), model_of(arguments, 1, distills=False)
    teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    outputs = {
        name: {"is_from_teacher": name == "target", "module_path": ".", "io": "output"} for name in ("input", "target")
    }
    wrapper = {"key": "SimpleLossWrapper", "kwargs": outputs}
    terms = {"criterion": {"key": "L1Loss", "kwargs": {}}, "criterion_wrapper": wrapper}
    models = {"teacher": {**hooked(), "requires_grad": False}, "student": hooked("rate")}
    box = get_distillation_box(teacher, model, {}, stage(models, terms), CPU, None, False, 1)
    box.pre_epoch_process(epoch=0)
    return HostStep(box, model)


def bank_step(model: SpicModel) -> BankStep:
    """Returns the step of a bank that is its own teacher."""
    from torchdistill.core.training import get_training_box

    terms = {"criterion": {"key": "SpicDistillationLoss", "kwargs": {"metric": "mae"}}}
    config = stage({"model": hooked("rate", "original.output")}, terms)
    box = get_training_box(model, {}, config, CPU, None, False, 1)
    model.train()
    return BankStep(box, model)


def forever(loader: DataLoader) -> Iterator[Any]:
    """Yields batches, epoch after epoch."""
    while True:
        yield from loader


def timed(step: HostStep | BankStep, batches: Iterator[Any], precision: str = "fp32") -> Step:
    """Returns one step, batch loading included."""

    def run() -> None:
        images, targets = next(batches)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            _, left = step.forward(images, targets, {})
        step.take(left, False)

    return run


def peak_of(arguments: argparse.Namespace, units: int) -> float:
    """Returns the peak memory in MB of a process that takes two steps with so many units."""
    own = [sys.executable, __file__, str(arguments.images), "--peak-of", str(units), "--cut", arguments.cut]
    own += ["--size", str(arguments.size), "--batch", str(arguments.batch), "--threads", str(arguments.threads)]
    return float(subprocess.run(own, check=True, capture_output=True, text=True).stdout)


def print_peak(arguments: argparse.Namespace) -> None:
    """Takes two steps and prints the peak memory of this process in MB."""
    step = bank_step(model_of(arguments, arguments.peak_of))
    images, targets = torch.randn(arguments.batch, 3, arguments.size, arguments.size), torch.zeros(arguments.batch)
    for _ in range(2):
        step.take(step.forward(images, targets, {})[1], False)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Prints the ratios and what they are made of."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, help="folder with train/CLASS images")
    parser.add_argument("--cut", default="layer4.2", help="split point of ResNet-50")
    parser.add_argument("--units", type=int, default=8, help="units of the ladder")
    parser.add_argument("--epochs", type=int, default=20, help="epochs of the runs that are extrapolated")
    parser.add_argument("--views", type=int, default=2, help="views in the store")
    parser.add_argument("--batch", type=int, default=64, help="images per step")
    parser.add_argument("--size", type=int, default=160, help="image side in pixels")
    parser.add_argument("--repeats", type=int, default=5, help="rounds behind each median")
    parser.add_argument("--stored", type=int, default=256, help="training images of the store that is built and timed")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--peak-of", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    quiet_hosts()
    if arguments.peak_of:
        print_peak(arguments)
        return
    crop = transforms.RandomResizedCrop(arguments.size, scale=(0.35, 1.0))
    dataset = HeldOut(arguments.images / "train", transform=transforms.Compose([crop, transforms.ToTensor()]))
    workers = {"num_workers": 1, "persistent_workers": True}
    batches = forever(DataLoader(dataset, arguments.batch, sampler=RandomSampler(dataset), **workers))  # type: ignore[arg-type]
    bank = model_of(arguments, arguments.units)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        few = subset(dataset, arguments.stored)
        plan = plan_store(bank, {"train": few}, {"train": {}}, 1, labelled=False)
        build_store(bank, plan, folder)
        store = FeatureStore(folder)
        rows = forever(DataLoader(store, arguments.batch, sampler=RandomSampler(store), drop_last=True))
        shards = folder / "train"

        def build(precision: str) -> Step:
            again = plan_store(bank, {"train": few}, {"train": {}}, 1, labelled=False, precision=precision)

            def run() -> None:
                for path in [*shards.iterdir(), folder / "store.json"]:
                    path.unlink()
                build_store(bank, again, folder)

            return run

        ladder, pair = bank_step(bank), bank_step(model_of(arguments, 2))
        alone = bank_step(model_of(arguments, 1))
        steps = {
            "stock, one unit, fp32": timed(stock_step(arguments), batches),
            "one unit, fp32": timed(alone, batches),
            "bank, fp32": timed(ladder, batches),
            "bank, bf16": timed(ladder, batches, "bf16"),
            "bank from the store, fp32": timed(ladder, rows),
            "bank from the store, bf16": timed(ladder, rows, "bf16"),
            "one unit from the store, fp32": timed(alone, rows),
            "two units from the store, fp32": timed(pair, rows),
        }
        list(islice(batches, 1))
        times = take_turns(steps, arguments.repeats)
        building = take_turns({precision: build(precision) for precision in ("fp32", "bf16")}, 1, warm_up=0)
    report(arguments, len(dataset), times, building)


def report(
    arguments: argparse.Namespace, images: int, times: dict[str, list[float]], building: dict[str, list[float]]
) -> None:
    """Prints what was measured."""
    middle = {name: statistics.median(values) for name, values in times.items()}
    steps = images // arguments.batch
    held_out = images // 9  # the selection part of the same folder
    stored = images * (arguments.views + 1) + held_out  # training views, calibration, selection
    stock = arguments.units * arguments.epochs * steps * middle["stock, one unit, fp32"]
    print(f"{arguments.units} units at {arguments.cut}, {arguments.size} px, batch {arguments.batch}, {images} images")
    print(machine_line())
    for name, values in times.items():
        print(f"  {name:32s} {median(values):9.1f} ms a step")
    for precision, values in building.items():
        seconds = statistics.median(values) / arguments.stored
        building[precision] = [seconds * stored]
        print(f"  {'a stored view, ' + precision:32s} {seconds * 1e3:9.1f} ms ({stored} of them)")
    print(f"{arguments.units} stock runs of {arguments.epochs} epochs, fp32: {stock / 3600:.1f} h (extrapolated)")
    one_stock = times["stock, one unit, fp32"]
    for precision in ("fp32", "bf16"):
        ratio, low, high = median_ratio(one_stock, times[f"bank, {precision}"])
        n = arguments.units
        print(f"  {precision}: bank {n * ratio:.1f} times as fast (quartiles {n * low:.1f} to {n * high:.1f})")
        kept = building[precision][0] + arguments.epochs * steps * middle[f"bank from the store, {precision}"]
        print(
            f"  {precision}: bank from a store of {arguments.views} views {kept / 3600:.2f} h "
            f"({building[precision][0] / kept:.0%} of it building), {stock / kept:.1f} times as fast"
        )
    more = middle["two units from the store, fp32"] - middle["one unit from the store, fp32"]
    print(f"one more unit: {more / middle['stock, one unit, fp32']:.1%} of a stock step")
    one, many = peak_of(arguments, 1), peak_of(arguments, arguments.units)
    print(f"peak memory: one unit {one:.0f} MB, {arguments.units} units {many:.0f} MB ({many / one:.2f} times)")


if __name__ == "__main__":
    main()
