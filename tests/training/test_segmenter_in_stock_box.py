"""A law of the stock teacher/student box: a SPIC segmentation model learns in it as it does by self-distillation."""

from typing import Any

import torch
from tiny_parts import RATE, TinyImages, assert_same, make_images, output_of, role, stage, wrapped
from torch import Tensor
from torchdistill.core.distillation import get_distillation_box
from torchdistill.core.training import get_training_box

from sc2_spic_plugin.models import spic_eval_teacher
from sc2_spic_plugin.training import SpicModel, spic_segmenter

DEVICE = torch.device("cpu")
LAYER = "classifier.high_classifier"
"""Gives scores (B, classes, h, w); the output is a dict, which the hosts' losses on two models cannot take."""


def network(path: Any) -> dict[str, Any]:
    kwargs = {"weights": None, "weights_backbone": None, "num_classes": 5}
    return {"key": "lraspp_mobilenet_v3_large", "kwargs": kwargs, "src_ckpt": str(path)}


def student(path: Any, **kwargs: Any) -> SpicModel:
    torch.manual_seed(1)
    unit = {"latent_channels": 4, "stride": 2}
    return spic_segmenter(network(path), cut="backbone.4", input_size=[3, 64, 64], unit=unit, **kwargs)


def gradients(box: Any, model: SpicModel, images: Tensor) -> dict[str, Tensor]:
    box.pre_epoch_process(epoch=0)
    box.forward_process(images, torch.zeros(len(images), 64, 64, dtype=torch.long), None).backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    box.clean_modules()
    assert all(value is not None and value.abs().max() > 0 for value in found.values())
    return found


def test_a_segmentation_unit_gets_the_same_gradients_from_a_teacher_and_from_itself(tmp_path: Any) -> None:
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    torch.manual_seed(0)
    path = tmp_path / "network.pt"
    torch.save(lraspp_mobilenet_v3_large(**network(path)["kwargs"]).state_dict(), path)
    images, data = make_images(4, 64), {"train": TinyImages(4, 64), "held_out": TinyImages(4, 64)}

    own = student(path, distillation_layers=[LAYER])
    hooks = [f"original.{LAYER.replace('.', '_')}", f"back_end.{LAYER}"]
    loss = {"criterion": {"key": "SpicDistillationLoss", "kwargs": {"layer": LAYER, "metric": "mae"}}, "weight": 1.0}
    config = stage({"distillation": loss, "rate": RATE}, model=role(["rate", *hooks]))
    mine = gradients(get_training_box(own, data, config, DEVICE, None, False, 1), own, images)

    stock, teacher = student(path), spic_eval_teacher(network(path), "segmentation")
    term = wrapped("L1Loss", f"back_end.{LAYER}", output_of(LAYER, is_from_teacher=True))
    config = stage(
        {"distillation": term, "rate": RATE},
        teacher=role([LAYER]),
        student=role(["rate", f"back_end.{LAYER}"]),
    )
    theirs = gradients(get_distillation_box(teacher, stock, data, config, DEVICE, None, False, 1), stock, images)
    assert_same(mine, theirs)
