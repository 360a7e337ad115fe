"""compressai's learned density, made to learn at the learning rate of the network it is trained with."""

from compressai.entropy_models import EntropyBottleneck
from torch import Tensor

__all__ = ["LEARNING_GAIN", "QuickEntropyBottleneck"]

LEARNING_GAIN = 20.0
"""Factor between a stored parameter and the one that the density uses."""

_SCALED = ("matrices", "biases", "factors")


class QuickEntropyBottleneck(EntropyBottleneck):
    """`EntropyBottleneck` whose stored parameters are 1/gain of those the density is evaluated with.

    Adam moves each parameter by about the learning rate per step, whatever the gradient. The density wants some 0.1
    per step; at the 1e-3 to 1e-2 that suits a bottleneck unit it is still 5 to 300 % above the entropy of a simple
    source after 400 steps. With the gain it follows the unit without a learning rate of its own. The function that
    is learned, its initial value and its gradient with respect to the latent are compressai's.

    Args:
        channels: number of independent densities.
        init_scale: initial width in symbols.
        gain: see `LEARNING_GAIN`; 1 is compressai's own behaviour.
    """

    def __init__(self, channels: int, init_scale: float, gain: float = LEARNING_GAIN) -> None:
        super().__init__(channels, init_scale=init_scale)
        self.gain = float(gain)
        for name in _SCALED:
            for parameter in self._modules[name].parameters():  # type: ignore[union-attr]
                parameter.data.div_(self.gain)

    def _logits_cumulative(self, inputs: Tensor, stop_gradient: bool) -> Tensor:
        scaled = {name: [self.gain * parameter for parameter in getattr(self, name)] for name in _SCALED}
        self.__dict__.update(scaled)  # hides the stored lists from the parent's code
        try:
            return super()._logits_cumulative(inputs, stop_gradient)
        finally:
            for name in _SCALED:
                del self.__dict__[name]
