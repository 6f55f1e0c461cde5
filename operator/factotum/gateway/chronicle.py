"""What becomes of jobs, in the log, in the original's words."""

import logging
from collections.abc import Callable, Sequence

from factotum.core.words.states import JobState, RunState
from factotum.jobs.checking import identity
from factotum.jobs.views import JobView, Load

logger = logging.getLogger(__name__)

_MISSING = "No such file or directory (os error 2)"


class Chronicle:
    """Tells of each job's course, once for each step.

    Args:
        program: the runner as messages call it.
        load: how busy the backend is.
        last_words: what a foreign runner has printed last, by the job's key; None: it is ours.
    """

    def __init__(
        self,
        program: str,
        load: Callable[[], Load],
        last_words: Callable[[str], str] | None,
    ) -> None:
        self._program = program
        self._load = load
        self._last_words = last_words
        self._seen: dict[str, str] = {}

    def hear(self, job: JobView, args: Sequence[str]) -> None:
        """Tell of a job that has changed, if it came a step further."""
        if self._seen.get(job.key) == job.state:
            return
        self._seen[job.key] = job.state
        load = self._load()
        command = " ".join((self._program, "run", job.factfile_path, *args))
        if job.state == JobState.QUEUED:
            logger.debug("ADDING NEW JOB jobId:[%s]", job.job_id)
            logger.debug("QUEUE SIZE = %d", load.waiting + 1)
            if load.active >= load.workers:
                logger.info("No threads available - waiting for a job to complete.")
        elif job.state == JobState.WORKING:
            logger.debug("QUEUE SIZE = %d", load.waiting)
            logger.debug("PROCESSING JOB REQ jobId:[%s]", job.job_id)
            logger.debug("Executing: [%s]", command)
        else:
            del self._seen[job.key]
            self._end(job, command)
            if not load.waiting:
                logger.debug("QUEUE EMPTY")

    def _end(self, job: JobView, command: str) -> None:
        if job.outcome == RunState.SUCCEEDED:
            logger.info("COMPLETED JOB REQ  jobId:[%s]", job.job_id)
            return
        logger.error("Failed to execute command: [%s] - %s", command, self._why(job))
        logger.error("FAILED JOB REQ jobId:[%s]", job.job_id)

    def _why(self, job: JobView) -> str:
        if self._last_words is None:
            return job.message
        return self._last_words(job.key) if identity.exists(self._program) else _MISSING
