"""Networks, models, images and training stages small enough for a test; nothing is downloaded."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, RandomSampler, SequentialSampler
from torchvision.models import ResNet
from torchvision.models.resnet import BasicBlock

from sc2_spic_plugin.models import SplitModel
from sc2_spic_plugin.models.frozen import frozen_state
from sc2_spic_plugin.training import SpicModel

NETWORK = {"key": "ResNet", "kwargs": {"block": BasicBlock, "layers": [1, 1, 1, 1], "num_classes": 8}}
UNIT = {"latent_channels": 6, "stride": 2, "step": 0.5}


def make_network(seed: int = 0) -> nn.Module:
    """A ResNet-10 of eight classes with random weights and batch-norm statistics, in eval mode."""
    torch.manual_seed(seed)
    network = ResNet(**NETWORK["kwargs"])
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def make_images(count: int, height: int = 32, width: int | None = None, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, height, width or height, generator=torch.Generator().manual_seed(seed))


def settle(model: SplitModel) -> SplitModel:
    """Moves the units' batch-norm statistics to those of images, so that symbols are not all zero."""
    with torch.no_grad():
        features = model.front_end(make_images(16, seed=9))
        for unit in model.units.values():
            norms = [module for module in unit.modules() if isinstance(module, nn.BatchNorm2d)]
            for momentum in (1.0, 0.1):  # the second pass only puts the usual value back
                for norm in norms:
                    norm.momentum = momentum
                unit.train()(features)
    return model


def make_split(seed: int = 0, cut: str = "layer2", units: Any = None, **kwargs: Any) -> SplitModel:
    network = make_network(seed)
    torch.manual_seed(seed + 1)
    return settle(SplitModel(network, cut, units or {"unit": UNIT}, input_size=(3, 32, 32), **kwargs))


def make_student(seed: int = 0, cut: str = "layer2", **kwargs: Any) -> SpicModel:
    network = make_network(seed)
    torch.manual_seed(seed + 1)
    unit = {**UNIT, **kwargs.pop("unit", {})}
    return settle(SpicModel(network, cut, unit, input_size=(3, 32, 32), **kwargs))


def observe(model: SplitModel, images: Tensor) -> None:
    """Feeds the histogram of the active unit, as training does."""
    with torch.no_grad():
        model.symbol_tables.observe(model.unit.encode(model.front_end(images)))


def network_state(model: SplitModel) -> dict[str, Tensor]:
    return {
        f"{half}.{name}": value.clone()
        for half in ("front_end", "back_end")
        for name, value in frozen_state(getattr(model, half)).items()
    }


def assert_same(state: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert list(state) == list(other)
    assert [name for name in state if not torch.equal(state[name], other[name])] == []


class TinyImages(Dataset):
    """Random images in memory; the label of image i is i modulo 8, or what `labels` says."""

    def __init__(self, count: int = 16, size: int = 32, seed: int = 0, labels: list[int] | None = None) -> None:
        self.images = make_images(count, size, seed=seed)
        self.targets = labels or [index % 8 for index in range(count)]
        self.ids = [f"{index:03d}.png" for index in range(count)]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], self.targets[index]


def loader(dataset_id: str, batch_size: int = 8, shuffles: bool = False) -> dict[str, Any]:
    return {
        "dataset_id": dataset_id,
        "sampler": {"class_or_func": RandomSampler if shuffles else SequentialSampler, "kwargs": None},
        "kwargs": {"batch_size": batch_size, "num_workers": 0},
    }


def wrapped(criterion: str, student: str = ".", target: dict[str, Any] | None = None) -> dict[str, Any]:
    """A host's loss between a student's output and a target (labels by default)."""
    return {
        "criterion": {"key": criterion, "kwargs": {}},
        "criterion_wrapper": {
            "key": "SimpleLossWrapper",
            "kwargs": {
                "input": {"is_from_teacher": False, "module_path": student, "io": "output"},
                "target": target or {"uses_label": True},
            },
        },
        "weight": 1.0,
    }


def output_of(path: str, is_from_teacher: bool = False) -> dict[str, Any]:
    return {"is_from_teacher": is_from_teacher, "module_path": path, "io": "output"}


RATE = {"criterion": {"key": "SpicRateLoss", "kwargs": {}}, "weight": 1.0}


def role(hooks: list[str], **kwargs: Any) -> dict[str, Any]:
    hook = {"input": [], "output": hooks}
    return {"forward_proc": "forward_batch_only", "forward_hook": hook, "requires_grad": True, **kwargs}


def stage(terms: dict[str, Any], epochs: int = 1, lr: float = 0.01, **roles: Any) -> dict[str, Any]:
    """One training stage on the data sets `train` and `held_out`; `roles` are `model`, or `teacher` and `student`."""
    return {
        "num_epochs": epochs,
        "train_data_loader": loader("train", shuffles=True),
        "val_data_loader": loader("held_out"),
        "optimizer": {"key": "SGD", "kwargs": {"lr": lr}},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": terms}},
        **roles,
    }


def supervised_stage(**kwargs: Any) -> dict[str, Any]:
    return stage({"task": wrapped("CrossEntropyLoss"), "rate": RATE}, model=role(["rate"]), **kwargs)


def unsupervised_stage(**kwargs: Any) -> dict[str, Any]:
    distillation = {"criterion": {"key": "SpicDistillationLoss", "kwargs": {}}, "weight": 1.0}
    return stage({"distillation": distillation, "rate": RATE}, model=role(["rate", "original.output"]), **kwargs)


def datasets(size: int = 32) -> dict[str, Dataset]:
    return {
        "train": TinyImages(16, size),
        "held_out": TinyImages(8, size, seed=1),
        "report": TinyImages(8, size, seed=2),
    }
