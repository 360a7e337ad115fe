"""VTM, the reference software of VVC, on the network's input: sc2bench's module, with clear failures."""

import contextlib
import io
import os
from pathlib import Path

import torchvision  # noqa: F401 - sc2bench.transforms needs it imported first
from PIL import Image
from sc2bench.transforms.codec import VTMModule

from ...errors import ConfigError, DataError
from .programs import find_program, wrong_program

__all__ = ["CheckedVtm", "vtm_unavailable_reason"]

CONFIG_VARIABLE, CONFIG_NAME = "SC2_SPIC_VTM_CONFIG", "encoder_intra_vtm.cfg"
_PROGRAMS = {
    "SC2_SPIC_VTM_ENCODER": (("EncoderAppStatic", "EncoderApp"), "VTM Encoder Version", "VTM's encoder"),
    "SC2_SPIC_VTM_DECODER": (("DecoderAppStatic", "DecoderApp"), "VTM Decoder Version", "VTM's decoder"),
}
"""Names on PATH, title and description of each program, by the environment variable that may hold its path."""
_ADVICE = (
    "build VVCSoftware_VTM (cmake, make) and set SC2_SPIC_VTM_ENCODER and SC2_SPIC_VTM_DECODER to the programs in its "
    f"`bin`, and {CONFIG_VARIABLE} to its `cfg/{CONFIG_NAME}`"
)


class CheckedVtm(VTMModule):
    """Codes an image with VTM's programs and decodes it again; chroma is not subsampled.

        image -> 8-bit 4:4:4 planes -> encoder -> bytes -> decoder -> planes -> image

    All of that is sc2bench's. Its way of ending is not: there a program that fails ends the whole process. Here it is
    an error; the temporary file that sc2bench leaves behind then stays.

    Args:
        quality: the quantiser, 0 to 63; *lower is better*.
        color_mode: `ycbcr` or `rgb`.
        returns_file_size: return (image, bytes) instead of the image.
    """

    def __init__(self, quality: int, color_mode: str = "ycbcr", returns_file_size: bool = True) -> None:
        """Finds the programs.

        Raises:
            ConfigError: they or their configuration are not there, or are something else.
            ValueError: an option that sc2bench does not know.
        """
        reason = vtm_unavailable_reason()
        if reason:
            raise ConfigError(f"`vtm` cannot be used: {reason}")
        paths = [find_program(variable, names) for variable, (names, _, _) in _PROGRAMS.items()]
        super().__init__(*paths, str(_config()), color_mode, quality, returns_file_size)

    def forward(self, pil_img: Image.Image) -> Image.Image | tuple[Image.Image, int]:
        """Returns the decoded RGB image, with the bytes of the coded one if asked for.

        Raises:
            DataError: a program failed; the message holds what it said.
        """
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                return super().forward(pil_img.convert("RGB"))
        except SystemExit as error:
            message = said.getvalue().strip()[-500:] or "it said nothing"
            raise DataError(f"a program of VTM ended with code {error.code}: {message}") from error


def vtm_unavailable_reason() -> str | None:
    """Returns why VTM cannot be used here and what to do, or None if it can."""
    for variable, (names, title, what) in _PROGRAMS.items():
        reason = wrong_program(variable, names, title, what, _ADVICE)
        if reason:
            return reason
    config = _config()
    if not config.is_file():
        return f"VTM's configuration is not at `{config}`; set {CONFIG_VARIABLE} to `cfg/{CONFIG_NAME}` of VTM"
    return None


def _config() -> Path:
    """Returns the configuration named by the environment, or the one where VTM's build leaves it."""
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named).expanduser()
    variable = "SC2_SPIC_VTM_ENCODER"
    encoder = find_program(variable, _PROGRAMS[variable][0])
    return Path(encoder or "").resolve().parent.parent / "cfg" / CONFIG_NAME
