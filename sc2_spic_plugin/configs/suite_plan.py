"""What a suite consists of: the original network, methods with their points, codecs, reference rows."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError, nearest
from .locate import resolve_config
from .plain import load_plain
from .render import load_sweep, render_config

__all__ = ["CodecPlan", "CodecVariant", "MethodPlan", "NetworkPlan", "StorePlan", "Suite", "Values", "resolved"]

WHOLE = "all"
"""Name of the point of a method whose config is one job."""


Values = Mapping[Any, Any]
"""Values by their place in a config: a dotted path, or a tuple of them, of which a config has one or more."""


@dataclass(frozen=True)
class NetworkPlan:
    """The config that trains the original network, and values for it.

    Attributes:
        config: the config, relative to the configs' root.
        weights: a file with its weights, which is then measured and not trained.
        architecture: the network's name where no weights are given; by default the config's.
        kwargs: its arguments where no weights are given; by default the config's.
        values: values for its training.
    """

    config: str
    weights: str | None = None
    architecture: str | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    values: Values = field(default_factory=dict)


@dataclass(frozen=True)
class MethodPlan:
    """One curve: a config or a sweep, values that all its points share, and the values of each point by name.

    Attributes:
        method: key of the method, see `leaderboard.styles`.
        config: the config, relative to the configs' root; or give `sweep`.
        points: values of each point, by the point's name, one job each. None: the config is one job, which gives one
            point, or as many as its bank has units.
        sweep: a sweep file, relative to the configs' root, each of whose points is a job.
        filter: which points of the sweep: the value, or a list of values, of some names of its grid.
        seeds: every point is trained once with each.
        supervision: `supervised`, `unsupervised` or None.
        curve: name of the result file; by default method and supervision. Where the points of a sweep cut the network
            at several modules, each split is a curve and has its name at the end.
        description: one sentence for the result file.
        store: the feature store that it trains from, see `Suite.stores`.
        network_path: where in the config the original network is described (`key`, `kwargs`, `src_ckpt`).
        values: values that all points share.
        checkpoints_of: the curve whose checkpoints are measured, point by point and seed by seed, instead of training:
            for what decides nothing before deployment, such as another coder.
        own: the method is none that this package knows; its colour follows from its name.
    """

    method: str
    config: str | None = None
    points: Mapping[str, Values] | None = None
    sweep: str | None = None
    filter: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)
    supervision: str | None = None
    curve: str | None = None
    description: str = ""
    store: str | None = None
    network_path: str = "models.model.kwargs.network"
    values: Values = field(default_factory=dict)
    checkpoints_of: str | None = None
    own: bool = False

    @property
    def name(self) -> str:
        """Name of the curve, unique within a suite."""
        return self.curve or self.method + (f"-{self.supervision}" if self.supervision else "")

    def texts(self) -> Iterator[tuple[str, str, Values]]:
        """Yields of each point its name, the config it starts from, and its own values.

        Raises:
            ConfigError: no such config or sweep, or a filter that leaves nothing.
        """
        if self.sweep is not None:
            points = load_sweep(resolve_config(self.sweep))
            names = {name for point in points for name in point.values}
            for key in self.filter:
                if key not in names:
                    raise ConfigError(f"`filter` of `{self.name}`: no `{key}` in {self.sweep}. {nearest(key, names)}")
            chosen = [point for point in points if _passes(point.values, self.filter)]
            if not chosen:
                raise ConfigError(f"`filter` of `{self.name}` leaves no point of {self.sweep}.")
            yield from ((point.name, point.text, {}) for point in chosen)
            return
        text = resolve_config(str(self.config)).read_text()
        for name, values in ({WHOLE: {}} if self.points is None else self.points).items():
            yield name, text, values


@dataclass(frozen=True)
class CodecVariant:
    """Another way to use an image codec.

    Attributes:
        subsampling: of the chroma, e.g. `'444'`; None: the codec's default.
        scale: below 1 images are reduced before coding and enlarged after decoding.
        options: further ones of the codec, e.g. `{encoder: x265}` for BPG.
        qualities: by default the codec's.
    """

    subsampling: str | None = None
    scale: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)
    qualities: tuple[int | None, ...] | None = None


@dataclass(frozen=True)
class CodecPlan:
    """An image codec on the input: its qualities, and variants beside the plain one."""

    qualities: tuple[int | None, ...]
    variants: tuple[CodecVariant, ...] = ()

    def points(self) -> Iterator[tuple[int | None, CodecVariant]]:
        """Yields quality and variant of every point, the plain ones first."""
        for variant in (CodecVariant(), *self.variants):
            for quality in self.qualities if variant.qualities is None else variant.qualities:
                yield quality, variant


@dataclass(frozen=True)
class StorePlan:
    """A feature store that methods of one split share: built once, from the first of them that names it.

    Attributes:
        views: how often each training image is drawn.
        consents: whether it may take more than 10 GB.
    """

    views: int = 2
    consents: bool = False


@dataclass(frozen=True)
class Suite:
    """What one comparison trains and measures.

    Attributes:
        name: what it is called.
        network: how the original network is trained, or where its weights are.
        methods: the curves that are trained.
        codecs: image codecs on the input, by their keys.
        references: what else is sent, `label` or `mask`; None: the one that fits the task.
        protocol: name or path of the protocol; None: each config's own.
        shared: values for the configs of all methods and of the network.
        precision: `fp32`, `bf16`, or `auto`: of training, bf16 where the device computes in it.
        minimum_steps: a folder of few images is trained for so many more epochs that every method takes these steps.
        stores: feature stores by name. Methods share one if they have the same network, cut, training images and
            transforms, and all or none of them read labels.
        durations: measured seconds of one job of a curve, by the curve's name, for estimates.
        paths: what the short names of values stand for: a dotted path, or several, of which a config has one or more.
    """

    name: str
    network: NetworkPlan
    methods: list[MethodPlan]
    codecs: Mapping[str, CodecPlan] = field(default_factory=dict)
    references: tuple[str, ...] | None = None
    protocol: str | None = None
    shared: Values = field(default_factory=dict)
    precision: str = "fp32"
    minimum_steps: int = 0
    stores: Mapping[str, StorePlan] = field(default_factory=dict)
    durations: Mapping[str, float] = field(default_factory=dict)
    paths: Mapping[str, str | list[str]] = field(default_factory=dict)

    def with_values(self, values: Mapping[str, Any]) -> "Suite":
        """Returns the suite with further shared values, by short name or dotted path.

        Raises:
            ConfigError: a name without a path.
        """
        shared = {**self.shared, **resolved(values, self.paths, f"suite `{self.name}`")}
        return dataclasses.replace(self, shared=shared)

    def render(self, method: MethodPlan, base: Values | None = None) -> Iterator[tuple[str, str]]:
        """Yields the name of each point of a method and its config, all values replaced.

        Args:
            method: one of the suite's.
            base: further shared values.

        Raises:
            ConfigError: a config, sweep or path that is not there; the message names the nearest.
        """
        for name, text, values in method.texts():
            yield name, replace_values(text, {**self.shared, **(base or {}), **method.values, **values})

    def render_network(self, base: Values | None = None) -> str:
        """Returns the original network's config, all values replaced; arguments and errors are those of `render`."""
        text = resolve_config(self.network.config).read_text()
        return replace_values(text, {**self.shared, **(base or {}), **self.network.values})


