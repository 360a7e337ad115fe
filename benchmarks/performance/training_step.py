"""Measures one training step: self-distillation against the stock box with a teacher and a student.

Run: python benchmarks/performance/training_step.py [--repeats 15] [--cut layer4.2] [--batch 32] [--size 160]

ResNet-50 with random weights and 10 classes, float32 on the CPU. Both sides train the same unit on the same terms: mean
absolute difference of the outputs plus rate. The stock side is torchdistill's DistillationBox with a second, whole
network as teacher (`spic_eval_teacher`) and its L1Loss; ours is its TrainingBox, and the model is its own teacher. Two
is the limit where the cut is late: two passes through the front-end against one. Data loading is not timed.
"""

from timing import machine_line, median, median_ratio, take_turns

# isort: split
import argparse
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import sc2_spic_plugin  # noqa: F401 - registers the losses
from sc2_spic_plugin.models import spic_eval_teacher
from sc2_spic_plugin.training import spic_classifier
from sc2_spic_plugin.training.build import quiet_hosts

NETWORK = {"key": "resnet50", "kwargs": {"num_classes": 10}}
Step = Callable[[], Any]


def student(arguments: argparse.Namespace, distills: bool) -> nn.Module:
    """Builds the model that is trained, with the same initial weights whichever way it is."""
    torch.manual_seed(0)
    return spic_classifier(
        NETWORK,
        cut=arguments.cut,
        unit={"latent_channels": 64, "stride": 2, "step": 1.0},
        rate_estimator={"key": arguments.estimator},
        input_size=[3, arguments.size, arguments.size],
        distills=distills,
    )


def criterion(distillation: dict[str, Any]) -> dict[str, Any]:
    """Returns the config of distortion plus rate."""
    rate = {"criterion": {"key": "SpicRateLoss", "kwargs": {}}, "weight": 1.0}
    sub_terms = {"distillation": {**distillation, "weight": 1.0}, "rate": rate}
    return {"key": "WeightedSumLoss", "kwargs": {"sub_terms": sub_terms}}


def stage(models: dict[str, Any], terms: dict[str, Any]) -> dict[str, Any]:
    """Returns the train config of a box without data loaders."""
    optimizer = {"key": "Adam", "kwargs": {"lr": 1e-3}}
    return {"num_epochs": 1, **models, "optimizer": optimizer, "criterion": criterion(terms)}


def hooked(*outputs: str) -> dict[str, Any]:
    """Returns the config of a model in a box."""
    return {"forward_proc": "forward_batch_only", "forward_hook": {"input": [], "output": list(outputs)}}


def stock_box(arguments: argparse.Namespace) -> tuple[Any, nn.Module]:
    """Builds torchdistill's box with a teacher."""
    from torchdistill.core.distillation import get_distillation_box

    torch.manual_seed(0)
    teacher, model = spic_eval_teacher(NETWORK), student(arguments, distills=False)
    outputs = {
        name: {"is_from_teacher": name == "target", "module_path": ".", "io": "output"} for name in ("input", "target")
    }
    loss = {
        "criterion": {"key": "L1Loss", "kwargs": {}},
        "criterion_wrapper": {"key": "SimpleLossWrapper", "kwargs": outputs},
    }
    models = {"teacher": {**hooked(), "requires_grad": False}, "student": hooked("rate")}
    config = stage(models, loss)
    return get_distillation_box(teacher, model, {}, config, torch.device("cpu"), None, False, 1), model


def own_box(arguments: argparse.Namespace) -> tuple[Any, nn.Module]:
    """Builds torchdistill's box without a teacher around a model that is its own."""
    from torchdistill.core.training import get_training_box

    model = student(arguments, distills=True)
    loss = {"criterion": {"key": "SpicDistillationLoss", "kwargs": {"metric": "mae"}}}
    config = stage({"model": hooked("rate", "original.output")}, loss)
    return get_training_box(model, {}, config, torch.device("cpu"), None, False, 1), model


def step_of(box: Any, image: Tensor) -> Step:
    """Returns one training step: forward, backward, optimiser."""
    label = torch.zeros(len(image), dtype=torch.long)
    losses: list[float] = []

    def step() -> list[float]:
        loss = box.forward_process(image, label, {})
        losses.append(float(loss.detach()))
        box.post_forward_process(loss)
        return losses

    box.pre_epoch_process(epoch=0) if hasattr(box, "student_model") else box.model.train()
    return step


def parts_of(model: Any, image: Tensor) -> dict[str, Step]:
    """Returns the parts of our step, each runnable alone."""
    model.train()
    features, sizes = model._split_front(image)
    features_hat, latent = (value.detach() for value in model.unit(features))
    symbols = model.unit.encode(features)
    ones = torch.ones_like(features_hat)

    def back_end() -> None:
        hat = features_hat.requires_grad_()
        model.back_end(hat, *sizes).sum().backward()

    def unit() -> None:
        model.unit(features).features_hat.backward(ones)
        model.unit.zero_grad()

    def estimator() -> None:
        model.rate_estimator(latent.requires_grad_() / model.unit.step).bits.sum().backward()

    return {
        "front-end": lambda: model._split_front(image),
        "original back-end": lambda: model._run_original(features, sizes),
        "student's back-end, forward and backward": back_end,
        "unit, forward and backward": unit,
        "rate estimator, forward and backward": estimator,
        "histogram: symbols in eval mode": lambda: model.unit.encode(features),
        "histogram: counting": lambda: model.symbol_tables.observe(symbols),
    }


def main() -> None:
    """Prints the ratio and the parts of our step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15, help="rounds behind each median")
    parser.add_argument("--cut", default="layer4.2", help="split point of ResNet-50")
    parser.add_argument("--batch", type=int, default=32, help="images per step")
    parser.add_argument("--size", type=int, default=160, help="image side in pixels")
    parser.add_argument("--estimator", default="static_table", help="rate estimator")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    quiet_hosts(logging.ERROR)
    image = torch.randn(arguments.batch, 3, arguments.size, arguments.size, generator=torch.Generator().manual_seed(0))
    (stock, _), (own, model) = stock_box(arguments), own_box(arguments)
    steps = {"teacher and student": step_of(stock, image), "self-distillation": step_of(own, image)}
    times = take_turns(steps, arguments.repeats)
    losses = [step() for step in steps.values()]
    if abs(losses[0][0] - losses[1][0]) > 1e-4 * abs(losses[0][0]):
        raise SystemExit(f"the two sides do not train the same: first loss {losses[0][0]} against {losses[1][0]}")

    print(machine_line())
    print(f"One training step, ResNet-50 cut after {arguments.cut}, batch {arguments.batch}, {arguments.size} px")
    for name, values in times.items():
        print(f"{name:>42} {median(values):9.1f} ms")
    ratio, lower, upper = median_ratio(times["teacher and student"], times["self-distillation"])
    print(f"{'ratio':>42} {ratio:9.2f}    (quartiles {lower:.2f} to {upper:.2f}; target 1.8, limit 2)")

    parts = take_turns({**parts_of(model, image), "step": steps["self-distillation"]}, arguments.repeats)
    whole = parts.pop("step")
    print("\nParts of the self-distillation step, each run alone; share = time of the part / time of the step")
    for name, values in parts.items():
        print(f"{name:>42} {median(values):9.1f} ms {100 * median_ratio(values, whole)[0]:6.1f} %")


if __name__ == "__main__":
    main()
