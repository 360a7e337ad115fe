"""`sc2-spic export`, `encode` and `decode`: what they write and say is what the model codes and answers."""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image
from torchvision import transforms

from sc2_spic_plugin.cli.halves import _preprocessing
from sc2_spic_plugin.cli.main import main
from sc2_spic_plugin.coding import read_container
from sc2_spic_plugin.configs import render_config, resolve_config
from sc2_spic_plugin.models import SplitModel
from sc2_spic_plugin.runtime import Manifest
from sc2_spic_plugin.training.build import build_config, seed_everything
from sc2_spic_plugin.training.checkpoint import save_model_checkpoint


class Trained(NamedTuple):
    """A config beside its checkpoint and two images of different sizes; the model and its data set."""

    config: Path
    model: SplitModel
    dataset: Any
    images: list[Path]

    def inputs(self) -> list[torch.Tensor]:
        return [self.dataset.transform(Image.open(path).convert("RGB"))[None] for path in self.images]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("run")
    quick = {"datasets.synthetic/val.init.kwargs.samples_per_class": 1, "models.model.kwargs.unit.step": 0.25}
    config = folder / "config.yaml"
    config.write_text(render_config(resolve_config("smoke/spic_supervised").read_text(), quick))
    seed_everything(0)
    built = build_config(config, torch.device("cpu"))
    dataset, model = built.datasets["synthetic/val"], built.model
    assert isinstance(model, SplitModel)
    model.train()
    with torch.no_grad():
        model(torch.stack([dataset[index][0] for index in range(6)]))
    save_model_checkpoint(folder / "checkpoint.pt", model.eval(), 0.0)
    model.update()
    images = [folder / "square.png", folder / "wide.jpg"]
    for path, size in zip(images, ((64, 64), (90, 50)), strict=True):
        pixels = (dataset[1][0].sigmoid() * 255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).resize(size).save(path)
    return Trained(config, model, dataset, images)


@pytest.fixture
def sc2_spic(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path):
    """Runs the console command; returns exit code, what was said on standard output, and on standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sc2-spic", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return int(stopped.value.code or 0), captured.out, " ".join(captured.err.split())

    return run


@pytest.fixture(scope="module")
def halves(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What `export` wrote, and what it said; the second unit was added under another name."""
    out = tmp_path_factory.mktemp("exported") / "halves"
    said = []
    for arguments in (["--out", str(out)], ["--out", str(out), "--add", "--unit", "unit=again"]):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stopped:
            patch.setattr(sys, "argv", ["sc2-spic", "export", str(trained.config), *arguments])
            patch.setattr(sys, "stdout", (out.parent / "said").open("w"))
            main()
        assert not stopped.value.code
        said.append((out.parent / "said").read_text())
    return out, "\n".join(said)


def test_export_prints_what_a_rate_costs_and_where_the_halves_are(halves: tuple[Path, str], trained: Trained) -> None:
    out, said = halves
    unit, table = trained.model.units["unit"], trained.model.tables["unit"].coder.table_bytes
    size = sum(value.nbytes for value in unit.state_dict().values())
    for number in (size, table, size + table, (out / "device" / "front_end.pt2").stat().st_size):
        assert f"{number:,}" in said
    assert said.count("bytes to ship to add a rate") == 2 and "as it was" in said
    assert {path.name for path in out.iterdir()} == {"device", "server"}
    manifest = Manifest.read(out / "device", "device")
    assert manifest.names == ["unit", "again"] and manifest.any_size and manifest.task == "classification"
    assert [step["kind"] for step in manifest.preprocessing or []] == ["to_tensor", "normalize"]
    assert Manifest.read(out / "server", "server").classes == list(trained.dataset.classes)


