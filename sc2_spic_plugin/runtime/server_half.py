"""The server half of an exported model: from payload to the network's output, without the hosts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..coding import read_container, unpack_payload
from ..errors import BitstreamError
from .bank import Bank
from .manifest import PROGRAMS, SERVER, Manifest, half_folder
from .program import load_program
from .received_batch import decode_features, doubting_sizes, read_payloads

__all__ = ["ServerHalf"]


class ServerHalf:
    """Coding tables, unit decoders and back-end, read from files.

        container -> unpack -> payload -> coder -> unit.decode -> back_end -> output

    Args:
        folder: the server folder that `sc2-spic export` wrote, or the one around it.
        device: torch device of the network part and the units.

    Raises:
        CheckpointError: a file of it is missing or damaged.
    """

    def __init__(self, folder: str | Path, device: str | torch.device = "cpu") -> None:
        self.folder, self.device = half_folder(folder, SERVER), torch.device(device)
        self.manifest = Manifest.read(self.folder, SERVER)
        self._back_end = load_program(
            self.folder / PROGRAMS[SERVER], self.manifest.program_sha256, self.manifest.torch_version, device
        )
        self._bank = Bank(self.folder, self.manifest, device)
        self._default_sizes = tuple(self.manifest.default_sizes)

    @property
    def units(self) -> list[str]:
        """Names of the units, in the order in which payloads count them."""
        return self.manifest.names

    def unpack(self, container: bytes) -> list[bytes]:
        """Returns the payloads of a container, checked; units that the sender has behind those used do not matter.

        Raises:
            BitstreamError: truncated, altered, of a newer format, or made with a unit or bank that this is not.
        """
        payloads = read_container(container)
        indices = [unpack_payload(payload, self._default_sizes).unit_index for payload in payloads]
        last = max(indices, default=0)
        if last >= len(self.units):
            raise BitstreamError(
                f"the data name unit {last}, this half has {len(self.units)} ({', '.join(self.units)}); copy the units "
                "and the manifest that the sender has, or encode with one of these."
            )
        return read_container(container, self.manifest.bank_digest(last))

    @torch.no_grad()
    def decode(self, payloads: Sequence[bytes]) -> Any:
        """Returns the network's output for payloads of one unit and size: what `SplitModel.decode` gives.

        Args:
            payloads: one per image, of one unit and one size.

        Raises:
            BitstreamError: a payload that cannot be decoded, or payloads that differ in unit or size.
            CheckpointError: the unit's files are missing or damaged.
        """
        received = read_payloads(payloads, self.units, self._default_sizes)
        unit, coder = self._bank.unit(received.unit)
        with doubting_sizes(received, self._default_sizes):
            features = decode_features(received, unit, coder, torch.device(self.device))
            output = self._back_end(features, *received.sizes[2:])
        return dict(output) if isinstance(output, Mapping) else output
