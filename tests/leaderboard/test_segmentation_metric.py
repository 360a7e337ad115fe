"""Laws of the mean IoU: an independent count agrees, void counts for nothing, no image is lost, absence is said."""

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sc2bench.models.segmentation.wrapper import CodecInputCompressionSegmentationModel
from tiny_parts import make_images
from tiny_segmenter import TinyPairs, make_host_segmenter
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sc2_spic_plugin.datasets import VOID_LABEL, spic_pair_collate
from sc2_spic_plugin.errors import DataError
from sc2_spic_plugin.leaderboard import PerImageOverlap, read_overlap_csv, write_per_image_csv
from sc2_spic_plugin.leaderboard.evaluation.model import evaluate
from sc2_spic_plugin.leaderboard.evaluation.overlap import ClassOverlaps, count_overlaps
from sc2_spic_plugin.leaderboard.evaluation.segmentation_metric import SegmentationEvaluation, SegmentationMetric

CPU = torch.device("cpu")
CLASSES = ["sky", "road", "car", "pole"]


def random_masks(count: int, height: int = 12, width: int = 10, seed: int = 0, classes: int = 4) -> Tensor:
    """Masks with void pixels; the highest class is rare."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4 * classes - 3, (count, height, width), generator=generator) // 4
    labels[torch.rand(labels.shape, generator=generator) < 0.1] = VOID_LABEL
    return labels


def reference_iou(predictions: list[np.ndarray], masks: list[np.ndarray], classes: int) -> list[float]:
    """IoU per class over all images, pixel by pixel; NaN where there is nothing to divide by."""
    both, either = [0] * classes, [0] * classes
    for prediction, mask in zip(predictions, masks, strict=True):
        for given_class, label in zip(prediction.reshape(-1).tolist(), mask.reshape(-1).tolist(), strict=True):
            if label == 255:
                continue
            for each in {given_class, label}:
                either[each] += 1
            if given_class == label:
                both[label] += 1
    return [one / all_ if all_ else float("nan") for one, all_ in zip(both, either, strict=True)]


class Shades(nn.Module):
    """Logits per pixel from the colour of that pixel alone, so that padding changes no other pixel."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Conv2d(3, classes, 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"out": self.head(image)}


def predictions_of(network: nn.Module, images: list[Tensor]) -> list[np.ndarray]:
    with torch.no_grad():
        return [network(image[None])["out"].argmax(1)[0].numpy() for image in images]


def samples(sizes: list[tuple[int, int]]) -> list[tuple[Tensor, Tensor]]:
    return [
        (make_images(1, *size, seed=number)[0], random_masks(1, *size, seed=number)[0])
        for number, size in enumerate(sizes)
    ]


def measured(data: list[tuple[Any, Tensor]], batch_size: int = 1, pixels: Any = (12, 10), **kwargs: Any) -> Any:
    network = kwargs.pop("network", None) or Shades()
    loader = DataLoader(data, batch_size, collate_fn=spic_pair_collate)  # type: ignore[arg-type]
    ids = [f"{number}.png" for number in range(len(data))]
    return evaluate(network, loader, ids, pixels, CPU, metric=SegmentationMetric(CLASSES, **kwargs))


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_the_mean_iou_equals_a_count_of_every_pixel_at_any_batch_size(batch_size: int) -> None:
    data = samples([(12, 10), (9, 14), (12, 10), (16, 7), (5, 5)])
    images, masks = [image for image, _ in data], [mask.numpy() for _, mask in data]
    found = measured(data, batch_size)
    expected = reference_iou(predictions_of(Shades(), images), masks, 4)
    point = found.point("u0", seed=1, extra={"unit_parameters": 7})
    assert point.miou == pytest.approx(100 * float(np.mean(expected)), abs=1e-9)
    assert point.extra["miou_all_classes"] == point.extra["miou_present_classes"] == pytest.approx(point.miou)
    assert point.extra["unit_parameters"] == 7 and point.seed == 1 and point.bpp is None
    right = sum(
        int(((p == m) & (m != VOID_LABEL)).sum()) for p, m in zip(predictions_of(Shades(), images), masks, strict=True)
    )
    labelled = sum(int((mask != VOID_LABEL).sum()) for mask in masks)
    assert point.extra["pixel_accuracy"] == pytest.approx(100 * right / labelled)
    assert [row.image for row in found.rows()] == [f"{number}.png" for number in range(5)]


