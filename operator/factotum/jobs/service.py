"""The job service: one set of rules for every front door.

A submission is checked once and in one order, whoever brings it: is the server
taking jobs, does it say what it must, is there such a file, would the runner
run it, which job is it, is that one at work already, is there room. The first
that fails answers.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from factotum.jobs.backend import Backend
from factotum.jobs.errors import DrainingError, EmptyFieldError
from factotum.jobs.views import (
    Change,
    JobDetail,
    JobPage,
    JobQuery,
    JobRequest,
    JobView,
    Load,
    LogPiece,
    LogQuery,
    Stranded,
    Submission,
    Webhook,
)
from factotum.persistence.entries import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What the server adds to the arguments of every job, unless they have it already."""

    webhook: Webhook | None = None
    no_colour: bool = False

    def words(self, submission: Submission) -> tuple[str, ...]:
        """Return the words that come behind a submission's own."""
        words: list[str] = []
        webhook = submission.webhook or self.webhook
        if webhook is not None:
            words += ["--webhook", webhook.url]
            if webhook.max_stdouterr_size is not None:
                words += ["--max-stdouterr-size", str(webhook.max_stdouterr_size)]
            if webhook.heartbeat_seconds is not None:
                words += ["--heartbeat-interval", str(webhook.heartbeat_seconds)]
        if self.no_colour:
            words.append("--no-colour")
        return _without_present(words, submission.args)


NOTHING: Final = Appended()


class Checker(Protocol):
    """Finds out whether the runner would run a submission, and which job it is."""

    async def check(self, submission: Submission, appended: tuple[str, ...]) -> JobRequest:
        """Check a submission from its factfile's path on.

        Args:
            submission: what is asked for.
            appended: words that the server adds; they are not checked.

        Raises:
            SubmissionError: of the first check that fails.
        """


class JobService:
    """What front doors call. Belongs to one event loop.

    Args:
        backend: keeps and runs the jobs.
        checker: knows the runner.
        appended: what the server adds to each job.
    """

    def __init__(self, backend: Backend, checker: Checker, appended: Appended = NOTHING) -> None:
        self._backend = backend
        self._checker = checker
        self._appended = appended
        self.draining = False
        """Whether submissions are refused; queued and running jobs go on."""

    async def submit(self, submission: Submission) -> JobView:
        """Accept a job, or say why not.

        Raises:
            SubmissionError: it is not accepted.
            BackendError: it cannot be kept now.
        """
        if self.draining:
            raise DrainingError
        if not submission.name:
            raise EmptyFieldError("name")
        if submission.factfile is None and not submission.factfile_path:
            raise EmptyFieldError("factfile_path")
        request = await self._checker.check(submission, self._appended.words(submission))
        return await self._backend.create(request)

    async def check(self, submission: Submission) -> JobRequest:
        """Check a submission as ``submit`` does, and leave it at that.

        Raises:
            SubmissionError: it would not be accepted; duplicates and room are not looked at.
        """
        return await self._checker.check(submission, self._appended.words(submission))

    async def get(self, key: str) -> JobDetail:
        """Return a job (see ``Backend.get``)."""
        return await self._backend.get(key)

    async def find(self, job_id: str) -> JobView | None:
        """Return the newest job of a job id."""
        return await self._backend.find(job_id)

    async def entry(self, job_id: str) -> Entry | None:
        """Return what Factotum Server would answer for a job id (see ``Backend.entry``)."""
        return await self._backend.entry(job_id)

    async def list(self, query: JobQuery) -> JobPage:
        """Return jobs, newest first."""
        return await self._backend.list(query)

    def watch(self, since: int | None = None, key: str | None = None) -> AsyncIterator[Change]:
        """Tell of changes (see ``Backend.watch``)."""
        return self._backend.watch(since, key)

    async def log(self, key: str, query: LogQuery) -> LogPiece:
        """Return a part of a log (see ``Backend.log``)."""
        return await self._backend.log(key, query)

    async def resume(self, key: str) -> JobView:
        """Let a job go on, or have another attempt (see ``Backend.resume``)."""
        return await self._backend.resume(key)

    async def suspend(self, key: str) -> JobView:
        """Stop a job until it is resumed (see ``Backend.suspend``)."""
        return await self._backend.suspend(key)

    async def cancel(self, key: str) -> JobView:
        """End a job (see ``Backend.cancel``)."""
        return await self._backend.cancel(key)

    def load(self) -> Load:
        """Return how busy the backend is; never waits for anything."""
        return self._backend.load()

    def stranded(self) -> Sequence[Stranded]:
        """Return jobs that wait for boxes that are gone (see ``Backend.stranded``)."""
        return self._backend.stranded()

    def sequence(self) -> int:
        """Return the sequence of the newest change; never waits for anything."""
        return self._backend.sequence()


def _without_present(words: list[str], args: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out options that the job has itself: given twice, the runner refuses them."""
    present = {word.partition("=")[0] for word in args if word.startswith("--")}
    kept: list[str] = []
    is_left_out = False
    for word in words:
        if word.startswith("--"):
            is_left_out = word in present
        if not is_left_out:
            kept.append(word)
    return tuple(kept)
