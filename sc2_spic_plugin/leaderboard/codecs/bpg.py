"""BPG on the network's input: sc2bench's module, with the pixels themselves handed to the encoder."""

import re
import subprocess
import tempfile
from pathlib import Path

import torchvision  # noqa: F401 - sc2bench.transforms needs it imported first
from PIL import Image
from sc2bench.transforms.codec import BPGModule

from ...errors import ConfigError, DataError
from .programs import find_program, program_answer, wrong_program

__all__ = ["PixelBpg", "bpg_unavailable_reason"]

PROGRAMS = {"SC2_SPIC_BPGENC": "bpgenc", "SC2_SPIC_BPGDEC": "bpgdec"}
"""Environment variable by program: the path of one that is not on PATH."""

_TITLES = {"SC2_SPIC_BPGENC": "BPG Image Encoder", "SC2_SPIC_BPGDEC": "BPG Image Decoder"}
_ADVICE = (
    "build bpgenc and bpgdec of the libbpg project with USE_JCTVC and set SC2_SPIC_BPGENC and SC2_SPIC_BPGDEC to their "
    "paths"
)


class PixelBpg(BPGModule):
    """Codes an image with BPG's command-line programs and decodes it again.

        image -> PNG -> bpgenc -> bytes -> bpgdec -> PNG -> image

    The command lines and the checks of the options are sc2bench's. Its way of calling them is not, for two reasons:

    - It stores the image as a JPEG of quality 100 for the encoder. That halves the chroma before BPG sees it, so its
      `subsampling_mode: '444'` codes 4:2:0 material: over twenty photographs of 160x160 pixels that costs, at equal
      bytes, nothing at quantiser 41 and above, 0.2 dB at 36, 0.5 dB at 26 and 0.7 dB at 20. With '420' the bytes
      differ by less than 1 % and the quality by up to 0.2 dB. Here the encoder gets the pixels.
    - A program that fails ends the whole process and leaves files behind. Here it is an error with what it said.

    Args:
        quality: the quantiser, 0 to 51; *lower is better*.
        encoder: `jctvc` (the reference encoder) or `x265`, as far as the program was built with it.
        subsampling_mode: `420` or `444`.
        color_mode: `ycbcr` or `rgb`.
        bit_depth: 8 or 10.
        returns_file_size: return (image, bytes) instead of the image.
    """

    def __init__(
        self,
        quality: int,
        encoder: str = "jctvc",
        subsampling_mode: str = "420",
        color_mode: str = "ycbcr",
        bit_depth: str = "8",
        returns_file_size: bool = True,
    ) -> None:
        """Finds the programs.

        Raises:
            ConfigError: they are not there, or are no BPG programs.
            ValueError: an option that sc2bench does not know.
        """
        reason = bpg_unavailable_reason(encoder)
        if reason:
            raise ConfigError(f"`bpg` cannot be used: {reason}")
        super().__init__(
            *(find_program(variable, (program,)) for variable, program in PROGRAMS.items()),
            color_mode=color_mode,
            encoder=encoder,
            subsampling_mode=subsampling_mode,
            bit_depth=bit_depth,
            quality=quality,
            returns_file_size=returns_file_size,
        )

    def forward(self, pil_img: Image.Image) -> Image.Image | tuple[Image.Image, int]:
        """Returns the decoded RGB image, with the bytes of the coded one if asked for.

        Raises:
            DataError: a program failed; the message holds what it said.
        """
        with tempfile.TemporaryDirectory(prefix="sc2-spic-bpg-") as folder:
            source, coded, decoded = (Path(folder) / name for name in ("source.png", "coded.bpg", "decoded.png"))
            pil_img.convert("RGB").save(source, "PNG", compress_level=1)
            _run(self._get_encode_cmd(str(source), str(coded)), coded)
            payload_bytes = coded.stat().st_size
            _run(self._get_decode_cmd(str(coded), str(decoded)), decoded)
            with Image.open(decoded) as opened:
                image = opened.convert("RGB")
        return (image, payload_bytes) if self.returns_file_size else image


def bpg_unavailable_reason(encoder: str = "jctvc") -> str | None:
    """Returns why BPG cannot be used here and what to do, or None if it can.

    Args:
        encoder: the HEVC encoder that `bpgenc` must contain.
    """
    for variable, program in PROGRAMS.items():
        reason = wrong_program(variable, (program,), _TITLES[variable], f"libbpg's {program}", _ADVICE, "-h")
        if reason:
            return reason
    path = str(find_program("SC2_SPIC_BPGENC", ("bpgenc",)))
    offered = re.search(r"HEVC encoder \(([^,)]*)", program_answer(path, "-h"))
    encoders = offered.group(1).split() if offered else []
    if encoder in encoders:
        return None
    return (
        f"`{path}` contains the encoder {', '.join(encoders) or '(no name)'}, not `{encoder}`; build it "
        f"with USE_{encoder.upper()}, or choose another with the option `encoder`"
    )


def _run(command: list[str], written: Path) -> None:
    """Runs a program that must write a file.

    Raises:
        DataError: it ended with an error, or wrote nothing.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False
        )
    except OSError as error:
        raise DataError(f"`{command[0]}` cannot be started: {error}") from error
    said = (done.stderr.strip() or done.stdout.strip() or "it said nothing")[-500:]
    if done.returncode != 0:
        raise DataError(f"`{command[0]}` ended with code {done.returncode}: {said}")
    if not written.is_file() or not written.stat().st_size:
        raise DataError(f"`{command[0]}` wrote no {written.suffix} file: {said}")
