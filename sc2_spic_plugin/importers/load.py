"""A released unit as one of ours: same symbols, same outputs, with its frequency table."""

from pathlib import Path

from ..errors import CheckpointError
from ..layers import BottleneckUnit, published_geometry
from .frequencies import read_frequencies
from .split_points import split_point
from .weights import PublishedWeights, read_published_weights

__all__ = ["check_fits", "load_published_unit"]


def load_published_unit(
    weights_path: str | Path,
    table_path: str | Path,
    *,
    task: str,
    split: str,
    step: float,
    stride: int,
    latent_channels: int,
) -> tuple[BottleneckUnit, dict[int, int]]:
    """Loads a released unit and its table.

        weights (released keys) ──► strict key map ──► BottleneckUnit, geometry as released, eval mode
        table {step * symbol: count} ────────────────► {symbol: count}

    Args:
        weights_path: the released `modelN.pth.tar`.
        table_path: the released `freqN.pickle`.
        task: `classification` or `segmentation`.
        split: `S1`, `S2`, `S3`, `US1` or `US2`.
        step: quantiser step Q (`qp` in the release).
        stride: downsampling S (`stride_val`); the weights tell strides apart only as far as the kernels differ.
        latent_channels: C_r (`out_channel`).

    Returns:
        The unit, whose output size may differ from its input's as it does in the release (split 3: 15x15 or 17x17 for
        14x14), and symbol -> count.

    Raises:
        CheckpointError: the weights are missing, damaged, or of another unit than was asked for.
        TableError: the table is refused, damaged, or made for another step.
        ConfigError: no such task or split, or numbers that make no unit.
    """
    weights = read_published_weights(weights_path)
    check_fits(weights, task=task, split=split, stride=stride, latent_channels=latent_channels)
    unit = _build_unit(weights, task=task, split=split, step=step, stride=stride)
    return unit, read_frequencies(table_path, step)


def check_fits(weights: PublishedWeights, *, task: str, split: str, stride: int, latent_channels: int) -> None:
    """Refuses weights of another split, stride or width than was asked for.

    Raises:
        CheckpointError: what differs.
        ConfigError: no such task or split.
    """
    point, geometry = split_point(task, split), published_geometry(task, split, stride)
    asked = f"{task} {split} at stride {stride}"
    for what, found, expected in (
        ("features of {} channels", weights.in_channels, point.in_channels),
        ("a latent of {} channels", weights.latent_channels, latent_channels),
        ("an encoder kernel of {}", weights.encoder_kernel, geometry.encoder_kernel),
        ("a decoder kernel of {}", weights.decoder_kernel, geometry.decoder_kernel),
    ):
        if found != expected:
            raise CheckpointError(
                f"{weights.path} has {what.format(found)}, {asked} has {expected}: it is another unit; "
                "give the task, split, stride and channels of this file (the release lists them in dict.yaml)"
            )


def _build_unit(weights: PublishedWeights, *, task: str, split: str, step: float, stride: int) -> BottleneckUnit:
    """Builds the unit that the weights belong to, in eval mode."""
    geometry = published_geometry(task, split, stride)
    unit = BottleneckUnit(weights.in_channels, weights.latent_channels, stride=stride, step=step, geometry=geometry)
    state = {**weights.unit, "quantizer.trained_step": unit.quantizer.trained_step}
    try:
        unit.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{weights.path} does not fit its unit: {error}") from error
    return unit.eval()
