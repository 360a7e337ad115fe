"""Protocols: what a file may say, what is refused, and agreement with a data set's transform."""

from pathlib import Path

import pytest
from torchvision import transforms as T
from torchvision.transforms import v2

from sc2_spic_plugin.datasets import (
    PairCenterCrop,
    PairCompose,
    PairNormalize,
    PairRandomCrop,
    PairResize,
    PairToTensor,
)
from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.leaderboard import (
    Protocol,
    TimingRules,
    check_transform,
    load_protocol,
    protocol_names,
)

BASE = {
    "name": "p",
    "resize": 256,
    "crop": 224,
    "denominator": (224, 224),
    "selection": "d/held_out",
    "report": "d/val",
}
SEGMENTATION = {**BASE, "task": "segmentation", "crop": None}


def _written(folder: Path, text: str) -> Path:
    path = folder / "p.yaml"
    path.write_text(text)
    return path


def test_every_shipped_protocol_loads_by_name_and_is_called_like_its_file() -> None:
    assert {"imagenet-224", "imagenette-160", "synthetic-64"} <= set(protocol_names())
    assert [load_protocol(name).name for name in protocol_names()] == protocol_names()
    assert {"camvid-180x240", "coco21-513", "synthetic-scenes", "voc2012-513"} <= set(protocol_names())
    assert load_protocol("imagenette-160").denominator == (160, 160)
    camvid, voc = load_protocol("camvid-180x240"), load_protocol("voc2012-513")
    assert camvid.resize == camvid.denominator == (180, 240) and camvid.pixels == 43200
    assert voc.denominator == "image" and voc.pixels is None and voc.absent_classes == "error"


def test_a_protocol_written_out_and_read_again_is_the_same(tmp_path: Path) -> None:
    import yaml

    protocol = load_protocol("imagenet-224")
    again = load_protocol(_written(tmp_path, yaml.safe_dump(protocol.as_dict())))
    assert again == protocol and again.sha256 == protocol.sha256
    assert Protocol(**BASE).sha256 != Protocol(**{**BASE, "resize": 232}).sha256


@pytest.mark.parametrize("name", protocol_names())
def test_every_shipped_protocol_survives_being_written_out(name: str, tmp_path: Path) -> None:
    import yaml

    protocol = load_protocol(name)
    assert load_protocol(_written(tmp_path, yaml.safe_dump(protocol.as_dict()))) == protocol


def test_results_measured_before_there_was_segmentation_keep_their_protocols_digest() -> None:
    digests = {"imagenet-224": "95c607cb4966", "imagenette-160": "c654d0408e64", "synthetic-64": "02f08b63c2f6"}
    assert {name: load_protocol(name).sha256[:12] for name in digests} == digests


def test_how_latency_is_measured_is_part_of_the_protocol_and_checked() -> None:
    assert Protocol(**BASE).sha256 != Protocol(**BASE, timing=TimingRules(repeats=5)).sha256
    assert Protocol(**BASE).sha256 != Protocol(**BASE, threads=1).sha256
    for values in ({"batch_size": 0}, {"warm_up": -1}, {"repeats": 2.5}):
        with pytest.raises(ConfigError, match=rf"`timing\.{next(iter(values))}` must be a whole number"):
            TimingRules(**values)


def test_how_absent_classes_count_is_part_of_a_segmentation_protocol_and_of_no_other() -> None:
    assert len({Protocol(**SEGMENTATION, absent_classes=rule).sha256 for rule in ("error", "skip", "zero")}) == 3
    with pytest.raises(ConfigError, match=r"`absent_classes`: .*skip"):
        Protocol(**SEGMENTATION, absent_classes="skipp")
    for values in ({"absent_classes": "zero"}, {"denominator": "image"}):
        with pytest.raises(ConfigError, match="need `task: segmentation`"):
            Protocol(**{**BASE, **values})


def test_a_protocol_may_divide_by_each_images_own_pixels() -> None:
    protocol = Protocol(**{**SEGMENTATION, "denominator": "image"})
    assert protocol.bits_per_image_pixel(100, pixels=400) == 2.0
    with pytest.raises(ConfigError, match="give `pixels`"):
        protocol.bits_per_image_pixel(100)


