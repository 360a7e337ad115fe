"""VTM through sc2bench's module, with programs of our own that keep every sample: bytes, failures, what is missing."""

import itertools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sc2bench.models.wrapper import CodecInputCompressionClassifier
from torchvision.transforms import ToTensor

from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard import CodecPoint, unavailable_reason
from sc2_spic_plugin.leaderboard.costs.sides import sides_of
from sc2_spic_plugin.leaderboard.costs.spending import CODING, DEVICE, NETWORK, SERVER, spending

PROGRAM = """
import pathlib, sys
if "--help" in sys.argv:
    print("{title}")
    sys.exit(0)
{trouble}
value = lambda name: sys.argv[sys.argv.index(name) + 1]
"""
ENCODER = (
    PROGRAM
    + """
pathlib.Path(sys.argv[0] + ".log").write_text(" ".join(sys.argv[1:]))
pathlib.Path(value("-b")).write_bytes(b"VVC" + pathlib.Path(value("-i")).read_bytes())
"""
)
DECODER = (
    PROGRAM
    + """
pathlib.Path(value("-o")).write_bytes(pathlib.Path(value("-b")).read_bytes()[3:])
"""
)


@pytest.fixture
def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (16, 24, 3), dtype=np.uint8))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts programs where VTM's build leaves them, found on PATH alone."""
    folder = tmp_path / "a folder; of VTM" / "bin"
    folder.mkdir(parents=True)
    config = folder.parent / "cfg" / "encoder_intra_vtm.cfg"
    config.parent.mkdir()
    config.write_text("# intra")
    work = tmp_path / "temporary"
    work.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(work))
    monkeypatch.setenv("PATH", str(folder))
    for variable in ("ENCODER", "DECODER", "CONFIG"):
        monkeypatch.delenv(f"SC2_SPIC_VTM_{variable}", raising=False)

    def write(encoder_trouble: str = "", title: str = "VVCSoftware: VTM Encoder Version 0") -> Path:
        for name, text, says, trouble in (
            ("EncoderAppStatic", ENCODER, title, encoder_trouble),
            ("DecoderAppStatic", DECODER, "VVCSoftware: VTM Decoder Version 0", ""),
        ):
            path = folder / name
            path.write_text(f"#!{sys.executable} -S\n" + text.replace("{title}", says).replace("{trouble}", trouble))
            path.chmod(0o755)
        return folder

    return write


def test_the_coded_file_is_counted_the_quantiser_handed_on_and_nothing_left_behind(install, photo) -> None:
    folder = install()
    coded = CodecPoint("vtm", 36).transmit(photo)
    difference = np.abs(np.asarray(coded.image, dtype=int) - np.asarray(photo, dtype=int))
    assert coded.payload_bytes == 3 + 3 * 16 * 24 and coded.image.size == photo.size
    assert difference.max() <= 4, "sc2bench rounds to 8 bits twice on the way to YCbCr and back"
    log = (folder / "EncoderAppStatic.log").read_text()
    assert "-q 36" in log and f"-c {folder.parent / 'cfg' / 'encoder_intra_vtm.cfg'}" in log
    assert "-wdt 24 -hgt 16" in log and list(Path(tempfile.gettempdir()).iterdir()) == []


def test_the_device_is_done_when_the_first_program_is(install, photo) -> None:
    install()
    wrapper = CodecInputCompressionClassifier(torch.nn.Identity(), "cpu", CodecPoint("vtm", 36), ToTensor()).eval()
    sides = sides_of(wrapper)
    wrapper([photo])  # asks both programs who they are, once
    with spending(sides.switches, DEVICE, itertools.count().__next__) as books:
        wrapper([photo])
    assert books.spent[DEVICE, CODING] > 0 and books.spent[SERVER, CODING] > 0 and books.spent[SERVER, NETWORK] > 0


def test_a_program_that_fails_is_an_error_with_what_it_said_and_python_goes_on(install, photo) -> None:
    install("print('width is no multiple of 8'); sys.exit(3)")
    with pytest.raises(
        DataError, match=r"`vtm` qp36 failed on an image of 24x16: a program of VTM .* width is no mult"
    ):
        CodecPoint("vtm", 36).transmit(photo)


def test_vtm_that_is_absent_another_program_or_without_configuration_is_skipped_with_what_to_do(
    install, monkeypatch, photo
) -> None:
    assert "`EncoderAppStatic` is not on PATH; build VVCSoftware_VTM" in str(unavailable_reason("vtm"))
    install(title="usage: something else")
    assert "is not VTM's encoder (it says `usage: something else`" in str(unavailable_reason("vtm"))
    folder = install()
    assert unavailable_reason("vtm") is None
    monkeypatch.setenv("SC2_SPIC_VTM_CONFIG", "/nowhere/intra.cfg")
    with pytest.raises(ConfigError, match=r"configuration is not at `/nowhere/intra.cfg`; set SC2_SPIC_VTM_CONFIG"):
        CodecPoint("vtm", 36).transmit(photo)
    monkeypatch.setenv("SC2_SPIC_VTM_CONFIG", str(folder.parent / "cfg" / "encoder_intra_vtm.cfg"))
    monkeypatch.setenv("SC2_SPIC_VTM_DECODER", "/nowhere/decoder")
    assert "SC2_SPIC_VTM_DECODER names `/nowhere/decoder`, which is no program" in str(unavailable_reason("vtm"))
