"""The evaluation protocol: which images, how prepared, over which pixels bits are counted, timed how."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError, nearest

__all__ = ["ABSENT_CLASSES", "INTERPOLATIONS", "TASKS", "Protocol", "TimingRules", "load_protocol", "protocol_names"]

TASKS = ("classification", "segmentation")
ABSENT_CLASSES = ("error", "skip", "zero")
OWN_PIXELS = "image"
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos")


@dataclass(frozen=True, kw_only=True)
class TimingRules:
    """How latency is measured: the median of `repeats` runs after `warm_up` runs that do not count."""

    batch_size: int = 1
    warm_up: int = 5
    repeats: int = 20

    def __post_init__(self) -> None:
        """Checks the counts."""
        _check_count("timing.batch_size", self.batch_size, 1)
        _check_count("timing.warm_up", self.warm_up, 0)
        _check_count("timing.repeats", self.repeats, 1)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way of evaluating; points measured under different protocols never share a table.

    Attributes:
        name: what tables call it.
        task: `classification` or `segmentation`.
        resize: shorter side in pixels, or (H, W), or None to leave the size as it is.
        crop: side of the centre crop in pixels, or None for no crop.
        interpolation: one of `INTERPOLATIONS`.
        denominator: (H, W), the image pixels that bits are divided by; or `image`: each image's own pixels as
            prepared, for segmentation of images that keep their proportions.
        selection: dataset id (of the config) whose images select checkpoints.
        report: dataset id whose images are reported; never the selection's.
        batch_size: images per batch when accuracy and sizes are measured.
        device: torch device string.
        threads: CPU threads, or None for the library's own choice.
        timing: rules for latency.
        absent_classes: how the mean IoU (segmentation) treats a class that no reported mask shows: `error` refuses,
            `skip` leaves it out of the mean, `zero` counts it as 0.
    """

    name: str
    task: str = "classification"
    resize: int | tuple[int, int] | None
    crop: int | None
    interpolation: str = "bilinear"
    denominator: tuple[int, int] | str
    selection: str
    report: str
    batch_size: int = 32
    device: str = "cpu"
    threads: int | None = None
    timing: TimingRules = field(default_factory=TimingRules)
    absent_classes: str = "error"

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            ConfigError: a value that cannot be used, or the same images for selection and report.
        """
        for key in ("name", "device", "selection", "report"):
            value = getattr(self, key)
            if not isinstance(value, str) or not value.strip():
                raise ConfigError(f"Protocol key `{key}` must be a non-empty text, got {value!r}.")
        choices = {"task": TASKS, "interpolation": INTERPOLATIONS, "absent_classes": ABSENT_CLASSES}
        for key, known in choices.items():
            if getattr(self, key) not in known:
                raise ConfigError(f"Protocol key `{key}`: {nearest(str(getattr(self, key)), known)}")
        for key in ("crop", "threads"):
            if getattr(self, key) is not None:
                _check_count(key, getattr(self, key), 1)
        _check_count("batch_size", self.batch_size, 1)
        if isinstance(self.resize, list | tuple):
            object.__setattr__(self, "resize", _size("resize", self.resize, "one whole number or [H, W] in pixels"))
        elif self.resize is not None:
            _check_count("resize", self.resize, 1)
        if self.denominator != OWN_PIXELS:
            object.__setattr__(self, "denominator", _size("denominator", self.denominator, "[H, W] in pixels"))
        if self.task != "segmentation" and (self.denominator == OWN_PIXELS or self.absent_classes != "error"):
            raise ConfigError(
                f"Protocol `{self.name}`: `absent_classes` and `denominator: {OWN_PIXELS}` need `task: segmentation`."
            )
        if self.selection == self.report:
            raise ConfigError(
                f"Protocol `{self.name}`: `selection` and `report` are both `{self.report}`; a checkpoint must not be "
                "selected on the images a table reports. Hold images out of the training set and name them here."
            )

    @property
    def pixels(self) -> int | None:
        """Image pixels that bits are divided by; None: each image's own."""
        return None if isinstance(self.denominator, str) else self.denominator[0] * self.denominator[1]

    @property
    def sha256(self) -> str:
        """Digest of every value, so that two protocols of one name are told apart."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values, as the YAML file has them."""
        values = dataclasses.asdict(self)
        if self.task != "segmentation":
            del values["absent_classes"]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    def bits_per_image_pixel(self, payload_bytes: float, pixels: int | None = None) -> float:
        """Returns the rate of a payload (bytes) in bits per image pixel.

        Args:
            payload_bytes: size of the payload.
            pixels: of the image, for protocols that divide by each image's own.

        Raises:
            ConfigError: the image's pixels are needed and not given.
        """
        divisor = self.pixels or pixels
        if divisor is None:
            raise ConfigError(f"Protocol `{self.name}` divides by each image's own pixels; give `pixels`.")
        return payload_bytes * 8 / divisor


def _check_count(key: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"Protocol key `{key}` must be a whole number of at least {least}, got {value!r}.")


def _size(key: str, value: object, expected: str) -> tuple[int, int]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ConfigError(f"Protocol key `{key}` must be {expected}, got {value!r}.")
    for side in value:
        _check_count(key, side, 1)
    return int(value[0]), int(value[1])


def _folder() -> Path:
    """Returns the folder of the shipped protocols: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "protocols", package.parent / "benchmarks" / "protocols"):
        if folder.is_dir():
            return folder
    raise ConfigError("the shipped protocols are not installed; reinstall the package.")


def protocol_names() -> list[str]:
    """Returns the names of the protocols shipped with the project."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def _find(path_or_name: str | Path) -> Path:
    path = Path(path_or_name)
    if path.suffix in (".yaml", ".yml"):
        if path.is_file():
            return path
        raise ConfigError(f"There is no protocol file at {path}. Shipped by name: {', '.join(protocol_names())}.")
    shipped = _folder() / f"{path_or_name}.yaml"
    if shipped.is_file():
        return shipped
    raise ConfigError(f"There is no protocol named `{path_or_name}`. {nearest(str(path_or_name), protocol_names())}")


def _checked_keys(values: object, kind: type, where: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where} must hold `key: value` lines, got {type(values).__name__}.")
    fields = dataclasses.fields(kind)
    known = [item.name for item in fields]
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}: unknown key `{key}`. {nearest(str(key), known)}")
    required = (f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING)
    missing = [name for name in required if name not in values]
    if missing:
        raise ConfigError(f"{where}: missing {', '.join(f'`{name}`' for name in missing)}.")
    return dict(values)


def load_protocol(path_or_name: str | Path) -> Protocol:
    """Reads a protocol from a YAML file or, by name, from those shipped in `benchmarks/protocols/`.

    Args:
        path_or_name: `imagenette-160`, or a path that ends in .yaml or .yml.

    Raises:
        ConfigError: no such protocol, not YAML, an unknown or missing key, or a value that cannot be used.
    """
    path = _find(path_or_name)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    values = _checked_keys(content, Protocol, str(path))
    if "timing" in values:
        values["timing"] = TimingRules(**_checked_keys(values["timing"], TimingRules, f"{path}, timing"))
    return Protocol(**values)
