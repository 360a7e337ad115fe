"""The jobs of a suite: every config rendered, every name checked, before anything runs."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...configs import render_config
from ...configs.plain import load_plain
from ...configs.suite import CodecPlan, MethodPlan, NetworkPlan, StorePlan, Suite
from ...errors import CheckpointError, ConfigError, nearest
from ...leaderboard import CodecPoint, load_protocol, unavailable_reason
from ...leaderboard.styles import LABEL_METHOD, MASK_METHOD, METHOD_STYLES
from ...ops.precision import PRECISIONS
from ...training.loop import CHECKPOINT
from .job import ORIGINAL, Job, Settings

__all__ = ["choose", "plan_jobs"]

STORE = "store"
REFERENCES = {
    LABEL_METHOD: "the whole network on the device, the label sent",
    MASK_METHOD: "the whole network on the device, the predicted mask sent as PNG",
}


def plan_jobs(suite: Suite, out: Path, weights: Path | None = None, device: str = "cpu") -> list[Job]:
    """Returns the jobs of a suite in the order in which they are begun, the original network's first.

    Args:
        suite: the suite.
        out: its folder.
        weights: the original network's weights, instead of the suite's.
        device: torch device string.

    Raises:
        ConfigError: an unknown method, protocol, config, path, codec or option, or two points of one name; the message
            names the nearest.
        CheckpointError: the weights are not there.
    """
    if suite.precision not in PRECISIONS:
        raise ConfigError(f"suite `{suite.name}`: unknown precision. {nearest(suite.precision, PRECISIONS)}")
    given = weights if weights is not None else suite.network.weights
    out = Path(os.path.abspath(out))  # noqa: PTH100 - links stay as they are
    if given is not None:
        given = Path(given).expanduser().absolute()
        if not given.is_file():
            raise CheckpointError(f"no weights of the original network at {given}; give another file, or train it.")
    trained = out / "points" / ORIGINAL / CHECKPOINT
    settings = Settings(out, given or trained, given is None, suite.protocol, suite.precision, device)
    network = _network(suite, settings)
    jobs = [network, *_references(suite, network)]
    for codec, codec_plan in suite.codecs.items():
        jobs += _codec(codec, codec_plan, network)
    for method in suite.methods:
        points = list(_method(suite, method, network))
        if method.store is not None and f"{STORE}/{method.store}" not in {job.name for job in jobs}:
            jobs.append(_store(method.store, suite.stores[method.store], points[0]))
        jobs += points
    _check_names(suite, jobs)
    _check_lenders(suite, jobs)
    return jobs


def choose(jobs: Sequence[Job], only: Sequence[str]) -> list[Job]:
    """Returns the jobs of some curves or methods, and those that they need; all where none is named.

    Args:
        jobs: all jobs.
        only: names of curves, or what they begin with: `spic_l1` stands for all curves of that method; or of single
            points, `CURVE/POINT`.

    Raises:
        ConfigError: a name that none has.
    """
    if not only:
        return list(jobs)
    named = {job.name: job for job in jobs}
    own = [job for job in jobs if job.builds is None]
    wanted: set[str] = set()
    for name in only:
        found = {job.name for job in own if name in (job.name, job.curve) or job.curve.startswith(f"{name}-")}
        if not found:
            known = {each for job in own for each in ((job.name,) if "/" in name else (job.curve,))}
            raise ConfigError(
                f"the suite has no {'point' if '/' in name else 'method'} `{name}`. {nearest(name, known)}"
            )
        wanted |= found
    needed = {need for name in wanted for need in named[name].needs}
    needed |= {further for need in needed for further in named[need].needs}
    return [job for job in jobs if job.name in wanted | needed]


def _network(suite: Suite, settings: Settings) -> Job:
    plan = suite.network
    text = suite.render_network(_architecture(plan, settings, "models.model"))
    return Job(ORIGINAL, ORIGINAL, ORIGINAL, "the original network", text, settings, trains=settings.trains_network)


def _references(suite: Suite, network: Job) -> Iterator[Job]:
    named = suite.protocol or (load_plain(network.text).get("result") or {}).get("protocol")
    if named is None:
        raise ConfigError(f"neither suite `{suite.name}` nor {suite.network.config} names a protocol.")
    protocol = load_protocol(named)
    default = {"classification": LABEL_METHOD, "segmentation": MASK_METHOD}
    for method in (default[protocol.task],) if suite.references is None else suite.references:
        if method not in REFERENCES:
            raise ConfigError(f"unknown reference row `{method}`. {nearest(method, REFERENCES)}")
        task = next(task for task, row in default.items() if row == method)
        if task != protocol.task:
            raise ConfigError(f"the row `{method}` is for {task}, protocol {protocol.name} for {protocol.task}.")
        yield _row(f"{method}/row", method, REFERENCES[method], {"method": method}, network)


def _codec(codec: str, plan: CodecPlan, network: Job) -> Iterator[Job]:
    for quality, variant in plan.points():
        point = CodecPoint(codec, quality, dict(variant.options), variant.scale, variant.subsampling)
        row = {"method": codec, "quality": quality, **dataclasses.asdict(variant)}
        del row["qualities"]
        reason = unavailable_reason(codec, point.options)
        yield _row(f"{codec}/{point.name}", codec, f"{codec} on the input image", row, network, reason)


def _row(
    name: str, curve: str, description: str, row: Mapping[str, Any], network: Job, skipped: str | None = None
) -> Job:
    return Job(
        name,
        curve,
        row["method"],
        description,
        network.text,
        network.settings,
        row=row,
        trains=False,
        needs=(ORIGINAL,),
        skipped=skipped,
    )


def _method(suite: Suite, method: MethodPlan, network: Job) -> Iterator[Job]:
    if method.method not in METHOD_STYLES and not method.own:
        raise ConfigError(
            f"suite `{suite.name}`: unknown method `{method.method}`. {nearest(method.method, METHOD_STYLES)} A method "
            "of your own says `own: true`."
        )
    points = dict(suite.render(method, _architecture(suite.network, network.settings, method.network_path)))
    plain = {point: load_plain(text) for point, text in points.items()}
    cuts = {point: _cut(config) for point, config in plain.items()}
    for point, text in points.items():
        said = (plain[point].get("result") or {}).get("method")
        if method.sweep is not None and said not in (None, method.method):
            raise ConfigError(
                f"suite `{suite.name}`: point `{point}` of {method.sweep} is of method `{said}`, not "
                f"`{method.method}`; leave it out with `filter`."
            )
        curve = f"{method.name}-{cuts[point]}" if len(set(cuts.values())) > 1 else method.name
        yield from _point(method, curve, point, text, plain[point], network)


def _store(name: str, plan: StorePlan, job: Job) -> Job:
    """Returns the job that builds a feature store for another job and its like."""
    arguments = ("--views", str(plan.views), *(["--yes"] if plan.consents else []))
    needs = tuple(need for need in job.needs if not need.startswith(STORE))
    return Job(
        f"{STORE}/{name}",
        f"{STORE}/{name}",
        STORE,
        "",
        job.text,
        job.settings,
        store=job.store,
        builds=arguments,
        needs=needs,
    )


def _point(
    method: MethodPlan, curve: str, point: str, text: str, plain: Mapping[str, Any], network: Job
) -> Iterator[Job]:
    """Returns the jobs of one point, one for each seed."""
    settings = network.settings
    values = {f"{method.network_path}.src_ckpt": str(settings.weights), "result.method": method.method}
    if method.supervision is not None:
        values["result.supervision"] = method.supervision
    model = _model(plain)
    values[f"models.{model}.experiment"] = f"{curve}-{point}"
    if "units" not in (plain["models"][model].get("kwargs") or {}):  # a bank's points are called as its units
        values["result.unit"] = point
    text = render_config(text, values)
    needs = [ORIGINAL] if settings.trains_network else []
    needs += [] if method.store is None else [f"{STORE}/{method.store}"]
    for seed in method.seeds:
        place = point + (f"-seed{seed}" if seed else "")
        lender = None if method.checkpoints_of is None else f"{method.checkpoints_of}/{place}"
        yield Job(
            f"{curve}/{place}",
            curve,
            method.method,
            method.description or method.name,
            text,
            settings,
            seed=seed,
            trains=bool(plain.get("train")) and lender is None,
            store=None if method.store is None else settings.out / "stores" / method.store,
            checkpoint=None if lender is None else settings.out / "points" / lender / CHECKPOINT,
            needs=(*needs, lender) if lender is not None else tuple(needs),
        )


def _model(plain: Mapping[str, Any]) -> str:
    """Returns which of a config's models is measured."""
    return "student_model" if "student_model" in plain["models"] else "model"


