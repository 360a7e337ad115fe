"""The model a config trains: a split model joined with a rate estimator and its own frozen teacher."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..coding import SymbolCoder, SymbolTables
from ..coding.hyperprior_coder import HyperpriorCoder
from ..errors import ConfigError, CutError, TableError, nearest
from ..layers import BottleneckUnit
from ..models import SplitModel, cut_network
from ..models.arguments import example_input
from ..models.crossing import Crossing
from ..models.frozen import freeze_network
from ..models.own_draws import own_draws
from ..rate_estimators import HyperpriorRateEstimator, RateEstimator, build_rate_estimator, has_aux_loss
from .bank_plan import UnitPlan, read_bank
from .kept_hyperprior import hyperprior_coder
from .stored_features import StoredFeatures

__all__ = ["CODERS", "HYPERPRIOR", "STATIC", "OpenedBatch", "SpicModel"]

OUTPUT = "output"
STATIC, HYPERPRIOR = CODERS = ("static", "hyperprior")


class OpenedBatch(NamedTuple):
    """A batch that went through the front-end, once for all units.

    Attributes:
        features: (B, C, H, W).
        crossing: what the back-end needs beside them.
        pixels: of each image.
    """

    features: Tensor
    crossing: Crossing
    pixels: int


class SpicModel(SplitModel):
    """A split model that can be trained: `forward` returns the student's output alone, hooks give the rest.

        image -> front_end (no gradient) -> features ------------------------------> back_end -> original.output
                                               |-> unit -> features_hat -----------> back_end -> output
                                                     |-> latent / step -> rate_estimators -> rate

    Hook paths for losses: `.` (the student's output), `original.output` (the original network's output for the same
    images, same front-end pass), `original.<layer>` and `back_end.<layer>` for every layer of `distillation_layers`,
    `rate` (B,), the estimated rate per image pixel times the unit's `rate_weight`.

    A bank has several units, each with a name. `forward`, and so the stock harness, trains the active one; `sc2-spic
    run` trains all of them from one pass of the front-end. A unit starts from weights that follow from the process's
    seed and its name, so that it is the same in a bank and alone.

    Args:
        network: the original network, frozen in place.
        cut: the module after which it is split.
        unit: keyword arguments of `BottleneckUnit` without `in_channels`, and those of `units`; or give `units`.
        unit_name: the unit's name in the checkpoint.
        units: a bank: by name, keyword arguments of `BottleneckUnit`, `rate_weight` (1.0; multiplies the weight of the
            rate in the loss) and `rate_estimator` (by default the model's).
        active: the unit that `forward` trains and the stock harness tests; by default the first.
        rate_estimator: `key` (a kind of `build_rate_estimator`) and `kwargs`.
        distills: whether training also runs the original network behind the cut (no gradient, no second model).
        distillation_layers: further modules behind the cut whose original output is kept for losses.
        coder: `static` (tables) or `hyperprior`: the trained hyperprior of each unit codes its symbols, conditioned on
            a hyper-latent that is sent too; the `rate_estimator` of every unit must be one.
        uses_aux: until `update()` the output also has `aux`, of the network's auxiliary head, for the loss.
        split: the remaining arguments of `SplitModel`.
    """

    def __init__(
        self,
        network: nn.Module,
        cut: str,
        unit: Mapping[str, Any] | None = None,
        unit_name: str = "unit",
        units: Mapping[str, Mapping[str, Any]] | None = None,
        active: str | None = None,
        rate_estimator: Mapping[str, Any] | None = None,
        distills: bool = False,
        distillation_layers: Sequence[str] = (),
        coder: str = STATIC,
        uses_aux: bool = False,
        **split: Any,
    ) -> None:
        bank = read_bank(unit, unit_name, units, rate_estimator)
        if coder not in CODERS:
            raise ConfigError(f"no coder `{coder}`. {nearest(coder, CODERS)}")
        auxiliary = _auxiliary_end(network, cut, split) if uses_aux else None
        super().__init__(network, cut, {name: plan.unit for name, plan in bank.items()}, **split)
        self.auxiliary_end = auxiliary
        self.coder = coder
        self._hyperprior_coders: dict[str, HyperpriorCoder] = {}
        self.rate_weights: dict[str, float] = {}
        self.rate_estimators = nn.ModuleDict()
        for name, plan in bank.items():
            self._add_estimator(name, plan)
        if active is not None:
            self.select(active)
        self.observes = True
        self.rate = nn.Identity()
        self.distills = bool(distills or distillation_layers)
        self.original = nn.ModuleDict({OUTPUT: nn.Identity()} if self.distills else {})
        self._layer_keys = {layer: layer.replace(".", "_") for layer in distillation_layers}
        behind = [name for name, _ in self.back_end.named_modules() if name]
        for layer, key in self._layer_keys.items():
            if layer not in behind:
                raise ConfigError(f"no module `{layer}` behind the cut `{cut}`. {nearest(layer, behind)}")
            self.original[key] = nn.Identity()

    def add_unit(self, name: str, unit: BottleneckUnit, tables: SymbolTables, arguments: Mapping[str, Any]) -> None:
        """Puts a unit at the end of the bank; it can be trained on, with a static-table estimator and rate weight 1.

        Raises:
            ConfigError: as in `SplitModel.add_unit`, or the hyperpriors are kept, of which this unit has none.
        """
        is_later = "rate_estimators" in self._modules  # those of the config have estimators of their own
        if is_later and self.coder == HYPERPRIOR:
            raise ConfigError(f"unit `{name}` has tables and no hyperprior: build the model with `coder: static`.")
        super().add_unit(name, unit, tables, arguments)
        if is_later:
            self._add_estimator(name, UnitPlan(arguments))

    def _add_estimator(self, name: str, plan: UnitPlan) -> None:
        unit: BottleneckUnit = self.units[name]  # type: ignore[assignment]
        self.rate_weights[name] = plan.rate_weight
        with own_draws(self.draw_base, f"{name}.rate_estimator"):
            estimator = build_rate_estimator(
                plan.rate_estimator["key"],
                channels=unit.latent_channels,
                latent_size=unit.latent_size(self.feature_size),
                **dict(plan.rate_estimator.get("kwargs") or {}),
            )
        if self.coder == HYPERPRIOR and not isinstance(estimator, HyperpriorRateEstimator):
            raise ConfigError(
                f"unit `{name}` is trained with `{plan.rate_estimator['key']}`, which no coder can condition on: give "
                "it a hyperprior as rate estimator, or set `coder: static`."
            )
        self.rate_estimators[name] = estimator.to(self.network_digest.device).train(unit.training)

    def update(self, **kwargs: Any) -> None:
        """Makes the coders ready; see `SplitModel.update`. Kept hyperpriors are taken as they are trained now."""
        super().update(**kwargs)
        self._hyperprior_coders = {}

    def coder_of(self, name: str) -> SymbolCoder:
        """Returns what codes a unit's symbols: its tables, or its hyperprior as of `update()` or loading.

        Raises:
            TableError: there is none yet; call `update()` first.
        """
        if self.coder == STATIC:
            return super().coder_of(name)
        if name not in self._hyperprior_coders:
            if not self.bottleneck_updated:
                raise TableError(f"unit `{name}` has no coder yet: call `update()` after training.")
            self._hyperprior_coders[name] = hyperprior_coder(self.rate_estimators[name])  # type: ignore[arg-type]
        return self._hyperprior_coders[name]

    @property
    def is_coded_by_tables(self) -> bool:
        """Whether units' tables code their symbols; a kept hyperprior is in no unit's files."""
        return self.coder == STATIC

    def device_parts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Returns what a device holds for the active unit; a kept hyperprior is in the place of its tables."""
        networks, tables = super().device_parts()
        if self.coder == STATIC:
            return networks, tables
        kept = f"rate_estimators.{self.active}."
        return (*networks, f"{kept}analysis.", f"{kept}synthesis."), (f"{kept}hyper_density.",)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Loads units, tables and training parts, kept hyperpriors among them."""
        self._hyperprior_coders = {}
        return super().load_state_dict(state_dict, strict, assign)

    @property
    def rate_estimator(self) -> RateEstimator:
        """The active unit's estimator."""
        return self.rate_estimators[self.active]  # type: ignore[return-value]

    def forward(self, image: Tensor | StoredFeatures) -> Any:
        """Returns the student's output (B, classes) with the active unit."""
        if self.bottleneck_updated and not self.training:
            return super().forward(image)  # type: ignore[arg-type]
        batch = self.open_batch(image)
        return self.run_behind(self.run_unit(self.active, batch), batch.crossing)

    def open_batch(self, image: Tensor | StoredFeatures) -> OpenedBatch:
        """Runs what all units share: the front-end and, if the model distils, the original network behind the cut."""
        features, crossing = self._split_front(image)
        if isinstance(image, StoredFeatures):
            self._replay_original(image)
        elif self.distills:
            self._run_original(features, crossing)
        height, width = self._image_size(image)
        return OpenedBatch(features, crossing, height * width)

    def run_unit(self, name: str, batch: OpenedBatch) -> Tensor:
        """Runs a unit and its estimator, hands the rate to `rate`, and returns features_hat (B, C, H, W)."""
        unit: BottleneckUnit = self.units[name]  # type: ignore[assignment]
        with torch.autocast(batch.features.device.type, enabled=False):  # tiny, and slow in bf16 on a CPU
            features = batch.features.to(unit.weight_dtype)
            features_hat, latent = unit(features)
            if self.training and self.observes:
                self.tables[name].observe(unit.encode(features, checks_finite=False))  # type: ignore[operator]
        if self.clones_features:  # the back-end overwrites what the decoder's backward pass still reads
            features_hat = features_hat.clone()
        bits = self.rate_estimators[name](latent / unit.step).bits
        self.rate(bits * self.rate_weights[name] / batch.pixels)
        return features_hat

    def run_behind(self, features_hat: Tensor, crossing: Crossing) -> Any:
        """Returns the network's output from decoded features."""
        copied = self.auxiliary_end is not None and self.clones_features  # the back-end overwrites what it is given
        output = self.run_back_end(features_hat.clone() if copied else features_hat, crossing)
        if self.auxiliary_end is not None:  # held-out values of the loss need it too; decoded bytes never do
            return {**output, **self.auxiliary_end(features_hat, *crossing)}
        return output

    def _split_front(self, image: Tensor | StoredFeatures) -> tuple[Tensor, Crossing]:
        if isinstance(image, StoredFeatures):
            features = image.features.float().contiguous(memory_format=torch.channels_last)
            return features, self.crossing.joined(self.default_sizes[2:], ())
        return super()._split_front(image)

    def _image_size(self, image: Tensor | StoredFeatures) -> tuple[int, int]:
        if isinstance(image, StoredFeatures):
            return self.input_size[1], self.input_size[2]
        return super()._image_size(image)

    @torch.no_grad()
    def _run_original(self, features: Tensor, crossing: Crossing) -> None:
        """Passes the original network's outputs through the Identities of `original`."""
        kept: dict[str, Any] = {}
        handles = [
            self.back_end.get_submodule(layer).register_forward_hook(
                lambda _module, _input, output, key=key: kept.__setitem__(key, output)
            )
            for layer, key in self._layer_keys.items()
        ]
        try:
            kept[OUTPUT] = self.run_back_end(features.clone() if self.clones_features else features, crossing)
        finally:
            for handle in handles:
                handle.remove()
        for key, value in kept.items():
            self.original[key](value)

    def _replay_original(self, stored: StoredFeatures) -> None:
        for key, identity in self.original.items():
            if key not in stored.original:
                raise ConfigError(
                    f"the store holds no `original.{key}`, which this config distils from; build the store with it."
                )
            value = stored.original[key]
            identity(value.float() if isinstance(value, Tensor) else {name: v.float() for name, v in value.items()})

    def get_aux_module(self, **kwargs: Any) -> nn.Module | None:
        """Returns the active estimator if it has an auxiliary (quantile) loss, which the host adds to each step."""
        return self.rate_estimator if has_aux_loss(self.rate_estimator) else None


def _auxiliary_end(network: nn.Module, cut: str, split: Mapping[str, Any]) -> nn.Module:
    """Returns what computes `aux` from features and what crosses, frozen.

    Raises:
        CutError: the network has no auxiliary head, or one that does not see the cut tensor.
    """
    example = example_input(split.get("proof_size") or split.get("input_size", (3, 224, 224)))
    allow_bypass = split.get("allow_bypass", False)
    main = cut_network(network, cut, example, allow_bypass, ["out"])
    try:
        auxiliary = cut_network(network, cut, example, allow_bypass, ["aux"])
    except CutError as error:
        raise CutError(f"`uses_aux` needs an auxiliary head behind `{cut}`; train without it. {error}") from error
    if main.crossing != auxiliary.crossing:
        raise CutError(
            f"`{cut}` lies where output and auxiliary head need different things beside the features "
            f"({main.crossing} and {auxiliary.crossing}); train without `uses_aux`."
        )
    freeze_network(auxiliary.back_end)
    return auxiliary.back_end.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