def _passes(values: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(values.get(key) in (want if isinstance(want, list) else [want]) for key, want in wanted.items())


def replace_values(text: str, values: Values) -> str:
    """Returns a config with values replaced; where there are several paths, those of them that the config has.

    Raises:
        ConfigError: a path that is not there.
    """
    plain = load_plain(text) if any(isinstance(where, tuple) for where in values) else {}
    overrides: dict[str, Any] = {}
    for where, value in values.items():
        paths = [where] if isinstance(where, str) else [path for path in where if _has(plain, path)]
        if not paths:
            raise ConfigError(f"the config has none of {', '.join(f'`{path}`' for path in where)}.")
        overrides |= dict.fromkeys(paths, value)
    return render_config(text, overrides)


def _has(node: Any, path: str) -> bool:
    for key in path.split("."):
        if isinstance(node, list) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        elif isinstance(node, Mapping) and key in node:
            node = node[key]
        else:
            return False
    return True


def resolved(values: Mapping[str, Any], paths: Mapping[str, str | list[str]], where: object) -> dict[Any, Any]:
    """Returns values by dotted path, short names replaced by what they stand for.

    Raises:
        ConfigError: a name without a path.
    """
    found: dict[Any, Any] = {}
    for key, value in values.items():
        if key not in paths and "." not in str(key):
            raise ConfigError(f"`{key}` in {where} has no path. {nearest(str(key), paths)}")
        target = paths.get(key, key)
        found[tuple(target) if isinstance(target, list) else target] = value
    return found
