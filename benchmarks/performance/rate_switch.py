"""Measures how long it takes to the first decoded answer at another rate.

Run: python benchmarks/performance/rate_switch.py [--cut layer4.2] [--size 224] [--repeats 9]

ResNet-50 with random weights, one image, float32 on the CPU; both ends in one process. A SPIC unit that is in memory is
named in the request; one on disk is loaded first (`load_unit`, every digest checked). Entropic Student has a
model for each rate: another one is built, its checkpoint read and its tables made. Times are from the wish to the
output that comes from decoded bytes, the passes of the network included.
"""

from timing import machine_line, median, median_ratio, take_turns

# isort: split
import argparse
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from sc2_spic_plugin.models import SplitModel, drop_unit, export_unit, load_unit, spic_entropic_student
from sc2_spic_plugin.models.network import build_network, read_state_dict
from sc2_spic_plugin.training.calibrate import calibrate
from sc2_spic_plugin.training.checkpoint import save_model_checkpoint

NETWORK = {"key": "resnet50", "kwargs": {"num_classes": 10}}
UNIT = {"latent_channels": 64, "stride": 2, "step": 1.0}


def bank(cut: str, size: int) -> SplitModel:
    """Returns a bank of two units with tables."""
    torch.manual_seed(0)
    model = SplitModel(build_network(NETWORK), cut, {"one": UNIT, "two": UNIT}, input_size=[3, size, size])
    calibrate(model, torch.randn(4, 1, 3, size, size), torch.device("cpu"))
    model.update()
    return model


def answer(model: SplitModel, image: Tensor, unit: str) -> Tensor:
    """Returns the output from the bytes of a unit."""
    with torch.inference_mode():
        return model.decode(**model.encode(image, unit=unit))


def main() -> None:
    """Prints the three times and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cut", default="layer4.2", help="split point of ResNet-50")
    parser.add_argument("--size", type=int, default=224, help="image side in pixels")
    parser.add_argument("--repeats", type=int, default=9, help="rounds behind each median")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    image = torch.randn(1, 3, arguments.size, arguments.size)
    model = bank(arguments.cut, arguments.size)
    options = {"network": NETWORK, "bottleneck_config": {"key": "FPBasedResNetBottleneck", "kwargs": {}}}
    with tempfile.TemporaryDirectory() as scratch:
        pair = export_unit(model, "two", Path(scratch))
        student = spic_entropic_student(**options)
        student.update()
        checkpoint = save_model_checkpoint(Path(scratch) / "student.pt", student, 0.0)

        def from_disk() -> Tensor:
            drop_unit(model, "two")
            load_unit(model, pair.tensors)
            return answer(model, image, "two")

        def another_student() -> Tensor:
            other = spic_entropic_student(**options)
            other.load_state_dict(read_state_dict(checkpoint))
            other.update()
            with torch.inference_mode():
                return other.eval()(image)

        functions = {
            "same unit again": lambda: answer(model, image, "one"),
            "another unit, in memory": lambda: answer(model, image, "two"),
            "another unit, on disk": from_disk,
            "another Entropic Student, on disk": another_student,
        }
        times = take_turns(functions, arguments.repeats)
        sizes = pair.tensors.stat().st_size + pair.description.stat().st_size, checkpoint.stat().st_size
    print(f"first decoded answer at another rate, ResNet-50 at {arguments.cut}, {arguments.size} px")
    print(machine_line())
    for name, values in times.items():
        print(f"  {name:34s} {median(values):9.1f} ms")
    print(f"  files: unit {sizes[0] / 1e6:.2f} MB, student {sizes[1] / 1e6:.1f} MB")
    for name in ("another unit, in memory", "another unit, on disk"):
        middle, low, high = median_ratio(times["another Entropic Student, on disk"], times[name])
        print(f"{name}: {middle:.1f} times as fast as another Entropic Student (quartiles {low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
