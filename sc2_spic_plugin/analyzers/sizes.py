"""Measured sizes per image: code, payload and harness bytes, whatever the batch size."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sc2bench.analysis import BaseAnalyzer
from torch import distributed
from torchdistill.common.constant import def_logger
from torchdistill.common.file_util import get_binary_object_size
from torchdistill.common.tensor_util import QuantizedTensor

from ..errors import ConfigError

__all__ = ["ImageSizes", "SpicSizeAnalyzer", "further_columns"]

logger = def_logger.getChild(__name__)
QUANTIZER_BYTES = 5
"""A float32 scale and a zero point of one byte, without which a quantised latent cannot be read."""


class ImageSizes(NamedTuple):
    """Sizes of one image.

    Attributes:
        code_bytes: bytes of entropy-coded symbols.
        payload_bytes: bytes of the payload.
        harness_bytes: bytes of the harness's pickled object.
        image_pixels: pixels of the image, 0 where they are not known.
        columns: further counts by name; None where there is no figure for this image.
    """

    code_bytes: int
    payload_bytes: int
    harness_bytes: int
    image_pixels: int
    columns: Mapping[str, int | None] | None = None


def further_columns(images: Sequence[ImageSizes]) -> dict[str, list[int | None]]:
    """Returns the further counts of images by name, None where an image has no figure."""
    names = dict.fromkeys(name for image in images for name in image.columns or {})
    return {name: [(image.columns or {}).get(name) for image in images] for name in names}


def _columns(
    columns: Sequence[Mapping[str, int | None]] | None, images: int
) -> Sequence[Mapping[str, int | None] | None]:
    if columns is None:
        return [None] * images
    if len(columns) != images:
        raise ConfigError(f"`columns` describes {len(columns)} images, the compressed object has {images}.")
    return [dict(of_image) for of_image in columns]


class SpicSizeAnalyzer(BaseAnalyzer):
    """Keeps the sizes of every image and prints their mean and standard deviation, gathered over ranks.

    It reads what SPIC models, sc2bench's entropy bottlenecks (`strings`, `shape`), its bottlenecks with a quantised
    latent (`z`) and codec wrappers (a number of bytes) hand to analyzers. Bits per image pixel need the image size,
    which SPIC models pass on and others need here.

    Args:
        image_size: [height, width] of the images, for models that do not tell.

    In a config:

        analyzer_configs:
          - key: 'SpicSizeAnalyzer'
            kwargs: {image_size: [224, 224]}
    """

    def __init__(self, image_size: Sequence[int] | None = None) -> None:
        self.image_size = None if image_size is None else (int(image_size[0]), int(image_size[1]))
        self.images: list[ImageSizes] = []

    def analyze(self, compressed_obj: Any) -> None:
        """Records a compressed object handed over by a model of the host."""
        self.record(compressed_obj)

    def record(
        self,
        compressed_obj: Any,
        code_bytes: Sequence[int] | None = None,
        image_size: tuple[int, int] | None = None,
        columns: Sequence[Mapping[str, int | None]] | None = None,
    ) -> None:
        """Records the images of one compressed object.

        Args:
            compressed_obj: `{"strings": [[bytes, ...], ...], "shape": ...}`, `{"z": QuantizedTensor}` of torchdistill
                or a number of bytes (one image).
            code_bytes: bytes of entropy-coded symbols per image; by default the whole payload.
            image_size: (height, width) of these images.
            columns: further counts per image, e.g. the bytes of another coder; None where one cannot be given.

        Raises:
            ConfigError: an object of another kind, or `columns` of another number of images.
        """
        height, width = image_size or self.image_size or (0, 0)
        if isinstance(compressed_obj, int | np.integer):
            size = int(compressed_obj)
            self.images.append(ImageSizes(size, size, size, height * width, *_columns(columns, 1)))
            return
        if isinstance(compressed_obj, Mapping) and isinstance(compressed_obj.get("z"), QuantizedTensor):
            self._record_quantized(compressed_obj["z"], height * width)
            return
        if not isinstance(compressed_obj, Mapping) or "strings" not in compressed_obj:
            raise ConfigError(
                f"SpicSizeAnalyzer cannot measure a {type(compressed_obj).__name__}: expected a number of bytes or a "
                "dict with `strings`. Use sc2bench's FileSizeAnalyzer for this model."
            )
        streams = compressed_obj["strings"]
        further = _columns(columns, len(streams[0]))
        for index, own in enumerate(further):
            strings = [stream[index] for stream in streams]
            payload = sum(len(string) for string in strings)
            single = {**compressed_obj, "strings": [[string] for string in strings]}
            self.images.append(
                ImageSizes(
                    payload if code_bytes is None else code_bytes[index],
                    payload,
                    int(get_binary_object_size(single, unit_size=1)),
                    height * width,
                    own,
                )
            )

    def _record_quantized(self, latent: QuantizedTensor, image_pixels: int) -> None:
        """Records a latent that is sent as it is: its integers, and scale and zero point of each image."""
        for integers in latent.tensor:
            size = integers.numel() * integers.element_size()
            single = {"z": QuantizedTensor(integers[None].clone(), latent.scale, latent.zero_point)}
            harness = int(get_binary_object_size(single, unit_size=1))
            self.images.append(ImageSizes(size, size + QUANTIZER_BYTES, harness, image_pixels))

    def gathered(self) -> list[ImageSizes]:
        """Returns the sizes of all ranks, rank after rank."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return list(self.images)
        parts: list[list[ImageSizes]] = [[] for _ in range(distributed.get_world_size())]
        distributed.all_gather_object(parts, self.images)
        return [sizes for part in parts for sizes in part]

    def summary(self) -> dict[str, tuple[float, float]]:
        """Returns mean and standard deviation (population) of each size, and of bits per image pixel where known.

        Of further columns they are taken over the images where the figure is known.
        """
        images = self.gathered()
        if not images:
            return {}
        table = np.asarray([image[:4] for image in images], dtype=np.float64)
        columns = {
            "code_bytes": table[:, 0],
            "payload_bytes": table[:, 1],
            "harness_kilobytes": table[:, 2] / 1024,
        }
        if (table[:, 3] > 0).all():
            columns["bits_per_image_pixel"] = table[:, 1] * 8 / table[:, 3]
        for name, values in further_columns(images).items():
            known = [value for value in values if value is not None]
            if known:
                columns[name] = np.asarray(known, dtype=np.float64)
        return {name: (float(column.mean()), float(column.std())) for name, column in columns.items()}

    def summarize(self) -> None:
        """Prints one line per size."""
        summary = self.summary()
        count = len(self.gathered())
        for name, (mean, std) in summary.items():
            logger.info(f"{name}: mean {mean:.4f} std {std:.4f} for {count} images")

    def clear(self) -> None:
        """Forgets all images."""
        self.images.clear()