def test_images_of_different_sizes_are_sent_in_one_file_and_answered(
    halves: tuple[Path, str], trained: Trained, sc2_spic
) -> None:
    wanted = [trained.model.encode(image)["strings"][0][0] for image in trained.inputs()]
    code, said, _ = sc2_spic("encode", *trained.images, "-o", "sent.spic", "--halves", halves[0] / "device")
    assert code == 0 and read_container(Path("sent.spic").read_bytes()) == wanted
    for path, payload in zip(trained.images, wanted, strict=True):
        assert f"{path}: {len(payload)} bytes\n" in said
    assert f"2 images with unit unit, {sum(map(len, wanted))} bytes of payload" in said
    code, said, _ = sc2_spic("decode", "sent.spic", "--halves", halves[0], "--top", 2)
    lines = said.splitlines()
    assert code == 0 and len(lines) == 2
    for number, (image, line) in enumerate(zip(trained.inputs(), lines, strict=True), 1):
        shares, indices = trained.model(image)[0].softmax(0).topk(2)
        names = [trained.dataset.classes[int(index)] for index in indices]
        first = ", ".join(f"{name} {100 * share:.1f} %" for name, share in zip(names, shares.tolist(), strict=True))
        assert line == f"{number}: {first}"


def test_a_rate_that_was_added_is_named_in_the_payload(halves: tuple[Path, str], trained: Trained, sc2_spic) -> None:
    image = trained.images[0]
    assert sc2_spic("encode", image, "-o", "again.spic", "--halves", halves[0], "--unit", "again")[0] == 0
    (payload,) = read_container(Path("again.spic").read_bytes())
    assert payload[0] & 63 == 1 and payload[1:] == trained.model.encode(trained.inputs()[0])["strings"][0][0][1:]
    code, said, _ = sc2_spic("decode", "again.spic", "--halves", halves[0])
    assert code == 0 and said.count("%") == 5


def test_nothing_is_overwritten_unasked_and_what_is_wrong_is_said(
    halves: tuple[Path, str], trained: Trained, sc2_spic
) -> None:
    folder, (image, _) = halves[0], trained.images
    Path("mine.spic").write_bytes(b"mine")
    Path("text.png").write_text("no picture")
    for arguments, message in (
        (["encode", image, "-o", "mine.spic", "--halves", folder], "mine.spic exists; choose another -o"),
        (["encode", image, "-o", "a.spic"], "give the device half that `sc2-spic export` wrote"),
        (["encode", image, "-o", "a.spic", "--halves", folder / "server"], "is the server half"),
        (["encode", image, "-o", "a.spic", "--halves", folder, "--unit", "agian"], "Did you mean `again`"),
        (["encode", "absent.png", "-o", "a.spic", "--halves", folder], "there is no image at absent.png"),
        (["encode", "text.png", "-o", "a.spic", "--halves", folder], "text.png` cannot be read"),
        (["decode", "absent.spic", "--halves", folder], "there is no file at absent.spic"),
        (["decode", "mine.spic", "--halves", folder], "do not begin with `SPIC`"),
        (["decode", "mine.spic", "--halves", folder / "device"], "is the device half"),
        (["export", trained.config, "--out", folder], "holds an export"),
        (["export", trained.config, "--out", folder, "--add"], "pass --unit unit=ANOTHER_NAME"),
        (["export", trained.config, "--out", "new", "--unit", "untie"], "Did you mean `unit`"),
        (["export", trained.config, "--out", "new", "--checkpoint", "absent.pt"], "no checkpoint at absent.pt"),
        (["export", "smoke/network", "--out", "new", "--checkpoint", "absent.pt"], "is not split, so it has no halves"),
    ):
        code, _, said = sc2_spic(*arguments)
        assert (code, said.startswith("error: "), message in said) == (1, True, True), said
    assert {path.name for path in Path().iterdir()} == {"mine.spic", "text.png"}
    assert Path("mine.spic").read_bytes() == b"mine"
    assert sc2_spic("encode", image, "-o", "mine.spic", "--halves", folder, "--overwrite")[0] == 0


class Blurred:
    """A data set whose pictures are prepared as no half can."""

    transform = transforms.Compose([transforms.GaussianBlur(3), transforms.ToTensor()])


class Misleading:
    """A data set whose transform looks like one that a half can do, and does something else."""

    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])
    transform.transforms[1].forward = lambda tensor: tensor  # type: ignore[method-assign]


@pytest.mark.parametrize(("dataset", "reason"), [(Blurred, "GaussianBlur"), (Misleading, "give other values")])
def test_a_preparation_that_cannot_be_exported_is_named(
    dataset: Any, reason: str, capsys: pytest.CaptureFixture
) -> None:
    assert _preprocessing(dataset()) is None
    said = " ".join(capsys.readouterr().err.split())
    assert reason in said and "`sc2-spic encode` will refuse pictures" in said
