"""The coder of a unit whose hyperprior is kept: a coded hyper-latent tells the receiver each symbol's Gaussian."""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import TableError
from .gaussian_coder import decode_gaussian, encode_gaussian, gaussian_code_bits
from .integer_synthesis import IntegerSynthesis
from .range_codec import RangeEncoder, encoded_bytes, open_decoder
from .static_coder import StaticCoder
from .symbol_arrays import as_symbols, checked_shape

__all__ = ["HYPER_ALPHABET", "HYPER_OFFSET", "HyperpriorCoder"]

HYPER_ALPHABET, HYPER_OFFSET = 64, 32
"""Values of the hyper-latent that its tables hold: -32..31."""


class HyperpriorCoder:
    """Codes integer tensors (C, h, w) as `StaticCoder` does, one code of hyper-latent and symbols.

        symbols ─► analysis ─► z ─► static tables ───────────────────────────┐
                               └──► synthesis ─► Gaussians ─► symbols' code ─┴─► code

    Sender and receiver run the synthesis in whole numbers, so they agree whatever machines they are; the analysis runs
    at the sender alone. An object never changes once made: threads may share it.

    Args:
        analysis: (1, C, h, w) float32 symbols to (1, C_z, ceil(h/4), ceil(w/4)), to be rounded.
        synthesis: gives the Gaussians.
        side: codes the hyper-latent, `HYPER_OFFSET` added.
        analysis_bytes: of the analysis' weights.

    Raises:
        TableError: tables and synthesis are for hyper-latents of different channels.
    """

    def __init__(
        self, analysis: Callable[[Tensor], Tensor], synthesis: IntegerSynthesis, side: StaticCoder, analysis_bytes: int
    ) -> None:
        if side.channels != synthesis.hyper_channels:
            raise TableError(
                f"tables of a hyper-latent of {side.channels} channels for a synthesis of {synthesis.hyper_channels}"
            )
        self.analysis, self.synthesis, self.side = analysis, synthesis, side
        self.analysis_bytes = analysis_bytes

    @property
    def channels(self) -> int:
        """Channels of the latents that it codes."""
        return self.synthesis.channels

    @property
    def table_bytes(self) -> int:
        """Bytes of what is shipped beside the unit: the hyper-latent's tables, synthesis and analysis."""
        return self.side.table_bytes + self.synthesis.stored_bytes + self.analysis_bytes

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over all that a receiver needs: equal digests decode alike."""
        return hashlib.sha256(f"hyperprior coder 1|{self.side.digest}|{self.synthesis.digest}".encode()).hexdigest()

    def encode(self, symbols: Tensor | np.ndarray) -> bytes:
        """Returns the code of (C, h, w) integers: no header, as short as still decodes, maybe empty.

        Raises:
            TableError: not integers, another number of channels, or a value that is no 32-bit integer.
        """
        array, hyper_latent = self._opened(symbols)
        encoder = RangeEncoder()
        self.side.append(encoder, hyper_latent + HYPER_OFFSET)
        encode_gaussian(encoder, array.reshape(-1), self.synthesis(hyper_latent, (array.shape[1], array.shape[2])))
        return encoded_bytes(encoder)

    def decode(self, code: bytes, shape: Sequence[int]) -> Tensor:
        """Returns the symbols of a code, `shape` (C, h, w), int32, on the CPU.

        Raises:
            BitstreamError: the code was damaged or made with other tables, or the shape cannot be right.
        """
        _, height, width = checked_shape(shape, self.channels)
        decoder = open_decoder(code)
        hyper_latent = self.side.take(decoder, (self.side.channels, -(-height // 4), -(-width // 4))) - HYPER_OFFSET
        symbols = decode_gaussian(decoder, self.synthesis(hyper_latent, (height, width)))
        return torch.from_numpy(symbols.reshape(tuple(shape)))

    def ideal_bits(self, symbols: Tensor | np.ndarray) -> float:
        """Returns the code length of (C, h, w) integers in bits, hyper-latent and escapes included."""
        array, hyper_latent = self._opened(symbols)
        gaussians = self.synthesis(hyper_latent, (array.shape[1], array.shape[2]))
        return self.side.ideal_bits(hyper_latent + HYPER_OFFSET) + gaussian_code_bits(array.reshape(-1), gaussians)

    @torch.no_grad()
    def _opened(self, symbols: Tensor | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns symbols (C, h, w) and their hyper-latent (C_z, ceil(h/4), ceil(w/4)), both int32."""
        array = as_symbols(symbols, 3, self.channels)
        predicted = self.analysis(torch.from_numpy(array.astype(np.float32))[None])[0]
        limit = float(1 << 20)
        return array, torch.nan_to_num(predicted.round()).clamp(-limit, limit).to(torch.int32).numpy()