def test_the_hosts_evaluator_finds_the_same_values() -> None:
    path = Path(os.environ.get("SC2BENCH_REPO", "")) / "script" / "task" / "utils" / "eval.py"
    if not os.environ.get("SC2BENCH_REPO") or not path.is_file():
        pytest.skip("set SC2BENCH_REPO to a checkout of sc2bench to compare with its SegEvaluator")
    spec = importlib.util.spec_from_file_location("host_eval", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    host = module.SegEvaluator(4)
    masks, predictions = random_masks(6, seed=3), random_masks(6, seed=4).clamp(max=3)
    for mask, prediction in zip(masks, predictions, strict=True):
        host.update(mask.flatten(), prediction.flatten())
    accuracy, _, iou = host.compute()
    overlaps = count_overlaps(predictions, masks, 4)
    assert overlaps.mean_iou_all_classes() == pytest.approx(iou.mean().item(), rel=1e-6)
    assert overlaps.pixel_accuracy() == pytest.approx(accuracy.item(), rel=1e-6)


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(2, 6))
def test_every_count_is_the_references_for_random_masks(seed: int, images: int, classes: int) -> None:
    masks = random_masks(images, 4, 5, seed, classes)
    predictions = random_masks(images, 4, 5, seed + 1, classes).clamp(max=classes - 1)
    overlaps = count_overlaps(predictions, masks, classes)
    expected = np.array(reference_iou(list(predictions.numpy()), list(masks.numpy()), classes))
    if (overlaps.labelled > 0).any():
        assert overlaps.mean_iou_present_classes() == pytest.approx(100 * np.nanmean(expected))
    everywhere = overlaps.mean_iou_all_classes()
    assert (everywhere is None) == bool(np.isnan(expected).any())
    assert everywhere is None or everywhere == pytest.approx(100 * expected.mean())
    each = [count_overlaps(predictions[i : i + 1], masks[i : i + 1], classes) for i in range(images)]
    joined = ClassOverlaps.joined(each)
    for name in ("intersection", "union", "labelled"):
        assert np.array_equal(getattr(joined, name), getattr(overlaps, name))


def overlaps_of(masks: Tensor, predictions: Tensor) -> ClassOverlaps:
    return count_overlaps(predictions, masks, 4)


def test_a_class_that_no_mask_shows_counts_as_the_protocol_says() -> None:
    masks = torch.tensor([[[0, 0, 1, 1]]])
    hit, strayed = torch.tensor([[[0, 0, 1, 0]]]), torch.tensor([[[0, 2, 1, 1]]])
    half, two_thirds = 1 / 2, 2 / 3
    with pytest.raises(DataError, match=r"no reported mask shows car, pole.*absent_classes: skip"):
        overlaps_of(masks, hit).counted("error", CLASSES)
    for rule, expected in (("skip", (two_thirds + half) / 2), ("zero", (two_thirds + half) / 4)):
        assert overlaps_of(masks, hit).mean_iou(rule) == pytest.approx(100 * expected)
    # a class that is only predicted: the released code counts it as 0, `skip` looks at the masks alone
    assert overlaps_of(masks, strayed).mean_iou("skip") == pytest.approx(100 * (half + 1) / 2)
    assert overlaps_of(masks, strayed).mean_iou_present_classes() == pytest.approx(100 * (half + 1 + 0) / 3)
    assert overlaps_of(masks, strayed).mean_iou_all_classes() is None


def test_an_evaluation_stops_with_advice_where_a_class_is_absent_and_goes_on_where_the_protocol_allows_it() -> None:
    data = [(image, mask.clamp(max=2).where(mask != VOID_LABEL, mask)) for image, mask in samples([(12, 10)] * 3)]
    with pytest.raises(DataError, match="no reported mask shows pole"):
        measured(data)
    assert measured(data, absent_classes="skip").point("u").miou > measured(data, absent_classes="zero").point("u").miou


def test_what_cannot_be_scored_is_refused_with_the_reason() -> None:
    image = make_images(1, 12, 10)[0]
    for bad in (4, 77, -1):
        mask = random_masks(1)[0]
        mask[0, 0] = bad
        with pytest.raises(DataError, match=f"label {bad}, the 4 classes have labels 0 to 3"):
            measured([(image, mask)])
    with pytest.raises(DataError, match="no mask has a labelled pixel"):
        measured([(image, torch.full((12, 10), VOID_LABEL))])
    with pytest.raises(DataError, match="num_classes"):
        measured([(image, random_masks(1)[0])], network=Shades(classes=7))
    with pytest.raises(DataError, match=r"need \(1, 4, 6, 6\)"):
        measured([(image, random_masks(1, 6, 6)[0])])
    with pytest.raises(DataError, match="use a protocol of its own task"):
        measured([(image, random_masks(1)[0])], network=nn.Flatten())
    with pytest.raises(DataError, match="use a protocol of its own task"):
        evaluate(Shades(), [(image[None], torch.zeros(1))], ["a"], (12, 10), CPU)
    with pytest.raises(DataError, match="returns NaN"):
        measured([(image, random_masks(1)[0])], network=nn.Sequential(nn.Threshold(1e9, float("nan")), Shades()))
    with pytest.raises(DataError, match="1 of 2 images were evaluated"):
        evaluate(Shades(), [(image[None], random_masks(1))], ["a", "b"], (12, 10), CPU, metric=SegmentationMetric())


class Codec(nn.Module):
    """Stands for an image codec that spends a byte on each column."""

    def forward(self, image: Image.Image) -> tuple[Image.Image, int]:
        return image, image.width