def test_the_rate_divides_bits_by_the_denominator() -> None:
    assert Protocol(**BASE).bits_per_image_pixel(6272) == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: p\nrezise: 3\n", "unknown key `rezise`. Did you mean `resize`"),
        ("name: p\nresize: 3\n", "missing `crop`, `denominator`, `selection`, `report`"),
        ("- a\n", "must hold `key: value` lines"),
        ("name: [\n", "is not YAML"),
        (
            "{name: p, resize: 8, crop: 8, denominator: [8, 8], selection: a, report: b, timing: {warmup: 1}}",
            "`warmup`. Did you mean `warm_up`",
        ),
    ],
)
def test_a_file_that_is_no_protocol_is_refused_with_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        load_protocol(_written(tmp_path, text))


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="imagenette-160"):
        load_protocol("imagenete-160")
    with pytest.raises(ConfigError, match="no protocol file at"):
        load_protocol(tmp_path / "absent.yaml")


def test_selection_and_report_must_differ() -> None:
    with pytest.raises(ConfigError, match="must not be selected on the images a table reports"):
        Protocol(**{**BASE, "selection": "d/val"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("resize", 0),
        ("resize", [180, 0]),
        ("resize", [180, 240, 3]),
        ("denominator", "images"),
        ("crop", 1.5),
        ("denominator", (224,)),
        ("interpolation", "bilinaer"),
        ("task", "x"),
        ("report", ""),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_its_key(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"`{key}`"):
        Protocol(**{**BASE, key: value})


def test_the_transform_the_protocol_describes_is_accepted() -> None:
    tail = [T.ToTensor(), T.Normalize([0.5] * 3, [0.5] * 3)]
    check_transform(Protocol(**BASE), T.Compose([T.Compose([T.Resize(256)]), T.CenterCrop((224, 224)), *tail]))
    check_transform(Protocol(**BASE), v2.Compose([v2.Resize(256), v2.CenterCrop(224)]))
    check_transform(Protocol(**{**BASE, "resize": None, "crop": None}), T.Compose(tail))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([T.Resize(232), T.CenterCrop(224)], "resize 232, protocol `p` says 256"),
        ([T.Resize((256, 200)), T.CenterCrop(224)], r"resize \(256, 200\)"),
        ([T.Resize(256), T.CenterCrop(192)], "crop 192"),
        ([T.Resize(256)], "crop none"),
        ([T.Resize(256, interpolation=T.InterpolationMode.BICUBIC), T.CenterCrop(224)], "interpolation bicubic"),
        ([T.RandomResizedCrop(224)], "`RandomResizedCrop`, which is random"),
        ([T.CenterCrop(224), T.Resize(256)], "crops before it resizes"),
    ],
)
def test_a_transform_that_differs_is_refused_naming_the_difference(steps: list, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_transform(Protocol(**BASE), T.Compose(steps))


def test_the_joint_transform_of_image_and_mask_is_compared_alike() -> None:
    tail = [PairToTensor(), PairNormalize([0.5] * 3, [0.5] * 3)]
    exact = Protocol(**{**SEGMENTATION, "resize": [180, 240]})
    check_transform(exact, PairCompose([PairCompose([PairResize([180, 240])]), *tail]))
    check_transform(Protocol(**{**SEGMENTATION, "crop": 224}), PairCompose([PairResize(256), PairCenterCrop(224)]))
    for steps, message in (
        ([PairResize([240, 180])], r"resize \(240, 180\), protocol `p` says \(180, 240\)"),
        ([PairResize(180)], "resize 180"),
        ([PairResize([180, 240], "bicubic")], "interpolation bicubic"),
        ([PairResize([180, 240]), PairCenterCrop(160)], "crop 160"),
        ([PairRandomCrop(180)], "`PairRandomCrop`, which is random"),
        ([PairCenterCrop(180), PairResize([180, 240])], "crops before it resizes"),
    ):
        with pytest.raises(ConfigError, match=message):
            check_transform(exact, PairCompose([*steps, *tail]))
