"""Laws of the COCO set: which object owns a pixel, which images are kept, and what is said of missing parts."""

import ast
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from docstring_yaml import build_from_docstring
from PIL import Image

from sc2_spic_plugin.datasets import VOC_CLASSES, CocoSegmentation, PairToTensor
from sc2_spic_plugin.datasets.segmentation import coco as coco_module
from sc2_spic_plugin.errors import ConfigError, DataError

pytest.importorskip("pycocotools")
HEIGHT, WIDTH = 40, 60
PERSON, CAR, TRUCK, DOG = 1, 3, 8, 18
"""COCO's categories; a truck is none of VOC's classes."""


def box(left, top, right, bottom):
    return [left, top, right, top, right, bottom, left, bottom]


def run_lengths(mask):
    """COCO's own form of a crowd: run lengths down the columns, zeros first."""
    flat = mask.ravel(order="F").astype(int)
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *ends, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": runs if flat[0] == 0 else [0, *runs]}


CROWD = np.zeros((HEIGHT, WIDTH), dtype=bool)
CROWD[20:, 30:] = True
IMAGES = {
    30: [(CAR, [box(0, 0, 20, 10)]), (PERSON, [box(10, 0, 40, 30), box(50, 0, 60, 40)]), (TRUCK, [box(0, 20, 9, 30)])],
    7: [(DOG, run_lengths(CROWD)), (PERSON, [box(10, 10, 40, 30)])],
    12: [(PERSON, [box(0, 0, 40, 25)])],  # 1000 pixels: not more than 1000
    13: [(PERSON, [box(0, 0, 40, 25)]), (CAR, [box(0, 25, 1, 26)])],  # 1001
    14: [(TRUCK, [box(0, 0, 60, 40)])],
    15: [],
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "coco"
    (folder / "val2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    images, annotations = [], []
    for number, objects in IMAGES.items():
        name = f"{number:012d}.jpg"
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), number * 5, dtype=np.uint8)).save(folder / "val2017" / name)
        images.append({"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH})
        for category, segmentation in objects:
            crowd = int(isinstance(segmentation, dict))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": category,
                    "iscrowd": crowd,
                    "segmentation": segmentation,
                    "area": 1.0,
                }
            )
    content = {"images": images, "annotations": annotations, "categories": [{"id": i} for i in (1, 3, 8, 18)]}
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    return folder


def test_images_of_more_than_the_least_labelled_pixels_are_kept_in_the_order_of_the_file(root, capsys):
    dataset = CocoSegmentation(root)
    assert dataset.ids == [f"{number:012d}.jpg" for number in (30, 7, 13)]
    assert dataset.classes == list(VOC_CLASSES) and capsys.readouterr().out == ""
    assert dataset[1][0].getpixel((5, 5)) == (35, 35, 35)
    assert len(CocoSegmentation(root, minimum_pixels=999)) == 4
    assert len(CocoSegmentation(root, minimum_pixels=None)) == 6


def test_a_pixel_belongs_to_the_first_annotation_that_claims_it_and_foreign_categories_to_none(root):
    dataset = CocoSegmentation(root, transforms=PairToTensor())
    car, person, dog = (VOC_CLASSES.index(name) for name in ("car", "person", "dog"))
    expected = np.zeros((HEIGHT, WIDTH), dtype=int)
    expected[:30, 10:40] = person
    expected[:, 50:] = person
    expected[:10, :20] = car
    assert np.array_equal(dataset[0][1], expected)
    expected[:] = 0
    expected[10:30, 10:40] = person
    expected[CROWD] = dog
    assert np.array_equal(dataset[1][1], expected)


def test_run_lengths_may_be_compressed_already(root):
    from pycocotools import mask as masks

    path = root / "annotations" / "instances_val2017.json"
    content = json.loads(path.read_text())
    (crowd,) = (found for found in content["annotations"] if found["iscrowd"])
    before = np.asarray(CocoSegmentation(root)[1][1])
    packed = masks.encode(np.asfortranarray(CROWD.astype(np.uint8)))
    crowd["segmentation"] = {"size": packed["size"], "counts": packed["counts"].decode()}
    path.write_text(json.dumps(content))
    assert np.array_equal(CocoSegmentation(root)[1][1], before)