def test_bits_are_divided_by_each_images_own_pixels_where_sizes_differ() -> None:
    sizes = [(12, 10), (9, 14), (16, 7), (12, 10)]
    pictures = [Image.effect_noise((width, height), 60).convert("RGB") for height, width in sizes]
    data = [(picture, random_masks(1, *size, seed=3)[0]) for picture, size in zip(pictures, sizes, strict=True)]
    model = CodecInputCompressionSegmentationModel(
        Shades(), CPU, Codec(), lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
    )
    point = (found := measured(data, pixels=None, network=model)).point("q")
    assert point.bpp == pytest.approx(np.mean([8 / height for height, _ in sizes]))
    assert point.payload_bytes == np.mean([width for _, width in sizes])
    assert found.pixel_counts == [height * width for height, width in sizes]
    with pytest.raises(DataError, match="pixel_counts"):
        _ = found.pixels
    fixed = measured(data, pixels=(10, 10), network=model)
    assert fixed.point("q").bpp == fixed.point("q").payload_bytes * 8 / 100 and fixed.pixels == 100
    with pytest.raises(DataError, match="test batch of 1"):
        measured(samples([(12, 10)] * 2), batch_size=2, pixels=None)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_hosts_own_segmentation_model_is_measured_in_bytes_and_left_as_it_was(batch_size: int) -> None:
    model, data = make_host_segmenter(), TinyPairs(((32, 32),) * 6)
    found = evaluate(
        model, DataLoader(data, batch_size), data.ids, (32, 32), CPU, metric=SegmentationMetric(data.classes)
    )
    with torch.inference_mode():
        coded = [model.backbone.bottleneck_layer.encode(image[None]) for image in data.images]
    assert [size.payload_bytes for size in found.sizes] == [len(each["strings"][0][0]) for each in coded]
    assert model.backbone.analyzers == [] and not model.backbone.activated_analysis
    uncoded = make_host_segmenter(compresses=False)
    plain = evaluate(uncoded, DataLoader(data), data.ids, (32, 32), CPU, metric=SegmentationMetric())
    assert plain.sizes == [] and plain.point("original").bpp is None


def test_the_interval_holds_the_mean_and_does_not_depend_on_the_order_of_images() -> None:
    masks, predictions = random_masks(40, 6, 6, seed=5), random_masks(40, 6, 6, seed=5)
    predictions[::3] = 0
    overlaps = count_overlaps(predictions.clamp(max=3), masks, 4)
    turned = count_overlaps(predictions.clamp(max=3).flip(0), masks.flip(0), 4)
    low, high = overlaps.interval()
    assert low < overlaps.mean_iou() < high and turned.interval() == (low, high) == overlaps.interval()


def test_the_interval_is_the_one_of_a_loop_over_resampled_images() -> None:
    masks = random_masks(25, 5, 4, seed=8)
    predictions = masks.clone()
    predictions[::2] = 1
    predictions = predictions.clamp(max=3)
    overlaps = count_overlaps(predictions, masks, 4)
    generator, means = np.random.default_rng(1), []
    for _ in range(1500):
        drawn = generator.integers(0, 25, 25)
        one, all_ = overlaps.intersection[drawn].sum(0), overlaps.union[drawn].sum(0)
        shown = overlaps.labelled[drawn].sum(0) > 0
        means.append(100 * (one / np.maximum(all_, 1))[shown].mean())
    low, high = np.quantile(means, [0.025, 0.975])
    found = overlaps.interval()
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.high == pytest.approx(high, abs=0.15 * (high - low))


def test_images_that_are_all_alike_have_an_interval_of_no_width() -> None:
    overlaps = ClassOverlaps(*(np.tile(np.array([[3, 1]]) + extra, (9, 1)) for extra in (0, 2, 1)))
    assert overlaps.interval() == pytest.approx((overlaps.mean_iou(),) * 2)


def test_per_image_counts_survive_their_table_and_give_the_mean_again(tmp_path: Path) -> None:
    found = measured(samples([(12, 10), (9, 14)]))
    rows = found.rows()
    path = write_per_image_csv(tmp_path / "spic.u0.csv", rows)
    assert read_overlap_csv(path) == rows
    parts = ([getattr(row, name) for row in rows] for name in ("intersection", "union", "labelled"))
    again = SegmentationEvaluation([], [], [], ClassOverlaps(*map(np.array, parts)), "error")
    assert again.overlaps.mean_iou() == found.point("u0").miou
    path.write_text(path.read_text() + "b,12,1,2\n")
    with pytest.raises(DataError, match=r"line 4: expected image, bytes and 12 counts"):
        read_overlap_csv(path)
    with pytest.raises(DataError, match="there twice"):
        write_per_image_csv(path, [PerImageOverlap("a", 1, (1,), (1,), (1,))] * 2)
    write_per_image_csv(path, [("a", 1, True)])
    with pytest.raises(DataError, match="the first line must be image,payload_bytes,intersection_0"):
        read_overlap_csv(path)
