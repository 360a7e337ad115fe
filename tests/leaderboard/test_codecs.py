"""Image codecs through sc2bench's module: true bytes, fair settings, clear refusals."""

import io
import sys

import pytest
from PIL import Image

from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard import CODECS, CodecPoint, codec_ladder, unavailable_reason


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    bands = [Image.effect_noise((48, 40), spread).resize((96, 80), Image.Resampling.BICUBIC) for spread in (70, 50, 30)]
    return Image.merge("RGB", bands)


def _default(codec: str) -> CodecPoint:
    reason = unavailable_reason(codec)
    if reason:
        pytest.skip(reason)
    return CodecPoint(codec, CODECS[codec].four[1] if CODECS[codec].four else None)


@pytest.mark.parametrize("codec", CODECS)
def test_counted_bytes_are_the_bytes_of_the_coded_image_and_the_same_each_time(codec: str, photo: Image.Image) -> None:
    point = _default(codec)
    coded = point.transmit(photo)
    buffer = io.BytesIO()
    photo.save(buffer, **point.options)
    decoded = Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")
    assert coded.payload_bytes == len(buffer.getvalue()) == point.transmit(photo).payload_bytes
    assert coded.image.mode == "RGB" and coded.image.tobytes() == decoded.tobytes()


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


@pytest.mark.parametrize("codec", ["jpeg", "webp", "heic"])
def test_bytes_rise_strictly_along_both_default_ladders(codec: str, photo: Image.Image) -> None:
    _default(codec)
    for count in (4, 8):
        ladder = codec_ladder([codec], count)
        assert len(ladder.points) == count and not ladder.skipped
        sizes = [point.transmit(photo).payload_bytes for point in ladder.points]
        assert sizes == sorted(set(sizes))


def test_png_returns_every_pixel(photo: Image.Image) -> None:
    assert CodecPoint("png").transmit(photo).image.tobytes() == photo.tobytes()


def test_optimised_jpeg_is_smaller_than_pillows_default_and_subsampling_is_a_choice(photo: Image.Image) -> None:
    sizes = {
        name: CodecPoint("jpeg", 20, options).transmit(photo).payload_bytes
        for name, options in {"fair": {}, "plain": {"optimize": False}, "444": {"subsampling": "4:4:4"}}.items()
    }
    assert sizes["fair"] < sizes["plain"] and sizes["fair"] < sizes["444"]


def test_coding_at_a_lower_scale_costs_fewer_bytes_and_returns_the_input_size(photo: Image.Image) -> None:
    coded = CodecPoint("jpeg", 20, scale=0.5).transmit(photo)
    assert coded.image.size == photo.size and coded.payload_bytes < CodecPoint("jpeg", 20).transmit(photo).payload_bytes


def test_names_and_digests_tell_points_apart() -> None:
    points = [CodecPoint("jpeg", 5), CodecPoint("jpeg", 5, {"subsampling": "4:2:0"}), CodecPoint("jpeg", 5, scale=0.5)]
    assert [point.name for point in points] == ["q5", "q5 4:2:0", "q5 x0.5"]
    assert len({point.sha256 for point in [*points, CodecPoint("webp", 5)]}) == 4
    assert CodecPoint("jpeg", 5).sha256 == points[0].sha256


def test_a_missing_plugin_is_skipped_with_the_reason_and_refused_when_used(monkeypatch, photo: Image.Image) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    ladder = codec_ladder(("jpeg", "heic"))
    assert {point.codec for point in ladder.points} == {"jpeg"} and "pip install pillow-heif" in ladder.skipped["heic"]
    with pytest.raises(ConfigError, match="`heic` cannot be used: the package pillow-heif"):
        CodecPoint("heic", 20).transmit(photo)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("jpg", 5), "Did you mean `jpeg`"),
        (("jpeg", None), "quality from 0 to 100, got None"),
        (("jpeg", 101), "got 101"),
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
