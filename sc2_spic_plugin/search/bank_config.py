"""The configs of a search: of a cut's feature store, of a bank of candidates, of the front."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..configs import render_config
from ..configs.stored import store_part, store_values
from ..training.store.description import SELECTION
from .candidate import Candidate, Group
from .space import SearchSpace

__all__ = ["bank_text", "front_text", "store_text", "trained_text"]

_MODEL = "models.model.kwargs"


def store_text(space: SearchSpace, cut: str, layers: Sequence[str]) -> str:
    """Returns the config of a cut's feature store, with the original outputs of the layers that are distilled from."""
    values = {name: dimension.at(cut).ends[0] for name, dimension in space.dimensions.items()}
    return render_config(space.text, _values(space, [Candidate(0, {**values, "cut": cut})], cut, layers))


def bank_text(space: SearchSpace, group: Group, candidates: Sequence[Candidate]) -> str:
    """Returns the config that trains candidates of one group from images."""
    layers = () if group.layer in (None, ".") else (str(group.layer),)
    values = _values(space, candidates, group.cut, layers)
    if group.layer is not None:
        where, stage = space.stage
        terms = f"{where}.criterion.kwargs.sub_terms"
        for name, term in stage["criterion"]["kwargs"]["sub_terms"].items():
            if term["criterion"]["key"] == "SpicDistillationLoss":
                values[f"{terms}.{name}.criterion.kwargs"] = {
                    **(term["criterion"].get("kwargs") or {}),
                    "layer": group.layer,
                }
        hooks = [("original.output",), *((f"back_end.{each}", f"original.{each.replace('.', '_')}") for each in layers)]
        kept = list(stage["model"]["forward_hook"]["output"])
        hooked = [*kept, *(path for each in hooks for path in each if path not in kept)]
        values[f"{where}.model.forward_hook.output"] = hooked
    return render_config(space.text, values)


def trained_text(text: str, store: Path) -> str:
    """Returns a config that trains from a store and knows no images, those that a table reports least of all.

    Raises:
        ConfigError: the store is of other data than the config's.
    """
    from ..configs.plain import load_plain

    tested = load_plain(text)["test"]["test_data_loader"]
    values = {**store_values(text, store), f"datasets.{tested['dataset_id']}": store_part(store, SELECTION)}
    if tested.get("collate_fn") is not None:
        values["test.test_data_loader.collate_fn"] = None
    return render_config(text, values)


def front_text(space: SearchSpace, cut: str, candidates: Sequence[Candidate]) -> str:
    """Returns the config of a bank of candidates at one cut, for measuring it on images."""
    name = f"{space.name}-{cut}"
    values = _values(space, candidates, cut, ())
    if "experiment" in space.plain["models"]["model"]:
        values["models.model.experiment"] = name
    if "result" in space.plain:
        values |= {"result.name": name, "result.method": "spic"}
    return render_config(space.text, values)


def _values(space: SearchSpace, candidates: Sequence[Candidate], cut: str, layers: Sequence[str]) -> dict[str, Any]:
    model: Mapping[str, Any] = space.model
    values: dict[str, Any] = {
        f"{_MODEL}.cut": cut,
        f"{_MODEL}.units": {each.name: each.unit(model) for each in candidates},
        **{f"{_MODEL}.{key}": None for key in ("unit", "active") if key in model},
    }
    kept = list(model.get("distillation_layers") or [])
    added = [layer for layer in layers if layer not in kept]
    if added:
        values[f"{_MODEL}.distillation_layers"] = kept + added
    return values
