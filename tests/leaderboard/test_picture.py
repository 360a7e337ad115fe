"""Laws of the pictures of one coded image: what they show is what was coded, and nothing overlaps."""

from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_parts import make_images, make_network, make_split, observe
from torchvision.transforms import Compose, Normalize, Resize, ToTensor

from sc2_spic_plugin.datasets import PairCompose, PairNormalize, PairToTensor
from sc2_spic_plugin.datasets.segmentation import VOC_CLASSES
from sc2_spic_plugin.errors import ConfigError, DataError, TableError
from sc2_spic_plugin.leaderboard.picture import (
    Comparison,
    code_image,
    draw_comparison,
    network_input,
    visible_image,
)
from sc2_spic_plugin.leaderboard.picture.classes import draw_classes, first_classes
from sc2_spic_plugin.leaderboard.picture.colours import SIGNAL
from sc2_spic_plugin.leaderboard.picture.segments import difference_image, draw_segments, label_image
from sc2_spic_plugin.runtime.answers import label_colours

NORM = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def photograph(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def comparison(before: np.ndarray, after: np.ndarray, size: tuple[int, int] = (64, 64), **kwargs: Any) -> Comparison:
    sizes = {"code_bytes": 33, "payload_bytes": 34, "bits_per_image_pixel": 0.0664}
    known = {**sizes, "classes": VOC_CLASSES, "name": "cat.png", "method": "SPIC", "unit": "u1", "cut": "layer4"}
    return Comparison(image=photograph(*size), before=before, after=after, **{**known, **kwargs})


def label_maps(size: tuple[int, int], classes: int = 21) -> tuple[np.ndarray, np.ndarray]:
    """Vertical stripes, and the same moved by two pixels."""
    stripes = np.broadcast_to(np.arange(size[1]) * classes // size[1], size)
    return stripes, np.roll(stripes, 2, axis=1)


def probabilities(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(count, 0.4))


LONG = "a name that is far longer than any column of any picture could ever be asked to hold, and then some more of it"
PAGES = {
    "few classes": comparison(probabilities(3, 0), probabilities(3, 1)),
    "long names": comparison(probabilities(9, 0), probabilities(9, 1), classes=[LONG] * 9, name=LONG, unit=LONG),
    "a tall photograph": comparison(probabilities(1000, 0), probabilities(1000, 1), (90, 20), bypassed=True),
    "a square map": comparison(*label_maps((60, 60)), size=(60, 60)),
    "a wide map": comparison(*label_maps((50, 100), 3), size=(50, 100), bypassed=True),
    "a tall map": comparison(*label_maps((90, 20), 5), size=(90, 20), name=LONG),
    "a narrow map": comparison(*label_maps((200, 8), 2), size=(200, 8), classes=[LONG] * 2),
    "a large map": comparison(*label_maps((500, 700), 7), size=(500, 700), classes=[]),
}


@pytest.mark.parametrize("page", PAGES)
def test_all_text_lies_on_the_page_and_none_on_another(page: str) -> None:
    shown = PAGES[page]
    canvas = (draw_classes if shown.task == "classification" else draw_segments)(shown)
    renderer = canvas.figure.canvas.get_renderer()
    texts = [text for owner in (canvas.figure, *canvas.figure.axes) for text in owner.texts]
    boxes = [text.get_window_extent(renderer) for text in texts]
    whole = canvas.figure.bbox
    assert len(texts) >= 6
    for text, box in zip(texts, boxes, strict=True):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= whole.x1 and box.y1 <= whole.y1, text.get_text()
    overlapping = [(one.get_text(), other.get_text()) for (one, a), (other, b) in
                   combinations(zip(texts, boxes, strict=True), 2) if a.overlaps(b)]  # fmt: skip
    assert overlapping == []
    written = " ".join(text.get_text() for text in texts)
    assert "Payload 34 bytes" in written and "0.0664 bits per image pixel" in written
    assert ("bypassed" in written) == shown.bypassed


def test_a_class_has_one_colour_in_both_lists() -> None:
    shown = PAGES["few classes"]
    bars = [patch for patch in draw_classes(shown).figure.artists if patch.get_width() and patch.get_linewidth() == 0]
    colours = [patch.get_facecolor() for patch in bars[1::2]]
    order = [*first_classes(shown.before), *first_classes(shown.after)]
    assert len(colours) == 6 and len(set(colours)) == 3
    assert all((colours[i] == colours[j]) == (order[i] == order[j]) for i, j in combinations(range(6), 2))


def test_the_first_classes_are_the_most_probable_ones() -> None:
    values = probabilities(50, 2)
    first = first_classes(values)
    assert len(first) == 5 and all(values[a] >= values[b] for a, b in pairwise(first))
    assert min(values[first]) >= max(np.delete(values, first))


def test_the_difference_marks_the_differing_pixels_and_no_others() -> None:
    before, after = label_maps((60, 60))
    shown = comparison(before, after, (60, 60))
    marked = (difference_image(shown) == SIGNAL).all(axis=2)
    assert np.array_equal(marked, before != after) and marked.any()
    assert shown.agreement == pytest.approx(np.mean(before == after))
    unmarked = difference_image(shown)[~marked]
    assert unmarked.max() < np.dot(SIGNAL, (0.299, 0.587, 0.114)) - 40, "seen in grey too"


def test_label_colours_are_those_of_voc_and_all_different() -> None:
    colours = label_colours(256)
    assert len(np.unique(colours, axis=0)) == 256
    assert colours[[0, 1, 2, 15, 20]].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [192, 128, 128], [0, 64, 128]]


def test_a_map_is_drawn_in_its_classes_colours_with_a_line_between() -> None:
    labels = np.zeros((500, 500), np.int64)
    labels[:, 250:] = 15
    pixels = label_image(labels, label_colours(16))
    assert pixels[7, 0].tolist() == [0, 0, 0] and pixels[7, 499].tolist() == [192, 128, 128]
    assert (pixels[:, 250] == 255).all() and (pixels == 255).all(axis=2).sum() == 500


def test_the_same_comparison_is_the_same_png(tmp_path: Path) -> None:
    for name in ("few classes", "a tall map"):
        one, other = (draw_comparison(PAGES[name], tmp_path / f"{name}{i}.png").read_bytes() for i in range(2))
        assert one == other and one.startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match=r"written as \.png"):
        draw_comparison(PAGES["few classes"], tmp_path / "page.jpg")


