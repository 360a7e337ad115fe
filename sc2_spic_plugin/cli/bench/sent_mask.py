"""The reference that keeps split points honest in segmentation: the whole network on the device, its mask sent."""

import io

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from sc2bench.analysis import AnalyzableModule
from torch import Tensor, nn

__all__ = ["MaskEncoder", "MaskSender", "mask_as_png"]


def mask_as_png(mask: NDArray[np.uint8], classes: int) -> bytes:
    """Returns a mask (H, W) of class indices as the smaller of two PNGs: 8-bit grey, or a palette of few bits."""
    files = []
    bits = next(bits for bits in (1, 2, 4, 8) if classes <= 2**bits)
    image = Image.fromarray(mask)
    for mode, options in (("L", {}), ("P", {"bits": bits})):
        file = io.BytesIO()
        copy = image.copy()
        if mode == "P":
            copy.putpalette([0] * 3 * classes)
        copy.save(file, "PNG", optimize=True, **options)
        files.append(file.getvalue())
    return min(files, key=len)


class MaskEncoder(nn.Module):
    """The device's part: image -> network -> argmax -> PNG.

    Args:
        network: returns a dict with `out` (B, classes, H, W).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> list[bytes]:
        """Returns the predicted mask of each image as a PNG."""
        return _sent(self.network(images)["out"])


class MaskSender(AnalyzableModule):
    """A segmentation network whose predicted mask is sent as a PNG; what is scored was decoded from it.

        image -> network -> argmax -> PNG (the payload) -> mask -> one-hot logits

    Args:
        network: returns a dict with `out` (B, classes, H, W).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Returns `out` (B, classes, H, W): one where the received mask has the class, else zero."""
        logits = self.network(images)["out"]
        classes = logits.shape[1]
        received = []
        for payload in _sent(logits):
            self.analyze(len(payload))
            with Image.open(io.BytesIO(payload)) as image:
                received.append(torch.from_numpy(np.array(image)).long())
        return {"out": F.one_hot(torch.stack(received), classes).permute(0, 3, 1, 2).float()}


def _sent(logits: Tensor) -> list[bytes]:
    """Returns the mask of each image as a PNG; `logits` are (B, classes, H, W)."""
    return [mask_as_png(mask, logits.shape[1]) for mask in logits.argmax(dim=1).to(torch.uint8).cpu().numpy()]
