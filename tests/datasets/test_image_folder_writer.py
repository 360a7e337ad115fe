"""Laws of writing the synthetic pictures to disk."""

import numpy as np
import pytest
from PIL import Image

from sc2_spic_plugin.datasets import CheckedImageFolder, SyntheticImages, write_image_folder
from sc2_spic_plugin.errors import ConfigError, DataError

COUNTS = {"train": 3, "val": 2}


def write(root, seed: int = 0):
    return write_image_folder(root, COUNTS, size=16, num_classes=4, seed=seed)


def times(root) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*.png")}


def test_the_folder_holds_the_same_pixels_and_targets_as_the_data_set(tmp_path):
    root = write(tmp_path / "set")
    for split, count in COUNTS.items():
        folder, dataset = CheckedImageFolder(root / split), SyntheticImages(split, count, 16, 4)
        assert folder.classes == dataset.classes and sorted(folder.ids) == sorted(dataset.ids)
        for image_id, (image, target) in zip(folder.ids, folder, strict=True):
            index = dataset.ids.index(image_id)
            assert np.array_equal(np.asarray(image), dataset.pixels(index)) and target == dataset.targets[index]
    assert sorted(entry.name for entry in root.iterdir()) == [".synthetic.json", "train", "val"]


def test_a_complete_folder_is_left_alone_and_other_parameters_rewrite_it(tmp_path):
    root = write(tmp_path / "set")
    before = times(root)
    write(root)
    assert times(root) == before
    write(root, seed=1)
    assert set(times(root)) == set(before) and times(root) != before
    write_image_folder(root, {"val": 1}, size=16, num_classes=4)
    assert len(times(root)) == 4 and not (root / "train").exists()


@pytest.mark.parametrize("damage", ["image missing", "extra image", "no finish", "marker unreadable"])
def test_a_half_written_folder_is_written_anew(tmp_path, damage):
    root = write(tmp_path / "set")
    image, marker = next(root.rglob("*.png")), root / ".synthetic.json"
    if damage == "image missing":
        image.unlink()
    elif damage == "extra image":
        image.with_name("extra.png").write_bytes(image.read_bytes())
    elif damage == "no finish":
        marker.write_text(marker.read_text().replace("true", "false"))
    else:
        marker.write_text("{")
    before = times(root)
    write(root)
    assert times(root) != before and len(times(root)) == 20


def test_an_interruption_leaves_a_folder_that_the_next_call_completes(tmp_path, monkeypatch):
    def interrupted(path, dataset):
        path.mkdir()
        Image.fromarray(dataset.pixels(0)).save(path / "only.png")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sc2_spic_plugin.datasets.synthetic.folder._write_split", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "set")
    assert not times(tmp_path / "set")
    assert len(times(write(tmp_path / "set"))) == 20


def test_a_folder_of_other_files_is_refused_and_untouched(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").write_bytes(b"precious")
    with pytest.raises(DataError, match="would be lost"):
        write(tmp_path / "mine")
    assert (tmp_path / "mine" / "photo.png").read_bytes() == b"precious"
    with pytest.raises(DataError, match="is a file"):
        write(tmp_path / "mine" / "photo.png")
    with pytest.raises(ConfigError, match="Did you mean `train`"):
        write_image_folder(tmp_path / "new", {"trian": 1})
