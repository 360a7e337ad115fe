"""Laws of the feature store: training from it is training from the images, and a foreign or broken one is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_parts import TinyImages, assert_same, make_network, make_student, supervised_stage, unsupervised_stage
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.datasets import ImageFolder

from sc2_spic_plugin.datasets import PairFolder
from sc2_spic_plugin.errors import CheckpointError, ConfigError, DataError
from sc2_spic_plugin.training import SpicModel
from sc2_spic_plugin.training.build import BuiltConfig, seed_everything
from sc2_spic_plugin.training.calibrate import calibrate
from sc2_spic_plugin.training.loop import train
from sc2_spic_plugin.training.store import EarlierStore, FeatureStore, build_store, building, plan_store, subset
from sc2_spic_plugin.training.store.building import _data_digest
from sc2_spic_plugin.training.store.description import StoreDescription

DEVICE = torch.device("cpu")
UNITS = {"low": {"latent_channels": 3, "rate_weight": 4.0}, "high": {"latent_channels": 6, "rate_weight": 0.5}}


class Shifted(Dataset):
    """Images that move at random: a transform that draws."""

    def __init__(self, count: int = 24, size: int = 32) -> None:
        self.images = TinyImages(count, size)
        self.ids, self.transform = self.images.ids, "shift"

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, target = self.images[index]
        return torch.roll(image, int(torch.randint(8, ())), dims=2), target


def make_bank(cut: str = "layer2", **kwargs: Any) -> SpicModel:
    network = make_network()
    torch.manual_seed(3)
    return SpicModel(network, cut, units=UNITS, input_size=(3, 32, 32), **kwargs)


def make_store(
    folder: Path,
    model: SpicModel,
    train_images: Any = None,
    views: int = 2,
    labelled: bool = True,
    source: Path | None = None,
    **options: Any,
) -> Path:
    images = train_images or Shifted()
    datasets = {"train": images, "selection": TinyImages(8, seed=1), "calibration": TinyImages(24)}
    described = {name: {"key": name, "root": "somewhere"} for name in datasets}
    earlier = None if source is None else EarlierStore(source, model)
    plan = plan_store(model, datasets, described, views, labelled, earlier=earlier, **options)
    build_store(model, plan, folder)
    return folder


def trained(model: SpicModel, data: dict[str, Any], config: dict[str, Any], out: Path) -> dict[str, Tensor]:
    seed_everything(0)
    train(BuiltConfig(Path("tiny.yaml"), {"train": config}, data, model, None, DEVICE), out)
    return dict(model.state_dict())


def stored(folder: Path) -> dict[str, FeatureStore]:
    return {"train": FeatureStore(folder, "train"), "held_out": FeatureStore(folder, "selection")}


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "SHARD_BYTES", 40_000)  # a few rows each


@pytest.mark.parametrize("supervised", [True, False], ids=["supervised", "unsupervised"])
def test_training_from_the_store_is_training_from_the_images(
    supervised: bool, tmp_path: Path, small_shards: None
) -> None:
    config = supervised_stage(epochs=2) if supervised else unsupervised_stage(epochs=2)
    options = {} if supervised else {"distills": True}
    images = TinyImages(24)
    folder = make_store(tmp_path / "store", make_bank(**options), images, views=1, labelled=supervised)
    assert len(list((folder / "train").iterdir())) > 2
    one = trained(make_bank(**options), {"train": images, "held_out": TinyImages(8, seed=1)}, config, tmp_path / "a")
    other = trained(make_bank(**options), stored(folder), config, tmp_path / "b")
    assert list(one) == list(other)
    for key, value in one.items():  # half precision of the features is all that differs
        if value.is_floating_point() and "histogram" not in key and "counts" not in key:
            assert torch.allclose(value, other[key], rtol=2e-2, atol=2e-3), key


def test_the_front_end_does_not_run_when_features_are_stored(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store", make_bank(distills=True))
    model = make_bank(distills=True)

    def refuse(*_: Any) -> None:
        raise AssertionError("the front-end ran")

    model.front_end.forward = refuse  # type: ignore[method-assign]
    trained(model, stored(folder), unsupervised_stage(), tmp_path / "run")
    calibrate(model, DataLoader(FeatureStore(folder).for_calibration(), 8), DEVICE)
    batch, _ = next(iter(DataLoader(FeatureStore(folder, "selection"), 8)))
    assert {name: answer.shape for name, answer in model.eval().answers(batch)} == dict.fromkeys(UNITS, (8, 8))


def test_tables_counted_from_the_store_are_those_of_the_images(tmp_path: Path) -> None:
    model = make_bank()
    folder = make_store(tmp_path / "store", model)
    calibrate(model, DataLoader(TinyImages(24), 8), DEVICE)
    expected = {key: value.clone() for key, value in model.state_dict().items() if "tables" in key}
    assert calibrate(model, DataLoader(FeatureStore(folder).for_calibration(), 8), DEVICE) == 24
    for key, value in expected.items():
        if "assignment" not in key and "frequencies" not in key:
            assert torch.equal(value, model.state_dict()[key])
    coders = {name: tables.coder.digest for name, tables in model.tables.items()}
    assert len(coders) == 2


def test_views_differ_and_each_image_keeps_its_label(tmp_path: Path, small_shards: None) -> None:
    folder = make_store(tmp_path / "store", make_bank(), views=3)
    store = FeatureStore(folder)
    assert len(store) == 24 and store.about.rows == 72
    rows = [[store.row(view * 24 + image) for view in range(3)] for image in range(24)]
    for image, views in enumerate(rows):
        assert [int(target) for _, target in views] == [image % 8] * 3
    different = [not torch.equal(views[0][0].features, views[1][0].features) for views in rows]
    assert sum(different) > 12
    torch.manual_seed(0)
    drawn = torch.stack([store[0][0].features for _ in range(12)])
    assert len(torch.unique(drawn.flatten(1), dim=0)) == len(
        torch.unique(torch.stack([each.features for each, _ in rows[0]]).flatten(1), dim=0)
    )


def test_a_store_carried_on_has_the_later_features_of_the_same_views(tmp_path: Path, small_shards: None) -> None:
    early = make_store(tmp_path / "early", make_bank("layer1", distills=True))
    model = make_bank("layer3", distills=True)

    class Unread(Shifted):
        asked = 0

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            Unread.asked += 1
            return super().__getitem__(index)

    late = make_store(tmp_path / "late", model, Unread(), source=early)
    assert Unread.asked == 1  # what a row takes is seen on one image
    assert StoreDescription.load(late).carried_from == ["layer1"]
    network = make_network().eval()
    for part in ("train", "selection", "calibration"):
        before, after = FeatureStore(early, part), FeatureStore(late, part)
        assert after.about.rows == before.about.rows > 0 and after.about.rows_per_shard != before.about.rows_per_shard
        for row in range(after.about.rows):
            (source, one), (carried, other) = before.row(row), after.row(row)
            assert int(one) == int(other)
            assert_same(source.original, carried.original)
            with torch.no_grad():
                expected = network.layer3(network.layer2(source.features.float()[None]))[0]
            assert torch.allclose(carried.features.float(), expected, rtol=2e-3, atol=1e-4)
    trained(model, stored(late), unsupervised_stage(), tmp_path / "run")
    again = make_store(tmp_path / "again", make_bank("layer2"), views=1, labelled=False, source=early)
    assert FeatureStore(again).about.outputs == [] and int(FeatureStore(again)[0][1]) == -1
    last = make_store(tmp_path / "last", make_bank("layer3"), views=1, labelled=False, source=again)
    assert StoreDescription.load(last).carried_from == ["layer1", "layer2"]


def test_a_store_that_cannot_be_carried_on_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    early = make_store(tmp_path / "early", make_bank(), labelled=False)
    cases: list[tuple[str, Any, dict[str, Any], str]] = [
        ("views", make_bank("layer3"), {"views": 3}, "views of part `train` differ or are missing there"),
        ("labels", make_bank("layer3"), {"labelled": True}, "labels of part `train`, labels of part `selection`"),
        ("outputs", make_bank("layer3", distills=True), {}, "outputs output of part `train`"),
        ("images", make_bank("layer3"), {"train_images": Shifted(16)}, "images of part `train`"),
        ("seed", make_bank("layer3"), {"seed": 3, "precision": "bf16"}, "precision, seed differ"),
        ("same", make_bank("layer2"), {}, "is one of `layer2` already: use it as it is"),
        ("before", make_bank("layer1"), {}, r"`layer2` of the store .* must lie before `layer1`"),
    ]
    for name, model, options, message in cases:
        with pytest.raises(ConfigError, match=message):
            make_store(tmp_path / name, model, source=early, **{"labelled": False, **options})
        assert not (tmp_path / name).exists()
    with pytest.raises(CheckpointError, match="another network"):
        make_store(tmp_path / "network", make_student(cut="layer3", seed=5), source=early)
    (early / "selection" / "000000.safetensors").unlink()
    with pytest.raises(DataError, match="files of part `selection` are missing"):
        make_store(tmp_path / "unfinished", make_bank("layer3"), labelled=False, source=early)


def test_without_labels_none_can_be_read(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store", make_bank(distills=True), labelled=False)
    assert {int(FeatureStore(folder)[index][1]) for index in range(24)} == {-1}
    assert "target" not in load_file(folder / "train" / "000000.safetensors")


def test_a_build_that_was_killed_goes_on_and_ends_the_same(tmp_path: Path, small_shards: None) -> None:
    class KilledError(Exception):
        pass

    class Failing(Shifted):
        left = 30

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            Failing.left -= 1
            if Failing.left < 0:
                raise KilledError
            return super().__getitem__(index)

    model = make_bank(distills=True)
    whole = make_store(tmp_path / "whole", model)
    with pytest.raises(KilledError):
        make_store(tmp_path / "parts", model, Failing())
    with pytest.raises(DataError, match=r"files of part `train` are missing .* run the same `sc2-spic cache` command"):
        FeatureStore(tmp_path / "parts")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "parts" / "train").iterdir()}
    assert before
    make_store(tmp_path / "parts", model)
    for name, changed in before.items():
        assert (tmp_path / "parts" / "train" / name).stat().st_mtime_ns == changed
    for path in whole.rglob("*.safetensors"):
        other = tmp_path / "parts" / path.relative_to(whole)
        assert_same(load_file(path), load_file(other))


def test_a_store_of_something_else_is_refused_and_stays(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store", make_bank())
    before = (folder / "store.json").read_bytes()
    with pytest.raises(ConfigError, match="images of part `train`, data_sha256 of part `train` differ"):
        make_store(folder, make_bank(), Shifted(16))
    with pytest.raises(ConfigError, match="views of part `train` differ"):
        make_store(folder, make_bank(), views=5)
    assert (folder / "store.json").read_bytes() == before


def test_a_model_with_another_network_cut_or_size_is_refused(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store", make_bank())
    with pytest.raises(CheckpointError, match="another network"):
        trained(make_student(seed=5), stored(folder), supervised_stage(), tmp_path / "run")  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=r"another cut \(layer2, here layer3\)"):
        FeatureStore(folder).check(make_student(cut="layer3"))
    with pytest.raises(ConfigError, match="a view is 24x24, the model's input_size 32x32"):
        make_store(tmp_path / "other", make_bank(), Shifted(size=24))


def test_what_a_config_distils_from_must_be_stored(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store", make_bank())
    with pytest.raises(ConfigError, match=r"holds no `original\.output`, which this config distils from"):
        trained(make_bank(distills=True), stored(folder), unsupervised_stage(), tmp_path / "run")


def test_damage_is_named(tmp_path: Path) -> None:
    folder = make_store(tmp_path / "store", make_bank())
    shard = folder / "train" / "000000.safetensors"
    content = {key: value.clone() for key, value in load_file(shard).items()}  # not mapped any more
    whole = shard.read_bytes()
    shard.write_bytes(whole[:100])
    with pytest.raises(DataError, match="cannot be read"):
        FeatureStore(folder)[0]
    save_file({**content, "features": content["features"][:3].clone()}, shard)
    with pytest.raises(DataError, match="is not what its store says"):
        FeatureStore(folder)[0]
    with pytest.raises(DataError, match="no feature store in"):
        FeatureStore(tmp_path)
    with pytest.raises(ConfigError, match=r"no part `trian`\. Did you mean `train`"):
        FeatureStore(folder, "trian")
    description = json.loads((folder / "store.json").read_text())
    (folder / "store.json").write_text(json.dumps({**description, "format_version": 99}))
    with pytest.raises(CheckpointError, match="format version 99"):
        FeatureStore(folder)


def test_a_disk_that_is_too_small_is_said_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(DataError, match=r"needs .* GB more, .* make room, store fewer --views or a --subset"):
        make_store(tmp_path / "store", make_bank())
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_disk_that_fills_up_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_shards: None
) -> None:
    written = []

    def full(path: Path, content: bytes) -> None:
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(path)
        original(path, content)

    original = building.write_atomic
    monkeypatch.setattr(building, "write_atomic", full)
    with pytest.raises(DataError, match=r"No space left .* make room and run the same command"):
        make_store(tmp_path / "store", make_bank())
    assert all(path.is_file() for path in written)


def test_features_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    class Loud(Shifted):
        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            image, target = super().__getitem__(index)
            return image * 1e7, target

    with pytest.raises(DataError, match="do not fit half precision"):
        make_store(tmp_path / "store", make_bank(), Loud())


def test_a_subset_is_drawn_by_its_seed() -> None:
    data = TinyImages(24)
    assert subset(data, None) is data and subset(data, 99) is data
    assert subset(data, 6, 1).indices == subset(data, 6, 1).indices != subset(data, 6, 2).indices
    with pytest.raises(ConfigError, match="give 1 or more"):
        subset(data, 0)


def test_a_folder_of_torchvision_is_known_by_its_files(tmp_path: Path) -> None:
    digests = set()
    for folder, name, colour in (
        ("one", "a.png", 0),
        ("two", "a.png", 0),
        ("three", "b.png", 0),
        ("four", "a.png", None),
    ):
        pixels = Image.new("L", (8, 8), colour) if colour is not None else Image.effect_noise((8, 8), 60)
        (tmp_path / folder / "class").mkdir(parents=True)
        pixels.save(tmp_path / folder / "class" / name)
        digests.add(_data_digest(ImageFolder(str(tmp_path / folder))))
    assert len(digests) == 3


def test_pairs_are_known_by_their_images_and_masks(tmp_path: Path) -> None:
    digests = []
    for changed in (None, "images", "masks"):
        for part in ("images", "masks"):
            (tmp_path / part).mkdir(exist_ok=True)
            noisy = Image.effect_noise((8, 8), 60).point(lambda value: value % 2)
            (noisy if part == changed else Image.new("L", (8, 8))).save(tmp_path / part / "a.png")
        pairs = PairFolder(tmp_path, classes=["x", "y"])
        digests.append(_data_digest(pairs))
        assert _data_digest(Subset(pairs, [0])) == digests[-1]
    assert len(set(digests)) == 3


def test_outputs_of_the_original_beyond_half_precision_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`original\.output` do not fit half precision"):
        building._write(
            tmp_path / "x", {"features": torch.zeros(1), "original.output": torch.tensor([1e9]).half()}, tmp_path
        )
    assert not list(tmp_path.iterdir())
