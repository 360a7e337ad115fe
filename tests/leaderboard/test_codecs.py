"""Image codecs through sc2bench's module: true bytes, fair settings, clear refusals."""

import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from sc2_spic_plugin.configs import config_root, load_sweep
from sc2_spic_plugin.datasets import spic_pair_collate
from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard import CODECS, CodecPoint, unavailable_reason
from sc2_spic_plugin.leaderboard.codecs.image_codecs import EXTERNAL_CODECS

SWEEPS = ["coco/sweep_codec.yaml", "voc/sweep_codec.yaml", "imagenette/sweep_codec.yaml"]


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    bands = [Image.effect_noise((48, 40), spread).resize((96, 80), Image.Resampling.BICUBIC) for spread in (70, 50, 30)]
    return Image.merge("RGB", bands)


def _default(codec: str) -> CodecPoint:
    reason = unavailable_reason(codec)
    if reason:
        pytest.skip(reason)
    return CodecPoint(codec, {"jpeg": 15, "webp": 20, "heic": 20, "bpg": 40, "vtm": 45}.get(codec))


@pytest.mark.parametrize("codec", CODECS)
def test_counted_bytes_are_the_bytes_of_the_coded_image_and_the_same_each_time(codec: str, photo: Image.Image) -> None:
    point = _default(codec)
    coded = point.transmit(photo)
    assert coded.payload_bytes == point.transmit(photo).payload_bytes and coded.image.mode == "RGB"
    if codec in EXTERNAL_CODECS:
        return  # no Pillow format: what is counted is tested with programs of our own below
    buffer = io.BytesIO()
    photo.save(buffer, **point.options)
    decoded = Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")
    assert coded.payload_bytes == len(buffer.getvalue()) and coded.image.tobytes() == decoded.tobytes()


@pytest.mark.parametrize("codec", CODECS)
def test_odd_sizes_come_back_in_their_size(codec: str, photo: Image.Image) -> None:
    point = _default(codec)
    for size in ((17, 33), (63, 65)):
        assert point.transmit(photo.resize(size).convert("L")).image.size == size


@pytest.mark.parametrize("codec", CODECS)
def test_what_hangs_on_an_image_is_not_sent(codec: str, photo: Image.Image) -> None:
    point, tagged = _default(codec), photo.copy()
    tagged.info = {
        "comment": b"x" * 500,
        "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0" + b"\0" * 200,
        "icc_profile": b"p" * 400,
    }
    assert point.transmit(tagged).payload_bytes == point.transmit(photo).payload_bytes
    assert tagged.info["comment"] == b"x" * 500


@pytest.mark.parametrize("codec", ["jpeg", "webp", "heic", "bpg", "vtm"])
def test_bytes_rise_strictly_along_the_qualities_of_the_shipped_sweeps(codec: str, photo: Image.Image) -> None:
    _default(codec)
    for qualities in (found[codec] for found in map(_qualities, SWEEPS) if codec in found):
        sizes = [CodecPoint(codec, quality).transmit(photo).payload_bytes for quality in qualities]
        assert sizes == sorted(set(sizes)) and len(sizes) in (4, 8)


def test_png_returns_every_pixel(photo: Image.Image) -> None:
    assert CodecPoint("png").transmit(photo).image.tobytes() == photo.tobytes()


def test_optimised_jpeg_is_smaller_than_pillows_default(photo: Image.Image) -> None:
    fair, plain = (CodecPoint("jpeg", 20, options) for options in ({}, {"optimize": False}))
    assert fair.transmit(photo).payload_bytes < plain.transmit(photo).payload_bytes


@pytest.mark.parametrize("codec", ["jpeg", "heic", "bpg"])
def test_the_default_subsampling_is_420_and_each_choice_gives_another_image(codec: str, photo: Image.Image) -> None:
    quality = _default(codec).quality
    coded = {
        name: CodecPoint(codec, quality, subsampling=name).transmit(photo)
        for name in (None, *CODECS[codec].subsamplings)
    }
    assert coded[None].image.tobytes() == coded["420"].image.tobytes()
    assert len({point.image.tobytes() for point in coded.values()}) == len(CODECS[codec].subsamplings)
    if codec == "jpeg":  # HEVC quantises full chroma more coarsely, so there it may cost less
        assert coded["420"].payload_bytes < coded["422"].payload_bytes < coded["444"].payload_bytes


