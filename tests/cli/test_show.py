"""`sc2-spic show`: the picture is drawn from real bytes, says what they cost, and never replaces another unasked."""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image

from sc2_spic_plugin.cli import showing
from sc2_spic_plugin.cli.main import main
from sc2_spic_plugin.configs import render_config, resolve_config
from sc2_spic_plugin.leaderboard.picture import network_input
from sc2_spic_plugin.models import build_network
from sc2_spic_plugin.training.build import BuiltConfig, build_config, seed_everything
from sc2_spic_plugin.training.checkpoint import save_model_checkpoint


class Shown(NamedTuple):
    """A config, its built model and a checkpoint of it."""

    config: Path
    built: BuiltConfig
    checkpoint: Path

    @property
    def picture(self) -> Image.Image:
        """An image of the report set before any transform."""
        return Image.open(self.config.with_name("image.png"))


def prepare(folder: Path, text: str, overrides: dict[str, Any]) -> Shown:
    """Writes a config, one of its images, and a checkpoint whose unit saw a few training images."""
    config = folder / "config.yaml"
    config.write_text(render_config(text, overrides))
    seed_everything(0)
    built = build_config(config, torch.device("cpu"))
    dataset = built.datasets[built.config["test"]["test_data_loader"]["dataset_id"]]
    images = torch.stack([dataset[index][0] for index in range(6)])
    built.model.train()
    units = list(getattr(built.model, "units", [])) or [None]
    with torch.no_grad():
        for unit in reversed(units):
            if unit is not None:
                built.model.select(unit)
            for _ in range(3):
                built.model(images)
    image = dataset.image(1) if hasattr(dataset, "image") else render(dataset)
    image.save(folder / "image.png")
    return Shown(config, built, save_model_checkpoint(folder / "own.pt", built.model.eval(), 0.0))


def render(dataset: Any) -> Image.Image:
    own, dataset.transform = dataset.transform, None
    image = dataset[1][0]
    dataset.transform = own
    return image


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    quick = {"datasets.synthetic/val.init.kwargs.samples_per_class": 1, "models.model.kwargs.unit.step": 0.25}
    return prepare(tmp_path_factory.mktemp("c"), resolve_config("smoke/spic_supervised").read_text(), quick)


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path):
    """Runs `sc2-spic show`; returns exit code and what was said."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["sc2-spic", "show", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return int(stopped.value.code or 0), " ".join((captured.out or captured.err).split())

    return run


def test_a_classified_image_is_shown_with_the_size_of_its_payload(classifier: Shown, show, tmp_path: Path) -> None:
    image = classifier.config.with_name("image.png")
    code, said = show(classifier.config, image, "--checkpoint", classifier.checkpoint, "--out", "picture.png")
    assert code == 0
    model, dataset = classifier.built.model, classifier.built.datasets["synthetic/val"]
    model.update()
    tensor = network_input(dataset, classifier.picture)
    assert torch.equal(tensor, dataset[1][0])
    payload = model.encode_batch(tensor[None]).payloads[0]
    assert said.startswith(f"picture.png: payload {len(payload)} bytes ({len(payload) - 1} of code), ")
    assert f"{len(payload) * 8 / 64**2:.3g} bits per image pixel" in said
    with torch.no_grad():
        before, after = model.back_end(model.front_end(tensor[None])), model(tensor[None])
    assert f"top-1 {'agrees' if before.argmax() == after.argmax() else 'differs'}" in said
    for output in (before, after):
        share = f"{dataset.classes[int(output.argmax())]} {100 * float(output.softmax(1).max()):.1f} %"
        assert share in said
    assert Image.open(tmp_path / "picture.png").format == "PNG"


def test_each_unit_of_a_bank_can_be_shown(tmp_path: Path, show, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = {"latent_channels": 8, "stride": 2, "step": 0.25, "rate_weight": 1.0}
    values = {
        "datasets.synthetic/val.init.kwargs.samples_per_class": 1,
        "models.model.kwargs.unit": None,
        "models.model.kwargs.units": {"low": {**unit, "step": 4.0}, "high": unit},
    }
    bank = prepare(tmp_path, resolve_config("smoke/spic_supervised").read_text(), values)
    drawn: list[Any] = []
    monkeypatch.setattr(showing, "draw_comparison", lambda comparison, out: drawn.append(comparison) or out)
    arguments = (bank.config, bank.config.with_name("image.png"), "--checkpoint", bank.checkpoint)
    names = list(bank.built.model.units)
    said = [show(*arguments, *option)[1] for option in ((), *(("--unit", name) for name in names))]
    assert [comparison.unit for comparison in drawn] == [bank.built.model.active, *names] and len(names) > 1
    assert len({text.partition(":")[2] for text in said}) > 1
    code, message = show(*arguments, "--unit", f"{names[0]}x")
    assert code == 1 and f"no unit `{names[0]}x`. Did you mean `{names[0]}`" in message


def test_a_picture_is_replaced_only_if_asked_and_is_the_same_again(classifier: Shown, show, tmp_path: Path) -> None:
    image = classifier.config.with_name("image.png")
    arguments = (classifier.config, image, "--checkpoint", classifier.checkpoint)
    assert show(*arguments)[0] == 0
    own = tmp_path / "image_shown.png"
    before = own.read_bytes()
    own.write_bytes(b"mine")
    code, said = show(*arguments)
    assert code == 1 and "exists; choose another --out, or pass --overwrite" in said and own.read_bytes() == b"mine"
    assert show(*arguments, "--overwrite")[0] == 0 and own.read_bytes() == before


def test_the_checkpoint_beside_the_config_is_found(classifier: Shown, show) -> None:
    image, own = classifier.config.with_name("image.png"), classifier.config.with_name("checkpoint.pt")
    own.write_bytes(classifier.checkpoint.read_bytes())
    try:
        assert show(classifier.config, image)[0] == 0
    finally:
        own.unlink()
    code, said = show(classifier.config, image, "--overwrite")
    assert code == 1 and "no checkpoint at resource/ckpt/smoke/spic-supervised.pt" in said


WRONG = {
    "absent image": (["absent.png"], "there is no image at absent.png"),
    "no image": (["text.png"], "cannot be read"),
    "ending": (["image.png", "--out", "picture.jpg"], "written as .png, got `picture.jpg`"),
    "checkpoint": (["image.png", "--checkpoint", "absent.pt"], "no checkpoint at absent.pt"),
    "seed": (["image.png", "--seed", "1"], "made for another network"),
    "protocol": (["image.png", "--protocol", "imagenet-224"], "reports `ilsvrc2012/val`"),
    "no protocol": (["image.png", "--set", "result={}"], "names no protocol"),
    "value": (["image.png", "--set", "models.model.kwargs.cut=layer9"], "has no module `layer9`"),
    "unknown key": (["image.png", "--set", "tests=3"], "unknown key `tests`"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_is_said_in_one_message(fault: str, classifier: Shown, show, tmp_path: Path) -> None:
    arguments, message = WRONG[fault]
    classifier.picture.save(tmp_path / "image.png")
    (tmp_path / "text.png").write_text("no picture")
    before = {path.name for path in tmp_path.iterdir()}
    code, said = show(classifier.config, "--checkpoint", classifier.checkpoint, *arguments)
    assert code == 1 and said.startswith("error: ") and message in said
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_network_that_codes_nothing_is_not_shown(classifier: Shown, show, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = resolve_config("smoke/network")
    built = build_config(network, torch.device("cpu"))
    checkpoint = save_model_checkpoint(tmp_path / "network.pt", built.model, 0.0)
    code, said = show(network, classifier.config.with_name("image.png"), "--checkpoint", checkpoint)
    assert code == 1 and "no original network" in said


def test_entropic_student_is_shown_beside_its_teacher(show, tmp_path: Path, classifier: Shown) -> None:
    student = prepare(tmp_path, resolve_config("smoke/entropic_student").read_text(), {})
    code, said = show(student.config, classifier.config.with_name("image.png"), "--checkpoint", student.checkpoint)
    assert code == 0 and "bits per image pixel, top-1 " in said and (tmp_path / "image_shown.png").is_file()


SEGMENTER = """
dependencies: [{name: 'sc2_spic_plugin'}]
datasets:
  scenes/val: !import_call
    key: 'sc2_spic_plugin.datasets.SyntheticScenes'
    init:
      kwargs:
        split: 'val'
        samples: 6
        transforms: !import_call
          key: 'sc2_spic_plugin.datasets.PairCompose'
          init:
            kwargs:
              transforms:
                - !import_call
                  key: 'sc2_spic_plugin.datasets.PairToTensor'
                  init:
                - !import_call
                  key: 'sc2_spic_plugin.datasets.PairNormalize'
                  init:
                    kwargs: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
