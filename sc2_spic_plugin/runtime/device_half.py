"""The device half of an exported model: from image to payload, without the hosts."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..coding import Payload, pack_payload, unpack_payload, write_container
from ..errors import ConfigError, DataError
from .bank import Bank
from .manifest import DEVICE, PROGRAMS, Manifest, half_folder
from .preprocessing import prepare
from .program import flat_outputs, load_program
from .received_batch import TOO_LARGE, are_too_large

__all__ = ["DeviceHalf"]


class DeviceHalf:
    """Front-end, unit encoders and coding tables, read from files.

        picture -> prepare -> image -> front_end -> unit.encode -> coder -> payload -> pack -> container

    Args:
        folder: the device folder that `sc2-spic export` wrote, or the one around it.
        device: torch device of the network part and the units.

    Raises:
        CheckpointError: a file of it is missing or damaged.
    """

    def __init__(self, folder: str | Path, device: str | torch.device = "cpu") -> None:
        self.folder, self.device = half_folder(folder, DEVICE), torch.device(device)
        self.manifest = Manifest.read(self.folder, DEVICE)
        self._front_end = load_program(
            self.folder / PROGRAMS[DEVICE], self.manifest.program_sha256, self.manifest.torch_version, device
        )
        self._bank = Bank(self.folder, self.manifest, device)
        self._default_sizes = tuple(self.manifest.default_sizes)

    @property
    def units(self) -> list[str]:
        """Names of the units, in the order in which payloads count them."""
        return self.manifest.names

    def prepare(self, picture: Image.Image) -> Tensor:
        """Returns a picture (RGB) as the network takes it, (3, H, W).

        Raises:
            ConfigError: the export does not say how pictures are prepared.
        """
        if self.manifest.preprocessing is None:
            raise ConfigError(
                f"{self.folder} does not say how pictures are prepared; prepare them as in training, and pass tensors "
                "to `DeviceHalf.encode`."
            )
        return prepare(picture, self.manifest.preprocessing)

    @torch.no_grad()
    def encode(self, image: Tensor, unit: str | None = None) -> list[bytes]:
        """Returns one payload for each image: the bytes that `SplitModel.encode` gives.

        Args:
            image: (B, 3, H, W), prepared.
            unit: name of the unit; None: the first.

        Raises:
            ConfigError: no such unit, or images so large that no receiver would accept their payloads.
            CheckpointError: the unit's files are missing or damaged.
            DataError: images of a size that the network cannot take.
        """
        name = self.units[0] if unit is None else unit
        encoder, coder = self._bank.unit(name)
        features, sizes = self._split(image)
        all_sizes = (features.shape[-2], features.shape[-1], *sizes)
        if are_too_large(all_sizes, self._default_sizes):
            raise ConfigError(
                f"images of {image.shape[-2]}x{image.shape[-1]} are {TOO_LARGE} as those that "
                "the model was exported for, which no receiver accepts; code them in parts."
            )
        index = self.units.index(name)
        return [
            pack_payload(Payload(index, all_sizes, coder.encode(symbols)), self._default_sizes)
            for symbols in encoder.encode(features).cpu()
        ]

    def pack(self, payloads: Sequence[bytes]) -> bytes:
        """Returns a container of payloads, which a server half unpacks that has the same units up to the last used."""
        indices = [unpack_payload(payload, self._default_sizes).unit_index for payload in payloads]
        return write_container(payloads, self.manifest.bank_digest(max(indices, default=0)))

    def _split(self, image: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        channels, height, width = self.manifest.input_size
        if image.ndim != 4 or image.shape[1] != channels:
            raise DataError(
                f"expected images (B, {channels}, H, W), got {tuple(image.shape)}; add the batch dimension."
            )
        shown = f"{image.shape[-2]}x{image.shape[-1]}"
        if not self.manifest.any_size and tuple(image.shape[-2:]) != (height, width):
            raise DataError(
                f"the image is {shown}, this export takes {height}x{width} alone; resize it, or export the model at "
                "that `input_size`."
            )
        try:
            return flat_outputs(self._front_end(image.to(self.device)))
        except (RuntimeError, ValueError, AssertionError) as error:
            raise DataError(f"the network cannot take images of {shown} ({error}); resize them.") from error
