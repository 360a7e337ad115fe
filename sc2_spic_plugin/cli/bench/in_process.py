"""Jobs one after another in this process."""

from ...errors import ConfigError, SpicError
from ..running import RunOptions, run_config
from .job import CONFIG, COSTS, RESULT, Job
from .job_costs import measure_job_costs
from .row import measure_row
from .runner import Ended, Running

__all__ = ["InProcess"]


class InProcess:
    """Runs a job when it is started; for short jobs, which would take longer to start than to run.

    Nothing runs beside a job, so its costs are measured with it.
    """

    threads: int | None = None

    def start(self, job: Job, mode: str) -> Running:
        """Runs the job to its end."""
        if job.builds is not None:
            raise ConfigError(
                f"`{job.name}` is built in a process of its own alone; run the suite with `sc2-spic bench`."
            )
        try:
            if mode == COSTS:
                measure_job_costs(job.folder)
            elif job.row is not None:
                measure_row(job.folder, costs=True)
            else:
                _run(job, mode)
        except (SpicError, OSError) as error:
            return _Finished(Ended(str(error)))
        return _Finished(Ended(None))


class _Finished:
    """A job that has ended."""

    def __init__(self, ended: Ended) -> None:
        self._ended = ended

    def poll(self) -> Ended:
        """Returns how the job ended."""
        return self._ended

    def interrupt(self) -> None:
        """Does nothing: it has ended."""

    def stop(self) -> None:
        """Does nothing: it has ended."""


def _run(job: Job, mode: str) -> None:
    settings, checkpoint = job.settings, job.given_checkpoint
    options = RunOptions(
        test_only=mode == "measure" or not job.trains or checkpoint is not None,
        checkpoint=checkpoint,
        protocol=settings.protocol,
        device=settings.device,
        precision=settings.precision,
        seed=job.seed,
        resume=mode == "resume",
    )
    run_config(job.folder / CONFIG, job.folder, options).save(job.folder / RESULT)
