"""Rows that train nothing: the original network that they are measured with, and what they cost beside their bits."""

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from ...leaderboard import CodecPoint
from ...leaderboard.costs import Costs, measure_costs
from ...leaderboard.styles import LABEL_METHOD, MASK_METHOD
from ...models.network import load_weights
from ..opening import OpenedConfig, open_config
from .input_codec import coded_images, coding_model
from .job import CONFIG
from .sent_mask import MaskEncoder

__all__ = ["codec_point", "open_row", "row_costs"]


def open_row(places: Mapping[str, Any], device: str | None = None) -> OpenedConfig:
    """Opens the original network's config with its weights; once for many rows in one process.

    Args:
        places: of the facts of a job.
        device: torch device string, instead of the job's.
    """
    original, weights = Path(places["original"]), Path(places["weights"])
    return _open(original / CONFIG, weights, device or places["device"], places["protocol"])


@lru_cache(maxsize=1)
def _open(config: Path, weights: Path, device: str, protocol: str | None) -> OpenedConfig:
    opened = open_config(config, config, device, 0, protocol)
    load_weights(opened.built.model, weights)
    return opened


def codec_point(row: Mapping[str, Any]) -> CodecPoint:
    """Returns the image codec of a row."""
    return CodecPoint(row["method"], row["quality"], row["options"], row["scale"], row["subsampling"])


def row_costs(opened: OpenedConfig, row: Mapping[str, Any]) -> Costs:
    """Measures what a row costs beside its bits.

    With an image codec the device has no network and the server has all of it; where the device sends the label or the
    mask it is the other way round, and making the mask's PNG is counted among the device's time with the network.

    Args:
        opened: the original network.
        row: of the job.

    Raises:
        SpicError: the codec failed, or the network's sides are not known.
    """
    built, protocol = opened.built, opened.protocol
    dataset, network = built.datasets[protocol.report], built.model.to(built.device)
    count = min(protocol.timing.repeats, len(dataset))
    if row["method"] in (LABEL_METHOD, MASK_METHOD):
        device = network if row["method"] == LABEL_METHOD else MaskEncoder(network)
        return measure_costs(device, [dataset[index][0] for index in range(count)], protocol, on_device=True)
    model = coding_model(codec_point(row), built, dataset)
    images = [batch[0] for batch, _ in islice(coded_images(built, dataset), count)]
    return measure_costs(model, images, protocol)
