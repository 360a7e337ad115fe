"""Making shipped configs small, in one place: no downloads, stubs for the data sets that are absent, tiny images."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import sc2_spic_plugin.datasets as datasets
from sc2_spic_plugin.configs import config_root, list_configs, render_config
from sc2_spic_plugin.configs.plain import load_plain
from sc2_spic_plugin.configs.render import is_sweep
from sc2_spic_plugin.datasets import PairDataset
from sc2_spic_plugin.training.build import BuiltConfig

NAMES = [name for name in list_configs() if not name.startswith(("suites/", "search/"))]
SWEEPS = [name for name in NAMES if is_sweep(Path(name))]
CONFIGS = [name for name in NAMES if name not in SWEEPS]
SUITES = [name for name in list_configs() if name.startswith("suites/")]
SIDE = 64
STUBBED = ("PairFolder", "CocoSegmentation", "VocSegmentation")


def text_of(name: str) -> str:
    return (config_root() / name).read_text()


def segments(text: str) -> bool:
    return "spic_pair_collate" in text


class TinyPairs(PairDataset):
    """Six random images, whose masks show every class in turn; stands in for a data set that is not here."""

    def __init__(self, classes: int, transforms: Any, labelled: bool) -> None:
        super().__init__(transforms, labelled)
        self.classes = [f"class {index}" for index in range(classes)]
        self.ids = [f"{index}.png" for index in range(6)]

    def image(self, index: int) -> Image.Image:
        return Image.fromarray(np.random.default_rng(index).integers(0, 255, (SIDE, SIDE + 16, 3), dtype=np.uint8))

    def mask(self, index: int) -> Image.Image:
        labels = np.resize(np.arange(len(self.classes), dtype=np.uint8), (SIDE, SIDE + 16))
        return Image.fromarray(np.roll(labels, index))


def stub_data_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the sets of pairs by tiny ones; the arguments must be those of the real ones."""

    def stub(real: Callable[..., Any]) -> Callable[..., TinyPairs]:
        def build(**kwargs: Any) -> TinyPairs:
            given = inspect.signature(real).bind(**kwargs).arguments
            return TinyPairs(len(given.get("classes", range(21))), given.get("transforms"), given.get("labelled", True))

        return build

    for name in STUBBED:
        monkeypatch.setattr(datasets, name, stub(getattr(datasets, name)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image folder with train/CLASS and val/CLASS."""
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 2)):
        for name in ("cat", "dog"):
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = rng.integers(0, 255, (SIDE, SIDE + 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{index}.png")
    return root


def without_weights(text: str) -> str:
    """Returns a config that downloads nothing and asks for no checkpoint; heads stay as the weights have them."""
    text = re.sub(r"^( *)weights: 'COCO_\w+'", r"\1weights:\n\1weights_backbone:\n\1aux_loss: True", text, flags=re.M)
    text = re.sub(r"weights: 'IMAGENET\w+'", "weights:", text)
    return re.sub(r"(src_ckpt|published_table): .*", r"\1:", text)


def small_pairs(text: str) -> str:
    """Returns a segmentation config whose images are brought to small sizes, and whose released unit has no table."""
    for pattern, value in (
        (r"\[180, 240\]", f"[{SIDE}, {SIDE + 16}]"),
        (r"\[3, \d+, \d+\]", f"[3, {SIDE}, {SIDE}]"),
        (r"size: (&\w+ )?513", rf"size: \g<1>{SIDE}"),
        (r"min_size: \d+", f"min_size: {SIDE}"),
        (r"max_size: \d+", f"max_size: {SIDE + 8}"),
    ):
        text = re.sub(pattern, value, text)
    return text


def small_values(text: str, folder: Path) -> dict[str, Any]:
    """What makes the rest of a config small, for as many of these paths as it has."""
    wanted: dict[str, Any] = {"models.model.kwargs.input_size": [3, SIDE, SIDE]}
    for data in ("ilsvrc2012", "imagenette", "synthetic", "scenes"):
        transform = "init.kwargs.transform.init.kwargs.transforms.0.init.kwargs.size"
        if not segments(text):
            wanted |= {f"datasets.{data}/{part}._root": str(folder) for part in ("train", "val")}
            wanted[f"datasets.{data}/val.init.kwargs.root"] = str(folder / "val")
        wanted |= {f"datasets.{data}/{part}.{transform}": SIDE for part in ("train", "held_out", "val")}
        wanted |= {
            f"datasets.{data}/train.init.kwargs.root.init.kwargs.samples_per_class": 8,
            f"datasets.{data}/val.init.kwargs.samples_per_class": 1,
            f"datasets.{data}/train.init.kwargs.root.init.kwargs.samples": 12,
            f"datasets.{data}/val.init.kwargs.samples": 3,
        }
    for stage in ("stage1", "stage2"):
        for loader in ("train", "val"):
            where = f"train.{stage}.{loader}_data_loader.kwargs"
            wanted |= {f"{where}.batch_size": 2, f"{where}.num_workers": 0}
    wanted["test.test_data_loader.kwargs.num_workers"] = 0
    plain = load_plain(text)
    return {path: value for path, value in wanted.items() if _has(plain, path)}


def _has(node: Any, path: str) -> bool:
    for key in path.split("."):
        if isinstance(node, list):
            node = node[int(key)] if int(key) < len(node) else None
        else:
            node = node.get(key) if isinstance(node, dict) else None
        if node is None:
            return False
    return True


def small_text(name: str, folder: Path) -> str:
    """Returns a shipped config, made small."""
    text = without_weights(text_of(name))
    text = small_pairs(text) if segments(text) else text
    return render_config(text, small_values(text, folder))


def step(built: BuiltConfig) -> float:
    """Builds the hosts' box, with every hook and loss of the first stage, and returns the loss of one batch."""
    from torchdistill.core.distillation import get_distillation_box
    from torchdistill.core.training import get_training_box

    rest = (built.datasets, built.config["train"], torch.device("cpu"), None, False, 1)
    box = (
        get_training_box(built.model, *rest)
        if built.teacher is None
        else get_distillation_box(built.teacher, built.model, *rest)
    )
    box.pre_epoch_process(epoch=0)
    images, targets, supplement = next(iter(box.train_data_loader))
    loss = box.forward_process(images, targets, supplement)
    loss.backward()
    box.clean_modules()
    return float(loss.detach())


@torch.inference_mode()
def run_test_image(built: BuiltConfig) -> Any:
    """Returns the output of a model that is not trained, for the first image of the test loader."""
    from torchdistill.datasets.util import build_data_loader

    config = built.config["test"]["test_data_loader"]
    loader = build_data_loader(built.datasets[config["dataset_id"]], config, False)
    images, _ = next(iter(loader))
    return built.model.eval()(images)
