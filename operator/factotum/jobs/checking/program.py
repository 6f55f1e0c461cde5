"""What a foreign runner says of a submission: its own dry run, as the original server asks for it.

Its exit code decides; what it says on standard error goes into the message.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Final

from factotum.core.factfile import tags
from factotum.jobs.checking import getopts, identity
from factotum.jobs.errors import DryRunError, FactfileMissingError, RefusedByPolicyError
from factotum.jobs.views import JobRequest, Submission

logger = logging.getLogger(__name__)

_LIMIT_SECONDS: Final = 60.0
_MAX_WORDS: Final = 64 * 1024
"""Characters of its output that are kept for the message."""


class Program:
    """A program that takes the original runner's arguments.

    Args:
        path: where it is.
        at_once: how many dry runs.
        limit_seconds: how long one may take.
    """

    def __init__(
        self, path: str, *, at_once: int | None = None, limit_seconds: float = _LIMIT_SECONDS
    ) -> None:
        self._path = path
        self._limit_seconds = limit_seconds
        self._turns = asyncio.Semaphore(at_once or 2 * (os.cpu_count() or 1))

    async def check(self, submission: Submission, appended: tuple[str, ...]) -> JobRequest:
        """Check a submission.

        Raises:
            SubmissionError: of the first check that fails.
        """
        path = submission.factfile_path
        if submission.factfile is not None:
            msg = f"{self._path} runs files of this server's only: say a path"
            raise RefusedByPolicyError(msg)
        if not identity.exists(path):
            raise FactfileMissingError(path)
        async with self._turns:
            await self._dry_run(("run", path, "--dry-run", *submission.args))
        job_tags = tags.parse_pairs(getopts.read_tags(submission.args))
        job_id, factfile = await asyncio.to_thread(_read, path, job_tags)
        return JobRequest(
            job_id=job_id,
            name=submission.name,
            factfile=factfile,
            factfile_path=path,
            args=(*submission.args, *appended),
            options=None,
        )

    async def _dry_run(self, words: Sequence[str]) -> None:
        command = " ".join((self._path, *words))
        if "\0" in command:
            raise DryRunError(command, "nul byte found in provided data", "")
        logger.debug("Executing: [%s]", command)
        try:
            process = await asyncio.create_subprocess_exec(
                self._path,
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise DryRunError(command, identity.describe(error), "") from None
        try:
            async with asyncio.timeout(self._limit_seconds):
                out, err = await process.communicate()
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            await process.wait()
            if isinstance(error, TimeoutError):
                reason = f"no answer within {self._limit_seconds:g} s"
                raise DryRunError(command, reason, reason) from None
            raise
        if process.returncode != 0:
            texts = [text.decode("utf-8", "replace")[-_MAX_WORDS:] for text in (err, out)]
            raise DryRunError(command, texts[0], texts[1].strip())
        logger.debug("Dry run success")


def _read(path: str, job_tags: Mapping[str, str]) -> tuple[str, str]:
    """Return the job id of a factfile, which may be megabytes, and its text."""
    payload = identity.read(path)
    return identity.job_id(payload, path, job_tags), payload.decode()
