"""A private stream of uniform noise, apart from torch's global generator and exactly resumable."""

import torch
from torch import Tensor

from ..ops import add_uniform_noise
from ..ops.ranks import rank

__all__ = ["NoiseSource"]


class NoiseSource:
    """Draws noise from generators of its own, one per device, made when a device is first seen.

    A rate estimator owns one, so that its noise does not depend on what else in the process draws random numbers.
    Ranks of a distributed run get different streams from one seed.

    Args:
        seed: starts the stream; None draws a seed from torch's default generator now.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = int(torch.randint(2**62, ())) if seed is None else int(seed)
        self._generators: dict[str, torch.Generator] = {}
        self._saved: dict[str, Tensor] = {}

    def add(self, values: Tensor) -> Tensor:
        """Returns `values` plus noise uniform on [-1/2, 1/2)."""
        return add_uniform_noise(values, self._generator(values.device))

    def get_state(self) -> dict[str, Tensor]:
        """Returns the seed and, per device that was used, the generator's state (all tensors on the CPU)."""
        live = {name: generator.get_state() for name, generator in self._generators.items()}
        return {"seed": torch.tensor(self.seed), **self._saved, **live}

    def set_state(self, state: dict[str, Tensor]) -> None:
        """Goes on where `get_state` was taken.

        Raises:
            KeyError: `state` has no entry `seed`, so it is not from `get_state`.
        """
        self.seed = int(state["seed"])
        self._generators = {}
        self._saved = {name: value for name, value in state.items() if name != "seed"}

    def _generator(self, device: torch.device) -> torch.Generator:
        name = str(device)
        if name not in self._generators:
            generator = torch.Generator(device)
            if name in self._saved:
                generator.set_state(self._saved.pop(name).cpu())
            else:
                generator.manual_seed((self.seed + 1_000_003 * rank() + (device.index or 0)) % 2**63)
            self._generators[name] = generator
        return self._generators[name]
