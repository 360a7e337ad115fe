"""Building the original network: weights whole or not at all, no code from a file, clear errors."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_parts import NETWORK, assert_same, make_images, make_network

from sc2_spic_plugin.errors import CheckpointError, ConfigError
from sc2_spic_plugin.models import build_network, spic_entropic_student, spic_eval_teacher
from sc2_spic_plugin.models.frozen import frozen_state


def test_weights_are_loaded_whole_from_every_kind_of_file(tmp_path: Path) -> None:
    state = make_network(3).state_dict()
    torch.save(state, tmp_path / "plain.pt")
    torch.save({"model": state, "best_value": 1.0}, tmp_path / "script.pt")
    torch.save({"state_dict": state}, tmp_path / "other.pth")
    save_file(state, tmp_path / "weights.safetensors")
    for path in sorted(tmp_path.iterdir()):
        network = build_network({**NETWORK, "src_ckpt": str(path)})
        assert not network.training
        assert_same(network.state_dict(), state)


def test_half_precision_weights_are_widened(tmp_path: Path) -> None:
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in make_network().state_dict().items()
    }
    save_file(state, tmp_path / "half.safetensors")
    network = build_network({**NETWORK, "src_ckpt": tmp_path / "half.safetensors"})
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert torch.equal(network.fc.weight.half(), state["fc.weight"])


def test_weights_that_do_not_fit_are_refused_and_leave_nothing_half_done(tmp_path: Path) -> None:
    state = make_network().state_dict()
    wrong = {
        "missing": (
            {name: value for name, value in state.items() if name != "fc.bias"},
            r"1 tensors missing \(fc.bias\)",
        ),
        "extra": ({**state, "head": torch.zeros(1)}, "1 unexpected"),
        "classes": (
            {**state, "fc.weight": torch.zeros(9, 512), "fc.bias": torch.zeros(9)},
            "size mismatch.*num_classes",
        ),
        "words": ({"model": "resnet"}, "holds no state dict"),
    }
    for name, (content, message) in wrong.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(CheckpointError, match=message):
            build_network({**NETWORK, "src_ckpt": tmp_path / name})
    (tmp_path / "damaged.safetensors").write_bytes(b"\x10\0\0\0")
    (tmp_path / "damaged.pt").write_bytes((tmp_path / "missing").read_bytes()[:1000])
    for name in ("damaged.safetensors", "damaged.pt"):
        with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
            build_network({**NETWORK, "src_ckpt": tmp_path / name})
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        build_network({**NETWORK, "src_ckpt": tmp_path / "absent.pt"})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kwargs": {}}, "needs a `key`"),
        ({"key": "resnet81"}, r"unknown network `resnet81`\. Did you mean `resnet"),
        ({"key": "resnet18", "src_chkpt": "x"}, r"unknown key `src_chkpt` for `network`\. Did you mean `src_ckpt`"),
        ({"key": "resnet18", "kwargs": {"classes": 3}}, "`resnet18` cannot be built with .*unexpected keyword"),
        ({"key": "resnet18", "kwargs": {"weights": "NONE_V3"}}, "`resnet18` cannot be built with"),
    ],
)
def test_what_is_no_network_is_refused(config: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_network(config)


def test_networks_of_timm_are_built_too() -> None:
    assert build_network({"key": "resnet10t", "kwargs": {"num_classes": 3}})(torch.zeros(1, 3, 32, 32)).shape == (1, 3)


def test_the_teacher_stays_as_it_is_whatever_a_host_does() -> None:
    torch.manual_seed(0)
    teacher = spic_eval_teacher(NETWORK)
    before = {name: value.clone() for name, value in frozen_state(teacher).items()}
    teacher.train()(make_images(4))
    assert_same(before, frozen_state(teacher))
    assert not any(module.training for module in teacher.modules()) and list(teacher.parameters()) == []


BOTTLENECK = {"key": "FPBasedResNetBottleneck", "kwargs": {"num_bottleneck_channels": 4}}


def test_entropic_student_starts_from_the_networks_weights(tmp_path: Path) -> None:
    state = make_network(5).state_dict()
    torch.save(state, tmp_path / "network.pt")
    student = spic_entropic_student({**NETWORK, "src_ckpt": tmp_path / "network.pt"}, BOTTLENECK)
    behind = {name: value for name, value in student.state_dict().items() if not name.startswith("bottleneck_layer.")}
    assert len(behind) > 30
    assert_same(behind, {name: state[name] for name in behind})


def test_entropic_student_loads_a_checkpoint_from_before_its_update() -> None:
    first, second = (spic_entropic_student(NETWORK, BOTTLENECK).eval() for _ in range(2))
    early = {name: value.clone() for name, value in first.state_dict().items()}
    for student in (first, second):
        student.update()
    second.load_state_dict(early)
    second.update()
    images = make_images(2)
    assert torch.equal(first(images), second(images))
    late = {name: value.clone() for name, value in first.state_dict().items()}
    second.load_state_dict(late)
    assert torch.equal(first(images), second(images))


def test_an_unknown_bottleneck_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown bottleneck `FPBasedResnetBottleneck`\. Did you mean"):
        spic_entropic_student(NETWORK, {"key": "FPBasedResnetBottleneck"})
