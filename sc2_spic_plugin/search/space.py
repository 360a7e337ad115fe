"""SPACE.yaml: the config that is searched around, what may differ between candidates, and how much is tried."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ..coding.payload import MAX_UNITS
from ..configs import check_config, render_config, resolve_config
from ..configs.plain import load_plain
from ..errors import ConfigError, nearest
from ..losses import SpicDistillationLoss
from .dimensions import CUT, DIMENSIONS, LAYER, Choices, Dimension, read_dimension

__all__ = ["EarlyStopping", "SearchSpace", "load_space"]

_KEYS = ("base", "name", "values", "space", "trials", "candidates", "views", "images", "early_stopping")
_MODELS = ("spic_classifier", "spic_segmenter")
_DISTILLATION = "SpicDistillationLoss"


@dataclass(frozen=True)
class EarlyStopping:
    """When a candidate is given up: another one of its bank is no worse in both measures, and clearly better in one.

    Attributes:
        after: the share of the epochs after which candidates are looked at.
        accuracy: percentage points that are clearly better.
        rate: the share of bits per image pixel saved that is clearly better.
    """

    after: float = 1 / 3
    accuracy: float = 2.0
    rate: float = 0.2

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            ConfigError: a share outside (0, 1), or a negative margin.
        """
        for name, greatest in (("after", 1.0), ("rate", 1.0), ("accuracy", 100.0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < greatest:
                raise ConfigError(f"`early_stopping.{name}` must lie between 0 and {greatest:g}, got {value!r}.")


@dataclass(frozen=True)
class SearchSpace:
    """What is searched.

    Attributes:
        name: of the study.
        text: the base config, all fixed values replaced.
        dimensions: what differs between candidates, by name.
        trials: how many candidates are tried in all.
        candidates: how many are trained in one bank.
        views: how often each training image is drawn for the feature store.
        images: how many training images; None: all.
        early_stopping: when a candidate is given up; None: never.
    """

    name: str
    text: str
    dimensions: Mapping[str, Dimension]
    trials: int = 64
    candidates: int = 8
    views: int = 2
    images: int | None = None
    early_stopping: EarlyStopping | None = EarlyStopping()

    @cached_property
    def plain(self) -> dict[str, Any]:
        """The base config as plain data."""
        return load_plain(self.text)

    @property
    def model(self) -> Mapping[str, Any]:
        """The arguments of the base config's model."""
        return self.plain["models"]["model"]["kwargs"]

    @property
    def cuts(self) -> tuple[str, ...]:
        """The cuts that are searched."""
        values = self.dimensions[CUT].values
        return values.values if isinstance(values, Choices) else ()

    def layers(self, cut: str) -> tuple[str, ...]:
        """The layers that candidates at a cut may distil from, besides the network's output."""
        found = self.dimensions[LAYER].at(cut).ends if LAYER in self.dimensions else ()
        return tuple(str(layer) for layer in found if layer != ".")

    @property
    def stage(self) -> tuple[str, Mapping[str, Any]]:
        """The one training stage: its dotted path, and what it says."""
        train = self.plain["train"]
        return ("train.stage1", train["stage1"]) if "stage1" in train else ("train", train)

    @property
    def sha256(self) -> str:
        """Digest of all that candidates' results depend on; how many are tried is left out."""
        content = {
            "text": self.text,
            "dimensions": {name: asdict(dimension) for name, dimension in self.dimensions.items()},
            "views": self.views,
            "images": self.images,
            "early_stopping": None if self.early_stopping is None else asdict(self.early_stopping),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def suggest(self, trial: Any) -> dict[str, Any]:
        """Draws a candidate for an Optuna trial: values by dimension."""
        cut = str(self.dimensions[CUT].at("").suggest(trial, CUT))
        rest = [self.dimensions[name] for name in DIMENSIONS if name in self.dimensions and name != CUT]
        return {CUT: cut, **{each.name: each.at(cut).suggest(trial, each.parameter(cut)) for each in rest}}


def load_space(path: str | Path, values: Mapping[str, Any] | None = None) -> SearchSpace:
    """Reads a search space and checks all of it that takes no network.

        base: ../imagenette/spic_unsupervised.yaml      # beside this file, or the name of a shipped config
        values: {train.stage1.num_epochs: 8}            # fixed values of that config, by dotted path
        space:
          cut: [layer4.0, layer3.4]
          latent_channels: [32, 64, 96, 128]
          stride: {by_cut: {layer4.0: [1, 2], layer3.4: [2, 4]}}
          step: {low: 0.5, high: 10.0, log: true}
          rate_weight: {low: 2.0, high: 500.0, log: true}  # times the weight of the rate in the base config's loss
          topology: [separable, conv]
          rate_estimator: [static_table, l1]
          distillation_layer: ['.']
        trials: 64                                      # candidates in all
        candidates: 8                                   # of one bank
        early_stopping: {after: 0.34, accuracy: 2.0, rate: 0.2}   # or null

    What a space leaves out is as in the base config.

    Args:
        path: the file, or the name of a shipped one.
        values: further fixed values.

    Raises:
        ConfigError: all that is wrong, a line each.
    """
    path = resolve_config(path)
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no YAML: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("space"), dict) or not content.get("base"):
        raise ConfigError(f"{path} is no search space: it needs `base` and `space`.")
    for key in content:
        if key not in _KEYS:
            raise ConfigError(f"unknown key `{key}` in {path}. {nearest(str(key), _KEYS)}")
    base = path.parent / str(content["base"])
    fixed = {**(content.get("values") or {}), **(values or {})}
    text = render_config(resolve_config(base if base.is_file() else str(content["base"])).read_text(), fixed)
    problems = list(_base_problems(text))
    if not problems:
        try:
            space = _space(content, str(content.get("name") or path.stem), text)
        except ConfigError as error:
            problems = str(error).splitlines()
        else:
            problems = list(_space_problems(space))
    if problems:
        raise ConfigError("\n".join([f"{path} cannot be searched:", *(f"  - {problem}" for problem in problems)]))
    return space


def _space(content: Mapping[str, Any], name: str, text: str) -> SearchSpace:
    """Raises ConfigError with a line for each problem."""
    described, problems = content["space"], []
    dimensions: dict[str, Dimension] = {}
    described = {CUT: load_plain(text)["models"]["model"]["kwargs"].get("cut"), **described}
    for key in (CUT, *(key for key in described if key != CUT)):
        if key not in DIMENSIONS:
            problems.append(f"unknown dimension `{key}`. {nearest(str(key), DIMENSIONS)}")
            continue
        cuts = dimensions[CUT].at("").ends if CUT in dimensions else ()
        try:
            dimensions[key] = read_dimension(key, described[key], [str(cut) for cut in cuts])
        except ConfigError as error:
            problems.append(str(error))
            if key == CUT:
                break
    counts = {key: content[key] for key in ("trials", "candidates", "views", "images") if content.get(key) is not None}
    for key, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            problems.append(f"`{key}` must be a whole number of 1 or more, got {value!r}.")
    stopping = content.get("early_stopping", {})
    if stopping is not None:
        try:
            stopping = EarlyStopping(**stopping)
        except (ConfigError, TypeError) as error:
            problems.append(f"`early_stopping`: {error}")
    if problems:
        raise ConfigError("\n".join(problems))
    return SearchSpace(name, text, dimensions, early_stopping=stopping, **counts)


def _base_problems(text: str) -> Iterator[str]:
    yield from check_config(text)
    plain = load_plain(text)
    model = (plain.get("models") or {}).get("model") or {}
    if model.get("key") not in _MODELS or "teacher_model" in plain["models"]:
        yield f"the base config trains no SPIC model of its own: `models.model.key` is none of {', '.join(_MODELS)}."
    elif not (model.get("kwargs") or {}).get("unit") or (model.get("kwargs") or {}).get("units"):
        yield "the base config needs one `unit`, no bank of `units`: what a space leaves out is as in that unit."
    if not plain.get("train"):
        yield "the base config has no `train`."
    elif "stage2" in plain["train"]:
        yield "the base config trains in several stages; a search trains in one."


def _space_problems(space: SearchSpace) -> Iterator[str]:
    _, stage = space.stage
    terms = ((stage.get("criterion") or {}).get("kwargs") or {}).get("sub_terms") or {}
    distils = [name for name, term in terms.items() if (term.get("criterion") or {}).get("key") == _DISTILLATION]
    if LAYER in space.dimensions and len(distils) != 1:
        yield f"`{LAYER}` needs a base config whose loss has one {_DISTILLATION}; this one has {len(distils)}."
    elif LAYER in space.dimensions:
        yield from _distillation_problems(space, terms[distils[0]]["criterion"].get("kwargs") or {})
    if space.candidates > MAX_UNITS:
        yield f"`candidates` is {space.candidates}; a bank has at most {MAX_UNITS} units."
    unit = space.model.get("unit") or {}
    if "latent_channels" not in space.dimensions and "latent_channels" not in unit:
        yield "`latent_channels` is neither in the space nor in the base config's `unit`."
    if "geometry" in unit and "stride" in space.dimensions:
        yield "the base config's unit has a `geometry`, which fixes its stride; remove one of the two."
    if space.early_stopping is not None and (stage.get("optimizer") or {}).get("module_wise_kwargs"):
        yield "`early_stopping` needs an optimizer with one group of parameters; set it to null."


def _distillation_problems(space: SearchSpace, kwargs: Mapping[str, Any]) -> Iterator[str]:
    for layer in dict.fromkeys(layer for cut in space.cuts for layer in space.layers(cut)):
        try:
            SpicDistillationLoss(**{**kwargs, "layer": layer})
        except ConfigError as error:
            yield f"`{LAYER}`: {error}"
