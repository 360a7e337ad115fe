"""The main job for segmentation: every method measured on the same masks, the mask itself sent as the reference."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from sc2_spic_plugin.analyzers import SpicSizeAnalyzer
from sc2_spic_plugin.cli.bench.sent_mask import MaskSender, mask_as_png
from sc2_spic_plugin.cli.demo import DemoOptions, comparison, pair_folder
from sc2_spic_plugin.cli.demo.pair_folder import PairFolderImages
from sc2_spic_plugin.cli.main import app
from sc2_spic_plugin.configs.suite import CodecPlan, Suite, load_suite
from sc2_spic_plugin.datasets import SyntheticScenes
from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard import ResultFile, read_overlap_csv


def shrink(monkeypatch: pytest.MonkeyPatch, shared: dict[str, Any], methods: int) -> None:
    """Makes the suite that the demo loads small: one point of each method, one epoch, one codec."""

    def load(path: Path) -> Suite:
        suite = load_suite(path)
        epochs = {"train.stage1.num_epochs": 1}
        small = [
            dataclasses.replace(
                method,
                values={**method.values, **epochs, **shared},
                points=None if method.points is None else dict(list(method.points.items())[:1]),
            )
            for method in suite.methods[:methods]
        ]
        network = dataclasses.replace(suite.network, values={**suite.network.values, **epochs})
        return dataclasses.replace(
            suite,
            methods=small,
            network=network,
            codecs={"jpeg": CodecPlan((20,))},
            shared={**suite.shared, **shared},
            minimum_steps=0,
        )

    monkeypatch.setattr(comparison, "load_suite", load)


def run_demo(out: Path, *options: str) -> dict[str, ResultFile]:
    arguments = ["demo", "--task", "segmentation", "--quick", "--out", str(out), *options]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    return {path.stem: ResultFile.load(path) for path in (out / "results").glob("*.json")}


def test_every_method_is_measured_on_the_same_masks_in_decoded_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = "datasets.scenes/{}.init.kwargs.{}samples".format
    shrink(monkeypatch, {images("train", "root.init.kwargs."): 24, images("val", ""): 4}, methods=3)
    out = tmp_path / "demo"
    results = run_demo(out)
    spic = {"spic_static_table-supervised", "spic_static_table-unsupervised"}
    assert set(results) == {"original", "mask", "jpeg", "entropic_student", *spic}
    assert len({result.meta.network_sha256 for result in results.values()}) == 1
    for name, result in results.items():
        assert (result.meta.task, result.meta.samples, result.meta.bypassed) == ("segmentation", 4, False)
        assert len(result.points) >= 1
        for point in result.points:
            rows = read_overlap_csv(out / "results" / f"{name}.{point.unit}.csv")
            intersection, union = (np.array([getattr(row, key) for row in rows]) for key in ("intersection", "union"))
            assert point.miou == pytest.approx(100 * (intersection.sum(0) / union.sum(0)).mean())
            if name != "original":
                assert point.payload_bytes == pytest.approx(np.mean([row.payload_bytes for row in rows]))
                assert point.bpp == pytest.approx(point.payload_bytes * 8 / 96**2)
            if name in spic:
                assert result.meta.cut == "backbone.layer2" and point.payload_bytes == pytest.approx(
                    point.code_bytes + 1
                )
    assert results["mask"].points[0].miou == results["original"].points[0].miou
    table = (out / "leaderboard.md").read_text()
    assert all(label in table for label in ("SPIC", "Entropic Student", "JPEG", "send the mask", "mIoU"))
    assert (out / "rate_accuracy.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Images and masks in CamVid's layout: scenes of three classes, whose labels are 0, 1 and 3; 2 is void."""
    root = tmp_path / "street"
    for split, part, count in (("train", "train", 4), ("val", "val", 2), ("test", "test", 2)):
        scenes = SyntheticScenes(split, count, (48, 64), num_classes=3)
        for index in range(count):
            picture, mask = scenes.arrays(index)
            mask = np.where(mask == 2, 3, np.where(mask == 255, 2, mask)).astype(np.uint8)
            for folder, array in ((part, picture), (f"{part}annot", mask)):
                (root / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(root / folder / f"{index}.png")
    (root / "classes.txt").write_text("backdrop\nground\nvoid\nbody\n")
    return root


def test_a_folder_of_pairs_is_compared_at_its_own_proportions(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_folder, "_SIDE", 48)
    loader = "train.stage1.{}_data_loader.kwargs.{}".format
    small = {
        **{loader(part, "batch_size"): 2 for part in ("train", "val")},
        **{loader(part, "num_workers"): 0 for part in ("train", "val")},
        "test.test_data_loader.kwargs.num_workers": 0,
    }
    shrink(monkeypatch, small, methods=1)
    results = run_demo(tmp_path / "demo", "--data", str(pairs))
    assert set(results) == {"original", "mask", "jpeg", "spic_static_table-supervised"}
    for result in results.values():
        assert result.meta.dataset == "street" and result.meta.protocol == "street-48x64"
        assert result.meta.samples == 2 and result.meta.network == "deeplabv3_model (resnet18)"
    point = results["spic_static_table-supervised"].points[0]
    assert point.bpp == pytest.approx(point.payload_bytes * 8 / (48 * 64))
    rows = read_overlap_csv(tmp_path / "demo" / "results" / "original.network.csv")
    assert {len(row.union) for row in rows} == {3}


def test_classes_come_from_their_file_or_from_the_masks(pairs: Path) -> None:
    named = PairFolderImages(pairs)
    assert (named.classes, named.void, named.size) == (["backdrop", "ground", "body"], [2], [180, 240])
    (pairs / "classes.txt").unlink()
    found = PairFolderImages(pairs)
    assert (found.classes, found.void) == (["label_0", "label_1", "label_2", "label_3"], [])
    assert found.values("models.model")["models.model.kwargs.num_classes"] == 4 and found.train_images() == 4
    (pairs / "classes.txt").write_text("only\n")
    with pytest.raises(DataError, match=r"1 class.*classes\.txt"):
        PairFolderImages(pairs)
    with pytest.raises(DataError, match=r"no `train` folder.* trainannot"):
        PairFolderImages(pairs / "train")


def test_an_unknown_task_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown task `segment`\. Did you mean `segmentation`"):
        DemoOptions(tmp_path, task="segment")


@pytest.mark.parametrize("classes", [2, 5, 11, 21])
def test_a_sent_mask_arrives_as_it_was_in_the_smaller_of_two_files(classes: int) -> None:
    mask = np.random.default_rng(classes).integers(0, classes, (9, 14), dtype=np.uint8)
    grey = io.BytesIO()
    Image.fromarray(mask).save(grey, "PNG", optimize=True)
    payload = mask_as_png(mask, classes)
    assert np.array_equal(np.array(Image.open(io.BytesIO(payload))), mask) and len(payload) <= len(grey.getvalue())


def test_the_mask_sender_scores_what_it_received_and_measures_every_image() -> None:
    class Logits(nn.Module):
        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"out": images}

    sender, analyzer = MaskSender(Logits()), SpicSizeAnalyzer((6, 8))
    sender.analyzers = [analyzer]
    sender.activate_analysis()
    logits = torch.randn(3, 4, 6, 8, generator=torch.Generator().manual_seed(0))
    received = sender(logits)["out"]
    assert received.shape == logits.shape and torch.equal(received.argmax(1), logits.argmax(1))
    sizes = [len(mask_as_png(mask.to(torch.uint8).numpy(), 4)) for mask in logits.argmax(1)]
    assert [image.payload_bytes for image in analyzer.images] == sizes
