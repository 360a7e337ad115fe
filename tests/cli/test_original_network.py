"""Whatever a model made of the original network, a result names it by its key and by the weights it was given."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_parts import NETWORK, make_network

from sc2_spic_plugin.cli.original_network import original_network
from sc2_spic_plugin.models import spic_entropic_student, spic_eval_teacher
from sc2_spic_plugin.ops import tensors_digest
from sc2_spic_plugin.training.build import BuiltConfig

BOTTLENECK = {"key": "FPBasedResNetBottleneck", "kwargs": {"num_bottleneck_channels": 4}}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("network") / "network.pt"
    torch.save(make_network(3).state_dict(), path)
    return {**NETWORK, "src_ckpt": str(path)}


def built(config: dict[str, Any], model: torch.nn.Module, teacher: torch.nn.Module | None = None) -> BuiltConfig:
    models = {"model": config, "teacher_model": config}
    return BuiltConfig(Path("c.yaml"), {"models": models}, {}, model, teacher, torch.device("cpu"))


def test_every_way_of_using_a_network_gives_one_digest(network: dict[str, Any]) -> None:
    expected = ("ResNet", tensors_digest(make_network(3).state_dict()))
    plain = {**NETWORK, "src_ckpt": network["src_ckpt"]}
    student = {"key": "spic_entropic_student", "kwargs": {"network": network, "bottleneck_config": BOTTLENECK}}
    teacher = {"key": "spic_eval_teacher", "kwargs": {"network": network}}
    codec = {"key": "CodecFeatureCompressionClassifier", "kwargs": {}, "classification_model": teacher}
    trained = spic_entropic_student(network, BOTTLENECK)
    with torch.no_grad():
        trained.fc.weight.zero_()
    assert original_network(built(plain, make_network(3))) == expected
    assert original_network(built(student, trained)) == expected
    assert original_network(built(codec, torch.nn.Identity())) == expected
    assert original_network(built(teacher, trained, spic_eval_teacher(network))) == expected
