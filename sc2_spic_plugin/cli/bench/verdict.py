"""What is left to do in a job's folder: nothing, measure, go on, begin, begin anew, or ask first."""

from itertools import zip_longest
from typing import NamedTuple

from ...errors import DataError, SpicError
from ...leaderboard import ResultFile, code_version, load_protocol, per_image_csv_path
from ...ops import file_digest
from ...training.loop import CHECKPOINT
from ...training.resume import PREVIOUS, STATE
from ...training.store import FeatureStore, StoreDescription
from .job import CONFIG, ORIGINAL, RESULT, RUN_CONFIG, Job
from .status import FAILED, INTERRUPTED, RUNNING, JobStatus

__all__ = ["HOLD", "KEEP", "MEASURE", "REDO", "RESUME", "SKIP", "TRAIN", "Verdict", "judge"]

KEEP, MEASURE, RESUME, TRAIN, REDO, HOLD, SKIP = "keep", "measure", "resume", "train", "redo", "hold", "skip"


class Verdict(NamedTuple):
    """What is done with a job, and why.

    Attributes:
        action: `keep` (done), `measure` (there is a checkpoint), `resume` (its training stopped), `train` (or, of what
            trains nothing, measure), `redo` (put aside what is there and begin anew), `hold` (the same, but not
            unasked), `skip`.
        reason: for a reader.
    """

    action: str
    reason: str = ""


def judge(job: Job, network_sha256: str | None, last: JobStatus | None = None, redo_stale: bool = False) -> Verdict:
    """Decides what is done with a job.

    A job is done if its folder has a result of the same config, seed, precision, protocol and original network, whose
    checkpoint is the one in the folder or was deleted. A result of another config, or half a training, is put aside
    only if `redo_stale` says so. So is one of other code, which is good for as long as nobody says otherwise.

    Args:
        job: the job.
        network_sha256: digest of the original network as it was measured; None: not known yet.
        last: what was last heard of the job: of one that trained, a checkpoint without a training state may be
            half-trained; what failed may be put aside.
        redo_stale: do points of another config or other code again.
    """
    if job.builds is not None:
        return Verdict(KEEP) if _is_whole(job) else Verdict(TRAIN)
    measured = (job.folder / RESULT).is_file()
    verdict = (
        _judge_measured(job, network_sha256, redo_stale)
        if measured
        else _judge_unmeasured(job, last or JobStatus(), redo_stale)
    )
    return verdict if job.skipped is None or verdict.action == KEEP else Verdict(SKIP, job.skipped)


def _judge_measured(job: Job, network_sha256: str | None, redo_stale: bool) -> Verdict:
    """Decides what is done with a job that has a result: keep it, measure another checkpoint, or put it aside."""
    try:
        result = ResultFile.load(job.folder / RESULT)
    except DataError as error:
        return Verdict(REDO, f"its result cannot be read: {error}")
    change = _change(job) or _mismatch(job, result, network_sha256)
    if change is not None:
        return Verdict(REDO if redo_stale else HOLD, f"made with {change}")
    measured = {point.checkpoint_sha256 for point in result.points}
    checkpoint = job.given_checkpoint or job.folder / CHECKPOINT
    note = ""
    if job.row is None and measured != {None}:
        if not checkpoint.is_file():
            note = "its checkpoint was deleted, the result is kept"
        elif measured != {file_digest(checkpoint)}:
            return Verdict(MEASURE, f"{checkpoint.name} is not the checkpoint that was measured")
    tables = [per_image_csv_path(job.folder / RESULT, point.unit) for point in result.points]
    if not all(path.is_file() for path in tables):
        if job.row is not None or checkpoint.is_file():
            return Verdict(MEASURE, "a per-image table is not there")
        note += ", though without per-image tables"
    if result.meta.code_version != code_version():
        stale = f"made by other code ({result.meta.code_version})"
        if redo_stale:
            return Verdict(REDO, stale)
        note = f"{stale}; {note}" if note else stale
    return Verdict(KEEP, note)


def _judge_unmeasured(job: Job, last: JobStatus, redo_stale: bool) -> Verdict:
    """Decides what is done with a job that has no result: begin, go on, measure its checkpoint, or put it aside."""
    folder = job.folder
    has_state = (folder / STATE).is_file() or (folder / PREVIOUS).is_file()
    if not has_state and not (folder / CHECKPOINT).is_file():
        return Verdict(TRAIN)
    change = _change(job)
    if change is None and has_state and (folder / CONFIG).read_text() != job.text:
        change = "the original network's weights at another place"
    if change is not None:
        return Verdict(REDO if redo_stale or last.state == FAILED else HOLD, f"what is there was begun with {change}")
    if has_state:
        return Verdict(RESUME, "its training stopped")
    if last.state in (RUNNING, FAILED, INTERRUPTED) and last.mode != MEASURE:
        return Verdict(REDO, "its training stopped before its first state was kept")
    return Verdict(MEASURE, "there is a checkpoint")


def _is_whole(job: Job) -> bool:
    """Returns whether a feature store is finished; whether it fits is seen when it is trained from."""
    assert job.store is not None
    try:
        return bool([FeatureStore(job.store, part) for part in StoreDescription.load(job.store).parts])
    except SpicError:
        return False


def _mismatch(job: Job, result: ResultFile, network_sha256: str | None) -> str | None:
    """Returns what a result says of itself that is not the job's; None if all is."""
    if job.row is None:
        try:
            digest = file_digest(job.folder / RUN_CONFIG)
        except FileNotFoundError:
            return "a config that is not there any more"
        if {point.config_sha256 for point in result.points} != {digest}:
            return "another config than the one beside it"
    if job.row is None and {point.seed for point in result.points} != {job.seed}:
        return "another seed"
    if job.settings.protocol is not None:
        protocol = load_protocol(job.settings.protocol)
        if (result.meta.protocol, result.meta.protocol_sha256) != (protocol.name, protocol.sha256):
            return f"another protocol ({result.meta.protocol}), or other values of it"
    if job.name != ORIGINAL and network_sha256 is not None and result.meta.network_sha256 != network_sha256:
        return "another original network"
    return None


def _change(job: Job) -> str | None:
    """Returns in what the run that the folder holds differs from the job, places of files apart; None if in nothing."""
    facts, kept = job.facts(), job.kept_facts()
    try:
        before = (job.folder / CONFIG).read_text()
    except OSError:
        return "a config that is not there any more"
    places, now = facts.pop("places"), job.text
    if kept is not None:
        then = kept.pop("places")
        for name in facts:
            if facts[name] != kept.get(name):
                return f"another {name} ({kept.get(name)}, now {facts[name]})"
        if then.get("weights"):
            before = before.replace(str(then["weights"]), str(places["weights"]))
    if before == now:
        return None
    pairs = zip_longest(before.splitlines(), now.splitlines(), fillvalue="")
    line, (old, new) = next(
        ((number, pair) for number, pair in enumerate(pairs, 1) if pair[0] != pair[1]), (0, ("", ""))
    )
    return f"another config, first in line {line} (`{old.strip()}`, now `{new.strip()}`)"
