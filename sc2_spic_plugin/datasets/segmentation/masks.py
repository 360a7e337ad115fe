"""Masks: reading label images by index, mapping labels to classes, and the mask of an image nobody labelled."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ...errors import ConfigError, DataError
from ...ops import VOID_LABEL

__all__ = ["VOID_LABEL", "LabelMap", "index_mask", "read_mask", "void_mask"]


def void_mask(image: Image.Image) -> Image.Image:
    """Returns a mask of the image's size that is void everywhere."""
    return Image.new("L", image.size, VOID_LABEL)


def index_mask(mask: Image.Image, name: object = "the mask") -> NDArray[np.uint8]:
    """Returns the labels (H, W) of a mask: of a palette image the indices, never its colours.

    Args:
        mask: an 8-bit grey (L), palette (P) or two-level (1) image.
        name: what the message calls the mask.

    Raises:
        DataError: the image is of another kind.
    """
    if mask.mode not in ("L", "P", "1"):
        kind = "16 or 32 bits" if mask.mode.startswith(("I", "F")) else "colours"
        raise DataError(
            f"`{name}` holds {kind} (Pillow mode `{mask.mode}`), not labels of 8 bits. Save each pixel's class index "
            "as an 8-bit grey or palette PNG."
        )
    return np.asarray(mask).astype(np.uint8)


def read_mask(path: str | Path) -> NDArray[np.uint8]:
    """Reads the labels (H, W) of a mask file.

    Raises:
        DataError: the file is missing, damaged, or holds no 8-bit labels.
    """
    try:
        with Image.open(path) as mask:
            mask.load()
    except FileNotFoundError as error:
        raise DataError(
            f"The mask `{path}` has gone since the folder was listed. Put it back or start again."
        ) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"The mask `{path}` cannot be read ({error}). It is damaged or no image: replace or remove it."
        ) from error
    return index_mask(mask, path)


class LabelMap:
    """The way from the labels in a file to class indices.

    Void labels, and 255, become 255. The labels that are not void stand for the classes in ascending order: with 11
    classes and void label 11, labels 0 to 10 are classes 0 to 10; with void label 0, labels 1 to 11 are.
    """

    def __init__(self, classes: Sequence[str], void: int | Iterable[int] = ()) -> None:
        """Builds the table of all 256 labels.

        Args:
            classes: the class names.
            void: the label or labels to ignore.

        Raises:
            ConfigError: no class, a name twice, too many classes for 8 bits, or a void label outside 0 to 255.
        """
        names = list(classes)
        ignored = {*([void] if isinstance(void, int) else void), VOID_LABEL}
        if not names or len(set(names)) != len(names):
            raise ConfigError(f"`classes` must hold the class names, each once; it is {names}.")
        if any(not isinstance(label, int) or not 0 <= label <= 255 for label in ignored):
            raise ConfigError(f"`void` labels lie between 0 and 255; they are {sorted(map(str, ignored))}.")
        self.labels = [label for label in range(256) if label not in ignored][: len(names)]
        if len(self.labels) < len(names):
            raise ConfigError(f"Masks of 8 bits cannot hold {len(names)} classes beside {len(ignored)} void labels.")
        self._table = np.full(256, -1, dtype=np.int16)
        self._table[self.labels] = np.arange(len(names))
        self._table[list(ignored)] = VOID_LABEL

    def __call__(self, labels: NDArray[np.uint8], name: object = "the mask") -> Image.Image:
        """Returns the mask (mode L) of class indices and void.

        Args:
            labels: labels as they are in the file, (H, W).
            name: what the message calls the mask.

        Raises:
            DataError: a label is neither a class nor void; the message names it.
        """
        mapped = self._table[labels]
        if (mapped < 0).any():
            strange = ", ".join(str(label) for label in np.unique(labels[mapped < 0])[:8])
            raise DataError(
                f"`{name}` holds label {strange}, but the {len(self.labels)} classes have labels {self.labels[0]} to "
                f"{self.labels[-1]}. Correct the mask, name the missing classes, or list the label under `void`."
            )
        return Image.fromarray(mapped.astype(np.uint8))
