"""One operating point of a method: rate, accuracy, sizes, times and where it comes from."""

import dataclasses
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import DataError

__all__ = ["METRICS", "Point", "Value"]

Value = float | int | str | None

METRICS = {"classification": "top1", "segmentation": "miou"}
_PERCENT = ("top1", "top5", "miou", "confidence_low", "confidence_high")
_TEXT = ("unit", "config_sha256", "checkpoint_sha256")


@dataclass(frozen=True, kw_only=True)
class Point:
    """What was measured at one rate; a value that was not measured is None, never NaN.

    Attributes:
        bpp: `payload_bytes` * 8 / image pixels, mean over images; None only where nothing is coded.
        top1: percent of images classified right, from decoded symbols.
        top5: percent of images whose class is among the first five.
        miou: mean intersection over union in percent (segmentation).
        confidence_low: lower end of the 95 % bootstrap interval of the accuracy, percent.
        confidence_high: upper end of it.
        code_bytes: entropy-coded symbols, mean bytes per image.
        payload_bytes: code and header, what crosses the link, mean bytes per image.
        harness_kilobytes: sc2bench's pickled object, mean KB per image.
        encoder_kilobytes: what the device must store, KB.
        encoder_macs: multiply-accumulates on the device per image.
        encode_ms: median time on the device per image, milliseconds.
        decode_ms: median time on the server per image, milliseconds.
        unit: name of the operating point within its method (bank unit, codec quality).
        config_sha256: digest of the rendered config.
        checkpoint_sha256: digest of the checkpoint; None where nothing was trained.
        seed: training seed; None where nothing is random.
        extra: further columns, written beside the others; None is the same as absent.
    """

    bpp: float | None
    top1: float | None = None
    top5: float | None = None
    miou: float | None = None
    confidence_low: float | None = None
    confidence_high: float | None = None
    code_bytes: float | None = None
    payload_bytes: float | None = None
    harness_kilobytes: float | None = None
    encoder_kilobytes: float | None = None
    encoder_macs: float | None = None
    encode_ms: float | None = None
    decode_ms: float | None = None
    unit: str
    config_sha256: str | None = None
    checkpoint_sha256: str | None = None
    seed: int | None = None
    extra: Mapping[str, Value] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Turns numpy and torch scalars into plain ones and checks every value.

        Raises:
            DataError: a value that is not finite, negative, of the wrong type, or not a percentage.
        """
        names = column_names()
        for name in names:
            object.__setattr__(self, name, _checked(name, getattr(self, name)))
        for name in self.extra:
            if name in names:
                raise DataError(f"Point `{self.unit}`: `{name}` is a field of its own, not an extra column.")
        extra = {name: _plain(name, value) for name, value in self.extra.items() if value is not None}
        object.__setattr__(self, "extra", extra)
        if not self.unit:
            raise DataError("A point needs a `unit`: the name of the operating point, for example `u3` or `q35`.")
        low, high = self.confidence_low, self.confidence_high
        if (low is None) != (high is None) or (low is not None and high is not None and low > high):
            raise DataError(f"Point `{self.unit}`: confidence_low {low} and confidence_high {high} are no interval.")

    @property
    def accuracy(self) -> float:
        """The task's metric in percent: top-1, or mIoU where there is no top-1.

        Raises:
            DataError: neither was measured.
        """
        value = self.top1 if self.top1 is not None else self.miou
        if value is None:
            raise DataError(f"Point `{self.unit}` has neither top1 nor miou.")
        return value

    @property
    def key(self) -> tuple[str, str | None, str | None, int | None]:
        """What makes it the same point when measured again."""
        return self.unit, self.config_sha256, self.checkpoint_sha256, self.seed


def column_names() -> list[str]:
    """Returns the names of the fixed columns in the order of the result file."""
    return [item.name for item in dataclasses.fields(Point) if item.name != "extra"]


def _plain(name: str, value: object) -> Value:
    if not isinstance(value, str | int | float | None) and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise DataError(f"`{name}` must be a number, a text or None, got {value!r}.")
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        raise DataError(f"`{name}` has {len(str(value))} digits; no figure is that large.")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise DataError(f"`{name}` is {value}; a value that was not measured is None, a failed one is no point.")
        return float(value)
    return value


def _checked(name: str, value: object) -> Value:
    plain = _plain(name, value)
    if plain is None:
        return None
    if name in _TEXT:
        if not isinstance(plain, str):
            raise DataError(f"`{name}` must be a text, got {plain!r}.")
        return plain
    if isinstance(plain, str) or (name == "seed" and not isinstance(plain, int)):
        raise DataError(f"`{name}` must be a number, got {plain!r}.")
    if plain < 0 or (name in _PERCENT and plain > 100):
        raise DataError(f"`{name}` is {plain}; it must be {'0 to 100 percent' if name in _PERCENT else 'at least 0'}.")
    return plain