models:
  model:
    key: 'spic_segmenter'
    kwargs:
      network: {key: 'deeplabv3_mobilenet_v3_large', kwargs: {num_classes: 7, weights: }}
      cut: 'backbone.13'
      input_size: [3, 96, 96]
      allow_bypass: False
      unit: {latent_channels: 4, stride: 2, step: 0.25}
    dst_ckpt: './absent.pt'
test:
  test_data_loader:
    dataset_id: 'scenes/val'
    sampler:
      class_or_func: !import_get
        key: 'torch.utils.data.SequentialSampler'
      kwargs:
    collate_fn: 'spic_pair_collate'
    kwargs: {batch_size: 1, num_workers: 0}
result: {method: 'spic_static_table', protocol: 'synthetic-scenes'}
"""


@pytest.mark.parametrize("bypasses", [False, True], ids=["true cut", "bypassed cut"])
def test_a_segmented_image_is_shown_with_the_pixels_that_agree(bypasses: bool, show, tmp_path: Path) -> None:
    cut = {"models.model.kwargs.cut": "classifier.0.convs.1", "models.model.kwargs.allow_bypass": True}
    segmenter = prepare(tmp_path, SEGMENTER, cut if bypasses else {})
    arguments = (segmenter.config, segmenter.config.with_name("image.png"))
    code, said = show(*arguments, "--checkpoint", segmenter.checkpoint)
    assert code == 0 and said.startswith("image_shown.png: payload ")
    assert said.endswith(", bypassed") == bypasses
    model: Any = segmenter.built.model
    image = segmenter.built.datasets["scenes/val"][1][0][None]
    model.update()
    with torch.no_grad():
        payload = model.encode_batch(image).payloads[0]
        original, coded = (network(image)["out"].argmax(1) for network in (uncut(segmenter), model))
    assert f"payload {len(payload)} bytes" in said
    assert f"{100 * float((original == coded).float().mean()):.1f} % of pixels agree" in said


def uncut(shown: Shown) -> torch.nn.Module:
    """Builds the config's network again, from the same seed, and leaves it whole."""
    seed_everything(0)
    return build_network(shown.built.model_config["kwargs"]["network"], "segmentation").eval()