@pytest.mark.parametrize(("codec", "offered"), [("webp", "leave it out"), ("bpg", "choose `420`, `444`")])
def test_a_subsampling_that_the_codec_lacks_is_refused_with_those_it_has(codec: str, offered: str) -> None:
    with pytest.raises(ConfigError, match=f"no choice of subsampling '422'; {offered}"):
        CodecPoint(codec, 20, subsampling="422")


def test_coding_at_a_lower_scale_costs_fewer_bytes_and_returns_the_input_size(photo: Image.Image) -> None:
    coded = CodecPoint("jpeg", 20, scale=0.5).transmit(photo)
    assert coded.image.size == photo.size and coded.payload_bytes < CodecPoint("jpeg", 20).transmit(photo).payload_bytes


def test_names_and_digests_tell_points_apart() -> None:
    points = [CodecPoint("jpeg", 5), CodecPoint("jpeg", 5, subsampling="444"), CodecPoint("jpeg", 5, scale=0.5)]
    assert [point.name for point in points] == ["q5", "q5 444", "q5 x0.5"]
    assert CodecPoint("vtm", 5).name == CodecPoint("bpg", 5).name == "qp5"
    assert len({point.sha256 for point in [*points, CodecPoint("webp", 5)]}) == 4
    assert CodecPoint("jpeg", 5).sha256 == points[0].sha256