def _cut(plain: Mapping[str, Any]) -> str | None:
    """Returns where a config cuts the network; None where it does not."""
    kwargs = plain["models"][_model(plain)].get("kwargs") or {}
    return kwargs.get("cut") or (plain.get("result") or {}).get("cut")


def _architecture(plan: NetworkPlan, settings: Settings, network_path: str) -> dict[str, Any]:
    """Returns which network a config describes, where the suite says it and its weights are not given."""
    if not settings.trains_network:
        return {}
    named = {} if plan.architecture is None else {f"{network_path}.key": plan.architecture}
    return named | ({f"{network_path}.kwargs": dict(plan.kwargs)} if plan.kwargs else {})


def _check_lenders(suite: Suite, jobs: Sequence[Job]) -> None:
    """Refuses a job that measures the checkpoint of one that there is not, or that trains none."""
    trained = {job.name for job in jobs if job.trains and job.builds is None}
    for lender, job in ((job.needs[-1], job) for job in jobs if job.checkpoint is not None):
        if lender not in trained:
            raise ConfigError(
                f"suite `{suite.name}`: `{job.name}` measures the checkpoint of `{lender}`, which the suite does not "
                f"train (`checkpoints_of`). {nearest(lender, trained)}"
            )


def _check_names(suite: Suite, jobs: Sequence[Job]) -> None:
    """Refuses names that are no folder, and two jobs of one name."""
    seen: set[str] = set()
    for job in jobs:
        curve, _, point = job.name.partition("/")
        if any(part.startswith(".") or "/" in part for part in (curve, point)) or not curve:
            raise ConfigError(f"suite `{suite.name}`: `{job.name}` cannot name a folder; rename the point or curve.")
        if job.name in seen:
            raise ConfigError(f"suite `{suite.name}` has two points `{job.name}`; leave one out, or rename it.")
        seen.add(job.name)
