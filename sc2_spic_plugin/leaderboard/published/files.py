"""The files of published curves: found by name or path, every key checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ...errors import ConfigError, DataError, nearest
from ..results import METRICS
from .curve import PublishedCurve
from .figure import DrawnCurve, PublishedFigure

__all__ = ["UNITS_FILE", "load_figure", "published_folder", "published_names"]

UNITS_FILE = "units.yaml"
"""Beside the figures: what is known of the released units without their weights."""

_FIGURE = ("source", "reading", "task", "protocol", "datasets", "networks", "original", "curves")
_CURVE = ("name", "method", "split", "markers", "bypassed", "points")
_OPTIONAL = ("original", "method", "split", "markers", "bypassed")


def published_folder() -> Path:
    """Returns the folder of the shipped files: inside an installed package, or beside it in a checkout.

    Raises:
        ConfigError: neither is there.
    """
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "published", package.parent / "benchmarks" / "published"):
        if folder.is_dir():
            return folder
    raise ConfigError("the published curves are not installed; reinstall the package.")


def published_names() -> list[str]:
    """Returns the names of the shipped figures."""
    return sorted(path.stem for path in published_folder().glob("*.yaml") if path.name != UNITS_FILE)


def load_figure(name: str | Path) -> PublishedFigure:
    """Reads a figure from a YAML file or, by name, from those shipped in `benchmarks/published/`.

        source: 'Who et al., where: which figure'        # a figure, or a table
        reading: 'how the numbers were read off'
        task: classification
        protocol: imagenet-224                           # drawn over results under it alone,
        datasets: ['ImageNet (ILSVRC 2012)']             # of these data sets
        networks: ['resnet50']                           # and these networks
        original: 75.6                                   # percent; may be left out
        curves:
          - name: 'SPIC S1'
            method: spic_published                       # whose colour it takes; may be left out
            points: [[0.0054, 70.2], [0.0688, 70.7]]     # bits per image pixel, percent

    Args:
        name: `spic-classification-supervised`, or a path that ends in .yaml or .yml.

    Raises:
        ConfigError: no such file or name, not YAML, or an unknown or missing key.
        DataError: a curve whose points cannot be.
    """
    path = Path(name).expanduser()
    if path.suffix not in (".yaml", ".yml"):
        if str(name) not in published_names():
            raise ConfigError(f"no published curves called `{name}`. {nearest(str(name), published_names())}")
        path = published_folder() / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"no file of published curves at {path}. Shipped: {', '.join(published_names())}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no YAML: {error}") from error
    values = _checked(content, _FIGURE, str(path))
    if values["task"] not in METRICS:
        raise ConfigError(f"{path}: unknown task `{values['task']}`. {nearest(str(values['task']), METRICS)}")
    for key in ("datasets", "networks", "curves"):
        if not isinstance(values[key], list) or not values[key]:
            raise ConfigError(f"{path}: `{key}` must be a list with at least one entry.")
    curves = tuple(_curve(entry, str(values["source"]), f"{path}, curves") for entry in values.pop("curves"))
    texts = {key: str(values[key]) for key in ("source", "reading", "task", "protocol")}
    datasets, networks = (tuple(map(str, values[key])) for key in ("datasets", "networks"))
    original = values.get("original")
    return PublishedFigure(path.stem, **texts, datasets=datasets, networks=networks, original=original, curves=curves)


def _curve(entry: Any, source: str, where: str) -> DrawnCurve:
    values = _checked(entry, _CURVE, where)
    where = f"{where}, {values['name']}"
    points = values["points"]
    if not isinstance(points, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in points):
        raise ConfigError(f"{where}: `points` must be a list of [bits per image pixel, percent].")
    try:
        rates, accuracies = ([float(pair[index]) for pair in points] for index in (0, 1))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: `points` holds something that is no number: {error}.") from error
    if accuracies and max(accuracies) <= 1:
        raise DataError(f"{where}: accuracies are percent, these are all 1 or less; multiply fractions by 100.")
    curve = PublishedCurve(
        str(values["name"]), source, rates, accuracies, values.get("bypassed", False), values.get("method")
    )
    return DrawnCurve(curve, values.get("split"), values.get("markers"))


def _checked(values: Any, known: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected a mapping with {', '.join(known)}.")
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}: unknown key `{key}`. {nearest(str(key), known)}")
    missing = [f"`{key}`" for key in known if key not in values and key not in _OPTIONAL]
    if missing:
        raise ConfigError(f"{where}: {', '.join(missing)} missing.")
    return dict(values)