def test_outputs_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(DataError, match="cannot be compared"):
        comparison(probabilities(3, 0), probabilities(4, 0))
    with pytest.raises(DataError, match="does not lie on an image"):
        comparison(*label_maps((32, 32)))


def test_a_sentence_tells_the_first_classes_and_what_bypasses() -> None:
    shown = comparison(np.array([0.9996, 0.0004, 0]), np.array([0.25, 0.75, 0]), classes=["cat", "dog"], bypassed=True)
    assert shown.sentence.endswith("top-1 differs (cat 99.9 %, then dog 75.0 %), bypassed")
    assert shown.class_name(2) == "class 2"
    assert comparison(*label_maps((64, 64), 1)).verdict == "100.0 % of pixels agree"


def test_what_is_shown_comes_from_the_original_network_and_from_the_bytes() -> None:
    model = make_split()
    observe(model, make_images(8))
    image = make_images(1, seed=5)
    coded = code_image(model, None, image)
    original = make_network().eval()
    with torch.no_grad():
        assert np.allclose(coded.before, original(image)[0].softmax(0).numpy(), atol=1e-5)
        encoded = model.encode_batch(image)
        decoded = model.decode([encoded.payloads], encoded.latent_size)
    assert np.array_equal(coded.after, decoded[0].softmax(0).numpy()) and not np.allclose(coded.after, coded.before)
    assert coded.sizes.payload_bytes == len(encoded.payloads[0])
    assert coded.sizes.code_bytes == encoded.code_bytes[0] == coded.sizes.payload_bytes - 1


def test_models_that_send_nothing_or_were_never_calibrated_are_refused() -> None:
    image = make_images(1)
    with pytest.raises(ConfigError, match="no original network"):
        code_image(make_network(), None, image)
    with pytest.raises(ConfigError, match="sends no bytes"):
        code_image(make_network(), make_network(1), image)
    with pytest.raises(TableError, match="calibrate"):
        code_image(make_split(), None, image)


class Prepared:
    """A data set as far as a picture looks at it."""

    def __init__(self, transform: Any = None, transforms: Any = None) -> None:
        self.transform, self.transforms = transform, transforms


SINGLE = Prepared(Compose([Compose([ToTensor()]), Normalize(*NORM)]))
JOINT = Prepared(transforms=PairCompose([PairToTensor(), PairNormalize(*NORM)]))


@pytest.mark.parametrize("dataset", [SINGLE, JOINT, Prepared(ToTensor())], ids=["single", "joint", "plain"])
def test_the_shown_image_is_the_networks_input_with_the_normalisation_taken_back(dataset: Prepared) -> None:
    pixels = photograph(20, 30)
    tensor = network_input(dataset, Image.fromarray(pixels))
    assert tensor.shape == (3, 20, 30) and np.array_equal(visible_image(dataset, tensor), pixels)


def test_a_data_set_that_makes_no_tensors_is_refused() -> None:
    for dataset in (Prepared(), Prepared(Resize(8))):
        with pytest.raises(ConfigError, match="makes no tensors"):
            network_input(dataset, Image.fromarray(photograph(20, 30)))