def test_the_list_is_made_once_outside_the_data_set_and_anew_when_annotations_or_rule_change(
    root, tmp_path, monkeypatch
):
    files = sorted(path for path in root.rglob("*"))
    calls = []
    draw = coco_module.draw_mask
    monkeypatch.setattr(coco_module, "draw_mask", lambda *arguments: calls.append(1) or draw(*arguments))
    ids = CocoSegmentation(root).ids
    assert len(calls) == 6 and CocoSegmentation(root).ids == ids and len(calls) == 6
    assert sorted(path for path in root.rglob("*")) == files
    (kept,) = (tmp_path / "cache" / "sc2_spic_plugin").iterdir()
    assert kept.name.startswith("coco2017-val-")
    CocoSegmentation(root, cache=tmp_path / "elsewhere")
    assert len(calls) == 12 and len(list((tmp_path / "elsewhere").iterdir())) == 1
    for damage in (kept.read_text()[:-9], kept.read_text().replace('"annotations": "', '"annotations": "0'), "[]"):
        kept.write_text(damage)
        calls.clear()
        assert CocoSegmentation(root).ids == ids and len(calls) == 6
    path = root / "annotations" / "instances_val2017.json"
    content = json.loads(path.read_text())
    content["annotations"] = [found for found in content["annotations"] if found["image_id"] != 30]
    path.write_text(json.dumps(content))
    assert CocoSegmentation(root).ids == ids[1:]


def test_a_cache_that_cannot_be_written_is_only_a_warning(root, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="Give another folder as `cache`"):
        assert len(CocoSegmentation(root, cache=tmp_path / "file")) == 3


def test_without_labels_nothing_is_drawn(root, monkeypatch):
    CocoSegmentation(root)
    monkeypatch.setattr(coco_module, "draw_mask", None)
    blind = CocoSegmentation(root, labelled=False, transforms=PairToTensor())
    assert blind[0][1].unique().tolist() == [255]


def test_missing_or_truncated_annotations_are_refused_saying_what_to_fetch(root):
    path = root / "annotations" / "instances_val2017.json"
    for damage in (path.read_text()[:200], '{"images": [{}], "annotations": []}', "[]"):
        path.write_text(damage)
        with pytest.raises(
            DataError, match=r"cannot be read .* Fetch .*annotations_trainval2017\.zip and unpack it in"
        ):
            CocoSegmentation(root)
    path.write_text("{}")
    with pytest.raises(DataError, match="name no image"):
        CocoSegmentation(root)
    path.unlink()
    with pytest.raises(DataError, match=r"instances_val2017\.json` are missing\. Fetch"):
        CocoSegmentation(root)
    with pytest.raises(DataError, match="does not exist"):
        CocoSegmentation(root / "absent")


def test_missing_images_are_refused_and_both_usual_layouts_are_found(root):
    (root / "images").mkdir()
    shutil.move(root / "val2017", root / "images" / "val2017")
    assert len(CocoSegmentation(root)) == 3
    (root / "images" / "val2017" / f"{7:012d}.jpg").unlink()
    with pytest.raises(
        DataError, match=r"1 of 3 images of COCO val2017 are missing .*000007\.jpg`\. Fetch .*val2017\.zip"
    ):
        CocoSegmentation(root)
    shutil.rmtree(root / "images")
    with pytest.raises(DataError, match="3 of 3 images"):
        CocoSegmentation(root)
    with pytest.raises(DataError, match="lower `minimum_pixels`"):
        CocoSegmentation(root, minimum_pixels=10**6)
    with pytest.raises(ConfigError, match="Did you mean `val`"):
        CocoSegmentation(root, split="vall")


def test_the_yaml_in_the_docstring_builds_the_set(root, tmp_path):
    (dataset,) = build_from_docstring(CocoSegmentation, tmp_path, "resource/dataset/coco2017", root)
    assert len(dataset) == 3 and dataset[0][1].dtype == torch.int64


def test_an_image_of_another_size_than_its_annotations_is_refused(root):
    Image.new("RGB", (WIDTH, HEIGHT + 1)).save(root / "val2017" / f"{30:012d}.jpg")
    with pytest.raises(DataError, match="60 x 40 pixels, its image 60 x 41"):
        CocoSegmentation(root)[0]


def test_pycocotools_is_imported_only_when_needed_and_its_absence_says_how_to_install_it(root, monkeypatch):
    for path in Path(coco_module.__file__).parent.glob("*.py"):
        top_level = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not any(ast.unparse(node).startswith(("import pycoco", "from pycoco")) for node in top_level)
    for name in ("pycocotools", "pycocotools.coco", "pycocotools.mask"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"pip install sc2-spic-plugin\[coco\]"):
        CocoSegmentation(root)
