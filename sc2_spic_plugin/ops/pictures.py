"""Reading one image file, whole or with a word on what is wrong with it."""

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from ..errors import DataError

__all__ = ["read_image"]


def read_image(path: str | Path) -> Image.Image:
    """Reads a whole image as RGB.

    Raises:
        DataError: the file is missing, is no image, is cut short or damaged.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError as error:
        raise DataError(f"there is no image at {path}; correct the path, or put back what was there.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow's PNG reader raises SyntaxError for a broken chunk
        raise DataError(
            f"The image `{path}` cannot be read ({error}). It is damaged or no image: replace or remove it."
        ) from error