def test_a_missing_plugin_is_skipped_with_the_reason_and_refused_when_used(monkeypatch, photo: Image.Image) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert unavailable_reason("jpeg") is None and "pip install pillow-heif" in str(unavailable_reason("heic"))
    with pytest.raises(ConfigError, match="`heic` cannot be used: the package pillow-heif"):
        CodecPoint("heic", 20).transmit(photo)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("jpg", 5), "Did you mean `jpeg`"),
        (("jpeg", None), "quality from 0 to 100, got None"),
        (("jpeg", 101), "got 101"),
        (("bpg", 52), "quality from 0 to 51, got 52"),
        (("vtm", 64), "quality from 0 to 63, got 64"),
        (("png", 5), "lossless"),
        (("jpeg", 5, {}, 0.0), "above 0 and at most 1"),
    ],
)
def test_points_that_cannot_be_are_refused(values: tuple, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CodecPoint(*values)


def test_a_codec_that_fails_on_an_image_says_which_codec_quality_and_size(photo: Image.Image) -> None:
    with pytest.raises(DataError, match="`jpeg` q5 5:5:5 failed on an image of 96x80"):
        CodecPoint("jpeg", 5, {"subsampling": "5:5:5"}).transmit(photo)


@pytest.mark.parametrize("name", SWEEPS)
def test_the_shipped_sweeps_hold_as_many_qualities_of_each_codec_as_the_suite_does(name: str) -> None:
    found = _qualities(name)
    suite = yaml.safe_load((config_root() / "suites" / "imagenette.yaml").read_text())["codecs"]
    if name.startswith("imagenette"):
        assert {codec: suite[codec]["qualities"] for codec in suite} == {codec: found[codec] for codec in suite}
        assert set(found) == {*suite, "vtm"} and len(found["vtm"]) == 8
    else:
        assert set(found) == set(suite) and {len(qualities) for qualities in found.values()} == {4}


@pytest.mark.parametrize("name", ["sweep_codec_subsampling", "sweep_codec_scale"])
def test_every_point_of_the_other_codec_sweeps_can_be_made_and_differs_from_the_plain_ones(name: str) -> None:
    plain = {point.sha256 for point in _points("sweep_codec")}
    points = _points(name)
    assert len({point.sha256 for point in points}) == len(points) and not plain & {point.sha256 for point in points}
    assert {point.quality for point in points if point.codec == "jpeg"} <= set(_qualities(SWEEPS[-1])["jpeg"])


def _qualities(name: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for point in load_sweep(config_root() / name):
        found.setdefault(point.values["codec"], []).append(point.values["quality"])
    return found


def _points(name: str) -> list[CodecPoint]:
    return [CodecPoint(**point.values) for point in load_sweep(config_root() / "imagenette" / f"{name}.yaml")]


def test_sc2benchs_segmentation_wrapper_takes_a_point_as_its_codec_and_the_masks_stay(photo: Image.Image) -> None:
    from sc2bench.models.segmentation.wrapper import CodecInputCompressionSegmentationModel
    from torchvision.transforms import ToTensor

    class Network(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"out": images}

    point = CodecPoint("jpeg", 35)
    model = CodecInputCompressionSegmentationModel(Network(), "cpu", point, ToTensor()).eval()
    sizes: list[int] = []
    model.analyze = sizes.append
    mask = torch.randint(0, 21, (80, 96))
    images, masks = spic_pair_collate([(photo, mask)])
    coded = point.transmit(photo)
    assert torch.equal(model(images)["out"], ToTensor()(coded.image)[None]) and torch.equal(masks, mask[None])
    assert sizes == [coded.payload_bytes]


ENCODER = """
import pathlib, sys
if "-h" in sys.argv:
    print("BPG Image Encoder version 0\\n-e encoder  select the HEVC encoder (jctvc, default = jctvc)")
    sys.exit(1)
{trouble}
pathlib.Path(sys.argv[sys.argv.index("-o") + 1]).write_bytes(b"BPG" + pathlib.Path(sys.argv[-1]).read_bytes())
"""
DECODER = """
import pathlib, sys
if "-h" in sys.argv:
    print("BPG Image Decoder version 0")
    sys.exit(1)
{trouble}
pathlib.Path(sys.argv[sys.argv.index("-o") + 1]).write_bytes(pathlib.Path(sys.argv[-1]).read_bytes()[3:])
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts programs in the place of BPG's that keep every pixel; each may be given trouble of its own."""
    work = tmp_path / "temporary"
    work.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(work))

    def install(encoder_trouble: str = "", decoder_trouble: str = "", encoder: str = ENCODER) -> Path:
        for name, text, trouble in (("ENC", encoder, encoder_trouble), ("DEC", DECODER, decoder_trouble)):
            path = tmp_path / f"a folder; with {name}"
            path.write_text(f"#!{sys.executable} -S\n" + text.replace("{trouble}", trouble))
            path.chmod(0o755)
            monkeypatch.setenv(f"SC2_SPIC_BPG{name}", str(path))
        return work

    return install


def test_bpg_is_given_the_pixels_counts_the_coded_file_and_leaves_nothing_behind(programs, photo: Image.Image) -> None:
    record = "pathlib.Path(sys.argv[0] + '.log').write_text(' '.join(sys.argv[1:-1]))"
    work = programs(
        f"{record}; pathlib.Path(sys.argv[0] + '.png').write_bytes(pathlib.Path(sys.argv[-1]).read_bytes())"
    )
    coded = CodecPoint("bpg", 33).transmit(photo)
    log, source = (Path(os.environ["SC2_SPIC_BPGENC"] + suffix) for suffix in (".log", ".png"))
    assert coded.image.tobytes() == photo.tobytes() and coded.payload_bytes == 3 + source.stat().st_size
    assert "-q 33 -f 420 -e jctvc -c ycbcr -b 8" in log.read_text() and list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("troubles", "message"),
    [
        (("sys.exit('no memory for the picture')",), "`bpg` qp33 failed on an image of 96x80: .*code 1: no memory for"),
        (("sys.exit(0)",), "wrote no .bpg file: it said nothing"),
        (("", "sys.exit('Could not decode image')"), "Could not decode image"),
        (
            ("", "pathlib.Path(sys.argv[sys.argv.index('-o') + 1]).write_text('x'); sys.exit(0)"),
            "cannot identify image",
        ),
    ],
)
def test_a_bpg_program_that_fails_is_an_error_with_what_it_said(programs, photo, troubles, message: str) -> None:
    work = programs(*troubles)
    with pytest.raises(DataError, match=message):
        CodecPoint("bpg", 33).transmit(photo)
    assert list(work.iterdir()) == []


def test_bpg_that_is_absent_or_another_program_is_skipped_with_what_to_do(programs, monkeypatch, photo) -> None:
    programs(encoder="print('usage: something else')")
    assert "is not libbpg's bpgenc (it says `usage: something else`" in str(unavailable_reason("bpg"))
    programs()
    assert unavailable_reason("bpg") is None
    with pytest.raises(ConfigError, match="contains the encoder jctvc, not `x265`; build it with USE_X265"):
        CodecPoint("bpg", 33, {"encoder": "x265"}).transmit(photo)
    monkeypatch.setenv("SC2_SPIC_BPGDEC", "/nowhere/bpgdec")
    assert "SC2_SPIC_BPGDEC names `/nowhere/bpgdec`, which is no program" in str(unavailable_reason("bpg"))
    monkeypatch.delenv("SC2_SPIC_BPGENC")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="`bpg` cannot be used: `bpgenc` is not on PATH; build bpgenc and bpgdec"):
        CodecPoint("bpg", 33).transmit(photo)
