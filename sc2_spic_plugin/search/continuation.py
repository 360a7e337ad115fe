"""Going on with some units of a bank where its training stands: each ends as if it had been trained throughout."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..models.network import read_state_dict
from ..training import SpicModel
from ..training.checkpoint import save_state_checkpoint
from ..training.loop import CHECKPOINT
from ..training.resume import SavedState, find_state
from ..training.selection import UNIT_PARTS

__all__ = ["go_on_with", "of_units"]


def of_units(state: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Returns the state of a bank without the units that are not named."""
    wanted = tuple(f"{part}.{name}." for part in UNIT_PARTS for name in names)
    by_unit = tuple(f"{part}." for part in UNIT_PARTS)
    return {key: value for key, value in state.items() if key.startswith(wanted) or not key.startswith(by_unit)}


def go_on_with(names: Sequence[str], model: SpicModel, source: Path, target: Path) -> SavedState:
    """Writes the best checkpoint so far of some units, and returns the state to resume their training from.

    Units share no parameter and draw from generators of their own, so leaving some out changes nothing for the rest:
    optimizer moments, the scheduler, random generators and best values go on as they were.

    Args:
        names: the units that are trained on, in the bank's order.
        model: the bank, whose training in `source` was saved at the end of an epoch.
        source: the folder of that training.
        target: the folder of the one that goes on.

    Raises:
        CheckpointError: the optimizer does not hold the units' parameters in one group.
    """
    saved = find_state(source)
    content = saved.content
    parameters = [name for name, _ in model.named_parameters()]
    optimizer = content["optimizer"]
    if [group["params"] for group in optimizer["param_groups"]] != [list(range(len(parameters)))]:
        raise CheckpointError(
            f"{saved.path}: the optimizer groups parameters in its own way, so no unit can be left out; set "
            "`early_stopping` of the search space to null."
        )
    kept = [index for index, name in enumerate(parameters) if name in of_units(dict.fromkeys(parameters), names)]
    place = {index: new for new, index in enumerate(kept)}
    best: Mapping[str, float] = content["position"]["best"]
    chosen = {name: best[name] for name in names}
    generators = content["generators"]
    estimators = {name: generators["estimators"][name] for name in names}
    narrowed = {
        **content,
        "model": of_units(content["model"], names),
        "optimizer": {
            "state": {place[index]: state for index, state in optimizer["state"].items() if index in place},
            "param_groups": [{**optimizer["param_groups"][0], "params": list(place.values())}],
        },
        "gradients": [content["gradients"][index] for index in kept],
        "generators": {**generators, "estimators": estimators},
        # a bank of one is selected as a whole
        "position": {**content["position"], "best": chosen if len(names) > 1 else {"": chosen[names[0]]}},
    }
    state = of_units(read_state_dict(source / CHECKPOINT), names)
    save_state_checkpoint(target / CHECKPOINT, state, sum(chosen.values()) / len(chosen))
    return dataclasses.replace(saved, content=narrowed)
