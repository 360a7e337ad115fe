"""One image's output by the original network beside its output after real bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError

__all__ = ["Comparison"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a picture of one coded image shows.

    Attributes:
        image: what the networks saw, (H, W, 3) uint8.
        before: the original network's output: probabilities (classes,), or a label map (H, W) of class indices.
        after: the same from decoded bytes.
        classes: class names; a class beyond them is called by its index.
        code_bytes: entropy-coded symbols.
        payload_bytes: code and header.
        bits_per_image_pixel: the payload's, over the protocol's pixels.
        name: what the image is called.
        method: what the method is called.
        unit: name of the unit.
        cut: the module after which the network is split, if it is.
        bypassed: whether tensors cross beside the payload, uncounted.
    """

    image: NDArray[np.uint8]
    before: NDArray[np.generic]
    after: NDArray[np.generic]
    classes: Sequence[str]
    code_bytes: int
    payload_bytes: int
    bits_per_image_pixel: float
    name: str
    method: str
    unit: str
    cut: str | None = None
    bypassed: bool = False

    def __post_init__(self) -> None:
        """Checks the shapes.

        Raises:
            DataError: outputs of different shape, or a label map of another size than the image.
        """
        if self.before.shape != self.after.shape or self.before.ndim not in (1, 2):
            raise DataError(
                f"outputs of shape {self.before.shape} and {self.after.shape} cannot be compared; give probabilities "
                "(classes,) or label maps (H, W) of both."
            )
        if self.before.ndim == 2 and self.before.shape != self.image.shape[:2]:
            raise DataError(
                f"a label map of {self.before.shape} does not lie on an image of {self.image.shape[:2]}; scale the "
                "output to the image first."
            )

    @property
    def task(self) -> str:
        """`classification` or `segmentation`."""
        return "classification" if self.before.ndim == 1 else "segmentation"

    @property
    def differing(self) -> NDArray[np.bool_]:
        """Where the label maps differ, (H, W)."""
        return np.asarray(self.before != self.after)

    @property
    def agreement(self) -> float:
        """The part that agrees, 0 to 1: of the pixels, or of the one first class."""
        if self.task == "classification":
            return float(self.before.argmax() == self.after.argmax())
        return float(1.0 - self.differing.mean())

    @property
    def verdict(self) -> str:
        """What became of the output, in a few words."""
        if self.task == "classification":
            return "top-1 agrees" if self.agreement else "top-1 differs"
        return f"{percent(self.agreement)} of pixels agree"

    @property
    def headline(self) -> str:
        """Payload, rate and agreement, for people."""
        payload = f"{self.payload_bytes:,} byte{'s' * (self.payload_bytes != 1)}"
        return f"Payload {payload} · {self.bits_per_image_pixel:.3g} bits per image pixel · {self.verdict}"

    @property
    def sentence(self) -> str:
        """The headline for a terminal, with the first classes of a classifier."""
        payload = f"payload {self.payload_bytes:,} bytes ({self.code_bytes:,} of code)"
        parts = [payload, f"{self.bits_per_image_pixel:.3g} bits per image pixel", self.verdict]
        if self.task == "classification":
            first = (int(self.before.argmax()), int(self.after.argmax()))
            shares = (float(self.before[first[0]]), float(self.after[first[1]]))
            before, after = (f"{self.class_name(i)} {percent(p)}" for i, p in zip(first, shares, strict=True))
            parts[-1] += f" ({before}, then {after})"
        return ", ".join(parts) + (", bypassed" if self.bypassed else "")

    def class_name(self, index: int) -> str:
        """Returns what a class is called."""
        return str(self.classes[index]) if index < len(self.classes) else f"class {index}"


def percent(part: float) -> str:
    """Returns a part as a percentage with one decimal that is 0 or 100 only if the part is."""
    if 0.0 < part < 0.001:
        return "< 0.1 %"
    return f"{99.9 if 0.999 < part < 1.0 else 100 * part:.1f} %"
