"""Training, selection and report images that do not go together are refused before any time is spent on them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from sc2_spic_plugin.cli.preparing import check_data
from sc2_spic_plugin.datasets import CheckedImageFolder, FlatImageFolder, HeldOut
from sc2_spic_plugin.errors import ConfigError

SUPERVISED = {
    "criterion": {"kwargs": {"sub_terms": {"a": {"criterion_wrapper": {"kwargs": {"target": {"uses_label": True}}}}}}}
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of sixty images in `train`, of two in `val`."""
    for part, count in (("train", 60), ("val", 2)):
        for name in ("ant", "bee"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("L", (4, 4)).save(tmp_path / part / name / f"{number}.png")
    return tmp_path


def _built(train: Any, selection: Any, test: Any, stage: dict[str, Any] | None = None) -> Any:
    loaders = {"train_data_loader": {"dataset_id": "train"}, "val_data_loader": {"dataset_id": "selection"}}
    config = {
        "train": {"stage1": {**loaders, **(SUPERVISED if stage is None else stage)}},
        "test": {"test_data_loader": {"dataset_id": "test"}},
    }
    datasets = {"train": train, "selection": selection, "test": test}
    return SimpleNamespace(config=config, datasets=datasets, task="classification")


def _parts(folder: Path, **changed: Any) -> tuple[HeldOut, HeldOut]:
    return HeldOut(folder / "train", **changed), HeldOut(folder / "train", "selection")


def test_two_parts_of_one_folder_and_the_report_images_go_together(folder: Path) -> None:
    check_data(_built(*_parts(folder), CheckedImageFolder(folder / "val")))
    check_data(_built(*_parts(folder, labelled=None), FlatImageFolder(folder / "val"), {}))


@pytest.mark.parametrize("changed", [{"seed": 1}, {"fraction": 0.02}])
def test_parts_that_were_drawn_differently_are_refused(folder: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"images are in `train` and in `selection` .* same `fraction`, `seed`"):
        check_data(_built(*_parts(folder, **changed), CheckedImageFolder(folder / "val")))


def test_report_images_that_are_trained_on_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="images are in `train` and in `test`"):
        check_data(_built(*_parts(folder), CheckedImageFolder(folder / "train")))


def test_classes_that_are_numbered_differently_are_refused_where_a_loss_reads_them(folder: Path) -> None:
    for image in (folder / "val" / "ant").iterdir():
        image.unlink()
    (folder / "val" / "ant").rmdir()
    test = CheckedImageFolder(folder / "val")
    with pytest.raises(
        ConfigError, match=r"`train` has 2 classes, `test` 1, numbered differently \(not in both: ant\)"
    ):
        check_data(_built(*_parts(folder), test))
    check_data(_built(*_parts(folder), test, {}))


def test_a_loss_that_reads_labels_which_are_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="the loss reads labels, `train` has none"):
        check_data(_built(HeldOut(folder / "train", labelled=False), HeldOut(folder / "val", "selection"), None))
